/** SASL conversations, against the examples of their RFCs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SaslOptions } from '../../src/client/cluster-options.ts'
import { converse, isSecretFree } from '../../src/client/sasl.ts'

/** Answers in turn, and keeps what the client said. */
function script(...answers: readonly string[]): { said: string[]; exchange: (token: Buffer) => Promise<Buffer> } {
  const said: string[] = []
  const left = [...answers]
  const exchange = (token: Buffer): Promise<Buffer> => {
    said.push(token.toString('utf8'))
    return Promise.resolve(Buffer.from(left.shift() ?? ''))
  }
  return { said, exchange }
}

const address = { host: 'broker', port: 9092 }
// RFC 7677, section 3.
const rfc7677 = {
  sasl: { mechanism: 'SCRAM-SHA-256', username: 'user', password: 'pencil' },
  nonce: 'rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='
} as const

test('SCRAM-SHA-256 runs as in the example of RFC 7677', async () => {
  const { sasl, nonce, serverFirst, clientFinal, serverFinal } = rfc7677
  const { said, exchange } = script(serverFirst, serverFinal)
  await converse({ ...address, sasl, nonce, exchange })
  assert.deepEqual(said, [`n,,n=user,r=${nonce}`, clientFinal])
})

test('a server that does not know the password is found out', async () => {
  const { sasl, nonce, serverFirst } = rfc7677
  for (const serverFinal of [`v=${Buffer.alloc(32).toString('base64')}`, 'v=', 'e=other-error', '']) {
    const { exchange } = script(serverFirst, serverFinal)
    await assert.rejects(converse({ ...address, sasl, nonce, exchange }), {
      code: 'ERR_CLIENT_AUTHENTICATION_FAILED',
      retriable: false
    })
  }
})

for (const [what, serverFirst] of [
  ['another nonce', 'r=stranger,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
  ['no nonce of its own', 'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
  ['no salt', 'r=rOprNGfwEbeRWgbNEkqOx,i=4096'],
  ['too few iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095'],
  ['too many iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001'],
  ['nothing', '']
] as const) {
  test(`a SCRAM challenge with ${what} is refused, and the password stays here`, async () => {
    const { said, exchange } = script(serverFirst)
    const { sasl, nonce } = rfc7677
    await assert.rejects(converse({ ...address, sasl, nonce, exchange }), { code: 'ERR_CLIENT_AUTHENTICATION_FAILED' })
    assert.equal(said.length, 1)
  })
}

test('user names with commas and equal signs are escaped, and every conversation has its own nonce', async () => {
  const sasl = { mechanism: 'SCRAM-SHA-512', username: 'a=b,c', password: 'x' } as const
  const [first, second] = [script(''), script('')]
  await assert.rejects(converse({ ...address, sasl, exchange: first.exchange }))
  await assert.rejects(converse({ ...address, sasl, exchange: second.exchange }))
  assert.match(first.said[0] ?? '', /^n,,n=a=3Db=2Cc,r=.{32}$/)
  assert.notEqual(first.said[0], second.said[0])
})

test('PLAIN sends user and password as RFC 4616 says', async () => {
  const { said, exchange } = script('')
  await converse({ ...address, sasl: { mechanism: 'PLAIN', username: 'tim', password: 'tanstaaftanstaaf' }, exchange })
  assert.deepEqual(said, ['\u0000tim\u0000tanstaaftanstaaf'])
})

test('OAUTHBEARER asks for a token for this broker and sends it as RFC 7628 says', async () => {
  const { said, exchange } = script('')
  const asked: unknown[] = []
  const sasl: SaslOptions = {
    mechanism: 'OAUTHBEARER',
    token: broker => {
      asked.push(broker)
      return { value: 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', extensions: { logicalCluster: 'lkc-1' } }
    }
  }
  await converse({ ...address, sasl, exchange })
  assert.deepEqual(asked, [address])
  assert.deepEqual(said, [
    'n,,\u0001auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u0001logicalCluster=lkc-1\u0001\u0001'
  ])
})

test('a refused token is acknowledged, as the server waits for it, and ends the conversation', async () => {
  const { said, exchange } = script('{"status":"invalid_token"}', '')
  const sasl: SaslOptions = { mechanism: 'OAUTHBEARER', token: () => ({ value: 'secret' }) }
  const error = await converse({ ...address, sasl, exchange }).catch((cause: unknown) => cause)
  assert.equal(said[1], '\u0001')
  assert.match(String(error), /refused the token/)
  assert.doesNotMatch(String(error), /secret/)
})

test('text of a broker that repeats the password is recognised', () => {
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'hunter2' } as const
  assert.equal(isSecretFree(sasl, 'Authentication failed: hunter2 is wrong'), false)
  assert.equal(isSecretFree(sasl, 'Authentication failed'), true)
})

test('text of a broker that repeats what may be a token is recognised', () => {
  const sasl = { mechanism: 'OAUTHBEARER', token: () => ({ value: 'unused' }) } as const
  // The example of RFC 7519, section 3.1, without its signature.
  const token =
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt'
  assert.equal(isSecretFree(sasl, `the token ${token} has expired`), false)
  assert.equal(isSecretFree(sasl, '{"status":"invalid_token"}'), true)
  const denied = 'arn:aws:sts::123456789012:assumed-role/kafka/orders may not kafka-cluster:Connect'
  assert.equal(isSecretFree(sasl, denied), true)
})

/** SASL as clients see it: order, errors and texts of the conversations, sessions, users. */

import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { converse } from '../../src/client/sasl.ts'
import {
  alterUserScramCredentialsApi,
  apiVersionsApi,
  describeUserScramCredentialsApi,
  listGroupsApi,
  metadataApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import {
  bearerToken,
  plainToken,
  type SaslCluster,
  SaslConnection,
  SESSION_MS,
  startSaslCluster
} from './sasl-cluster.ts'

const MECHANISMS = ['OAUTHBEARER', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const software = { clientSoftwareName: 'conformance', clientSoftwareVersion: '1' }

let cluster: SaslCluster

before(async () => {
  cluster = await startSaslCluster()
})

after(() => cluster.close())

async function open(t: TestContext): Promise<SaslConnection> {
  return new SaslConnection(await RawConnection.open(t, cluster))
}

async function authenticated(t: TestContext, token = plainToken()): Promise<SaslConnection> {
  const connection = await open(t)
  await connection.handshake('PLAIN')
  assert.equal((await connection.token(token)).error, 'NONE')
  return connection
}

async function isServed({ raw }: SaslConnection): Promise<boolean> {
  const { brokers } = await raw.request(metadataApi, { version: 9, message: { topics: [] } })
  return brokers.length === 1
}

/** Whether the broker closes the connection without another byte. */
async function isClosedSilently(connection: SaslConnection): Promise<boolean> {
  return (await connection.raw.closed()) === 0
}

test('PLAIN lets in who has the password, in every version', async t => {
  for (const version of [0, 1, 2]) {
    const connection = await open(t)
    assert.deepEqual(await connection.handshake('PLAIN'), { error: 'NONE', mechanisms: MECHANISMS })
    const lifetimeMs = version === 0 ? 0 : SESSION_MS
    assert.deepEqual(await connection.token(plainToken(), version), {
      error: 'NONE',
      message: '',
      token: '',
      lifetimeMs
    })
    assert.ok(await isServed(connection))
  }
})

for (const [what, token, message] of [
  ['a wrong password', plainToken('admin', 'wrong'), 'Authentication failed: Invalid username or password'],
  ['an unknown user', plainToken('nobody'), 'Authentication failed: Invalid username or password'],
  [
    'another authorization id',
    plainToken('admin', 'admin-secret', 'other'),
    'Authentication failed: Client requested an authorization id that is different from username'
  ],
  ['no user', plainToken('', 'x'), 'Authentication failed: username not specified'],
  ['no password', plainToken('admin', ''), 'Authentication failed: password not specified'],
  ['one part', 'admin', 'Invalid SASL/PLAIN response: expected 3 tokens, got 1'],
  ['four parts', '\0a\0b\0c', 'Invalid SASL/PLAIN response: expected 3 tokens, got 4']
] as const) {
  test(`PLAIN with ${what} is refused, and the connection ends`, async t => {
    const connection = await open(t)
    await connection.handshake('PLAIN')
    const answer = await connection.token(token)
    assert.equal(answer.error, 'SASL_AUTHENTICATION_FAILED')
    assert.equal(answer.message, message)
    assert.ok(await isClosedSilently(connection))
  })
}

test('a mechanism that is not enabled is refused with those that are, and the connection ends', async t => {
  const connection = await open(t)
  assert.deepEqual(await connection.handshake('GSSAPI'), {
    error: 'UNSUPPORTED_SASL_MECHANISM',
    mechanisms: MECHANISMS
  })
  assert.ok(await isClosedSilently(connection))
})

test('after a handshake of version 0 tokens are bare frames', async t => {
  const connection = await open(t)
  assert.equal((await connection.handshake('PLAIN', 0)).error, 'NONE')
  connection.sendBareToken(plainToken())
  assert.equal((await connection.raw.frame()).length, 0)
  assert.ok(await isServed(connection))
})

test('a wrong bare token is not answered', async t => {
  const connection = await open(t)
  await connection.handshake('PLAIN', 0)
  connection.sendBareToken(plainToken('admin', 'wrong'))
  assert.ok(await isClosedSilently(connection))
})

test('nothing but ApiVersions, once, comes before the handshake', async t => {
  const connection = await open(t)
  connection.raw.sendOnly(metadataApi, { version: 9, message: { topics: [] } })
  assert.ok(await isClosedSilently(connection))

  const second = await open(t)
  const versions = await second.raw.request(apiVersionsApi, { version: 3, message: software })
  assert.equal(versions.errorCode, 0)
  second.raw.sendOnly(apiVersionsApi, { version: 3, message: software })
  assert.ok(await isClosedSilently(second))
})

test('ApiVersions that was refused may be asked again', async t => {
  const connection = await open(t)
  const refused = await connection.raw.request(apiVersionsApi, {
    version: 3,
    message: { clientSoftwareName: '-', clientSoftwareVersion: '' }
  })
  assert.equal(refused.errorCode, 42)
  assert.equal((await connection.raw.request(apiVersionsApi, { version: 3, message: software })).errorCode, 0)
  assert.equal((await connection.handshake('PLAIN')).error, 'NONE')
})

test('a token without a handshake ends the connection', async t => {
  const connection = await open(t)
  await assert.rejects(connection.token(plainToken()), /closed the connection/)
})

test('a request between handshake and token is refused, and the connection ends', async t => {
  const connection = await open(t)
  await connection.handshake('PLAIN')
  const answer = await connection.raw.request(listGroupsApi, { version: 3, message: {} })
  assert.equal(answer.errorCode, 34)
  assert.ok(await isClosedSilently(connection))
})

test('a frame that is too large for a token ends the connection', async t => {
  const connection = await open(t)
  const length = Buffer.alloc(12)
  length.writeInt32BE(524_289)
  connection.raw.send(length)
  assert.ok(await isClosedSilently(connection))
})

test('a token after the authentication is refused, and the connection lives', async t => {
  const connection = await authenticated(t)
  const answer = await connection.token(plainToken())
  assert.equal(answer.error, 'ILLEGAL_SASL_STATE')
  assert.equal(answer.message, 'SaslAuthenticate request received after successful authentication')
  assert.ok(await isServed(connection))
})

for (const [mechanism, type, hash] of [
  ['SCRAM-SHA-256', 1, 'sha256'],
  ['SCRAM-SHA-512', 2, 'sha512']
] as const) {
  test(`${mechanism} lets in who was added, and nobody else`, async t => {
    const name = `scram,=user-${type}`
    const salt = Buffer.from('a salt of sixteen')
    const saltedPassword = pbkdf2Sync('pässword', salt, 4096, type === 1 ? 32 : 64, hash)
    const admin = await authenticated(t)
    const { results } = await admin.raw.request(alterUserScramCredentialsApi, {
      version: 0,
      message: { upsertions: [{ name, mechanism: type, iterations: 4096, salt, saltedPassword }] }
    })
    assert.deepEqual(results, [{ user: name, errorCode: 0, errorMessage: null }])
    const generic =
      'Authentication failed during authentication due to invalid credentials with SASL mechanism ' + mechanism

    const attempt = async (username: string, password: string): Promise<SaslConnection> => {
      const connection = await open(t)
      await connection.handshake(mechanism)
      const exchange = async (token: Buffer): Promise<Buffer> => {
        const answer = await connection.token(token)
        if (answer.error === 'NONE') return Buffer.from(answer.token)
        throw new Error(`${answer.error}: ${answer.message ?? ''}`)
      }
      await converse({ sasl: { mechanism, username, password }, host: '', port: 0, exchange })
      return connection
    }
    const settled = async (): Promise<SaslConnection> => {
      // Apache Kafka's users take effect a moment after they were added.
      for (const deadline = performance.now() + 10_000; ; await delay(50)) {
        const connection = await attempt(name, 'pässword').catch((error: unknown) => error)
        if (connection instanceof SaslConnection) return connection
        if (cluster.isEmbedded || performance.now() > deadline) throw connection
      }
    }
    assert.ok(await isServed(await settled()))
    const refused = { message: `SASL_AUTHENTICATION_FAILED: ${generic}` }
    await assert.rejects(attempt(name, 'password'), refused)
    await assert.rejects(attempt('nobody', 'pässword'), refused)
  })
}

test('SCRAM checks nonce, form and user name of its messages', async t => {
  const name = 'messages'
  const salt = Buffer.from('salt')
  const saltedPassword = pbkdf2Sync('secret', salt, 4096, 32, 'sha256')
  const admin = await authenticated(t)
  await admin.raw.request(alterUserScramCredentialsApi, {
    version: 0,
    message: { upsertions: [{ name, mechanism: 1, iterations: 4096, salt, saltedPassword }] }
  })
  const known = async (): Promise<boolean> => {
    const connection = await open(t)
    await connection.handshake('SCRAM-SHA-256')
    return (await connection.token(`n,,n=${name},r=x`)).error === 'NONE'
  }
  for (const deadline = performance.now() + 10_000; !(await known()) && performance.now() < deadline;) await delay(50)

  for (const first of [
    '',
    'n,,n=messages',
    'y,,n=messages,r=abc',
    'p=tls-unique,,n=messages,r=abc',
    'n,,n=müller,r=a'
  ]) {
    const connection = await open(t)
    await connection.handshake('SCRAM-SHA-256')
    assert.equal((await connection.token(first)).error, 'SASL_AUTHENTICATION_FAILED', first)
  }
  const final = async (change: (message: string, nonce: string) => string): Promise<string> => {
    const connection = await open(t)
    await connection.handshake('SCRAM-SHA-256')
    const bare = `n=${name},r=abc`
    const { token: challenge } = await connection.token(`n,,${bare}`)
    const nonce = /r=([^,]*)/.exec(challenge)?.[1] ?? ''
    assert.match(nonce, /^abc.+/)
    assert.ok(challenge.endsWith(`,s=${salt.toString('base64')},i=4096`))
    const withoutProof = `c=biws,r=${nonce}`
    const clientKey = createHmac('sha256', saltedPassword).update('Client Key').digest()
    const storedKey = createHash('sha256').update(clientKey).digest()
    const signature = createHmac('sha256', storedKey).update(`${bare},${challenge},${withoutProof}`).digest()
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))).toString('base64')
    return (await connection.token(change(`${withoutProof},p=${proof}`, nonce))).error
  }
  assert.equal(await final(message => message), 'NONE')
  assert.equal(await final((message, nonce) => message.replace(nonce, 'abc')), 'SASL_AUTHENTICATION_FAILED')
  assert.equal(await final(message => message.replace(/p=..../, 'p=AAAA')), 'SASL_AUTHENTICATION_FAILED')
  assert.equal(await final(message => message.replace(/,p=.*/, '')), 'SASL_AUTHENTICATION_FAILED')
})

test('OAUTHBEARER lets in who has a token that holds, until it ends', async t => {
  const now = Math.floor(Date.now() / 1000)
  const connection = await open(t)
  await connection.handshake('OAUTHBEARER')
  const answer = await connection.token(bearerToken({ sub: 'admin', iat: now - 1, exp: now + 60 }))
  assert.deepEqual(answer, { error: 'NONE', message: '', token: '', lifetimeMs: SESSION_MS })
  assert.ok(await isServed(connection))

  const short = await open(t)
  await short.handshake('OAUTHBEARER')
  const { lifetimeMs } = await short.token(bearerToken({ sub: 'admin', exp: Date.now() / 1000 + 0.5 }))
  assert.ok(lifetimeMs > 0 && lifetimeMs <= 500, `${lifetimeMs} ms`)
})

test('OAUTHBEARER tells what is wrong with a token, and refuses when the client has seen it', async t => {
  const now = Math.floor(Date.now() / 1000)
  for (const claims of [
    { sub: 'admin', exp: now - 1 },
    { sub: 'admin' },
    { exp: now + 60 },
    { sub: 'admin', iat: now + 60, exp: now + 120 },
    { sub: 'admin', iat: now - 1, exp: now - 2 }
  ]) {
    const connection = await open(t)
    await connection.handshake('OAUTHBEARER')
    const first = await connection.token(bearerToken(claims))
    assert.deepEqual([first.error, first.token, first.lifetimeMs], ['NONE', '{"status":"invalid_token"}', 0])
    const second = await connection.token('\u0001')
    assert.deepEqual([second.error, second.message], ['SASL_AUTHENTICATION_FAILED', '{"status":"invalid_token"}'])
    assert.ok(await isClosedSilently(connection))
  }
})

test('a connection authenticates again as the same user, at most once a second', async t => {
  const connection = await authenticated(t)
  assert.equal((await connection.handshake('PLAIN')).error, 'NONE')
  assert.equal((await connection.token(plainToken())).lifetimeMs, SESSION_MS)
  assert.ok(await isServed(connection))
  assert.equal((await connection.handshake('PLAIN')).error, 'ILLEGAL_SASL_STATE')
  assert.ok(await isServed(connection))
})

test('a re-authentication changes neither user nor mechanism', async t => {
  const other = await authenticated(t)
  await other.handshake('PLAIN')
  const answer = await other.token(plainToken('other'))
  assert.equal(answer.error, 'SASL_AUTHENTICATION_FAILED')
  assert.equal(answer.message, 'Cannot change principals during re-authentication from User.admin: User.other')
  assert.ok(await isClosedSilently(other))

  const wrong = await authenticated(t)
  await wrong.handshake('PLAIN')
  const text = 'Authentication failed: Invalid username or password'
  assert.equal((await wrong.token(plainToken('admin', 'wrong'))).message, text)

  const changed = await authenticated(t)
  const now = Math.floor(Date.now() / 1000)
  assert.equal((await changed.handshake('OAUTHBEARER')).error, 'NONE')
  await assert.rejects(changed.token(bearerToken({ sub: 'admin', exp: now + 60 })), /closed the connection/)
})

test('a connection that is used after its session ends', async t => {
  const connection = await authenticated(t)
  await delay(SESSION_MS + 100)
  connection.raw.sendOnly(metadataApi, { version: 9, message: { topics: [] } })
  assert.ok(await isClosedSilently(connection))

  const renewed = await authenticated(t)
  await delay(SESSION_MS + 100)
  assert.equal((await renewed.handshake('PLAIN')).error, 'NONE')
  assert.equal((await renewed.token(plainToken())).error, 'NONE')
  assert.ok(await isServed(renewed))
})

async function alter(
  { raw }: SaslConnection,
  message: Parameters<typeof alterUserScramCredentialsApi.request.write>[1]
): Promise<unknown[]> {
  const { results } = await raw.request(alterUserScramCredentialsApi, { version: 0, message })
  return results.toSorted((left, right) => (left.user < right.user ? -1 : 1))
}

/** Descriptions by user. */
async function describe({ raw }: SaslConnection, names: readonly string[] | null): Promise<Map<string, unknown>> {
  const users = names?.map(name => ({ name })) ?? null
  const { errorCode, results } = await raw.request(describeUserScramCredentialsApi, { version: 0, message: { users } })
  assert.equal(errorCode, 0)
  const sorted = (infos: readonly { readonly mechanism: number }[]): unknown[] =>
    infos.toSorted((left, right) => left.mechanism - right.mechanism)
  return new Map(
    results.map(({ user, credentialInfos, ...rest }) => [user, { ...rest, credentialInfos: sorted(credentialInfos) }])
  )
}

test('users are added, described and removed, each judged for itself', async t => {
  const admin = await authenticated(t)
  const [salt, saltedPassword] = [Buffer.from('salt'), Buffer.alloc(32, 1)]
  const upsertion = (name: string, mechanism: number, iterations = 4096): object => ({
    name,
    mechanism,
    iterations,
    salt,
    saltedPassword
  })
  const twice = 'A user credential cannot be altered twice in the same request'
  const answers = await alter(admin, {
    deletions: [
      { name: 'absent', mechanism: 1 },
      { name: 'absent-512', mechanism: 2 }
    ],
    upsertions: [
      upsertion('few', 1, 4095),
      upsertion('good', 1, 16_384),
      upsertion('many', 1, 16_385),
      upsertion('twice', 1),
      upsertion('twice', 2),
      upsertion('unknown', 3),
      upsertion('', 1)
    ]
  })
  assert.deepEqual(answers, [
    { user: '', errorCode: 93, errorMessage: 'Username must not be empty' },
    { user: 'absent', errorCode: 91, errorMessage: 'Attempt to delete a user credential that does not exist' },
    { user: 'absent-512', errorCode: 91, errorMessage: 'Attempt to delete a user credential that does not exist' },
    { user: 'few', errorCode: 93, errorMessage: 'Too few iterations' },
    { user: 'good', errorCode: 0, errorMessage: null },
    { user: 'many', errorCode: 93, errorMessage: 'Too many iterations' },
    { user: 'twice', errorCode: 92, errorMessage: twice },
    { user: 'unknown', errorCode: 33, errorMessage: 'Unknown SCRAM mechanism' }
  ])
  assert.deepEqual(await alter(admin, { upsertions: [upsertion('good', 2)] }), [
    { user: 'good', errorCode: 0, errorMessage: null }
  ])
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; await delay(50)) {
    const found = await describe(admin, ['good'])
    if (JSON.stringify([...found]).includes('"mechanism":2')) break
  }
  const credentialInfos = [
    { mechanism: 1, iterations: 16_384 },
    { mechanism: 2, iterations: 4096 }
  ]
  const absent = 'Attempt to describe a user credential that does not exist: nobody'
  assert.deepEqual(
    await describe(admin, ['good', 'nobody', 'few', 'few']),
    new Map<string, unknown>([
      ['good', { errorCode: 0, errorMessage: '', credentialInfos }],
      ['nobody', { errorCode: 91, errorMessage: absent, credentialInfos: [] }],
      [
        'few',
        {
          errorCode: 92,
          errorMessage: 'Cannot describe SCRAM credentials for the same user twice in a single request: few',
          credentialInfos: []
        }
      ]
    ])
  )
  assert.ok((await describe(admin, null)).has('good'))
  assert.ok((await describe(admin, [])).has('good'))
  const deletions = [{ name: 'good', mechanism: 1 }]
  assert.deepEqual(await alter(admin, { deletions }), [{ user: 'good', errorCode: 0, errorMessage: null }])
})

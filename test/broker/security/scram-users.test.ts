/** Users for SCRAM: what is stored, what survives, what is refused. */

import assert from 'node:assert/strict'
import { pbkdf2Sync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { scramServer } from '../../../src/broker/security/authentication/scram.ts'
import { ScramUsers } from '../../../src/broker/security/authentication/scram-users.ts'
import { converse } from '../../../src/client/sasl.ts'
import { brokerFor, RecordingLogger } from '../support.ts'
import { connectClient } from './support.ts'

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-users-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return dir
}

const salt = Buffer.from('0123456789abcdef')
const upsertion = (name: string, password: string): Parameters<ScramUsers['alter']>[1][number] => ({
  name,
  mechanism: 1,
  iterations: 4096,
  salt,
  saltedPassword: pbkdf2Sync(password, salt, 4096, 32, 'sha256')
})

test('the server’s side runs as in the example of RFC 7677', async () => {
  const given = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const { credentialOf } = await import('../../../src/broker/security/authentication/scram.ts')
  const saltedPassword = pbkdf2Sync('pencil', given, 4096, 32, 'sha256')
  const credential = credentialOf('SCRAM-SHA-256', { saltedPassword, salt: given, iterations: 4096 })
  const find = (user: string): typeof credential | undefined => (user === 'user' ? credential : undefined)
  const conversation = scramServer('SCRAM-SHA-256', find, () => '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0')()
  const first = await conversation.respond(Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'))
  assert.ok(first.kind === 'continue')
  assert.equal(
    first.challenge.toString(),
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  )
  const last = await conversation.respond(
    Buffer.from(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
    )
  )
  assert.ok(last.kind === 'done')
  assert.equal(last.answer.toString(), 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
})

test('users survive, and neither password nor salted password is in the file', async t => {
  const dir = folder(t)
  const users = await ScramUsers.open(dir)
  await users.alter([], [upsertion('alice', 'secret-1'), upsertion('bob', 'secret-2')])
  await users.alter([{ name: 'bob', mechanism: 1 }], [])
  const file = join(dir, 'comporta-scram-users.json')
  const text = readFileSync(file, 'utf8')
  assert.ok(!text.includes('secret'))
  assert.ok(!text.includes(upsertion('alice', 'secret-1').saltedPassword.toString('base64')))
  assert.equal(statSync(file).mode & 0o077, 0)

  const again = await ScramUsers.open(dir)
  assert.deepEqual(again.names(), ['alice'])
  const conversation = scramServer('SCRAM-SHA-256', again.lookup('SCRAM-SHA-256'))()
  const sasl = { mechanism: 'SCRAM-SHA-256', username: 'alice', password: 'secret-1' } as const
  await converse({
    sasl,
    host: '',
    port: 0,
    exchange: async token => {
      const step = await conversation.respond(token)
      if (step.kind === 'failed') throw new Error(step.reason)
      return step.kind === 'done' ? step.answer : step.challenge
    }
  })
})

test('changes at the same time all count', async t => {
  const users = await ScramUsers.open(folder(t))
  const names = Array.from({ length: 20 }, (_, index) => `user-${index}`)
  await Promise.all(names.map(name => users.alter([], [upsertion(name, 'x')])))
  assert.deepEqual(users.names(), names.toSorted())
})

test('initial users count at the first start only', async t => {
  const dataDir = folder(t)
  const listeners = [{ name: 'SASL_PLAINTEXT' }]
  const logger = new RecordingLogger()
  const start = (password: string): ReturnType<typeof brokerFor> =>
    brokerFor(t, { dataDir, listeners, logger, scramUsers: [{ name: 'admin', password, iterations: 4096 }] })
  const sasl = { mechanism: 'SCRAM-SHA-512', username: 'admin', password: 'first' } as const
  const first = await start('first')
  await connectClient(t, first.bootstrapServers, { sasl })
  await first.close()
  assert.doesNotMatch(JSON.stringify(logger.lines), /are not read/)
  const second = await start('second')
  assert.match(JSON.stringify(logger.lines), /those given now are not read/)
  await connectClient(t, second.bootstrapServers, { sasl })
})

test('a damaged file of users is not guessed at, and bad initial users are refused', async t => {
  const dir = folder(t)
  for (const text of ['{', '[]', '{"version":1,"users":[{"name":"a"}]}', '{"version":2,"users":[]}']) {
    writeFileSync(join(dir, 'comporta-scram-users.json'), text)
    await assert.rejects(ScramUsers.open(dir), { code: 'ERR_BROKER_DATA_DAMAGED' }, text)
  }
  for (const user of [
    { name: '', password: 'x' },
    { name: 'a', password: '' },
    { name: 'a', password: process.env['NO_SUCH_VARIABLE'] as string }, // what JavaScript lets through
    { name: 'a', password: 'x', iterations: 4095 },
    { name: 'a', password: 'x', iterations: 16_385 }
  ]) {
    await assert.rejects(ScramUsers.open(folder(t), [user]), { code: 'ERR_BROKER_INVALID_SETTING' })
  }
})

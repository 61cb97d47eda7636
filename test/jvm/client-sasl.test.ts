/** Every SASL mechanism of the client against Apache Kafka, sessions that end included. */

import assert from 'node:assert/strict'
import { pbkdf2Sync } from 'node:crypto'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type SaslOptions } from '../../src/client/index.ts'
import { alterUserScramCredentialsApi } from '../../src/protocol/index.ts'
import { type KafkaJvm, startKafkaJvm } from '../support/kafka-jvm.ts'

const plainModule = 'org.apache.kafka.common.security.plain.PlainLoginModule'
const scramModule = 'org.apache.kafka.common.security.scram.ScramLoginModule'
const bearerModule = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'
const bearerClaim = 'unsecuredLoginStringClaim_sub="admin"'
const sessionMs = 2_000

let kafka: KafkaJvm

before(async () => {
  kafka = await startKafkaJvm({
    overrides: {
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      'sasl.mechanism.inter.broker.protocol': 'PLAIN',
      'listener.name.plaintext.plain.sasl.jaas.config': [
        `${plainModule} required username="admin" password="admin-secret"`,
        'user_admin="admin-secret";'
      ].join(' '),
      'listener.name.plaintext.scram-sha-256.sasl.jaas.config': `${scramModule} required;`,
      'listener.name.plaintext.scram-sha-512.sasl.jaas.config': `${scramModule} required;`,
      // Tokens without a signature: what Kafka offers for tests of this mechanism.
      'listener.name.plaintext.oauthbearer.sasl.jaas.config': `${bearerModule} required ${bearerClaim};`,
      'connections.max.reauth.ms': String(sessionMs)
    }
  })
})

after(() => kafka.close())

const admin: SaslOptions = { mechanism: 'PLAIN', username: 'admin', password: 'admin-secret' }

async function connect(t: TestContext, sasl: SaslOptions): Promise<Cluster> {
  const cluster = await Cluster.connect({ bootstrapServers: [kafka.bootstrapServers], sasl, connectTimeoutMs: 20_000 })
  t.after(() => cluster.close())
  return cluster
}

/** A JSON web token without a signature, for the next minute. */
function unsecuredToken(): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${encode({ alg: 'none' })}.${encode({ sub: 'admin', iat: now, exp: now + 60 })}.`
}

test('PLAIN is accepted with the right password and refused with another', async t => {
  assert.notEqual((await connect(t, admin)).clusterId, null)
  await assert.rejects(connect(t, { ...admin, password: 'wrong' }), { code: 'ERR_CLIENT_AUTHENTICATION_FAILED' })
})

for (const [mechanism, type, hash] of [
  ['SCRAM-SHA-256', 1, 'sha256'],
  ['SCRAM-SHA-512', 2, 'sha512']
] as const) {
  test(`${mechanism} is accepted with the right password, in any alphabet, and refused with another`, async t => {
    const [username, password] = [`user,=${type}`, 'pässwörd ✓']
    const salt = Buffer.from('0123456789abcdef')
    const bytes = type === 1 ? 32 : 64
    const created = await (
      await connect(t, admin)
    ).send(
      alterUserScramCredentialsApi,
      {
        upsertions: [
          {
            name: username,
            mechanism: type,
            iterations: 4096,
            salt,
            saltedPassword: pbkdf2Sync(password, salt, 4096, bytes, hash)
          }
        ]
      },
      { to: 'controller' }
    )
    assert.equal(created.results[0]?.errorCode, 0)

    const cluster = await connect(t, { mechanism, username, password })
    assert.notEqual(cluster.clusterId, null)
    await assert.rejects(connect(t, { mechanism, username, password: 'wrong' }), {
      code: 'ERR_CLIENT_AUTHENTICATION_FAILED'
    })
    await assert.rejects(connect(t, { mechanism, username: 'nobody', password }), {
      code: 'ERR_CLIENT_AUTHENTICATION_FAILED'
    })
  })
}

test('OAUTHBEARER is accepted with a token that holds and refused with one that does not', async t => {
  const cluster = await connect(t, { mechanism: 'OAUTHBEARER', token: () => ({ value: unsecuredToken() }) })
  assert.notEqual(cluster.clusterId, null)
  await assert.rejects(connect(t, { mechanism: 'OAUTHBEARER', token: () => ({ value: 'a.b.c' }) }), {
    code: 'ERR_CLIENT_AUTHENTICATION_FAILED'
  })
})

test('a connection lives on when its session ends, because it authenticates again', async t => {
  let tokens = 0
  const token = (): { value: string } => {
    tokens += 1
    return { value: unsecuredToken() }
  }
  const cluster = await connect(t, { mechanism: 'OAUTHBEARER', token })
  const connection = await cluster.connectionTo({ to: 'any' })
  const before = tokens
  // Kafka ends a connection that is used after its session without a new authentication.
  const end = Date.now() + 2 * sessionMs
  while (Date.now() < end) {
    await cluster.metadata([])
    await delay(100)
  }
  assert.equal(await cluster.connectionTo({ to: 'any' }), connection)
  assert.ok(connection.isOpen)
  assert.ok(tokens > before, `${tokens} tokens`)
})

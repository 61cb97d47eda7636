/** Listeners from Kafka's settings, and everything that is wrong with them before anything starts. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ListenerOptions } from '../../../src/broker/index.ts'
import { parseJaas } from '../../../src/broker/security/authentication/jaas.ts'
import { resolveListeners } from '../../../src/broker/server/resolve-listeners.ts'
import { BrokerSettings } from '../../../src/broker/settings.ts'
import { describeClusterApi, describeConfigsApi, findCoordinatorApi, metadataApi } from '../../../src/protocol/index.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { brokerFor } from '../support.ts'
import { CA, connectClient, listenerOf, SERVER_TLS, TLS_DIR } from './support.ts'

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule'

function problemsOf(options: Parameters<typeof resolveListeners>[0], config: Record<string, string> = {}): string {
  return resolveListeners(options, new BrokerSettings(config)).problems.join('\n')
}

test('a broker set up with Kafka’s settings alone serves each listener as they say', async t => {
  const broker = await brokerFor(t, {
    config: {
      listeners: 'INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0,MUTUAL://127.0.0.1:0',
      'advertised.listeners': 'INSIDE://inside.test:19092',
      'listener.security.protocol.map': 'INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_SSL,MUTUAL:SSL',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.certificate.chain': SERVER_TLS.cert,
      'ssl.keystore.key': SERVER_TLS.key,
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.mutual.ssl.truststore.type': 'PEM',
      'listener.name.mutual.ssl.truststore.location': join(TLS_DIR, 'ca.pem'),
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.inside.plain.sasl.jaas.config': `${PLAIN_MODULE} required user_in="in\\"side";`,
      'listener.name.outside.plain.sasl.jaas.config': `${PLAIN_MODULE} required user_out='outside';`
    }
  })
  const sasl = (username: string, password: string): object => ({
    sasl: { mechanism: 'PLAIN', username, password }
  })
  const inside = listenerOf(broker, 'INSIDE')
  assert.equal(inside.bootstrapServers, 'inside.test:19092')
  const client = await connectClient(t, `127.0.0.1:${inside.port}`, sasl('in', 'in"side'))
  assert.deepEqual(
    (await client.metadata([])).brokers.map(({ host, port }) => [host, port]),
    [['inside.test', 19_092]]
  )
  const outside = listenerOf(broker, 'OUTSIDE').bootstrapServers
  const secure = await connectClient(t, outside, { tls: { ca: CA }, ...sasl('out', 'outside') })
  const resources = [{ resourceType: 4, resourceName: '1', configurationKeys: null }]
  const { results } = await secure.send(describeConfigsApi, { resources }, { to: 'any' })
  const shown = JSON.stringify(results)
  assert.match(shown, /INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_SSL,MUTUAL:SSL/)
  assert.doesNotMatch(shown, /outside'|PRIVATE KEY|user_/)
  await assert.rejects(connectClient(t, outside, { tls: { ca: CA }, ...sasl('in', 'in"side') }))
})

test('the simple options are one PLAINTEXT listener', () => {
  const { listeners, problems } = resolveListeners({ port: 9092, advertisedHost: 'me' }, new BrokerSettings())
  assert.deepEqual(problems, [])
  assert.deepEqual(
    listeners.map(({ name, host, port, advertisedHost, securityProtocol }) => ({
      name,
      host,
      port,
      advertisedHost,
      securityProtocol
    })),
    [{ name: 'PLAINTEXT', host: '127.0.0.1', port: 9092, advertisedHost: 'me', securityProtocol: 'PLAINTEXT' }]
  )
})

test('addresses are read as Kafka writes them, and an empty host stays on this machine', () => {
  const listeners = 'PLAINTEXT://:9092,SSL://[::1]:9093,SASL_PLAINTEXT://0.0.0.0:9094'
  const config = { listeners, 'ssl.keystore.location': '/x.pem', 'ssl.keystore.type': 'PEM' }
  const resolved = resolveListeners({}, new BrokerSettings(config))
  assert.deepEqual(resolved.problems, [])
  assert.deepEqual(
    resolved.listeners.map(({ host, port, advertisedHost }) => [host, port, advertisedHost]),
    [
      ['127.0.0.1', 9092, '127.0.0.1'],
      ['::1', 9093, '::1'],
      ['0.0.0.0', 9094, '127.0.0.1']
    ]
  )
})

for (const [what, options, config, expected] of [
  ['TLS without a certificate', { listeners: [{ name: 'SSL' }] }, {}, /listener SSL: TLS needs a certificate/],
  ['a name that does not say how', { listeners: [{ name: 'INSIDE' }] }, {}, /does not say how it speaks/],
  ['a name with a space', { listeners: [{ name: 'A B', securityProtocol: 'PLAINTEXT' }] }, {}, /letters, digits/],
  ['the same name twice', { listeners: [{}, {}] }, {}, /PLAINTEXT is there twice/],
  ['no listener', { listeners: [] }, {}, /needs one/],
  ['two ways at once', { listeners: [{}], port: 1 }, {}, /belong to each of the listeners/],
  ['an option and a setting', { listeners: [{}] }, { listeners: 'PLAINTEXT://:1' }, /given twice/],
  ['no address', {}, { listeners: 'localhost:9092' }, /NAME:\/\/host:port is expected/],
  ['a port that is none', {}, { listeners: 'PLAINTEXT://:99999' }, /NAME:\/\/host:port is expected/],
  [
    'client certificates without an authority',
    { listeners: [{ name: 'SSL', tls: { ...SERVER_TLS, clientAuth: 'required' } }] },
    {},
    /no authority is trusted/
  ],
  [
    'mapping rules that are none',
    { listeners: [{ name: 'SSL', tls: { ...SERVER_TLS, principalMappingRules: 'RULE:x' } }] },
    {},
    /ssl.principal.mapping.rules/
  ],
  [
    'PLAIN without users',
    { listeners: [{ name: 'SASL_PLAINTEXT', sasl: { enabledMechanisms: ['PLAIN'] } }] },
    {},
    /PLAIN has no users/
  ],
  [
    'tokens without keys',
    { listeners: [{ name: 'SASL_PLAINTEXT', sasl: { oauth: {} } }] },
    {},
    /cannot be checked without keys/
  ],
  [
    'an unknown mechanism',
    { listeners: [{ name: 'SASL_PLAINTEXT' }] },
    { 'sasl.enabled.mechanisms': 'GSSAPI' },
    /PLAIN/
  ],
  ['a Java key store', { listeners: [{ name: 'SSL' }] }, { 'ssl.keystore.location': '/x.jks' }, /reads PEM only/],
  ['limits that are none', {}, { 'max.connections.per.ip.overrides': '127.0.0.1' }, /max.connections.per.ip.overrides/],
  [
    'a JAAS line that is none',
    { listeners: [{ name: 'SASL_PLAINTEXT' }] },
    { 'listener.name.sasl_plaintext.plain.sasl.jaas.config': 'user_a=b' },
    /no line of JAAS/
  ]
] as const) {
  test(`${what}: refused before anything starts, by name`, () => {
    assert.match(problemsOf(options, config), expected)
  })
}

test('every answer with an address has that of the listener that was asked', async t => {
  const listener = (name: string): ListenerOptions => ({
    name,
    securityProtocol: 'PLAINTEXT',
    advertisedHost: `${name.toLowerCase()}.test`,
    advertisedPort: 1000 + name.charCodeAt(0)
  })
  const broker = await brokerFor(t, { listeners: [listener('A'), listener('B')] })
  for (const { name, port } of broker.listeners) {
    const connection = await RawConnection.open(t, { bootstrapServers: `127.0.0.1:${port}` })
    const expected = [`${name.toLowerCase()}.test`, 1000 + name.charCodeAt(0)]
    const { brokers } = await connection.request(metadataApi, { version: 9, message: { topics: [] } })
    const described = await connection.request(describeClusterApi, { version: 1, message: { endpointType: 1 } })
    const message = { keyType: 0, coordinatorKeys: ['g'] }
    const { coordinators } = await connection.request(findCoordinatorApi, { version: 4, message })
    const found = await connection.request(findCoordinatorApi, { version: 1, message: { key: 'g', keyType: 0 } })
    for (const answer of [brokers[0], described.brokers[0], coordinators[0], found]) {
      assert.deepEqual([answer?.host, answer?.port], expected)
    }
  }
})

test('a guarded broker listens without TLS on this machine only', () => {
  const open = [{ host: '0.0.0.0' }, { host: '10.0.0.1' }, { host: '::' }, { host: 'example.test' }]
  for (const { host } of open) {
    assert.match(problemsOf({ isLoopbackGuarded: true, host }), /without encryption/, host)
    assert.equal(problemsOf({ host }), '')
    const sasl = [{ name: 'SASL_PLAINTEXT', host }]
    assert.match(problemsOf({ isLoopbackGuarded: true, listeners: sasl }), /without encryption/)
    const tls = [{ name: 'SASL_SSL', host, tls: SERVER_TLS }]
    assert.equal(problemsOf({ isLoopbackGuarded: true, listeners: tls }), '')
  }
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    assert.equal(problemsOf({ isLoopbackGuarded: true, host }), '', host)
  }
})

test('client certificates on a SASL_SSL listener are asked for by its own setting only, as in Kafka', () => {
  const modeWith = (config: Record<string, string>): unknown => {
    const all = { ...config, 'ssl.keystore.certificate.chain': 'x', 'ssl.truststore.certificates': 'y' }
    const settings = new BrokerSettings({ listeners: 'SASL_SSL://:1', ...all })
    return resolveListeners({}, settings).listeners[0]?.tls?.clientAuth
  }
  assert.equal(modeWith({ 'ssl.client.auth': 'required' }), undefined)
  assert.equal(modeWith({ 'listener.name.sasl_ssl.ssl.client.auth': 'required' }), 'required')
})

test('controllers of another Kafka are no listeners here, and users for all are users of each', () => {
  const config = {
    listeners: 'SASL_PLAINTEXT://:1,CONTROLLER://:2',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT'
  }
  const { listeners, problems } = resolveListeners({ plainUsers: { a: 'b' } }, new BrokerSettings(config))
  assert.deepEqual(problems, [])
  assert.deepEqual(
    listeners.map(({ name, sasl }) => [name, sasl?.enabledMechanisms, sasl?.plainUsers]),
    [['SASL_PLAINTEXT', ['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'], { a: 'b' }]]
  )
})

test('a line of JAAS is read with its quotes and escapes', () => {
  const line = 'a.b.Module required\n  one="1 ;\\"x\\\\" two=\'2=\' three=3 ;'
  assert.deepEqual(
    [...(parseJaas(line) ?? [])],
    [
      ['one', '1 ;"x\\'],
      ['two', '2='],
      ['three', '3']
    ]
  )
  for (const bad of ['', 'a.b.Module;', 'a.b.Module required x="1"', 'a.b.Module required x="1;', 'a required = 1;']) {
    assert.equal(parseJaas(bad), undefined, bad)
  }
})

/** `comporta broker` and who may connect: settings files, secrets, refusals. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { brokerOptionsOf, KEY_PASSWORD_VARIABLE } from '../../src/cli/commands/broker-security.ts'
import { parseProperties, resolveReferences } from '../../src/cli/properties.ts'
import { Cluster } from '../../src/client/index.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

const tlsDir = join(import.meta.dirname, '../fixtures/broker/tls')

test('properties are read as Java reads them', () => {
  const text = [
    '# a comment',
    '! another',
    'a=1',
    'b : 2',
    'c 3',
    'long = one \\',
    '      two',
    'path=C:\\\\x\\:y',
    'text=line\\nnext\\u00e9',
    'empty',
    'key\\ with\\=signs=x=y',
    'even\\\\=1'
  ].join('\r\n')
  assert.deepEqual(Object.fromEntries(parseProperties(text)), {
    a: '1',
    b: '2',
    c: '3',
    long: 'one two',
    path: 'C:\\x:y',
    text: 'line\nnexté',
    empty: '',
    'key with=signs': 'x=y',
    'even\\': '1'
  })
})

test('references are resolved from the environment, properties and folders, and named when they cannot be', t => {
  const dir = temporaryFolder(t)
  writeFileSync(join(dir, 'secrets.properties'), 'pw=from=file\n')
  writeFileSync(join(dir, 'token'), 'mounted\n')
  const value = `a \${env:ONE} \${file:${dir}/secrets.properties:pw} \${directory:${dir}:token} \${other:x}`
  assert.equal(resolveReferences(value, { ONE: '1' }), 'a 1 from=file mounted ${other:x}')
  for (const bad of ['${env:NO}', '${file:/nowhere:x}', `\${file:${dir}/secrets.properties:no}`, '${file:x}']) {
    assert.throws(() => resolveReferences(bad, {}), { code: 'ERR_CLI_INPUT' })
  }
})

test('options of the command line go before the file, and each has its Kafka setting', t => {
  const dir = temporaryFolder(t)
  const file = join(dir, 'server.properties')
  writeFileSync(file, 'node.id=7\nlog.dirs=/data\nnum.partitions=3\nssl.client.auth=none\n')
  const users = join(dir, 'users')
  writeFileSync(users, '# users\nalice:a:b\n\n')
  const options = brokerOptionsOf(
    {
      config: file,
      listener: ['SASL_SSL://0.0.0.0:9093', 'PLAINTEXT://127.0.0.1:9092'],
      advertisedListener: ['SASL_SSL://kafka.test:9093'],
      tlsCert: 'c.pem',
      tlsKey: 'k.pem',
      tlsClientCa: 'ca.pem',
      scramUsers: users,
      plainUsers: users,
      set: { 'num.partitions': '4' }
    },
    { [KEY_PASSWORD_VARIABLE]: 'secret' }
  )
  assert.deepEqual(options, {
    config: {
      'node.id': '7',
      'log.dirs': '/data',
      'num.partitions': '4',
      'ssl.client.auth': 'required',
      listeners: 'SASL_SSL://0.0.0.0:9093,PLAINTEXT://127.0.0.1:9092',
      'advertised.listeners': 'SASL_SSL://kafka.test:9093',
      'ssl.keystore.certificate.chain': 'c.pem',
      'ssl.keystore.key': 'k.pem',
      'ssl.truststore.certificates': 'ca.pem',
      'ssl.key.password': 'secret'
    },
    isLoopbackGuarded: true,
    scramUsers: [{ name: 'alice', password: 'a:b' }],
    plainUsers: { alice: 'a:b' },
    nodeId: 7,
    dataDir: '/data'
  })
  writeFileSync(users, 'alice\n')
  assert.throws(
    () => brokerOptionsOf({ listener: ['SASL_SSL://:0'], scramUsers: users }, {}),
    /users, line 1: name:password/
  )
})

test('a broker that would be open to the network without encryption does not start unless told to', async t => {
  const cwd = temporaryFolder(t)
  const refused = await runComporta(['broker', '--host', '0.0.0.0', '--port', '0'], { cwd })
  assert.equal(refused.exitCode, 78)
  assert.match(refused.stderr, /open to the network without encryption.*--allow-insecure-network/)
  const args = ['broker', '--host', '0.0.0.0', '--port', '0', '--allow-insecure-network']
  const running = await startComporta(t, args, { cwd, until: /Kafka broker on PLAINTEXT/ })
  assert.equal(await running.stop(), 0)
})

test('what would secure nothing is refused, and the option is named', async t => {
  const cwd = temporaryFolder(t)
  const idle = await runComporta(['broker', '--port', '0', '--tls-cert', 'c.pem', '--tls-key', 'k.pem'], { cwd })
  assert.equal(idle.exitCode, 64)
  assert.match(idle.stderr, /--tls-cert, --tls-key: the only listener is PLAINTEXT.*--listener/)
  const args = ['broker', '--listener', 'SASL_PLAINTEXT://127.0.0.1:0', '--scram-users', 'nobody.txt']
  const missing = await runComporta(args, { cwd })
  assert.equal(missing.exitCode, 65)
  assert.match(missing.stderr, /--scram-users: .*nobody\.txt/)
})

test('a port that is taken ends the broker with 69, a data folder that is none with 74', async t => {
  const cwd = temporaryFolder(t)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo // it listens on a port
  const taken = await runComporta(['broker', '--port', String(port)], { cwd })
  assert.equal(taken.exitCode, 69)
  assert.match(taken.stderr, /another program has the port/)
  writeFileSync(join(cwd, 'file'), '')
  const noFolder = await runComporta(['broker', '--port', '0', '--data', 'file'], { cwd })
  assert.equal(noFolder.exitCode, 74)
  assert.match(noFolder.stderr, /name a folder/)
})

test('secrets are not taken from the command line', async () => {
  for (const setting of ['ssl.key.password=x', 'listener.name.a.plain.sasl.jaas.config=x']) {
    const { exitCode, stderr } = await runComporta(['broker', '--set', setting])
    assert.equal(exitCode, 64)
    assert.match(stderr, /is a secret/)
  }
})

test('a broker with TLS and users from files serves its clients', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'users'), 'alice:wonder land\n')
  const args = ['broker', '--listener', 'SASL_SSL://127.0.0.1:0', '--scram-users', 'users']
  const tls = ['--tls-cert', join(tlsDir, 'broker.pem'), '--tls-key', join(tlsDir, 'broker-key.pem')]
  const running = await startComporta(t, [...args, ...tls], { cwd, until: /Kafka broker on SASL_SSL 127.0.0.1:\d+/ })
  const address = /SASL_SSL (127.0.0.1:\d+)/.exec(running.output())?.[1] ?? ''
  const cluster = await Cluster.connect({
    bootstrapServers: [address],
    tls: { ca: readFileSync(join(tlsDir, 'ca.pem')) },
    sasl: { mechanism: 'SCRAM-SHA-256', username: 'alice', password: 'wonder land' }
  })
  assert.equal((await cluster.metadata([])).brokers.length, 1)
  await cluster.close()
  assert.equal(await running.stop(), 0)
  assert.ok(!running.output().includes('wonder land'))
})

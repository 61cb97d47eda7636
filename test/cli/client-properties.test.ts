/** `--command-config`: the files that Kafka's own tools take. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { readClientProperties } from '../../src/cli/operations/client-properties.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

const tlsDir = join(import.meta.dirname, '../fixtures/broker/tls')
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required'

const read = (lines: readonly string[], environment = {}): ReturnType<typeof readClientProperties> =>
  readClientProperties(lines.join('\n'), environment)

test('each mechanism of Kafka’s documentation is understood', () => {
  assert.deepEqual(read(['bootstrap.servers=a:1,b:2', 'client.id=me', 'request.timeout.ms=5000']).kafka, {
    bootstrapServers: 'a:1,b:2',
    clientId: 'me',
    requestTimeoutMs: 5000
  })
  assert.deepEqual(
    read([
      'security.protocol=SASL_SSL',
      'sasl.mechanism=SCRAM-SHA-512',
      `sasl.jaas.config=${SCRAM} \\`,
      '  username="ali\\\\"ce" password=\'x\';'
    ]).kafka,
    { tls: true, sasl: { mechanism: 'SCRAM-SHA-512', username: 'ali"ce', password: "'x'" } }
  )
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="${env:PW}";'
  assert.deepEqual(
    read(['security.protocol=SASL_PLAINTEXT', 'sasl.mechanism=PLAIN', `sasl.jaas.config=${plain}`], { PW: 'p=w;' })
      .kafka,
    { sasl: { mechanism: 'PLAIN', username: 'u', password: 'p=w;' } }
  )
  assert.deepEqual(
    read([
      'bootstrap.servers=b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com:9098',
      'security.protocol=SASL_SSL',
      'sasl.mechanism=AWS_MSK_IAM',
      'sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required awsProfileName="ops";',
      'sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler'
    ]),
    {
      kafka: {
        bootstrapServers: 'b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com:9098',
        tls: true,
        sasl: { mechanism: 'AWS_MSK_IAM', region: 'eu-west-1', profile: 'ops' }
      },
      environment: {},
      ignored: []
    }
  )
  assert.deepEqual(
    read([
      'security.protocol=SASL_SSL',
      'sasl.mechanism=OAUTHBEARER',
      'sasl.oauthbearer.token.endpoint.url=https://login.test/token',
      'sasl.login.callback.handler.class=x',
      'sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \\',
      '  clientId="c" clientSecret="s" scope="kafka" extension_logicalCluster="lkc-1";'
    ]).kafka.sasl,
    {
      mechanism: 'OAUTHBEARER',
      tokenEndpoint: 'https://login.test/token',
      clientId: 'c',
      clientSecret: 's',
      scope: 'kafka',
      extensions: { logicalCluster: 'lkc-1' }
    }
  )
})

test('certificates come from PEM and PKCS#12; what stands in the file goes through variables', () => {
  const files = read([
    'security.protocol=SSL',
    'ssl.truststore.type=PEM',
    'ssl.truststore.location=/ca.pem',
    'ssl.keystore.type=PKCS12',
    'ssl.keystore.location=/me.p12',
    'ssl.keystore.password=secret',
    'ssl.enabled.protocols=TLSv1.3'
  ])
  assert.deepEqual(files.kafka.tls, { ca: '/ca.pem', pfx: '/me.p12', passphrase: 'secret' })
  assert.deepEqual(files.ignored, ['ssl.enabled.protocols'])
  const inline = read([
    'security.protocol=SSL',
    'ssl.truststore.certificates=CA-TEXT',
    'ssl.keystore.key=KEY-TEXT',
    'ssl.keystore.certificate.chain=CHAIN-TEXT'
  ])
  assert.deepEqual(inline.kafka.tls, {
    ca: { env: 'COMPORTA_COMMAND_CONFIG_CA' },
    cert: { env: 'COMPORTA_COMMAND_CONFIG_CERTIFICATE' },
    key: { env: 'COMPORTA_COMMAND_CONFIG_KEY' }
  })
  assert.deepEqual(inline.environment, {
    COMPORTA_COMMAND_CONFIG_CA: 'CA-TEXT',
    COMPORTA_COMMAND_CONFIG_CERTIFICATE: 'CHAIN-TEXT',
    COMPORTA_COMMAND_CONFIG_KEY: 'KEY-TEXT'
  })
})

test('what cannot be used is refused with the way out, and no secret is ever in a message', () => {
  const jaas = (options: string): string => `sasl.jaas.config=${SCRAM} ${options}`
  const scram = ['security.protocol=SASL_SSL', 'sasl.mechanism=SCRAM-SHA-256']
  for (const [lines, message] of [
    [['security.protocol=TLS'], /security.protocol is PLAINTEXT, SSL/],
    [
      ['security.protocol=SSL', 'ssl.truststore.location=/a.jks'],
      /type JKS .* keytool -list -rfc -keystore \/a.jks > ca.pem/
    ],
    [
      ['security.protocol=SSL', 'ssl.keystore.location=/k.jks', 'ssl.keystore.password=hunter2'],
      /keytool -importkeystore -srckeystore \/k.jks -destkeystore client.p12 -deststoretype PKCS12/
    ],
    [['security.protocol=SSL', 'ssl.endpoint.identification.algorithm='], /host names are always checked here/],
    [['security.protocol=SASL_SSL', 'sasl.kerberos.service.name=kafka'], /GSSAPI is not supported; there are PLAIN/],
    [[...scram, jaas('username="u" password="hunter2')], /is a quote missing/],
    [[...scram, jaas('username="hunter2";')], /no username and password/],
    [[...scram, 'sasl.jaas.config=hunter2'], /is not: <module> required/],
    [['security.protocol=SASL_SSL', 'sasl.mechanism=AWS_MSK_IAM'], /set AWS_REGION/],
    [['security.protocol=SSL', 'ssl.keystore.key=hunter2'], /belong together/]
  ] as const) {
    assert.throws(
      () => read(lines),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_CLI_INPUT')
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hunter2/)
        return true
      }
    )
  }
})

test('an operation reaches a broker with TLS and SCRAM by the file alone', async t => {
  const file = (name: string): string => readFileSync(join(tlsDir, name), 'utf8')
  const broker = await startBroker({
    listeners: [
      {
        name: 'SASL_SSL',
        tls: { cert: file('broker.pem'), key: file('broker-key.pem') },
        sasl: {}
      }
    ],
    scramUsers: [{ name: 'alice', password: 'hunter2' }]
  })
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const lines = [
    `bootstrap.servers=${broker.bootstrapServers}`,
    'security.protocol=SASL_SSL',
    'sasl.mechanism=SCRAM-SHA-256',
    `sasl.jaas.config=${SCRAM} username="alice" password="\${env:PW}";`,
    `ssl.truststore.certificates=${file('ca.pem').replaceAll('\n', '\\n')}`
  ]
  writeFileSync(join(cwd, 'client.properties'), lines.join('\n'))
  const args = ['topics', 'list', '--json', '--command-config', 'client.properties']
  const done = await runComporta(args, { cwd, env: { PW: 'hunter2' } })
  assert.equal(done.exitCode, 0, done.stderr)
  assert.deepEqual(JSON.parse(done.stdout), { topics: [], unknown: [] })
  const refused = await runComporta(args, { cwd, env: { PW: 'hunter3' } })
  assert.equal(refused.exitCode, 69, refused.stderr)
  assert.doesNotMatch(`${refused.stdout}${refused.stderr}`, /hunter/)
})

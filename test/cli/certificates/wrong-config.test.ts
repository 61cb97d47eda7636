/** Every way to write `kafka.tls` and `kafka.sasl` wrong: one message, its line, and exit code 78. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { unreachable, unusable } from '../../../src/cli/certificates/problem.ts'
import { loadPipeline } from '../../../src/cli/context.ts'
import { exitCodeOf } from '../../../src/cli/exit-codes.ts'
import type { Problem } from '../../../src/config/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { Authority, encryptedKey } from '../../support/certificates.ts'

const dayMs = 86_400_000
const dir = mkdtempSync(join(tmpdir(), 'comporta-wrong-config-'))
after(() => rmSync(dir, { recursive: true }))

const authority = new Authority('authority')
const good = authority.issue({ name: 'good' })
const other = authority.issue({ name: 'other' })
const ended = authority.issue({ name: 'ended', notAfter: new Date(Date.now() - dayMs) })
const early = authority.issue({ name: 'early', notBefore: new Date(Date.now() + dayMs) })
const nearly = authority.issue({ name: 'nearly', notAfter: new Date(Date.now() + 5.5 * dayMs) })
const expired = `e30.${Buffer.from(JSON.stringify({ exp: 1_600_000_000 })).toString('base64url')}.x`
const files = {
  'ca.pem': authority.cert,
  'good.pem': good.cert,
  'good.key': good.key,
  'locked.key': encryptedKey(good.key, 'sesame'),
  'other.key': other.key,
  'ended.pem': ended.cert,
  'ended.key': ended.key,
  'early.pem': early.cert,
  'early.key': early.key,
  'nearly.pem': nearly.cert + nearly.key,
  empty: '',
  'user.json': '{"username":"u"}',
  'old.jwt': expired
}
for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)

/** What `comporta check` and every command that connects say, without the name of the file. */
async function problemsOf(lines: readonly string[], servers = 'b:9093'): Promise<string[]> {
  return await problemsIn(['name: x', 'kafka:', `  bootstrapServers: ${servers}`, ...lines.map(line => `  ${line}`)])
}

async function problemsIn(lines: readonly string[]): Promise<string[]> {
  const file = join(dir, 'comporta.yaml')
  writeFileSync(file, lines.join('\n'))
  const error: unknown = await loadPipeline({ file }).catch((cause: unknown) => cause)
  if (!PipelineError.is(error, 'ERR_CONFIG_INVALID')) return []
  assert.equal(exitCodeOf(error), 78)
  // Ours: `invalidConfiguration` puts them there.
  const problems = error.fields['problems'] as readonly Problem[]
  return problems.map(({ place, path, message }) => `${place?.line} ${path} ${message}`)
}

const pair = (cert: string, key: string): string => `tls: { cert: ${cert}, key: ${key} }`
const bearer = (more: string): string => `sasl: { mechanism: OAUTHBEARER${more} }`
const endpoint = ', tokenEndpoint: "https://idp/token"'

for (const [lines, ...expected] of [
  // Where a certificate comes from.
  [['tls:', '  ca: { }'], '5 kafka.tls.ca says no place: write one of file, env, s3 or secret'],
  [['tls:', '  ca: { file: a, env: B }'], '5 kafka.tls.ca.env beside file: one place only, leave out one of the two'],
  [['tls:', '  ca: { fil: a }'], '5 kafka.tls.ca.fil no such setting; did you mean file?'],
  [
    ['tls:', '  ca: { env: "${X}" }'],
    '5  the environment variable X is not set; set it, or give a default with ${X:-default}'
  ],
  [
    ['tls:', '  ca: { env: "A B" }'],
    '5 kafka.tls.ca.env not the name of an environment variable: write its name alone, without ${}'
  ],
  [['tls:', '  ca: { s3: bucket/key }'], '5 kafka.tls.ca.s3 not an address in S3: write s3://bucket/key'],
  [
    ['tls:', '  ca: { file: ca.pem, region: eu-west-1 }'],
    '5 kafka.tls.ca.region belongs to s3 or secret, not to file: leave it out'
  ],
  [['tls:', '  ca: { s3: "s3://bbb/k", field: x }'], '5 kafka.tls.ca.field belongs to secret, not to s3: leave it out'],
  [
    ['tls:', '  ca: { secret: x, versionId: y }'],
    '5 kafka.tls.ca.versionId belongs to s3, not to secret: leave it out'
  ],
  [['tls:', '  ca: { secret: x, endpoint: y }'], '5 kafka.tls.ca.endpoint not an http:// or https:// address'],
  [
    ['tls:', '  ca: "-----BEGIN CERTIFICATE-----"'],
    '5 kafka.tls.ca is the text itself, not a file: for a variable write { env: NAME }'
  ],
  // What belongs together.
  [['tls: { key: good.key }'], '4 kafka.tls.key has no certificate: give cert, too'],
  [['tls: { pfx: a, key: good.key }'], '4 kafka.tls.key pfx has a key already: leave it out'],
  [['tls: { pfx: a, cert: good.pem }'], '4 kafka.tls.pfx beside cert: give either pfx, or cert and key'],
  [
    ['tls: { passphrase: x }'],
    '4 kafka.tls.passphrase has nothing to open: it is for key or pfx, give one of them or leave it out'
  ],
  [['tls: { ca: ca.pem, reloadMs: 10 }'], '4 kafka.tls.reloadMs Too small: expected number to be >=1000'],
  // What is in the files.
  [['tls: { ca: none.pem }'], `4 kafka.tls.ca there is no file ${join(dir, 'none.pem')}`],
  [['tls: { ca: empty }'], '4 kafka.tls.ca has no certificate in PEM: it is empty'],
  [
    ['tls: { cert: good.pem }'],
    '4 kafka.tls.key is missing, and there is no private key beside the certificate either'
  ],
  [
    [pair('good.pem', 'other.key')],
    '4 kafka.tls.key is not the key of the certificate CN=good: give the pair that was issued together'
  ],
  [[pair('good.pem', 'locked.key')], '4 kafka.tls.key is encrypted: give its passphrase, by ${VARIABLE} or a source'],
  [['tls: { cert: good.pem, key: locked.key, passphrase: x }'], '4 kafka.tls.passphrase does not open the key'],
  [
    ['tls: { cert: good.pem, key: locked.key, passphrase: { env: UNSET_HERE } }'],
    '4 kafka.tls.passphrase the environment variable UNSET_HERE is not set'
  ],
  [[pair('ended.pem', 'ended.key')], '4 kafka.tls.cert the certificate CN=ended ended on'],
  [[pair('early.pem', 'early.key')], '4 kafka.tls.cert the certificate CN=early counts from'],
  [
    ['tls:', '  ca: none.pem', '  cert: good.pem', '  key: other.key'],
    '5 kafka.tls.ca there is no file',
    '7 kafka.tls.key is not the key'
  ],
  // Users and passwords.
  [['sasl: { mechanism: KERBEROS }'], '4 kafka.sasl.mechanism '],
  [
    ['sasl: { mechanism: PLAIN, username: u }'],
    '4 kafka.sasl.password is missing: give username and password, or credentials'
  ],
  [
    ['sasl: { mechanism: PLAIN, credentials: { secret: s }, password: p }'],
    '4 kafka.sasl.password beside credentials, which has it: leave out one of the two'
  ],
  [['sasl: { mechanism: PLAIN, username: u, password: { file: none } }'], '4 kafka.sasl.password there is no file'],
  [['sasl: { mechanism: PLAIN, username: u, password: { file: empty } }'], '4 kafka.sasl.password '],
  [['sasl: { mechanism: PLAIN, credentials: { file: user.json } }'], '4 kafka.sasl.credentials '],
  [['sasl: { mechanism: PLAIN, credentials: { file: ca.pem } }'], '4 kafka.sasl.credentials '],
  // Tokens.
  [[bearer('')], '4 kafka.sasl has no token: give one of token, tokenFile or tokenEndpoint'],
  [[bearer(', token: x, tokenFile: y')], '4 kafka.sasl.tokenFile beside token: one of the two only'],
  [[bearer(', token: x, scope: y')], '4 kafka.sasl.scope belongs to tokenEndpoint: leave it out'],
  [
    [bearer(`${endpoint}, clientId: c`)],
    '4 kafka.sasl.clientSecret is missing: tokenEndpoint needs a client with its secret'
  ],
  [
    [bearer(', tokenEndpoint: idp, clientId: c, clientSecret: s')],
    '4 kafka.sasl.tokenEndpoint not an http:// or https:// address'
  ],
  [[bearer(`${endpoint}, clientId: c, clientSecret: { file: none }`)], '4 kafka.sasl.clientSecret there is no file'],
  [[bearer(', token: x, extensions: { auth: y }')], '4 kafka.sasl.extensions.auth '],
  [
    [bearer(', token: x, refresh: { windowFactor: 2 }')],
    '4 kafka.sasl.refresh.windowFactor Too big: expected number to be <=1'
  ],
  [[bearer(', tokenFile: none')], '4 kafka.sasl.tokenFile '],
  [[bearer(', tokenFile: old.jwt')], '4 kafka.sasl.tokenFile the token in '],
  // Amazon MSK.
  [['tls: true', 'sasl: { mechanism: AWS_MSK_IAM }'], '5 kafka.sasl.region is missing (string)'],
  [
    ['tls: true', 'sasl: { mechanism: AWS_MSK_IAM, region: Ireland }'],
    '5 kafka.sasl.region not an AWS region: write it as in eu-west-1'
  ],
  [
    ['sasl: { mechanism: AWS_MSK_IAM, region: eu-west-1 }'],
    '4 kafka.sasl AWS_MSK_IAM is offered with TLS only: add tls: true'
  ],
  [
    ['tls: true', 'sasl: { mechanism: AWS_MSK_IAM, region: eu-west-1, roleArn: kafka }'],
    '5 kafka.sasl.roleArn not a role'
  ],
  [
    ['tls: true', 'sasl: { mechanism: AWS_MSK_IAM, region: eu-west-1, roleSessionName: me }'],
    '5 kafka.sasl.roleSessionName belongs to roleArn'
  ],
  [
    [
      'tls: true',
      'sasl: { mechanism: AWS_MSK_IAM, region: eu-west-1, profile: p, roleArn: "arn:aws:iam::123456789012:role/k" }'
    ],
    '5 kafka.sasl.profile beside roleArn'
  ]
] as const satisfies readonly (readonly [readonly string[], ...string[]])[]) {
  test(`wrong: ${lines.join(' ').replaceAll(/\s+/g, ' ')}`, async () => {
    const problems = await problemsOf(lines)
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [index, text] of expected.entries()) {
      assert.ok(problems[index]?.startsWith(text), `${problems[index]}\ninstead of\n${text}`)
    }
  })
}

test('the embedded broker has neither TLS nor users', async () => {
  const problems = await problemsOf(['tls: true', 'sasl: { mechanism: PLAIN, username: u, password: p }'], 'embedded')
  assert.deepEqual(problems, [
    '4 kafka.tls the embedded broker has no TLS: leave it out, or name brokers in bootstrapServers',
    '5 kafka.sasl the embedded broker asks nobody who he is: leave it out, or name brokers in bootstrapServers'
  ])
})

test('the cluster of a source is looked at as well', async () => {
  const problems = await problemsIn([
    'name: x',
    'kafka: { bootstrapServers: "b:1" }',
    'producer:',
    '  deadLetterTopic: d',
    '  route: { topic: t }',
    '  key: { strategy: none }',
    '  sources:',
    '    - { type: kafka, groupId: g, topics: [a], cluster: { bootstrapServers: "c:1", tls: { ca: none.pem } } }'
  ])
  assert.deepEqual(problems, [`8 producer.sources.0.cluster.tls.ca there is no file ${join(dir, 'none.pem')}`])
})

test('what cannot be used is 78, and what cannot be reached 69, also when only the start finds out', () => {
  assert.equal(exitCodeOf(unusable([{ path: ['tls', 'ca'], reason: 'x' }])), 78)
  assert.equal(exitCodeOf(unreachable(['tls', 'ca'], 'x')), 69)
})

test('what is right is read, files counted from the folder of the pipeline file', async () => {
  for (const lines of [
    ['tls: { ca: ca.pem, cert: good.pem, key: good.key }'],
    ['tls: { ca: { file: ca.pem }, cert: { file: good.pem }, key: { file: locked.key }, passphrase: sesame }'],
    ['tls: { cert: { s3: "s3://bucket/cert.pem" }, key: { secret: "arn:aws:secretsmanager:eu-west-1:1:secret:x" } }'],
    ['sasl: { mechanism: SCRAM-SHA-512, credentials: { secret: AmazonMSK_x, region: eu-west-1 } }'],
    [bearer(`${endpoint}, clientId: c, clientSecret: { secret: s, field: f }, extensions: { logicalCluster: lkc }`)],
    [
      'tls: true',
      'sasl: { mechanism: AWS_MSK_IAM, region: us-gov-west-1, roleArn: "arn:aws-us-gov:iam::123456789012:role/a/b" }'
    ]
  ]) {
    assert.deepEqual(await problemsOf(lines), [])
  }
})

test('a certificate that is about to end is a warning, as early as the file says', async () => {
  const file = join(dir, 'warning.yaml')
  const warningsOf = async (days: number): Promise<string[]> => {
    const tls = `{ ca: ca.pem, cert: nearly.pem, expiryWarningDays: ${days} }`
    writeFileSync(file, `name: x\nkafka: { bootstrapServers: "b:9093", tls: ${tls} }\n`)
    const warnings: string[] = []
    await loadPipeline({ file }, undefined, text => warnings.push(text))
    return warnings
  }
  assert.deepEqual(await warningsOf(5), [])
  const [warning] = await warningsOf(6)
  assert.match(warning ?? '', /^kafka\.tls: the certificate CN=nearly ends on \d{4}-\d\d-\d\d, in 5 days$/)
})

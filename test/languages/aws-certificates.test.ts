/** Certificates in S3 and Secrets Manager, as moto's server has them: read, replaced, missing, out of reach. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PutObjectCommand, CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

import { AwsSources } from '../../src/cli/certificates/aws-sources.ts'
import { openTls } from '../../src/cli/certificates/open-tls.ts'
import { SourceReader } from '../../src/cli/certificates/source-reader.ts'
import { REFUSED_RETRY_MS } from '../../src/cli/certificates/watched.ts'
import { openSasl } from '../../src/cli/sasl/open-sasl.ts'
import type { TlsProvider } from '../../src/client/index.ts'
import { type KafkaConfig, parsePipeline } from '../../src/config/index.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { noopMeter } from '../../src/telemetry/index.ts'
import { RecordingLogger } from '../broker/support.ts'
import { Authority, type CertificatePair, encryptedKey } from '../support/certificates.ts'
import { type Moto, MOTO_CREDENTIALS, MOTO_ENVIRONMENT, motoSkip, startMoto } from '../support/moto.ts'

const reloadMs = 300_000
const authority = new Authority('authority')
Object.assign(process.env, MOTO_ENVIRONMENT)

class Aws {
  readonly #s3: S3Client
  readonly #secrets: SecretsManagerClient

  constructor(t: TestContext, { endpoint, region }: Moto) {
    const options = { endpoint, region, credentials: MOTO_CREDENTIALS }
    this.#s3 = new S3Client({ ...options, forcePathStyle: true })
    this.#secrets = new SecretsManagerClient(options)
    t.after(() => {
      this.#s3.destroy()
      this.#secrets.destroy()
    })
  }

  async createBucket(): Promise<void> {
    const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const
    await this.#s3.send(new CreateBucketCommand({ Bucket: 'certificates', CreateBucketConfiguration }))
  }

  async put(key: string, body: string | Buffer): Promise<void> {
    await this.#s3.send(new PutObjectCommand({ Bucket: 'certificates', Key: key, Body: body }))
  }

  async create(name: string, value: object): Promise<void> {
    await this.#secrets.send(new CreateSecretCommand({ Name: name, SecretString: JSON.stringify(value) }))
  }

  async replace(name: string, value: object): Promise<void> {
    await this.#secrets.send(new PutSecretValueCommand({ SecretId: name, SecretString: JSON.stringify(value) }))
  }
}

function kafkaOf(section: string): KafkaConfig {
  const text = `name: x\nkafka:\n  bootstrapServers: a:1\n${section}`
  return parsePipeline(text, { fileName: 'x', environment: {} }).kafka
}

function around(): { clock: VirtualClock; logger: RecordingLogger; reader: SourceReader; meter: typeof noopMeter } {
  const clock = new VirtualClock(Date.now())
  return { clock, logger: new RecordingLogger(), reader: new SourceReader({}), meter: noopMeter }
}

async function tlsOf(section: string, context: ReturnType<typeof around>): Promise<TlsProvider> {
  const { tls } = kafkaOf(section)
  assert.ok(typeof tls === 'object')
  const provider = await openTls(tls, context)
  assert.ok('current' in provider)
  return provider
}

/** Lets time pass, and waits until it was looked at. */
async function pass({ clock, logger }: ReturnType<typeof around>, ms: number): Promise<void> {
  const looks = (): number => logger.lines.filter(({ message }) => message.endsWith('were looked at')).length
  const before = looks()
  await clock.advance(ms)
  while (looks() === before) await new Promise(resolve => setTimeout(resolve, 5))
}

const shown = (provider: TlsProvider): string => `${String(provider.current().cert)}${String(provider.current().key)}`
const together = ({ cert, key }: CertificatePair): string => cert + key

interface World {
  readonly moto: Moto
  readonly aws: Aws
  /** Where its services are, for a source. */
  readonly place: string
}

async function replacedPair(t: TestContext, { aws, place }: World): Promise<void> {
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })]
  await aws.put('tls/ca.pem', authority.cert)
  await aws.put('tls/cert.pem', one.cert)
  await aws.put('tls/key.pem', one.key)
  const part = (name: string): string => `    ${name}: { s3: "s3://certificates/tls/${name}.pem", ${place} }\n`
  const context = around()
  const provider = await tlsOf(`  tls:\n${part('ca')}${part('cert')}${part('key')}`, context)
  t.after(provider.onChange(() => undefined))
  assert.equal(shown(provider), together(one))
  await pass(context, reloadMs)
  await aws.put('tls/key.pem', two.key)
  await pass(context, reloadMs)
  assert.equal(shown(provider), together(one))
  await context.logger.until('error', 'is not the key of the certificate CN=one')
  await aws.put('tls/cert.pem', two.cert)
  await pass(context, REFUSED_RETRY_MS)
  assert.equal(shown(provider), together(two))
}

async function unchangedObject(_: TestContext, { moto, aws }: World): Promise<void> {
  await aws.put('same/ca.pem', authority.cert)
  const sources = new AwsSources()
  const source = { s3: 's3://certificates/same/ca.pem', endpoint: moto.endpoint, region: moto.region }
  const first = await sources.object(source, ['tls', 'ca'])
  assert.equal(await sources.object(source, ['tls', 'ca']), first)
  await aws.put('same/ca.pem', 'other')
  assert.equal((await sources.object(source, ['tls', 'ca'])).bytes.toString(), 'other')
}

async function oneSecret(t: TestContext, { aws, place }: World): Promise<void> {
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })]
  const secret = ({ cert, key }: CertificatePair, passphrase: string): object => ({
    cert,
    key: encryptedKey(key, passphrase),
    passphrase
  })
  await aws.create('kafka/client', secret(one, 'first'))
  const field = (name: string): string => `    ${name}: { secret: kafka/client, field: ${name}, ${place} }\n`
  const context = around()
  const provider = await tlsOf(`  tls:\n${field('cert')}${field('key')}${field('passphrase')}`, context)
  t.after(provider.onChange(() => undefined))
  assert.equal(String(provider.current().cert), one.cert)
  await aws.replace('kafka/client', secret(two, 'second'))
  await pass(context, reloadMs)
  assert.equal(String(provider.current().cert), two.cert)
  assert.equal(provider.current().passphrase, 'second')
}

async function users(t: TestContext, { aws, place }: World): Promise<void> {
  await aws.create('AmazonMSK_ingest', { username: 'alice', password: 'one' })
  const context = around()
  const section = `  sasl: { mechanism: SCRAM-SHA-512, credentials: { secret: AmazonMSK_ingest, ${place} } }\n`
  const { sasl } = kafkaOf(section)
  assert.ok(sasl !== undefined)
  const { options } = await openSasl(sasl, 'client', context)
  assert.ok('credentials' in options)
  let changes = 0
  t.after(options.credentials.onChange(() => void (changes += 1)))
  assert.deepEqual(options.credentials.current(), { username: 'alice', password: 'one' })
  await pass(context, reloadMs)
  assert.equal(changes, 0)
  await aws.replace('AmazonMSK_ingest', { username: 'alice', password: 'two' })
  await pass(context, reloadMs)
  assert.deepEqual([changes, options.credentials.current().password], [1, 'two'])
  assert.doesNotMatch(JSON.stringify(context.logger.lines), /"(one|two)"/)
}

async function missing(_: TestContext, { aws, place }: World): Promise<void> {
  await aws.create('not-json', { other: 'x' })
  for (const [source, message] of [
    [
      's3: "s3://certificates/none.pem"',
      /kafka\.tls\.ca: s3:\/\/certificates\/none\.pem is not there \(NoSuchKey\): correct/
    ],
    [
      's3: "s3://no-such-bucket/ca.pem"',
      /kafka\.tls\.ca: s3:\/\/no-such-bucket\/ca\.pem is not there \(NoSuchBucket\)/
    ],
    ['secret: none', /kafka\.tls\.ca: the secret none is not there \(ResourceNotFoundException\)/],
    ['secret: not-json, field: ca', /kafka\.tls\.ca: the secret not-json has no text in its member "ca"/]
  ] as const) {
    await assert.rejects(tlsOf(`  tls: { ca: { ${source}, ${place} } }\n`, around()), {
      code: 'ERR_CONFIG_CREDENTIALS',
      message
    })
  }
}

async function outOfReach(t: TestContext, { moto, aws, place }: World): Promise<void> {
  await aws.put('late/ca.pem', authority.cert)
  const context = around()
  const section = `  tls: { ca: { s3: "s3://certificates/late/ca.pem", ${place} } }\n`
  const provider = await tlsOf(section, context)
  t.after(provider.onChange(() => undefined))
  await moto.close()
  await pass(context, reloadMs)
  await context.logger.until('warn', 'cannot be looked at now: the old ones stay')
  assert.equal(String(provider.current().ca), authority.cert)
  await assert.rejects(tlsOf(section, around()), {
    code: 'ERR_CLI_CREDENTIALS_UNREACHABLE',
    message: /kafka\.tls\.ca: s3:\/\/certificates\/late\/ca\.pem cannot be reached: .*ECONNREFUSED/
  })
}

test('certificates of S3 and Secrets Manager', { skip: motoSkip }, async t => {
  const moto = await startMoto(t)
  const aws = new Aws(t, moto)
  await aws.createBucket()
  const world = { moto, aws, place: `endpoint: "${moto.endpoint}", region: ${moto.region}` }
  await t.test('a pair in S3 is taken when both objects are new, and the old one stays meanwhile', t =>
    replacedPair(t, world)
  )
  await t.test('an object that has not changed is not sent again', t => unchangedObject(t, world))
  await t.test('certificate, key and passphrase in one secret change together', t => oneSecret(t, world))
  await t.test('users of a secret as Amazon MSK has them', t => users(t, world))
  await t.test('what is not there, or not as it should be, ends the start with its reason', t => missing(t, world))
  await t.test('when AWS is out of reach the old ones stay; at the start it is an error', t => outOfReach(t, world))
})

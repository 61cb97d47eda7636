/** The distributor with targets in moto and on the embedded broker at once: what failed is repeated alone. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { CreateTableCommand, DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

import { buildDistributor } from '../../scripts/build-distributor.ts'
import { builtinDistributor, type Distributor } from '../../src/lambda/index.ts'
import { stage } from '../producer/kafka.ts'
import { startAwsProxy } from '../support/aws-proxy.ts'
import { MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'

/** AWS's event for two records, as its event source mapping sends them. */
const event = {
  eventSource: 'SelfManagedKafka',
  bootstrapServers: 'b-1:9092',
  records: {
    'mt-c300-3': [
      { truck: 'T-1', id: '9007199254740993' },
      { truck: 'T-2', id: '1' }
    ].map(({ truck, id }, index) => ({
      topic: 'mt-c300',
      partition: 3,
      offset: 40 + index,
      timestamp: Date.UTC(2026, 2, 4) + index,
      timestampType: 'CREATE_TIME',
      key: Buffer.from(truck).toString('base64'),
      value: Buffer.from(`{"codigo":300, "truck":"${truck}","id":${id}}`).toString('base64'),
      headers: [{ traceparent: [...Buffer.from('00-1')] }]
    }))
  }
}

test(
  'of three targets only the one that failed gets the records again, and all have them as they were',
  { skip: motoSkip },
  async t => {
    const moto = await startMoto(t)
    const client = { endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS }
    const dynamo = new DynamoDBClient(client)
    const s3 = new S3Client({ ...client, forcePathStyle: true })
    await dynamo.send(
      new CreateTableCommand({
        TableName: 'trucks',
        KeySchema: [{ AttributeName: 'truck', KeyType: 'HASH' }],
        AttributeDefinitions: [{ AttributeName: 'truck', AttributeType: 'S' }],
        BillingMode: 'PAY_PER_REQUEST'
      })
    )
    const LocationConstraint = 'eu-west-1'
    await s3.send(new CreateBucketCommand({ Bucket: 'archive', CreateBucketConfiguration: { LocationConstraint } }))
    const { topics, read, bootstrapServers } = await stage(t)
    let isDown = true
    const proxy = await startAwsProxy(t, moto.endpoint, () => (isDown ? { status: 500, body: '{}' } : 'pass'))
    const place = { region: moto.region, endpoint: moto.endpoint }
    const options = {
      targets: {
        trucks: {
          type: 'dynamoDb',
          table: 'trucks',
          key: ['truck'],
          condition: 'newer',
          ...place,
          endpoint: proxy.endpoint
        },
        archive: { type: 's3', bucket: 'archive', ...place },
        copy: { type: 'kafka', bootstrapServers: bootstrapServers.split(','), topic: topics.hot }
      },
      routes: [{ values: [300], targets: ['trucks', 'archive', 'copy'] }],
      retry: { attemptsMax: 1 }
    }
    const distributor = builtinDistributor({ COMPORTA_DISTRIBUTOR: JSON.stringify(options) })
    t.after(() => distributor.close())
    const context = { getRemainingTimeInMillis: () => 60_000 }

    const resume = { itemIdentifier: { partition: 'mt-c300-3', offset: 40 } }
    assert.deepEqual(await distributor(event, context), { batchItemFailures: [resume] })
    isDown = false
    assert.deepEqual(await distributor(event, context), { batchItemFailures: [] })

    const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: 'trucks' }))
    assert.deepEqual(new Set(Items.map(({ id }) => id?.N)), new Set(['9007199254740993', '1']))
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'archive' }))
    assert.deepEqual(
      Contents.map(({ Key }) => Key),
      ['mt-c300/2026/03/04/3/0000000000000040-0000000000000041.ndjson']
    )
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'archive', Key: Contents[0]?.Key ?? '' }))
    const lines = '{"codigo":300, "truck":"T-1","id":9007199254740993}\n{"codigo":300, "truck":"T-2","id":1}\n'
    assert.equal(await Body?.transformToString(), lines)
    const copies = await read(topics.hot)
    assert.equal(copies.length, 2)
    const first = copies.find(({ key }) => key === 'T-1')
    assert.equal(`${first?.value.toString()}\n`, lines.slice(0, lines.indexOf('\n') + 1))
    assert.deepEqual(first?.headers, {
      traceparent: '00-1',
      'comporta-origin-topic': 'mt-c300',
      'comporta-origin-partition': '3',
      'comporta-origin-offset': '40'
    })
  }
)

test('the bundle for AWS writes to Kafka with every compression, without a package beside it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-bundle-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { topics, read, bootstrapServers } = await stage(t)
  const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
  const kafka = { type: 'kafka', bootstrapServers: bootstrapServers.split(','), topic: topics.hot }
  const targets = Object.fromEntries(compressions.map(compression => [compression, { ...kafka, compression }]))
  await buildDistributor(join(folder, 'distributor.cjs'))
  process.env['COMPORTA_DISTRIBUTOR'] = JSON.stringify({ targets, otherwise: compressions })
  t.after(() => delete process.env['COMPORTA_DISTRIBUTOR'])
  // What the bundle exports.
  const { handler } = createRequire(import.meta.url)(join(folder, 'distributor.cjs')) as { handler: Distributor }

  const answer = await handler(event, { getRemainingTimeInMillis: () => 60_000 })

  await handler.close()
  assert.deepEqual(answer, { batchItemFailures: [] })
  const values = (await read(topics.hot)).map(({ value }) => value.toString())
  assert.equal(values.length, 10)
  assert.equal(values.filter(value => value === '{"codigo":300, "truck":"T-2","id":1}').length, 5)
})

/** SQS, SNS, EventBridge and Kinesis sinks against moto's server: what arrives is read back with the SDK. */

import assert from 'node:assert/strict'
import { before, test, type TestContext } from 'node:test'

import {
  CreateEventBusCommand,
  EventBridgeClient,
  PutRuleCommand,
  PutTargetsCommand
} from '@aws-sdk/client-eventbridge'
import { CreateStreamCommand, GetRecordsCommand, GetShardIteratorCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient
} from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'

import { systemClock } from '../../src/core/index.ts'
import { createDistributor } from '../../src/lambda/index.ts'
import { EventBridgeSink, KinesisSink, SnsSink, SqsSink } from '../../src/targets/index.ts'
import { createSink } from '../../src/targets/sinks/index.ts'
import { startAwsProxy } from '../support/aws-proxy.ts'
import { type Moto, MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'
import { CALM, numbered, sinkRequest } from '../targets/aws/sink-request.ts'

let moto: Moto
let sqs: SQSClient

before(async t => {
  if (motoSkip !== false) return
  // The server is one for all tests of this file; it ends with the process.
  moto = await startMoto(t as TestContext)
  sqs = new SQSClient(clientSettings())
})

const skip = motoSkip

function clientSettings(): { endpoint: string; region: string; credentials: typeof MOTO_CREDENTIALS } {
  return { endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS }
}

function place(): { endpoint: string; region: string } {
  return { endpoint: moto.endpoint, region: moto.region }
}

async function makeQueue(name: string): Promise<{ url: string; arn: string }> {
  const Attributes = name.endsWith('.fifo') ? { FifoQueue: 'true' } : undefined
  const { QueueUrl: url = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes }))
  const answer = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }))
  return { url, arn: answer.Attributes?.['QueueArn'] ?? '' }
}

/** Everything in a queue, deleted as it is read, so that FIFO groups go on. */
async function readQueue(url: string): Promise<Message[]> {
  const all: Message[] = []
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['All']
      })
    )
    if (Messages.length === 0) return all
    all.push(...Messages)
    const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }))
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }))
  }
}

function bodies(messages: readonly Message[]): { n: number; k: string }[] {
  return messages.map(({ Body = '' }) => JSON.parse(Body) as { n: number; k: string })
}

function attributesOf({ MessageAttributes = {} }: Message): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(MessageAttributes).map(([name, { DataType, StringValue }]) => [name, `${DataType} ${StringValue}`])
  )
}

test('a standard queue gets every record once, with where it is from as attributes', { skip }, async t => {
  const queue = await makeQueue('plain')
  const sink = new SqsSink({ name: 'q', queueUrl: queue.url, ...place() })
  t.after(() => sink.close())
  const keys = Array.from({ length: 95 }, (_, index) => (index % 3 === 0 ? null : `k${index % 7}`))

  assert.deepEqual(await sink.deliver(sinkRequest(numbered(keys)), CALM), { kind: 'ok' })

  const messages = await readQueue(queue.url)
  assert.deepEqual(
    bodies(messages)
      .map(({ n }) => n)
      .toSorted((a, b) => a - b),
    [...keys.keys()]
  )
  const first = messages.find(({ Body }) => Body === '{"n":1,"k":"k1"}')
  assert.deepEqual(attributesOf(first ?? {}), {
    topic: 'String mt-c300',
    partition: 'Number 3',
    offset: 'Number 101',
    key: 'String k1'
  })
  const keyless = messages.find(({ Body }) => Body === '{"n":0,"k":null}')
  assert.equal('key' in attributesOf(keyless ?? {}), false)
})

test('a FIFO queue has the key as group, in order, and a record that comes again is there once', { skip }, async t => {
  const queue = await makeQueue('ordered.fifo')
  const sink = new SqsSink({ name: 'q', queueUrl: queue.url, ...place() })
  t.after(() => sink.close())
  const keys = Array.from({ length: 40 }, (_, index) => ['a', 'b c', 'São Paulo', null][index % 4] ?? null)
  const request = sinkRequest(numbered(keys))

  assert.deepEqual(await sink.deliver(request, CALM), { kind: 'ok' })
  assert.deepEqual(await sink.deliver(request, CALM), { kind: 'ok' })

  const messages = await readQueue(queue.url)
  assert.equal(messages.length, 40)
  const groups = Map.groupBy(messages, ({ Attributes = {} }) => Attributes['MessageGroupId'])
  assert.deepEqual(new Set(groups.keys()), new Set(['a', 'b%20c', 'S%C3%A3o%20Paulo', 'mt-c300-3']))
  for (const [index, name] of ['a', 'b%20c', 'S%C3%A3o%20Paulo', 'mt-c300-3'].entries()) {
    const inGroup = groups.get(name) ?? []
    assert.deepEqual(
      bodies(inGroup).map(({ n }) => n),
      Array.from({ length: 10 }, (_, round) => round * 4 + index)
    )
  }
  const ids = messages.map(({ Attributes = {} }) => Attributes['MessageDeduplicationId'])
  assert.deepEqual(new Set(ids), new Set(request.recordIds))
})

test('loose order fills requests of a FIFO queue with one group, in order', { skip }, async t => {
  for (const [order, requestCount] of [
    ['key', 20],
    ['loose', 2]
  ] as const) {
    const queue = await makeQueue(`order-${order}.fifo`)
    const proxy = await startAwsProxy(t, moto.endpoint, () => 'pass')
    const given = { order, deduplicationId: 'eu-{id}', endpoint: proxy.endpoint, region: moto.region }
    const sink = new SqsSink({ name: 'q', queueUrl: queue.url, ...given })
    t.after(() => sink.close())

    assert.deepEqual(await sink.deliver(sinkRequest(numbered(Array(20).fill('k'))), CALM), { kind: 'ok' })

    assert.equal(proxy.requests.length, requestCount)
    const messages = await readQueue(queue.url)
    assert.deepEqual(
      bodies(messages).map(({ n }) => n),
      [...Array(20).keys()]
    )
    assert.equal(messages[0]?.Attributes?.['MessageDeduplicationId'], 'eu-mt-c300-3-100')
  }
})

test('one message for many records has the body of an HTTP request', { skip }, async t => {
  const queue = await makeQueue('batches')
  const sink = new SqsSink({ name: 'q', queueUrl: queue.url, message: 'batch', messageRecordsMax: 20, ...place() })
  t.after(() => sink.close())
  const request = sinkRequest(numbered(Array.from({ length: 45 }, () => 'k')))

  assert.deepEqual(await sink.deliver(request, CALM), { kind: 'ok' })

  const messages = await readQueue(queue.url)
  const read = messages
    .map(({ Body = '' }) => JSON.parse(Body) as { source: unknown; messages: unknown[]; offsets: number[] })
    .toSorted((left, right) => (left.offsets[0] ?? 0) - (right.offsets[0] ?? 0))
  assert.deepEqual(
    read.map(({ offsets }) => offsets.length),
    [20, 20, 5]
  )
  assert.deepEqual(
    read.flatMap(({ offsets }) => offsets),
    request.offsets
  )
  assert.deepEqual(
    read.flatMap(each => each.messages),
    request.texts.map(text => JSON.parse(text) as unknown)
  )
  assert.deepEqual(read[2], {
    source: { topic: 'mt-c300', partition: 3 },
    messages: [40, 41, 42, 43, 44].map(n => ({ n, k: 'k' })),
    offsets: [140, 141, 142, 143, 144],
    idempotencyKeys: [140, 141, 142, 143, 144].map(offset => `mt-c300-3-${offset}`)
  })
  const first = messages.find(({ Body = '' }) => Body.includes('"offsets":[100,'))
  assert.deepEqual(attributesOf(first ?? {}), { topic: 'String mt-c300', partition: 'Number 3', offset: 'Number 100' })
})

test('a topic hands the messages on, and a FIFO topic keeps each group in order', { skip }, async t => {
  const sns = new SNSClient(clientSettings())
  t.after(() => sns.destroy())
  for (const suffix of ['', '.fifo']) {
    const queue = await makeQueue(`from-topic${suffix}`)
    const Attributes = suffix === '' ? undefined : { FifoTopic: 'true' }
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `topic${suffix}`, Attributes }))
    const raw = { RawMessageDelivery: 'true' }
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: queue.arn, Attributes: raw }))
    const sink = new SnsSink({ name: 't', topicArn: TopicArn, endpoint: moto.endpoint })
    t.after(() => sink.close())
    const keys = Array.from({ length: 24 }, (_, index) => `k${index % 2}`)

    assert.deepEqual(await sink.deliver(sinkRequest(numbered(keys)), CALM), { kind: 'ok' })

    const messages = await readQueue(queue.url)
    assert.equal(messages.length, 24)
    const [any = {}] = messages
    assert.equal(attributesOf(any)['topic'], 'String mt-c300')
    if (suffix === '') continue
    const groups = Map.groupBy(messages, ({ Attributes: each = {} }) => each['MessageGroupId'])
    for (const [index, name] of ['k0', 'k1'].entries()) {
      const numbers = bodies(groups.get(name) ?? []).map(({ n }) => n)
      assert.deepEqual(
        numbers,
        Array.from({ length: 12 }, (_, round) => round * 2 + index)
      )
    }
  }
})

test('an event bus gets the value as detail, with source, detail-type, resources and time', { skip }, async t => {
  const events = new EventBridgeClient(clientSettings())
  t.after(() => events.destroy())
  const queue = await makeQueue('from-bus')
  await events.send(new CreateEventBusCommand({ Name: 'trucks' }))
  const EventPattern = JSON.stringify({ source: ['fleet.mt-c300'] })
  await events.send(new PutRuleCommand({ Name: 'all', EventBusName: 'trucks', EventPattern }))
  await events.send(
    new PutTargetsCommand({ Rule: 'all', EventBusName: 'trucks', Targets: [{ Id: '1', Arn: queue.arn }] })
  )
  const sink = new EventBridgeSink({
    name: 'bus',
    eventBus: 'trucks',
    source: 'fleet.{topic}',
    detailType: 'code {value.codigo}',
    resources: ['kafka:{id}', 'key:{key}'],
    ...place()
  })
  t.after(() => sink.close())
  const records = Array.from({ length: 23 }, (_, n) => ({ text: `{"codigo":${300 + n},"cidade":"São"}`, key: null }))

  const outcome = await sink.deliver(sinkRequest([...records, { text: '[1]' }, { text: '{"no":"code"}' }]), CALM)

  assert.equal(outcome.kind, 'partial')
  assert.deepEqual(outcome.kind === 'partial' && [...outcome.failures.keys()], [23, 24])
  const messages = await readQueue(queue.url)
  const read = messages
    .map(({ Body = '' }) => JSON.parse(Body) as Record<string, unknown>)
    .toSorted((left, right) => String(left['detail-type']).localeCompare(String(right['detail-type'])))
  assert.equal(read.length, 23)
  const [first = {}] = read
  assert.deepEqual(first['detail'], { codigo: 300, cidade: 'São' })
  assert.equal(first['source'], 'fleet.mt-c300')
  assert.equal(first['detail-type'], 'code 300')
  assert.deepEqual(first['resources'], ['kafka:mt-c300-3-100'])
  assert.match(String(first['time']), /^2026-01-01T00:01:40/)
})

test('a stream has each key in order in its shard, and records without a key are spread', { skip }, async t => {
  const kinesis = new KinesisClient({ ...clientSettings(), requestHandler: new NodeHttpHandler() })
  t.after(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 'telemetry', ShardCount: 3 }))
  const sink = new KinesisSink({ name: 's', stream: 'telemetry', requestRecordsMax: 20, ...place() })
  t.after(() => sink.close())
  const long = 'k'.repeat(300)
  const keys = Array.from({ length: 120 }, (_, index) => ['a', 'b', 'São', long, null][index % 5] ?? null)

  assert.deepEqual(await sink.deliver(sinkRequest(numbered(keys)), CALM), { kind: 'ok' })

  const byKey = new Map<string, number[]>()
  const keyless = new Set<string>()
  for (const shard of [0, 1, 2]) {
    const ShardId = `shardId-00000000000${shard}`
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({ StreamName: 'telemetry', ShardId, ShardIteratorType: 'TRIM_HORIZON' })
    )
    const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }))
    for (const { Data, PartitionKey = '' } of Records) {
      const { n, k } = JSON.parse(Buffer.from(Data ?? []).toString()) as { n: number; k: string | null }
      if (k === null) keyless.add(PartitionKey)
      else byKey.set(k, [...(byKey.get(k) ?? []), n])
    }
  }
  for (const [index, key] of ['a', 'b', 'São', long].entries()) {
    assert.deepEqual(
      byKey.get(key),
      Array.from({ length: 24 }, (_, round) => round * 5 + index)
    )
  }
  assert.equal(keyless.size, 24)
  assert.ok(keyless.has('mt-c300-3-104'))
})

test('the distributor fans a batch out to a FIFO queue and a stream', { skip }, async t => {
  const queue = await makeQueue('fan-out.fifo')
  const kinesis = new KinesisClient({ ...clientSettings(), requestHandler: new NodeHttpHandler() })
  t.after(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 'fan-out', ShardCount: 1 }))
  const handle = createDistributor({
    targets: {
      orders: { type: 'sqs', queueUrl: queue.url, ...place() },
      archive: { type: 'kinesis', stream: 'fan-out', ...place() }
    },
    routes: [{ values: [300], targets: ['orders', 'archive'] }],
    otherwise: ['archive']
  })
  const count = 60
  const messages = Array.from({ length: count }, (_, n) => ({ codigo: 300 + (n % 2), n, k: `k${n % 4}` }))
  const event = {
    topic: 'mt-c300',
    partition: 3,
    messages,
    offsets: messages.map((_, index) => 100 + index),
    keys: messages.map(({ k }) => k)
  }

  assert.deepEqual(await handle(event, { getRemainingTimeInMillis: () => 30_000 }), {})

  const groups = Map.groupBy(bodies(await readQueue(queue.url)), ({ k }) => k)
  assert.deepEqual(new Set(groups.keys()), new Set(['k0', 'k2']))
  for (const [key, list] of groups) {
    const expected = messages.filter(({ k }) => k === key).map(({ n }) => n)
    assert.deepEqual(
      list.map(({ n }) => n),
      expected
    )
  }
  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName: 'fan-out',
      ShardId: 'shardId-000000000000',
      ShardIteratorType: 'TRIM_HORIZON'
    })
  )
  const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }))
  assert.equal(Records.length, count)
})

test(
  'a laptop without credentials: the place comes from the URL of a queue, or from the environment',
  { skip },
  async t => {
    const queue = await makeQueue('laptop')
    const sink = new SqsSink({ name: 'q', queueUrl: queue.url, region: moto.region })
    t.after(() => sink.close())
    assert.deepEqual(await sink.deliver(sinkRequest(numbered(['a'])), CALM), { kind: 'ok' })
    assert.equal((await readQueue(queue.url)).length, 1)

    const environment = { AWS_ENDPOINT_URL: moto.endpoint, AWS_REGION: moto.region }
    const variables = { ...process.env }
    t.after(() => {
      process.env = variables
    })
    // The SDK reads the variables of the process, as it does in a function.
    Object.assign(process.env, environment)
    const clock = systemClock
    const bus = await createSink('b', { type: 'eventBridge' }, { clock, environment })
    t.after(() => bus.close())
    assert.deepEqual(await bus.deliver(sinkRequest(numbered(['a'])), CALM), { kind: 'ok' })
  }
)

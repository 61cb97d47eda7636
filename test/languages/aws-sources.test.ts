/** Sources in AWS against moto's server: queues and streams with state, into the embedded broker. */

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import {
  CreateStreamCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordsCommand,
  SplitShardCommand
} from '@aws-sdk/client-kinesis'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient
} from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'

import { KinesisSource, type KinesisSourceOptions, SqsSource, type SqsSourceOptions } from '../../src/producer/index.ts'
import { type ReadRecord, type Stage, stage } from '../producer/kafka.ts'
import { type Moto, MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'

let moto: Moto

before(async t => {
  // The server is one for all tests of this file; it ends with the process.
  if (motoSkip === false) moto = await startMoto(t as TestContext)
})

function sqsClient(t: TestContext): SQSClient {
  const client = new SQSClient({ endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS })
  t.after(() => client.destroy())
  return client
}

function kinesisClient(t: TestContext): KinesisClient {
  const client = new KinesisClient({
    endpoint: moto.endpoint,
    region: moto.region,
    credentials: MOTO_CREDENTIALS,
    requestHandler: new NodeHttpHandler()
  })
  t.after(() => client.destroy())
  return client
}

function sqsSource(queueUrl: string, overrides: Partial<SqsSourceOptions> = {}): SqsSource {
  return new SqsSource({
    queueUrl,
    region: moto.region,
    endpoint: moto.endpoint,
    waitSeconds: 1,
    batch: 10,
    visibilityTimeoutSeconds: 30,
    receivers: 2,
    inFlightMax: 1000,
    unwrap: 'none',
    keepKey: false,
    keepHeaders: false,
    ...overrides
  })
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(20)
}

async function leftIn(client: SQSClient, queueUrl: string): Promise<number> {
  const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  const answer = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: [...AttributeNames] })
  )
  return AttributeNames.reduce((sum, name) => sum + Number(answer.Attributes?.[name] ?? 0), 0)
}

interface Sending {
  readonly queueUrl: string
  readonly group?: string
}

async function send(client: SQSClient, bodies: readonly string[], { queueUrl, group }: Sending): Promise<void> {
  for (let start = 0; start < bodies.length; start += 10) {
    const Entries = bodies.slice(start, start + 10).map((MessageBody, index) => ({
      Id: String(index),
      MessageBody,
      ...(group === undefined ? {} : { MessageGroupId: group, MessageDeduplicationId: `${group}-${start + index}` })
    }))
    await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }))
  }
}

function events(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => JSON.stringify({ codigo: 7, truck_id: 'T', n: from + index }))
}

function numbersOf(records: readonly ReadRecord[]): number[] {
  return records.map(({ value }) => (JSON.parse(value.toString()) as { n: number }).n)
}

test('messages of a queue are published and then deleted; what is not JSON is dead-lettered first', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [sqsClient(t), await stage(t)]
  const { QueueUrl = '' } = await client.send(new CreateQueueCommand({ QueueName: 'plain' }))
  await send(client, [...events(45), 'no json'], { queueUrl: QueueUrl })
  const producer = await to.produce()

  void producer.run(sqsSource(QueueUrl))
  await until(async () => (await leftIn(client, QueueUrl)) === 0)
  const report = await producer.drain()

  assert.equal(report.error, undefined)
  assert.deepEqual(
    numbersOf(await to.read(to.topics.cold)).toSorted((a, b) => a - b),
    [...events(45).keys()]
  )
  const [letter] = await to.read(to.topics.dead)
  assert.equal(letter?.value.toString(), 'no json')
  assert.match(letter.headers['comporta-line'] ?? '', /^[0-9a-f-]{36}$/)
})

test('a FIFO queue keeps the order of each group, whose name becomes the key when asked for', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [sqsClient(t), await stage(t)]
  const Attributes = { FifoQueue: 'true' }
  const { QueueUrl = '' } = await client.send(new CreateQueueCommand({ QueueName: 'ordered.fifo', Attributes }))
  for (const group of ['a', 'b']) await send(client, events(25), { queueUrl: QueueUrl, group })
  const producer = await to.produce({ route: { topic: to.topics.hot } })

  void producer.run(sqsSource(QueueUrl, { keepKey: true, receivers: 3 }))
  await until(async () => (await leftIn(client, QueueUrl)) === 0)
  await producer.drain()

  const records = await to.read(to.topics.hot)
  for (const group of ['a', 'b']) {
    assert.deepEqual(numbersOf(records.filter(({ key }) => key === group)), [...events(25).keys()])
  }
})

test('an SNS notification is unwrapped; another body is a dead letter', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [sqsClient(t), await stage(t)]
  const { QueueUrl = '' } = await client.send(new CreateQueueCommand({ QueueName: 'sns' }))
  const [event = ''] = events(1)
  await send(client, [JSON.stringify({ Type: 'Notification', TopicArn: 'arn', Message: event }), event], {
    queueUrl: QueueUrl
  })
  const producer = await to.produce()

  void producer.run(sqsSource(QueueUrl, { unwrap: 'sns' }))
  await until(async () => (await leftIn(client, QueueUrl)) === 0)
  await producer.drain()

  assert.equal((await to.read(to.topics.cold))[0]?.value.toString(), event)
  assert.equal((await to.read(to.topics.dead))[0]?.headers['comporta-error-reason'], 'the body is no SNS notification')
})

test('while Kafka does not take events their messages stay hidden, and come to nobody else', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [sqsClient(t), await stage(t)]
  const { QueueUrl = '' } = await client.send(new CreateQueueCommand({ QueueName: 'held' }))
  await send(client, events(3), { queueUrl: QueueUrl })
  // A token a second, none at the start: the third event waits for longer than the message would be hidden.
  const producer = await to.produce({ rate: { recordsPerSecond: 1, burstMs: 3000 } })

  void producer.run(sqsSource(QueueUrl, { visibilityTimeoutSeconds: 2, receivers: 1 }))
  await until(() => producer.status().sources[0]?.eventCount === 3)
  await delay(2500)
  const other = await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }))
  await until(async () => (await leftIn(client, QueueUrl)) === 0)
  await producer.drain()

  assert.deepEqual(other.Messages ?? [], [])
  assert.equal((await to.read(to.topics.cold)).length, 3)
})

test('a queue that is not there ends the source and says so', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const to = await stage(t)
  const producer = await to.produce()

  const report = await producer.run(sqsSource(`${moto.endpoint}/123456789012/absent`))

  assert.equal(report.error?.code, 'ERR_PRODUCER_SOURCE_FAILED')
  assert.match(report.error.message, /sqs:absent: ReceiveMessage was refused: QueueDoesNotExist/)
})

async function stream(t: TestContext, name: string, shards: number): Promise<KinesisClient> {
  const client = kinesisClient(t)
  await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }))
  await until(async () => (await client.send(new ListShardsCommand({ StreamName: name }))).Shards?.length === shards)
  return client
}

async function put(client: KinesisClient, name: string, bodies: readonly string[]): Promise<void> {
  const Records = bodies.map(body => ({ Data: Buffer.from(body), PartitionKey: 'k' }))
  await client.send(new PutRecordsCommand({ StreamName: name, Records }))
}

async function kinesisSource(
  t: TestContext,
  name: string
): Promise<(o?: Partial<KinesisSourceOptions>) => KinesisSource> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-kinesis-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return (overrides = {}) =>
    new KinesisSource({
      stream: name,
      region: moto.region,
      endpoint: moto.endpoint,
      startAt: 'trim-horizon',
      state: { file: join(folder, 'state.json'), intervalMs: 100 },
      format: 'json',
      keepKey: false,
      recordsMax: 7,
      pollMs: 200,
      ...overrides
    })
}

async function runUntil(to: Stage, source: KinesisSource, count: number): Promise<void> {
  const producer = await to.produce({ route: { topic: to.topics.hot } })
  void producer.run(source)
  await until(() => producer.status().totals.deliveredCount >= count)
  const report = await producer.drain()
  assert.equal(report.error, undefined)
}

test('a stream is read to its end, and a restart goes on behind it', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [await stream(t, 'plain', 2), await stage(t)]
  const source = await kinesisSource(t, 'plain')
  await put(client, 'plain', events(20))

  await runUntil(to, source({ keepKey: true }), 20)
  await put(client, 'plain', events(5, 20))
  await runUntil(to, source({ keepKey: true }), 5)

  const records = await to.read(to.topics.hot)
  assert.deepEqual(numbersOf(records), [...events(25).keys()])
  assert.deepEqual(new Set(records.map(({ key }) => key)), new Set(['k']))
})

test('after a split the children are read behind their parent: the order of a key holds', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const [client, to] = [await stream(t, 'split', 1), await stage(t)]
  const source = await kinesisSource(t, 'split')
  await put(client, 'split', events(20))
  const { Shards } = await client.send(new ListShardsCommand({ StreamName: 'split' }))
  const half = (2n ** 127n).toString()
  await client.send(
    new SplitShardCommand({ StreamName: 'split', ShardToSplit: Shards?.[0]?.ShardId, NewStartingHashKey: half })
  )
  await put(client, 'split', events(20, 20))

  await runUntil(to, source({ keepKey: true }), 40)

  assert.deepEqual(numbersOf(await to.read(to.topics.hot)), [...events(40).keys()])
})

test('a stream that is not there ends the source and says so', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const to = await stage(t)
  const source = await kinesisSource(t, 'absent')
  const producer = await to.produce()

  const report = await producer.run(source())

  assert.match(report.error?.message ?? '', /kinesis:absent: ListShards was refused: ResourceNotFoundException/)
})

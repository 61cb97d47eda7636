/** SQS, SNS, EventBridge and Kinesis sinks when things go wrong: moto's server behind a proxy that makes trouble. */

import assert from 'node:assert/strict'
import { before, test, type TestContext } from 'node:test'

import { CreateStreamCommand, GetRecordsCommand, GetShardIteratorCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { CreateTopicCommand, SNSClient } from '@aws-sdk/client-sns'
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'

import { EventBridgeSink, KinesisSink, SnsSink, SqsSink } from '../../src/targets/index.ts'
import type { SinkFailure, SinkOutcome } from '../../src/targets/sinks/record-sink.ts'
import type { Logger } from '../../src/telemetry/index.ts'
import { type AwsRequest, type AwsVerdict, startAwsProxy } from '../support/aws-proxy.ts'
import { type Moto, MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'
import { CALM, numbered, sinkRequest } from '../targets/aws/sink-request.ts'

const skip = motoSkip
let moto: Moto
let sqs: SQSClient

before(async t => {
  if (skip !== false) return
  // The server is one for all tests of this file; it ends with the process.
  moto = await startMoto(t as TestContext)
  sqs = new SQSClient(clientSettings())
})

function clientSettings(): { endpoint: string; region: string; credentials: typeof MOTO_CREDENTIALS } {
  return { endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS }
}

async function makeQueue(name: string, attributes: Record<string, string> = {}): Promise<string> {
  const Attributes = name.endsWith('.fifo') ? { FifoQueue: 'true', ...attributes } : attributes
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes }))
  return QueueUrl
}

async function readNumbers(queueUrl: string): Promise<number[]> {
  const numbers: number[] = []
  for (;;) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }))
    if (Messages.length === 0) return numbers
    numbers.push(...Messages.map(({ Body = '' }) => (JSON.parse(Body) as { n: number }).n))
    const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }))
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }))
  }
}

function sorted(numbers: Iterable<number>): number[] {
  return [...numbers].toSorted((left, right) => left - right)
}

function failuresOf(outcome: SinkOutcome): ReadonlyMap<number, SinkFailure> {
  assert.equal(outcome.kind, 'partial', JSON.stringify(outcome))
  return outcome.kind === 'partial' ? outcome.failures : new Map()
}

/** An error in the form of AWS's JSON protocols. */
function awsError(type: string, status: number, headers: Record<string, string> = {}): AwsVerdict {
  return { status, body: JSON.stringify({ __type: `com.amazonaws#${type}`, message: 'as the test says' }), headers }
}

type Decide = (request: AwsRequest) => AwsVerdict

/** A queue behind a proxy, and its sink. */
async function queueSink(
  t: TestContext,
  name: string,
  decide: Decide
): Promise<{ sink: SqsSink; queueUrl: string; requests: readonly AwsRequest[]; errors: string[] }> {
  const queueUrl = await makeQueue(name)
  const proxy = await startAwsProxy(t, moto.endpoint, decide)
  const errors: string[] = []
  const sink = new SqsSink({
    name: 'q',
    queueUrl,
    endpoint: proxy.endpoint,
    region: moto.region,
    concurrency: 2,
    logger: collector(errors)
  })
  t.after(() => sink.close())
  return { sink, queueUrl, requests: proxy.requests, errors }
}

function collector(errors: string[]): Logger {
  const none = (): void => {}
  const logger: Logger = {
    debug: none,
    info: none,
    warn: none,
    error: (_fields, message) => void errors.push(message),
    child: () => logger
  }
  return logger
}

const throttled = awsError('RequestThrottled', 400, { 'retry-after': '3' })

test(
  'a throttle ends the delivery: what went before is delivered, the rest waits as long as asked',
  { skip },
  async t => {
    const { sink, queueUrl, requests } = await queueSink(t, 'throttled', ({ index }) =>
      index >= 3 ? throttled : 'pass'
    )

    const failures = failuresOf(await sink.deliver(sinkRequest(numbered(Array(100).fill('k'))), CALM))

    const arrived = await readNumbers(queueUrl)
    assert.equal(arrived.length, 30)
    assert.deepEqual(sorted([...arrived, ...failures.keys()]), [...Array(100).keys()])
    for (const failure of failures.values()) {
      assert.equal(failure.action, 'retry')
      assert.equal(failure.isUnavailable, true)
      assert.equal(failure.retryAfterMs, 3000)
    }
    // At most one more was under way.
    assert.ok(requests.length <= 5, `${requests.length} requests`)
  }
)

test('a service that takes nothing is unavailable as a whole', { skip }, async t => {
  const cases: readonly (readonly [string, AwsVerdict, RegExp, boolean])[] = [
    ['all-throttled', throttled, /RequestThrottled/, false],
    ['broken', awsError('InternalError', 500), /InternalError/, false],
    ['html', { status: 502, body: '<html>Bad Gateway</html>' }, /./, false],
    ['cut', 'cut', /ECONNRESET|hang up|aborted/i, true],
    ['forbidden', awsError('AccessDenied', 403), /AccessDenied/, false],
    ['expired', awsError('ExpiredTokenException', 403), /ExpiredToken/, false],
    ['kms', awsError('KmsThrottled', 400), /KmsThrottled/, false],
    ['kms-denied', awsError('KmsAccessDenied', 400), /KmsAccessDenied/, false]
  ]
  for (const [name, verdict, reason, isSuspect] of cases) {
    const { sink, queueUrl, errors } = await queueSink(t, name, () => verdict)
    const outcome = await sink.deliver(sinkRequest(numbered(['a', 'b'])), CALM)
    assert.equal(outcome.kind, 'unavailable', name)
    if (outcome.kind !== 'unavailable') continue
    assert.match(outcome.reason, reason)
    assert.equal(outcome.isSuspect === true, isSuspect, `${name} ${outcome.reason}`)
    assert.equal(errors.length, ['forbidden', 'expired', 'kms-denied'].includes(name) ? 1 : 0, name)
    assert.deepEqual(await readNumbers(queueUrl), [])
  }
})

test('a queue that is not there waits, and says so loudly once', { skip }, async t => {
  const { sink: _, queueUrl } = await queueSink(t, 'here', () => 'pass')
  const errors: string[] = []
  const sink = new SqsSink({
    name: 'orders',
    queueUrl: queueUrl.replace('here', 'gone'),
    endpoint: moto.endpoint,
    region: moto.region,
    logger: collector(errors)
  })
  t.after(() => sink.close())
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const outcome = await sink.deliver(sinkRequest(numbered(['a'])), CALM)
    assert.equal(outcome.kind, 'unavailable')
    assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, undefined)
  }
  assert.equal(errors.length, 1)
  assert.match(errors[0] ?? '', /^target orders is refused by AWS: .*(NonExistentQueue|QueueDoesNotExist)/)
})

test('nobody listening is unavailable, and no record is suspect', { skip }, async t => {
  const sink = new SqsSink({ name: 'q', queueUrl: 'http://127.0.0.1:9/1/q', endpoint: 'http://127.0.0.1:9' })
  t.after(() => sink.close())
  const outcome = await sink.deliver(sinkRequest(numbered(['a'])), CALM)
  assert.equal(outcome.kind, 'unavailable')
  assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, undefined)
})

test('the answer of a FIFO queue is lost: what is sent again is there once', { skip }, async t => {
  const { sink, queueUrl } = await queueSink(t, 'lost.fifo', ({ index }) => (index === 0 ? 'cutAnswer' : 'pass'))
  const request = sinkRequest(numbered(['a', 'b', 'a', 'b']))

  const first = await sink.deliver(request, CALM)
  assert.equal(first.kind, 'unavailable')
  assert.equal(first.kind === 'unavailable' && first.isSuspect, true)
  assert.deepEqual(await sink.deliver(request, CALM), { kind: 'ok' })

  assert.deepEqual(sorted(await readNumbers(queueUrl)), [0, 1, 2, 3])
})

/** Lets moto take all but some entries of SendMessageBatch, and answers for those as SQS does. */
function refuseEntries(isRefused: (body: string) => boolean, failed: { Code: string; SenderFault: boolean }): Decide {
  return ({ body }) => {
    const given = JSON.parse(body) as { Entries: { Id: string; MessageBody: string }[] }
    const refused = given.Entries.filter(({ MessageBody }) => isRefused(MessageBody))
    const Entries = given.Entries.filter(({ MessageBody }) => !isRefused(MessageBody))
    const Failed = refused.map(({ Id }) => ({ Id, ...failed, Message: 'as the test says' }))
    if (Entries.length === 0) return { status: 200, body: JSON.stringify({ Successful: [], Failed }) }
    return {
      send: JSON.stringify({ ...given, Entries }),
      change: answer => JSON.stringify({ ...(JSON.parse(answer) as object), Failed })
    }
  }
}

test('an entry of a FIFO queue that must be sent again holds its group back, and no other', { skip }, async t => {
  const decide = refuseEntries(body => body.includes('"n":4,'), { Code: 'InternalError', SenderFault: false })
  const { sink, queueUrl } = await queueSink(t, 'held.fifo', decide)
  const keys = Array.from({ length: 12 }, (_, index) => ['a', 'b', 'c'][index % 3] ?? null)

  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(keys)), CALM))

  // 4 is the second of group b: 7 and 10 come behind it.
  assert.deepEqual(sorted(failures.keys()), [4, 7, 10])
  assert.deepEqual(failures.get(4), {
    action: 'retry',
    reason: 'InternalError: as the test says',
    isUnavailable: true
  })
  assert.match(failures.get(7)?.reason ?? '', /waits behind/)
  assert.deepEqual(sorted(await readNumbers(queueUrl)), [0, 1, 2, 3, 5, 6, 8, 9, 11])
})

test('an entry that the sender is to blame for is dead-lettered, and holds nothing back', { skip }, async t => {
  const decide = refuseEntries(body => body.includes('"n":1,'), { Code: 'InvalidMessageContents', SenderFault: true })
  const { sink, queueUrl } = await queueSink(t, 'blamed.fifo', decide)

  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(['a', 'a', 'a'])), CALM))

  assert.deepEqual(
    [...failures.entries()],
    [[1, { action: 'deadLetter', reason: 'InvalidMessageContents: as the test says' }]]
  )
  assert.deepEqual(await readNumbers(queueUrl), [0, 2])
})

test('a request that is too long for the queue is halved until the bad record is alone', { skip }, async t => {
  // What a queue does whose MaximumMessageSize is less than the target's bytesMax.
  const { sink, queueUrl, requests } = await queueSink(t, 'small', ({ body }) =>
    Buffer.byteLength(body) > 3000 ? awsError('BatchRequestTooLong', 400) : 'pass'
  )
  const records = numbered(Array(10).fill('k'))
  const giant = { text: JSON.stringify({ n: 6, t: 'ã'.repeat(3000) }), key: 'k' }

  const failures = failuresOf(await sink.deliver(sinkRequest(records.with(6, giant)), CALM))

  assert.deepEqual(
    [...failures.entries()],
    [[6, { action: 'deadLetter', reason: 'BatchRequestTooLong: as the test says' }]]
  )
  assert.deepEqual(sorted(await readNumbers(queueUrl)), [0, 1, 2, 3, 4, 5, 7, 8, 9])
  assert.ok(requests.length < 15, `${requests.length} requests`)
})

test('an aborted delivery says what was not sent', { skip }, async t => {
  const controller = new AbortController()
  const { sink, queueUrl } = await queueSink(t, 'aborted', ({ index }) => {
    if (index === 4) controller.abort(new Error('no reply within 5 ms'))
    return 'pass'
  })
  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(Array(200).fill(null))), controller.signal))
  const arrived = new Set(await readNumbers(queueUrl))
  for (let index = 0; index < 200; index += 1) assert.ok(arrived.has(index) || failures.has(index), `${index} is lost`)
  assert.ok(failures.size >= 140)
  const reasons = new Set([...failures.values()].map(({ reason }) => reason))
  assert.ok(
    [...reasons].some(reason => /not sent|no time was left/.test(reason)),
    [...reasons].join()
  )
})

test('a topic: entries that fail, and a topic that is not there', { skip }, async t => {
  const sns = new SNSClient(clientSettings())
  t.after(() => sns.destroy())
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'faulty' }))
  const proxy = await startAwsProxy(t, moto.endpoint, () => ({
    change: answer =>
      answer.replace(
        /<Failed\s*\/>|<Failed>.*?<\/Failed>/s,
        '<Failed><member><Id>1</Id><Code>InternalError</Code><Message>later</Message>' +
          '<SenderFault>false</SenderFault></member></Failed>'
      )
  }))
  const sink = new SnsSink({ name: 't', topicArn: TopicArn, endpoint: proxy.endpoint })
  t.after(() => sink.close())
  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(['a', 'b', 'c'])), CALM))
  assert.deepEqual(
    [...failures.entries()],
    [[1, { action: 'retry', reason: 'InternalError: later', isUnavailable: true }]]
  )

  const gone = new SnsSink({ name: 't', topicArn: TopicArn.replace('faulty', 'gone'), endpoint: moto.endpoint })
  t.after(() => gone.close())
  const outcome = await gone.deliver(sinkRequest(numbered(['a'])), CALM)
  assert.equal(outcome.kind, 'unavailable')
  assert.match(outcome.kind === 'unavailable' ? outcome.reason : '', /NotFound/)
})

test('an event bus: entries are told apart by what they lack', { skip }, async t => {
  const answers = [
    'ThrottlingException',
    'MalformedDetail',
    undefined,
    'NotAuthorizedForSourceException',
    'InternalFailure'
  ]
  const proxy = await startAwsProxy(t, moto.endpoint, () => ({
    change: () =>
      JSON.stringify({
        FailedEntryCount: 4,
        Entries: answers.map(ErrorCode => (ErrorCode === undefined ? { EventId: '1' } : { ErrorCode }))
      })
  }))
  const errors: string[] = []
  const sink = new EventBridgeSink({
    name: 'b',
    endpoint: proxy.endpoint,
    region: moto.region,
    logger: collector(errors)
  })
  t.after(() => sink.close())
  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(Array(5).fill('k'))), CALM))
  assert.deepEqual(
    sorted(failures.keys()).map(index => failures.get(index)?.action),
    ['retry', 'deadLetter', 'retry', 'retry']
  )
  assert.equal(failures.has(2), false)
  assert.deepEqual(errors, ['target b is refused by AWS: NotAuthorizedForSourceException'])
})

test('a stream: a shard over its limit refuses a record, and the key stays in order', { skip }, async t => {
  const kinesis = new KinesisClient({ ...clientSettings(), requestHandler: new NodeHttpHandler() })
  t.after(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 'hot', ShardCount: 1 }))
  let isHot = true
  const proxy = await startAwsProxy(t, moto.endpoint, ({ body }) => {
    const given = JSON.parse(body) as { Records: { Data: string; PartitionKey: string }[] }
    const isRefused = (data: string): boolean => isHot && Buffer.from(data, 'base64').includes('"n":2,')
    const at = given.Records.findIndex(({ Data }) => isRefused(Data))
    if (at < 0) return 'pass'
    return {
      send: JSON.stringify({ ...given, Records: given.Records.toSpliced(at, 1) }),
      change: answer => {
        const { Records } = JSON.parse(answer) as { Records: object[] }
        const refused = { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage: 'Rate exceeded' }
        return JSON.stringify({ FailedRecordCount: 1, Records: Records.toSpliced(at, 0, refused) })
      }
    }
  })
  const sink = new KinesisSink({ name: 's', stream: 'hot', endpoint: proxy.endpoint, region: moto.region })
  t.after(() => sink.close())
  const keys = ['a', 'b', 'a', 'b', 'a', 'b', null]

  const failures = failuresOf(await sink.deliver(sinkRequest(numbered(keys)), CALM))
  assert.deepEqual(sorted(failures.keys()), [2, 4])
  assert.match(failures.get(2)?.reason ?? '', /^ProvisionedThroughputExceededException: Rate exceeded/)
  isHot = false
  const again = numbered(keys).filter((_, index) => failures.has(index))
  assert.deepEqual(await sink.deliver(sinkRequest(again), CALM), { kind: 'ok' })

  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName: 'hot',
      ShardId: 'shardId-000000000000',
      ShardIteratorType: 'TRIM_HORIZON'
    })
  )
  const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }))
  const read = Records.map(({ Data }) => JSON.parse(Buffer.from(Data ?? []).toString()) as { n: number; k: string })
  assert.deepEqual(
    ['a', 'b', null].map(key => read.filter(({ k }) => k === key).map(({ n }) => n)),
    [[0, 2, 4], [1, 3, 5], [6]]
  )
})

test('a stream that is not there, and a record above its limit', { skip }, async t => {
  const sink = new KinesisSink({ name: 's', stream: 'none', endpoint: moto.endpoint, region: moto.region })
  t.after(() => sink.close())
  const outcome = await sink.deliver(sinkRequest(numbered(['a'])), CALM)
  assert.equal(outcome.kind, 'unavailable')
  assert.match(outcome.kind === 'unavailable' ? outcome.reason : '', /ResourceNotFound/)

  const kinesis = new KinesisClient({ ...clientSettings(), requestHandler: new NodeHttpHandler() })
  t.after(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 'small', ShardCount: 1 }))
  // The target believes in 2 MiB; the stream takes 1.
  const large = new KinesisSink({
    name: 's',
    stream: 'small',
    endpoint: moto.endpoint,
    region: moto.region,
    recordBytesMax: 2_097_152
  })
  t.after(() => large.close())
  const records = [...numbered(['a', 'b']), { text: JSON.stringify({ t: 'x'.repeat(1_048_576) }), key: 'c' }]
  const failures = failuresOf(await large.deliver(sinkRequest(records), CALM))
  assert.deepEqual(
    [...failures].map(([index, { action }]) => [index, action]),
    [[2, 'deadLetter']]
  )
})

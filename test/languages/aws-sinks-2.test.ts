/** Step Functions, DynamoDB and S3 sinks against moto's server: what arrives is read back with the SDK. */

import assert from 'node:assert/strict'
import { before, test, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'

import {
  type AttributeValue,
  CreateTableCommand,
  DynamoDBClient,
  type KeySchemaElement,
  ScanCommand
} from '@aws-sdk/client-dynamodb'
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client
} from '@aws-sdk/client-s3'
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  SFNClient
} from '@aws-sdk/client-sfn'

import { systemClock } from '../../src/core/index.ts'
import { createSink, type SinkSettings } from '../../src/targets/sinks/index.ts'
import {
  DynamoDbSink,
  type DynamoDbSinkOptions,
  S3Sink,
  type S3SinkOptions,
  StepFunctionsSink,
  type StepFunctionsSinkOptions
} from '../../src/targets/index.ts'
import { type AwsVerdict, startAwsProxy } from '../support/aws-proxy.ts'
import { type Moto, MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'
import { errorLog, never } from '../targets/support.ts'
import { failuresOf, requestOf } from '../targets/sinks/requests.ts'

let moto: Moto

before(async t => {
  // The server is one for all tests of this file; it ends with the process.
  if (motoSkip === false) moto = await startMoto(t as TestContext)
})

const skip = motoSkip

function clientSettings(): { endpoint: string; region: string; credentials: typeof MOTO_CREDENTIALS } {
  return { endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS }
}

function place(): { endpoint: string; region: string } {
  return { endpoint: moto.endpoint, region: moto.region }
}

test('all these sinks are made from the settings of a pipeline file', { skip }, async t => {
  const settings: readonly SinkSettings[] = [
    { type: 'stepFunctions', stateMachineArn: 'arn:aws:states:eu-west-1:123456789012:stateMachine:orders' },
    { type: 'dynamoDb', table: 'trucks', key: ['truck'] },
    { type: 's3', bucket: 'archive' },
    { type: 'lambda', functionName: 'orders' },
    { type: 'kafka', bootstrapServers: ['127.0.0.1:1'], topic: 'alerts' }
  ]
  for (const each of settings) {
    const dependencies = { clock: systemClock, environment: { AWS_REGION: 'eu-west-1' } }
    const sink = await createSink('one', { ...each, timeoutMs: 100 }, dependencies)
    t.after(() => sink.close())
    assert.equal(sink.name, 'one')
    assert.ok(sink.limits.recordsMax >= 500)
  }
})

// ── Step Functions ──

async function makeStateMachine(name: string): Promise<string> {
  const { stateMachineArn = '' } = await sfn().send(
    new CreateStateMachineCommand({
      name,
      definition: '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}',
      roleArn: 'arn:aws:iam::123456789012:role/states'
    })
  )
  return stateMachineArn
}

function sfn(): SFNClient {
  return new SFNClient(clientSettings())
}

function stepFunctions(t: TestContext, options: Omit<StepFunctionsSinkOptions, 'name'>): StepFunctionsSink {
  const sink = new StepFunctionsSink({ name: 'flow', ...place(), ...options })
  t.after(() => sink.close())
  return sink
}

/** Inputs of the executions of a state machine, by name. */
async function executionsOf(stateMachineArn: string): Promise<Map<string, string>> {
  const { executions = [] } = await sfn().send(new ListExecutionsCommand({ stateMachineArn, maxResults: 1000 }))
  const found = new Map<string, string>()
  for (const { executionArn, name = '' } of executions) {
    const { input = '' } = await sfn().send(new DescribeExecutionCommand({ executionArn }))
    found.set(name, input)
  }
  return found
}

test('each record starts an execution with its id as name, and one that comes again starts none', { skip }, async t => {
  const stateMachineArn = await makeStateMachine('records')
  const sink = stepFunctions(t, { stateMachineArn })
  const texts = Array.from({ length: 30 }, (_, n) => `{"n":${n},"id":9007199254740993}`)
  const request = requestOf(texts.map((text, n) => ({ text, key: `k${n % 4}` })))

  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })

  const executions = await executionsOf(stateMachineArn)
  assert.equal(executions.size, 30)
  assert.equal(executions.get('mt-c400-3-107'), texts[7])
  // The same name with another input is what AWS refuses as ExecutionAlreadyExists, whatever became of the first.
  const other = requestOf([{ text: '{"other":true}', offset: 107 }])
  assert.deepEqual(await sink.deliver(other, never), { kind: 'ok' })
  assert.equal((await executionsOf(stateMachineArn)).get('mt-c400-3-107'), texts[7])
  const replay = stepFunctions(t, { stateMachineArn, namePrefix: 'again-' })
  assert.deepEqual(await replay.deliver(other, never), { kind: 'ok' })
  assert.equal((await executionsOf(stateMachineArn)).get('again-mt-c400-3-107'), '{"other":true}')
})

test(
  'one execution for a batch has all its records; a record that is too large is dead-lettered',
  { skip },
  async t => {
    const stateMachineArn = await makeStateMachine('batches')
    const sink = stepFunctions(t, { stateMachineArn, start: 'batch' })
    const given = requestOf([
      { text: '{"n":0}', key: 'a', timestampMs: 1 },
      { text: '{"n":1}', timestampMs: 2 },
      { text: JSON.stringify('x'.repeat(262_144)), timestampMs: 3 },
      { text: '{"n":3}', key: 'ü"', timestampMs: 4, offset: 900 }
    ])
    assert.deepEqual(failuresOf(await sink.deliver(given, never)), { 2: 'deadLetter' })
    const [[name, input] = []] = [...(await executionsOf(stateMachineArn))]
    assert.match(name ?? '', /^mt-c400-3-100-900-[0-9a-f]{16}$/)
    assert.deepEqual(JSON.parse(input ?? ''), {
      topic: 'mt-c400',
      partition: 3,
      messages: [{ n: 0 }, { n: 1 }, { n: 3 }],
      offsets: [100, 101, 900],
      timestamps: [1, 2, 4],
      keys: ['a', null, 'ü"']
    })
    // 262,144 bytes are the most: two records of 131,060 bytes and what stands around them are too many for one.
    const large = requestOf([1, 2].map(() => ({ text: JSON.stringify('y'.repeat(131_058)) })))
    assert.deepEqual(await sink.deliver(large, never), { kind: 'ok' })
    const names = [...(await executionsOf(stateMachineArn)).keys()]
    assert.equal(names.includes('mt-c400-3-100-100') && names.includes('mt-c400-3-101-101'), true)
  }
)

test(
  'an execution that could not be started holds back those of its key, and a missing state machine is said loudly',
  { skip },
  async t => {
    const stateMachineArn = await makeStateMachine('trouble')
    let verdict: (body: string) => AwsVerdict = () => 'pass'
    const proxy = await startAwsProxy(t, moto.endpoint, ({ body }) => verdict(body))
    const sink = stepFunctions(t, { stateMachineArn, endpoint: proxy.endpoint, concurrency: 1 })
    const records = ['a', 'b', 'a', 'b'].map((key, n) => ({ key, text: `{"n":${n}}` }))

    verdict = body => (body.includes('mt-c400-3-100') ? 'cutAnswer' : 'pass')
    const outcome = await sink.deliver(requestOf(records), never)
    assert.equal(outcome.kind, 'unavailable')
    assert.deepEqual([...(await executionsOf(stateMachineArn)).keys()], ['mt-c400-3-100'])
    verdict = () => 'pass'
    assert.deepEqual(await sink.deliver(requestOf(records), never), { kind: 'ok' })
    assert.equal((await executionsOf(stateMachineArn)).size, 4)

    verdict = () => ({ status: 400, body: '{"__type":"ThrottlingException","message":"Rate exceeded"}' })
    const throttled = await sink.deliver(requestOf(records), never)
    assert.equal(throttled.kind === 'unavailable' && throttled.isSuspect, undefined)
    verdict = body =>
      body.includes('mt-c400-3-101')
        ? { status: 400, body: '{"__type":"InvalidExecutionInput","message":"Invalid State Machine Execution Input"}' }
        : 'pass'
    assert.deepEqual(failuresOf(await sink.deliver(requestOf(records), never)), { 1: 'deadLetter' })

    const { logger, errors } = errorLog()
    const absent = stepFunctions(t, { stateMachineArn: stateMachineArn.replace(/trouble$/, 'absent'), logger })
    const refused = await absent.deliver(requestOf(records), never)
    assert.match(refused.kind === 'unavailable' ? refused.reason : '', /StateMachineDoesNotExist/)
    assert.match(errors.join(), /refused by AWS: StateMachineDoesNotExist/)
  }
)

// ── DynamoDB ──

function dynamo(): DynamoDBClient {
  return new DynamoDBClient(clientSettings())
}

async function makeTable(name: string, key: Readonly<Record<string, 'S' | 'N'>>): Promise<void> {
  const KeySchema = Object.keys(key).map((AttributeName, index): KeySchemaElement => {
    return { AttributeName, KeyType: index === 0 ? 'HASH' : 'RANGE' }
  })
  const AttributeDefinitions = Object.entries(key).map(([AttributeName, AttributeType]) => ({
    AttributeName,
    AttributeType
  }))
  const table = { TableName: name, KeySchema, AttributeDefinitions, BillingMode: 'PAY_PER_REQUEST' } as const
  await dynamo().send(new CreateTableCommand(table))
}

async function itemsOf(table: string): Promise<Record<string, AttributeValue>[]> {
  const { Items = [] } = await dynamo().send(new ScanCommand({ TableName: table, ConsistentRead: true }))
  return Items
}

function dynamoDb(t: TestContext, options: Omit<DynamoDbSinkOptions, 'name'>): DynamoDbSink {
  const sink = new DynamoDbSink({ name: 'table', ...place(), ...options })
  t.after(() => sink.close())
  return sink
}

test('values become items with every digit of their numbers; the last record of an item wins', { skip }, async t => {
  await makeTable('trucks', { truck: 'S' })
  const sink = dynamoDb(t, { table: 'trucks', key: ['truck'] })
  const id = '12345678901234567890123456789012345678'
  const records = Array.from({ length: 120 }, (_, n) => ({
    text: `{"truck":"T-${n % 60}","n":${n},"id":${id},"deep":{"list":[1.50,null,true,"ü"]}}`
  }))
  assert.deepEqual(await sink.deliver(requestOf(records), never), { kind: 'ok' })
  const items = await itemsOf('trucks')
  assert.equal(items.length, 60)
  assert.deepEqual(
    items.find(({ truck }) => truck?.S === 'T-7'),
    {
      truck: { S: 'T-7' },
      n: { N: '67' },
      id: { N: id },
      deep: { M: { list: { L: [{ N: '1.50' }, { NULL: true }, { BOOL: true }, { S: 'ü' }] } } }
    }
  )
})

test(
  'attributes are made of what the settings name, and a record that is no item is dead-lettered alone',
  { skip },
  async t => {
    await makeTable('orders', { pk: 'S', sk: 'N' })
    const sink = dynamoDb(t, {
      table: 'orders',
      key: { pk: 'order#{value.order.id}', sk: '{offset}' },
      attributes: { total: 'order.total', raw: '{value}', from: '{topic}/{partition}', who: '{key}', absent: 'no.such' }
    })
    const texts = [
      '{"order":{"id":9007199254740993,"total":1e3}}',
      '[]',
      '{"order":{}}',
      'null',
      '{"order":{"id":1e9}}'
    ]
    const outcome = await sink.deliver(requestOf(texts.map(text => ({ text, key: 'k' }))), never)
    assert.deepEqual(failuresOf(outcome), { 1: 'deadLetter', 2: 'deadLetter', 3: 'deadLetter' })
    const items = await itemsOf('orders')
    assert.equal(items.length, 2)
    assert.deepEqual(
      items.find(({ sk }) => sk?.N === '100'),
      {
        pk: { S: 'order#9007199254740993' },
        sk: { N: '100' },
        total: { N: '1e3' },
        raw: { M: { order: { M: { id: { N: '9007199254740993' }, total: { N: '1e3' } } } } },
        from: { S: 'mt-c400/3' },
        who: { S: 'k' }
      }
    )
  }
)

test('with condition: newer, neither a retry nor a replay goes back in time', { skip }, async t => {
  await makeTable('latest', { truck: 'S' })
  const sink = dynamoDb(t, { table: 'latest', key: ['truck'], condition: 'newer' })
  const at = (offset: number, truck: string): { text: string; offset: number } => {
    return { text: `{"truck":"${truck}","at":${offset}}`, offset }
  }
  const state = async (): Promise<Record<string, string | undefined>> => {
    const items = await itemsOf('latest')
    return Object.fromEntries(items.map(item => [item['truck']?.S ?? '', item['at']?.N]))
  }
  assert.deepEqual(await sink.deliver(requestOf([at(5, 'A'), at(6, 'B'), at(7, 'A'), at(8, 'C')]), never), {
    kind: 'ok'
  })
  assert.deepEqual(await state(), { A: '7', B: '6', C: '8' })
  assert.deepEqual(await sink.deliver(requestOf([at(5, 'A'), at(6, 'B'), at(9, 'C')]), never), { kind: 'ok' })
  assert.deepEqual(await state(), { A: '7', B: '6', C: '9' })
  // An offset of another partition says nothing about this one.
  const elsewhere = requestOf([at(2, 'A')], { partition: 4 })
  assert.deepEqual(await sink.deliver(elsewhere, never), { kind: 'ok' })
  assert.deepEqual(await state(), { A: '2', B: '6', C: '9' })

  // A topic that was made anew begins at 0: its records are older by their offsets, and would never be written.
  const anew = { table: 'latest', key: ['truck'], condition: 'newer' } as const
  assert.deepEqual(await dynamoDb(t, anew).deliver(requestOf([at(1, 'B')]), never), { kind: 'ok' })
  assert.deepEqual(await state(), { A: '2', B: '6', C: '9' })
  const second = dynamoDb(t, { ...anew, originPrefix: 'second-' })
  assert.deepEqual(await second.deliver(requestOf([at(1, 'B')]), never), { kind: 'ok' })
  assert.deepEqual(await second.deliver(requestOf([at(0, 'B')]), never), { kind: 'ok' })
  assert.deepEqual(await state(), { A: '2', B: '1', C: '9' })

  await makeTable('versions', { truck: 'S' })
  const byTime = dynamoDb(t, { table: 'versions', key: ['truck'], condition: 'newer', version: 'at' })
  const mixed = [at(100, 'A'), at(30, 'A'), at(200, 'A'), at(150, 'A')]
  assert.deepEqual(await byTime.deliver(requestOf(mixed), never), { kind: 'ok' })
  assert.deepEqual(
    (await itemsOf('versions')).map(item => item['at']?.N),
    ['200']
  )
  // Numbers and texts cannot be compared: the last of another type counts as newer.
  const dated = (date: string, n: number): { text: string } => ({ text: JSON.stringify({ truck: 'A', at: n, date }) })
  const byDate = dynamoDb(t, { table: 'versions', key: ['truck'], condition: 'newer', version: 'date' })
  const dates = [dated('2026-11-20', 1), dated('2026-11-21', 2), dated('2026-11-19', 3)]
  assert.deepEqual(await byDate.deliver(requestOf(dates), never), { kind: 'ok' })
  assert.deepEqual(
    (await itemsOf('versions')).map(item => item['at']?.N),
    ['2']
  )
})

test('items that DynamoDB leaves, throttles and cuts come again; a missing table is said loudly', { skip }, async t => {
  await makeTable('shaky', { id: 'N' })
  let verdict: (body: string) => AwsVerdict = () => 'pass'
  const proxy = await startAwsProxy(t, moto.endpoint, ({ body }) => verdict(body))
  const sink = dynamoDb(t, { table: 'shaky', key: ['id'], endpoint: proxy.endpoint, concurrency: 1 })
  const request = requestOf(Array.from({ length: 30 }, (_, n) => ({ text: `{"id":${n}.0}` })))

  // DynamoDB writes what it can of a request, and hands back the rest as it was sent.
  verdict = body => {
    const { RequestItems } = JSON.parse(body) as {
      RequestItems: { shaky: { PutRequest: { Item: { id: { N: string } } } }[] }
    }
    const left = RequestItems.shaky.filter(({ PutRequest }) => PutRequest.Item.id.N === '3.0')
    const taken = RequestItems.shaky.filter(({ PutRequest }) => PutRequest.Item.id.N !== '3.0')
    const UnprocessedItems = left.length === 0 ? {} : { shaky: left }
    return {
      send: JSON.stringify({ RequestItems: { shaky: taken } }),
      change: () => JSON.stringify({ UnprocessedItems })
    }
  }
  const partial = await sink.deliver(request, never)
  assert.deepEqual(failuresOf(partial), { 3: 'retry' })
  assert.equal(partial.kind === 'partial' && partial.failures.get(3)?.isUnavailable, true)
  assert.equal((await itemsOf('shaky')).length, 29)

  verdict = () => ({
    status: 400,
    body: '{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}'
  })
  const throttled = await sink.deliver(request, never)
  assert.equal(throttled.kind, 'unavailable')
  assert.equal(throttled.kind === 'unavailable' && throttled.isSuspect, undefined)
  for (const trouble of ['cut', 'cutAnswer', { status: 500, body: '{"__type":"InternalServerError"}' }] as const) {
    verdict = () => trouble
    assert.equal((await sink.deliver(request, never)).kind, 'unavailable')
  }
  verdict = () => 'pass'
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
  assert.equal((await itemsOf('shaky')).length, 30)

  const { logger, errors } = errorLog()
  const type = 'com.amazon.coral.service#AccessDeniedException'
  verdict = () => ({ status: 400, body: JSON.stringify({ __type: type, message: 'is not authorized to perform' }) })
  const forbidden = dynamoDb(t, { table: 'shaky', key: ['id'], endpoint: proxy.endpoint, logger })
  const refused = await forbidden.deliver(request, never)
  assert.equal(refused.kind === 'unavailable' && refused.isSuspect, undefined)
  assert.match(errors.join(), /AccessDeniedException/)
  const absent = dynamoDb(t, { table: 'absent', key: ['id'], logger })
  assert.equal((await absent.deliver(request, never)).kind, 'unavailable')
  assert.match(errors.join(), /ResourceNotFoundException/)
})

// ── S3 ──

function s3(): S3Client {
  return new S3Client({ ...clientSettings(), forcePathStyle: true })
}

function s3Sink(t: TestContext, options: Omit<S3SinkOptions, 'name'>): S3Sink {
  const sink = new S3Sink({ name: 'archive', ...place(), ...options })
  t.after(() => sink.close())
  return sink
}

async function makeBucket(name: string): Promise<string> {
  const region = moto.region as 'eu-west-1'
  await s3().send(new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { LocationConstraint: region } }))
  return name
}

async function keysOf(bucket: string): Promise<string[]> {
  const { Contents = [] } = await s3().send(new ListObjectsV2Command({ Bucket: bucket }))
  return Contents.map(({ Key = '' }) => Key)
}

async function bytesOf(bucket: string, key: string): Promise<Buffer> {
  const { Body } = await s3().send(new GetObjectCommand({ Bucket: bucket, Key: key }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

test('a batch is one object, line by line as it was produced, and the same batch replaces it', { skip }, async t => {
  const bucket = await makeBucket('lines')
  const sink = s3Sink(t, { bucket })
  const request = requestOf([{ text: '{"id":9007199254740993}' }, { text: '{\r\n  "a": "b\\nc"\n}' }, { text: '"ü"' }])
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
  const key = 'mt-c400/2026/03/04/3/0000000000000100-0000000000000102.ndjson'
  assert.deepEqual(await keysOf(bucket), [key])
  assert.equal((await bytesOf(bucket, key)).toString(), '{"id":9007199254740993}\n{ "a": "b\\nc" }\n"ü"\n')
  const { ContentType } = await s3().send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
  assert.equal(ContentType, 'application/x-ndjson')
})

test('what is left of a batch does not take the place of the whole', { skip }, async t => {
  const bucket = await makeBucket('parts')
  const sink = s3Sink(t, { bucket, format: 'json', key: '{topic}/{partition}/{offsets}.{extension}' })
  const records = [100, 101, 102].map(offset => ({ offset, text: `{"n":${offset}}` }))
  assert.deepEqual(await sink.deliver(requestOf(records), never), { kind: 'ok' })
  assert.deepEqual(await sink.deliver(requestOf(records.filter(({ offset }) => offset !== 101)), never), { kind: 'ok' })
  const keys = await keysOf(bucket)
  assert.equal(keys.length, 2)
  assert.match(keys[0] ?? '', /^mt-c400\/3\/0000000000000100-0000000000000102-[0-9a-f]{16}\.json$/)
  assert.deepEqual(JSON.parse((await bytesOf(bucket, keys[1] ?? '')).toString()), [{ n: 100 }, { n: 101 }, { n: 102 }])
})

test('objects can be compressed, encrypted and of another class', { skip }, async t => {
  const bucket = await makeBucket('packed')
  const key = 'raw/dt={yyyy}-{MM}-{dd}/hour={HH}{mm}/{topic}-{partition}-{offsets}-{timestamp}.{extension}'
  const options = { gzip: true, storageClass: 'STANDARD_IA', encryption: 'aws:kms', kmsKeyId: 'alias/mine' } as const
  const sink = s3Sink(t, { bucket, key, contentType: 'text/plain', ...options })
  const texts = Array.from({ length: 5000 }, (_, n) => `{"n":${n},"fill":"xxxxxxxxxxxxxxxxxxxx"}`)
  assert.deepEqual(await sink.deliver(requestOf(texts.map(text => ({ text }))), never), { kind: 'ok' })
  const [name = ''] = await keysOf(bucket)
  assert.match(name, /^raw\/dt=2026-03-04\/hour=0506\/mt-c400-3-0{13}100-0{12}5099-1772600767000\.ndjson\.gz$/)
  const head = await s3().send(new HeadObjectCommand({ Bucket: bucket, Key: name }))
  assert.equal(head.ContentEncoding, 'gzip')
  assert.equal(head.ContentType, 'text/plain')
  assert.equal(head.StorageClass, 'STANDARD_IA')
  assert.equal(head.ServerSideEncryption, 'aws:kms')
  const bytes = await bytesOf(bucket, name)
  assert.ok(bytes.length < 50_000)
  assert.equal(gunzipSync(bytes).toString(), `${texts.join('\n')}\n`)
})

test('S3 in trouble makes all wait, and so does what no object can be written with', { skip }, async t => {
  const bucket = await makeBucket('trouble')
  let verdict: AwsVerdict = 'pass'
  const proxy = await startAwsProxy(t, moto.endpoint, () => verdict)
  const sink = s3Sink(t, { bucket, endpoint: proxy.endpoint })
  const request = requestOf([{ text: '1' }])
  const answer = (status: number, code: string): AwsVerdict => {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`
    return { status, body, headers: { 'content-type': 'application/xml' } }
  }
  const troubles = [answer(503, 'SlowDown'), answer(500, 'InternalError'), answer(400, 'EntityTooLarge')]
  for (const trouble of [...troubles, 'cut', 'cutAnswer'] as const) {
    verdict = trouble
    assert.equal((await sink.deliver(request, never)).kind, 'unavailable')
  }
  verdict = 'pass'
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })

  const { logger, errors } = errorLog()
  const absent = s3Sink(t, { bucket: 'no-such-bucket', logger })
  assert.equal((await absent.deliver(request, never)).kind, 'unavailable')
  assert.match(errors.join(), /target archive: NoSuchBucket/)
  const refused = s3Sink(t, { bucket, endpoint: proxy.endpoint, logger })
  verdict = answer(403, 'AccessDenied')
  assert.equal((await refused.deliver(request, never)).kind, 'unavailable')
  assert.match(errors.join(), /AccessDenied/)
  const untimed = await absent.deliver({ ...request, timestamps: undefined }, never)
  assert.match(untimed.kind === 'unavailable' ? untimed.reason : '', /include timestamps in the payload/)
})

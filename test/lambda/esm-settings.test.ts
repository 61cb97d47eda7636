/** What AWS takes as a mapping, what it refuses, how its filters and answers are read. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../src/core/index.ts'
import type { EsmRecord } from '../../src/lambda/esm/event-text.ts'
import { compileFilters } from '../../src/lambda/esm/filter.ts'
import { mappingOptionsOf } from '../../src/lambda/esm/mapping-request.ts'
import { readReply } from '../../src/lambda/esm/response.ts'
import { mappingProblems, stableUuid } from '../../src/lambda/esm/settings.ts'

const MSK = {
  FunctionName: 'my-kafka-function',
  Topics: ['AWSKafkaTopic'],
  EventSourceArn: 'arn:aws:kafka:us-east-1:123456789012:cluster/my-cluster/abc123',
  StartingPosition: 'LATEST'
}

function problemsOf(request: object): string {
  try {
    mappingOptionsOf(request, 'mapping.json')
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_LAMBDA_MAPPING_INVALID'))
    return error.message
  }
  return ''
}

test('a request of CreateEventSourceMapping is read: AWS’s example with a Kafka destination', () => {
  const { options, isEnabled, warnings } = mappingOptionsOf(
    {
      ...MSK,
      ProvisionedPollerConfig: { MinimumPollers: 1, MaximumPollers: 3 },
      DestinationConfig: { OnFailure: { Destination: 'kafka://failed-records-topic' } },
      FilterCriteria: { Filters: [{ Pattern: '{ "value" : { "device_ID" : [ { "prefix": "AB" } ] } }' }] },
      MaximumRecordAgeInSeconds: 60,
      MaximumBatchingWindowInSeconds: 2,
      StartingPosition: 'AT_TIMESTAMP',
      StartingPositionTimestamp: 1_700_000_000.5,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      AmazonManagedKafkaEventSourceConfig: { ConsumerGroupId: 'group' },
      Tags: { team: 'a' },
      Enabled: false
    },
    'mapping.json'
  )
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  assert.deepEqual(given, {
    functionName: 'my-kafka-function',
    topic: 'AWSKafkaTopic',
    eventSourceArn: MSK.EventSourceArn,
    groupId: 'group',
    startingPosition: { timestampMs: 1_700_000_000_500 },
    batchingWindowMs: 2000,
    pollers: { min: 1, max: 3 },
    filters: [{ value: { device_ID: [{ prefix: 'AB' }] } }],
    recordAgeMaxMs: 60_000,
    partialResponses: true,
    onFailure: 'kafka://failed-records-topic'
  })
  assert.equal(isEnabled, false)
  assert.deepEqual(warnings, ['Tags has no effect here'])
})

test('every problem of a request is told, by AWS’s names', () => {
  const text = problemsOf({
    ...MSK,
    BatchSise: 10,
    ParallelizationFactor: 2,
    StartingPosition: 'EARLIEST',
    FilterCriteria: { Filters: [{ Pattern: 'value' }] },
    SelfManagedEventSource: { Endpoints: {} }
  })
  assert.match(text, /BatchSise: no parameter of CreateEventSourceMapping/)
  assert.match(text, /Unsupported 'parallelizationFactor' parameter for given event source mapping type/)
  assert.match(text, /StartingPosition: TRIM_HORIZON, LATEST or AT_TIMESTAMP/)
  assert.match(text, /FilterCriteria\.Filters\.0\.Pattern: a JSON object as text/)
  assert.match(text, /KAFKA_BOOTSTRAP_SERVERS: a list of host:port/)
  assert.match(problemsOf({ ...MSK, Topics: ['a', 'b'] }), /Topics: a list of one topic/)
  assert.match(problemsOf({ ...MSK, EventSourceArn: undefined }), /EventSourceArn: needed for Amazon MSK/)
  assert.match(problemsOf([]), /is not a JSON object/)
})

test('what exists in provisioned mode only is refused without it, but for its defaults', () => {
  const refused = {
    MaximumRetryAttempts: 2,
    MaximumRecordAgeInSeconds: 60,
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ['ReportBatchItemFailures']
  }
  const text = problemsOf({ ...MSK, ...refused })
  for (const name of Object.keys(refused)) assert.match(text, new RegExp(`${name}: exists in provisioned mode only`))
  assert.equal(problemsOf({ ...MSK, ...refused, ProvisionedPollerConfig: {} }), '')
  const defaults = { MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, BisectBatchOnFunctionError: false }
  assert.equal(problemsOf({ ...MSK, ...defaults, FunctionResponseTypes: [] }), '')
  const sqs = 'arn:aws:sqs:us-east-1:123456789012:failed'
  assert.equal(problemsOf({ ...MSK, DestinationConfig: { OnFailure: { Destination: sqs } } }), '')
})

test('ranges are AWS’s', () => {
  const base = { functionName: 'f', topic: 't', pollers: {} }
  const wrong = (more: object): number => mappingProblems({ ...base, ...more }).length
  for (const batchSize of [0, 10_001, 1.5]) assert.equal(wrong({ batchSize }), 1)
  for (const batchingWindowMs of [250, 1500, 301_000, -1]) assert.equal(wrong({ batchingWindowMs }), 1)
  for (const batchingWindowMs of [0, 500, 1000, 300_000]) assert.equal(wrong({ batchingWindowMs }), 0)
  for (const retriesMax of [-2, 10_001]) assert.equal(wrong({ retriesMax }), 1)
  for (const recordAgeMaxMs of [0, 59_000, 604_801_000]) assert.equal(wrong({ recordAgeMaxMs }), 1)
  for (const pollers of [{ min: 201, max: 300 }, { max: 2001 }, { min: 5, max: 4 }]) assert.equal(wrong({ pollers }), 1)
  for (const onFailure of ['arn:aws:sqs:::q', 'arn:aws:lambda:r:1:function:f', 'kafka://', 'queue']) {
    assert.equal(wrong({ onFailure }), 1, onFailure)
  }
  for (const functionName of ['', 'a b', 'arn:aws:sqs:r:1:q']) assert.equal(wrong({ functionName }), 1, functionName)
})

test('the UUID of a mapping is one, and stays the same', () => {
  const uuid = stableUuid('', 'f', 't')
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(stableUuid('', 'f', 't'), uuid)
  assert.notEqual(stableUuid('', 'ft', ''), uuid)
})

test('filters: AWS’s table of formats of record and pattern', () => {
  const passes = (pattern: object, value: string | Buffer | null): boolean =>
    compileFilters([pattern])?.(typeof value === 'string' ? Buffer.from(value) : value) ?? true
  const json = { value: { device_ID: [{ prefix: 'AB' }] } }
  const text = { value: [{ 'anything-but': ['error'] }] }
  assert.deepEqual(
    [passes(json, '{"device_ID":"AB1"}'), passes(json, '{"device_ID":"X"}'), passes(text, 'ok'), passes(text, 'error')],
    [true, false, true, false]
  )
  // Where the formats differ, or there is no text at all, only metadata count, of which Kafka has none.
  for (const value of ['plain', Buffer.from([0xff])]) assert.equal(passes(json, value), true)
  for (const value of ['{"device_ID":"X"}', Buffer.from([0xff])]) assert.equal(passes(text, value), true)
  assert.equal(passes(json, null), false)
  assert.equal(passes({ value: [{ exists: false }] }, null), true)
  assert.equal(compileFilters([json, { value: { n: [1] } }])?.(Buffer.from('{"n":1}')), true)
  assert.equal(compileFilters([]), undefined)
})

test('answers: success, resume points, and everything that fails the batch', () => {
  const record = (partition: number, offset: number): EsmRecord => {
    return { partition, offset, timestampMs: 0, text: '', bytes: 0, arrivedMs: 0 }
  }
  const sent = [record(0, 4), record(0, 5), record(1, 5)]
  const read = (reply: unknown): unknown => {
    const text = typeof reply === 'string' ? reply : JSON.stringify(reply)
    const read = readReply(text, 'a-1', sent)
    return read.kind === 'partial' ? Object.fromEntries(read.resumeAt) : read.kind
  }
  const failed = (...identifiers: readonly unknown[]): unknown => ({
    batchItemFailures: identifiers.map(itemIdentifier => ({ itemIdentifier }))
  })
  for (const reply of ['', 'null', '{}', '{"batchItemFailures":null}', '{"batchItemFailures":[]}']) {
    assert.equal(read(reply), 'ok', reply)
  }
  assert.deepEqual(read(failed({ partition: 'a-1-0', offset: 5 }, { partition: 'a-1-0', offset: 4 })), { 0: 4 })
  assert.deepEqual(read(failed({ partition: 'a-1-1', offset: 5 })), { 1: 5 })
  const malformed = [
    'no json',
    '"done"',
    '[]',
    '5',
    '{"batchItemFailures":{}}',
    failed(null),
    failed(''),
    failed('a-1-0'),
    failed({}),
    failed({ partition: 'a-1-0' }),
    failed({ partition: 'a-1-0', offset: '5' }),
    failed({ partition: 'a-1-0', offset: 6 }),
    failed({ partition: 'a-1', offset: 5 }),
    { batchItemFailures: [{ id: 1 }] },
    { batchItemFailures: [null] }
  ]
  for (const reply of malformed) assert.equal(read(reply), 'malformed', JSON.stringify(reply))
})

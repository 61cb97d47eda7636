/** Event source mappings on the embedded broker and the embedded runtime. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../src/core/index.ts'
import { esmWorld, offsetsIn, startFunction, until, untilDone } from './esm-support.ts'

test('an event is what AWS sends, byte for byte, from a self-managed cluster and from MSK', async t => {
  const world = await esmWorld(t)
  const { topic } = world
  await world.append(
    {
      text: '{"codigo":300}',
      key: Buffer.from('truck-1'),
      timestampMs: 1_545_084_650_987,
      headers: [
        { key: 'headerKey', value: Buffer.from([104, 101, 195, 191]) },
        { key: 'headerKey', value: Buffer.from('b') }
      ]
    },
    { value: null, key: Buffer.from([0xff]), timestampMs: 1_545_084_650_988 }
  )
  const records =
    `{"topic":"${topic}","partition":0,"offset":0,"timestamp":1545084650987,"timestampType":"CREATE_TIME",` +
    '"key":"dHJ1Y2stMQ==","value":"eyJjb2RpZ28iOjMwMH0=",' +
    '"headers":[{"headerKey":[104,101,-61,-65]},{"headerKey":[98]}]},' +
    `{"topic":"${topic}","partition":0,"offset":1,"timestamp":1545084650988,"timestampType":"CREATE_TIME",` +
    '"key":"/w==","headers":[]}'
  const self = await startFunction(t)
  const functionName = 'arn:aws:lambda:eu-west-1:123456789012:function:orders:live'
  const mapping = await world.map({ functionName, endpoint: self.endpoint, bootstrapServers: 'b-1:9092,b-2:9092' })
  await untilDone(mapping, { 0: 2 })
  const tail = `"bootstrapServers":"b-1:9092,b-2:9092","records":{"${topic}-0":[${records}]}}`
  assert.deepEqual(self.texts, [`{"eventSource":"SelfManagedKafka",${tail}`])
  assert.match(decodeURIComponent(self.names[0] ?? ''), /functions\/arn:aws:lambda:.*:orders:live\/invocations$/)

  const msk = await startFunction(t)
  const eventSourceArn = 'arn:aws:kafka:eu-west-1:123456789012:cluster/c/uuid-1'
  const other = await world.map({
    functionName: 'orders',
    endpoint: msk.endpoint,
    bootstrapServers: 'b-1:9092,b-2:9092',
    eventSourceArn
  })
  await untilDone(other, { 0: 2 })
  assert.deepEqual(msk.texts, [`{"eventSource":"aws:kafka","eventSourceArn":"${eventSourceArn}",${tail}`])
})

test('a batch holds several partitions, and partial answers commit each partition as far as it came', async t => {
  const world = await esmWorld(t, { partitionCount: 2 })
  const name = (partition: number): string => `${world.topic}-${partition}`
  for (const partition of [0, 1]) await world.append(...['a', 'b', 'c'].map(text => ({ text, partition })))
  let isFixed = false
  const service = await startFunction(t, event => {
    const records = event.records[name(1)] ?? []
    if (isFixed || records.every(each => each.offset !== 1)) return {}
    return { body: { batchItemFailures: [{ itemIdentifier: { partition: name(1), offset: 1 } }] } }
  })
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    batchSize: 6,
    batchingWindowMs: 500,
    pollers: { min: 1 },
    partialResponses: true
  })
  await untilDone(mapping, { 0: 3, 1: 1 })
  await until(() => service.texts.length > 1)
  assert.deepEqual(offsetsIn(service.events()[0]), { [name(0)]: [0, 1, 2], [name(1)]: [0, 1, 2] })
  assert.deepEqual(offsetsIn(service.events()[1]), { [name(1)]: [1, 2] })
  assert.equal(await world.committed(mapping.groupId, 1), 1)
  isFixed = true
  await untilDone(mapping, { 1: 3 })
  const { deliveredEventCount, polledEventCount } = mapping.status().totals
  assert.deepEqual([deliveredEventCount, polledEventCount], [6, 6])
})

test('an answer that names what was not sent fails the whole batch', async t => {
  const world = await esmWorld(t)
  await world.append({ text: 'a' }, { text: 'b' })
  const failures = [{ itemIdentifier: { partition: `${world.topic}-0`, offset: 7 } }]
  const service = await startFunction(t, (_, count) => (count < 3 ? { body: { batchItemFailures: failures } } : {}))
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    pollers: {},
    partialResponses: true
  })
  await untilDone(mapping, { 0: 2 })
  assert.deepEqual(
    service.events().map(event => offsetsIn(event)[`${world.topic}-0`]),
    [
      [0, 1],
      [0, 1],
      [0, 1]
    ]
  )
  assert.equal(mapping.status().totals.functionErrors, 2)
})

test('filtered records are done without an invocation; forms that differ pass', async t => {
  const world = await esmWorld(t)
  const texts = ['{"code":1}', '{"code":400}', 'not json', '{"code":2}']
  await world.append(...texts.map(text => ({ text })), { value: Buffer.from([0xff, 0xfe]) }, { value: null })
  const service = await startFunction(t)
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    filters: [{ value: { code: [{ numeric: ['>=', 400] }] } }]
  })
  await untilDone(mapping, { 0: 6 })
  assert.deepEqual(
    service.events().flatMap(event => offsetsIn(event)[`${world.topic}-0`] ?? []),
    [1, 2, 4]
  )
  assert.equal(mapping.status().totals.filteredOutEventCount, 3)
})

test('throttles and failures are tried again; a kafka destination gets the record with its key', async t => {
  const world = await esmWorld(t)
  const target = await world.another()
  await world.append({ text: 'ok' }, { text: 'bad', key: Buffer.from('k-1'), timestampMs: 1_749_116_692_330 })
  const service = await startFunction(t, (event, count) => {
    if (count === 1) return { status: 429, body: { Type: 'User', message: 'Rate Exceeded.' } }
    const isBad = Object.values(event.records).some(list => list.some(each => each.offset === 1))
    return isBad ? { error: true, body: { errorType: 'TypeError', errorMessage: 'no' } } : {}
  })
  const mapping = await world.map({
    functionName: 'orders',
    endpoint: service.endpoint,
    bootstrapServers: 'b-1:9098',
    eventSourceArn: 'arn:aws:kafka:us-east-1:123456789012:cluster/my-cluster/abc123',
    pollers: { min: 1, max: 2 },
    bisect: true,
    retriesMax: 2,
    onFailure: `kafka://${target.topic}`
  })
  await untilDone(mapping, { 0: 2 })
  const copies = await startFunction(t)
  const reader = await target.map({ functionName: 'reader', endpoint: copies.endpoint })
  await untilDone(reader, { 0: 1 })
  const [copy] = copies.events()[0]?.records[`${target.topic}-0`] ?? []
  assert.equal(Buffer.from(copy?.key ?? '', 'base64').toString(), 'k-1')
  const text = Buffer.from(copy?.value ?? '', 'base64').toString()
  const { requestContext, timestamp, ...rest } = JSON.parse(text)
  assert.match(requestContext.requestId, /^[0-9a-f-]{36}$/)
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  // All of this is AWS's example, with the names of this test.
  assert.equal(
    text.slice(text.indexOf('"functionArn"'), text.indexOf('"version"')),
    '"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:orders:$LATEST","condition":"RetriesExhausted",' +
      '"approximateInvokeCount":4},"responseContext":{"statusCode":200,"executedVersion":"$LATEST",' +
      '"functionError":"Unhandled"},'
  )
  assert.equal(
    JSON.stringify(rest.payload),
    '{"bootstrapServers":"b-1:9098","eventSource":"aws:kafka",' +
      '"eventSourceArn":"arn:aws:kafka:us-east-1:123456789012:cluster/my-cluster/abc123",' +
      `"records":{"${world.topic}-0":[{"headers":[],"key":"ay0x","offset":1,"partition":0,"timestamp":1749116692330,` +
      `"timestampType":"CREATE_TIME","topic":"${world.topic}","value":"YmFk"}]}}`
  )
  const { payloadSize, ...info } = rest.KafkaBatchInfo
  assert.equal(payloadSize, Buffer.byteLength(JSON.stringify(rest.payload)))
  assert.deepEqual(info, {
    batchSize: 1,
    eventSourceArn: 'arn:aws:kafka:us-east-1:123456789012:cluster/my-cluster/abc123',
    bootstrapServers: 'b-1:9098',
    recordInfo: { offset: '1', timestamp: '2025-06-05T09:44:52.330Z' }
  })
  const { throttles, functionErrors, deliveredEventCount, droppedEventCount } = mapping.status().totals
  assert.deepEqual(
    { throttles, functionErrors, deliveredEventCount, droppedEventCount },
    {
      throttles: 1,
      functionErrors: 4,
      deliveredEventCount: 1,
      droppedEventCount: 1
    }
  )
})

test('draining lets the function end, commits, and gives up retries that wait', async t => {
  const world = await esmWorld(t, { partitionCount: 2 })
  await world.append({ text: 'slow' }, { text: 'bad', partition: 1 })
  const service = await startFunction(t, event => (`${world.topic}-1` in event.records ? { error: true } : {}))
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    batchSize: 1,
    backoff: { initialMs: 60_000, maxMs: 60_000 }
  })
  await untilDone(mapping, { 0: 1 })
  await until(() => mapping.status().waiting === 1)
  assert.equal(await mapping.drain(5000), true)
  assert.equal(await mapping.ended, undefined)
  assert.equal(await world.committed(mapping.groupId, 0), 1)
  assert.equal(await world.committed(mapping.groupId, 1), 0)
})

test('settings that AWS refuses are refused, with its words where they are known', async t => {
  const world = await esmWorld(t)
  await assert.rejects(
    world.map({ functionName: 'f', retriesMax: 3, batchSize: 0, onFailure: `kafka://${world.topic}` }),
    (error: unknown) => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_MAPPING_INVALID'))
      assert.match(error.message, /batchSize: is a whole number from 1 to 10000/)
      assert.match(error.message, /Unsupported 'maximumRetryAttempts' parameter for given event source mapping type\./)
      assert.match(error.message, /onFailure: a Kafka topic as destination exists in provisioned mode only/)
      assert.match(error.message, /onFailure: is the topic that the mapping reads/)
      return true
    }
  )
})

test('what nobody foresaw ends the mapping with an error, and commits nothing of it', async t => {
  const world = await esmWorld(t)
  await world.append({ text: 'a' })
  const service = await startFunction(t, () => ({ error: true }))
  const random = {
    next: (): number => {
      throw new Error('out of luck')
    }
  }
  const mapping = await world.map({ functionName: 'f', endpoint: service.endpoint, random })
  const error = await mapping.ended
  assert.ok(PipelineError.is(error, 'ERR_LAMBDA_MAPPING_FAILED'))
  await mapping.close()
  assert.equal(await world.committed(mapping.groupId), 0)
  assert.equal(service.texts.length, 1)
})

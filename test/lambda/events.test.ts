/** AWS's Kafka event: read as it is documented, answered in AWS's form for Kafka. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { contextWith, distributorFor, type Service, startService } from './support.ts'

const PLENTY = contextWith(60_000)
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

/** The example of the Lambda developer guide, "Using Lambda with Amazon MSK", with its value and key. */
const DOCUMENTED = {
  eventSource: 'aws:kafka',
  eventSourceArn: 'arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e-d7975eb44dd7-2',
  bootstrapServers: ['b-2', 'b-1']
    .map(broker => `${broker}.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092`)
    .join(','),
  records: {
    'mytopic-0': [
      {
        topic: 'mytopic',
        partition: 0,
        offset: 15,
        timestamp: 1545084650987,
        timestampType: 'CREATE_TIME',
        key: 'abcDEFghiJKLmnoPQRstuVWXyz1234==',
        value: 'SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==',
        headers: [{ headerKey: [104, 101, 97, 100, 101, 114, 86, 97, 108, 117, 101] }]
      }
    ]
  }
}

interface Fixture {
  readonly offset: number
  readonly value?: string | null
  readonly key?: string
}

/** An event of a self-managed cluster: no ARN, several partitions. */
function esmEvent(partitions: Record<string, Fixture[]>): object {
  const records = Object.fromEntries(
    Object.entries(partitions).map(([name, list]) => {
      const dash = name.lastIndexOf('-')
      const common = { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)) }
      return [
        name,
        list.map(({ offset, value, key }) => ({
          ...common,
          offset,
          timestamp: 1545084650987,
          timestampType: 'CREATE_TIME',
          ...(key === undefined ? {} : { key: base64(key) }),
          ...(typeof value === 'string' ? { value: base64(value) } : value === null ? { value: null } : {}),
          headers: [{ trace: [-1, -128, 127] }]
        }))
      ]
    })
  )
  return { eventSource: 'SelfManagedKafka', bootstrapServers: 'abc.xyz.com:9092', records }
}

async function withService(
  t: Parameters<typeof startService>[0],
  respond?: Parameters<typeof startService>[1]
): Promise<{ service: Service; run: (event: unknown) => Promise<unknown> }> {
  const service = await startService(t, respond)
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })
  return { service, run: event => distribute(event, PLENTY) }
}

test('the documented example is read; its value is not JSON, so it is left to AWS’s failure handling', async t => {
  const { service, run } = await withService(t)

  assert.deepEqual(await run(DOCUMENTED), {
    batchItemFailures: [{ itemIdentifier: { partition: 'mytopic-0', offset: 15 } }]
  })
  assert.equal(service.received.length, 0)
})

test('values reach the service exactly as they were produced', async t => {
  const { service, run } = await withService(t)
  // Rounded, reordered or shortened by anyone who parses and writes them again.
  const values = ['{"id":12345678901234567890,"big":1.10}', '{"b":1,"a":1,"b":2}', ' {"s":"\\u00e9 é"} ', '"text"', '0']
  const event = esmEvent({ 'my-topic-7': values.map((value, index) => ({ offset: 40 + index, value })) })

  assert.deepEqual(await run(event), { batchItemFailures: [] })
  assert.ok(service.received[0]?.text.includes(`"messages":[${values.join(',')}]`), service.received[0]?.text)
  assert.deepEqual(service.received[0]?.body.source, { topic: 'my-topic', partition: 7 })
  assert.deepEqual(service.offsets(), [40, 41, 42, 43, 44])
})

test('each partition is delivered and answered for itself', async t => {
  const { service, run } = await withService(t, each =>
    each.body.source.partition === 1 ? { body: { failures: [{ offset: 6, action: 'retry', reason: 'locked' }] } } : {}
  )
  const three = (offset: number): Fixture[] => [0, 1, 2].map(index => ({ offset: offset + index, value: '1' }))
  const event = esmEvent({ 'mytopic-0': three(20), 'mytopic-1': three(5), 'other-1': three(90) })

  const { batchItemFailures } = (await run(event)) as { batchItemFailures: unknown[] }
  assert.deepEqual(batchItemFailures, [
    { itemIdentifier: { partition: 'mytopic-1', offset: 6 } },
    { itemIdentifier: { partition: 'other-1', offset: 90 } }
  ])
  assert.equal(service.received.length, 3)
})

test('tombstones, broken text and values that are not JSON are not passed on; AWS resumes at the first', async t => {
  const { service, run } = await withService(t)
  const good = (offset: number): Fixture => ({ offset, value: '{"codigo":300}', key: 'k' })

  for (const bad of [{ value: null }, {}, { value: 'not json' }, { value: '{"a":1}{"b":2}' }, { value: '' }]) {
    const response = await run(esmEvent({ 't-0': [good(1), { offset: 2, ...bad }, good(3)] }))
    assert.deepEqual(response, { batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 2 } }] })
  }
  const event = esmEvent({ 't-0': [{ offset: 9, value: '1' }] }) as { records: Record<string, { value: string }[]> }
  const [record] = event.records['t-0'] ?? []
  assert.ok(record)
  record.value = Buffer.from([0x22, 0xc3, 0x28, 0x22]).toString('base64') // a text with broken UTF-8
  assert.deepEqual(await run(event), { batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 9 } }] })
  assert.ok(service.offsets().every(offset => offset !== 2 && offset !== 9))
})

test('records after the resume point that a service took are not sent to it again', async t => {
  let isLocked = true
  const first = await startService(t, () => (isLocked ? { status: 503 } : {}))
  const second = await startService(t)
  const routes = [{ values: [1], targets: ['first'] }]
  const targets = { first: first.url, second: second.url }
  const distribute = distributorFor(t, { targets, routes, otherwise: ['second'] })
  const event = esmEvent({
    't-0': [2, 1, 2, 2].map((codigo, index) => ({ offset: 10 + index, value: JSON.stringify({ codigo }) }))
  })

  assert.deepEqual(await distribute(event, PLENTY), {
    batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 11 } }]
  })
  isLocked = false
  const rest = esmEvent({
    't-0': [1, 2, 2].map((codigo, index) => ({ offset: 11 + index, value: JSON.stringify({ codigo }) }))
  })
  assert.deepEqual(await distribute(rest, PLENTY), { batchItemFailures: [] })
  assert.deepEqual(second.offsets(), [10, 12, 13])
  assert.deepEqual(first.offsets(), [11, 11])
})

test('a skipped record counts as done for AWS', async t => {
  const { run } = await withService(t, () => ({ body: { failures: [{ offset: 1, action: 'skip', reason: 'seen' }] } }))

  assert.deepEqual(await run(esmEvent({ 't-0': [{ offset: 1, value: '1' }] })), { batchItemFailures: [] })
})

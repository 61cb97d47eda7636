/** The DynamoDB sink against AWS's own DynamoDB for local use: what it refuses, and whose fault that is. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { ScanCommand } from '@aws-sdk/client-dynamodb'

import { DynamoDbSink, type DynamoDbSinkOptions } from '../../src/targets/index.ts'
import { startDynamoDbLocal } from '../support/dynamodb-local.ts'
import { checkBorders, localClient, makeTable } from '../targets/sinks/dynamo-db-borders.ts'
import { failuresOf, requestOf } from '../targets/sinks/requests.ts'
import { never } from '../targets/support.ts'

// Started for the whole file: each test has its own table.
const endpoint = await startDynamoDbLocal({ after })
const client = localClient(endpoint)
after(() => client.destroy())

function sinkFor(options: Omit<DynamoDbSinkOptions, 'name' | 'key'>): DynamoDbSink {
  return new DynamoDbSink({ name: 'table', key: ['id'], endpoint, ...options })
}

test('what the sink refuses is what DynamoDB refuses, and nothing else', async () => {
  await checkBorders(client)
})

test('large items of characters that are escaped go in requests that DynamoDB takes', async t => {
  await makeTable(client, 'large')
  const sink = sinkFor({ table: 'large' })
  t.after(() => sink.close())
  // Each control character is six bytes on the wire: 2.3 MB for an item of 380 KB.
  const fill = String.fromCharCode(1).repeat(380_000)
  const records = Array.from({ length: 9 }, (_, n) => ({ text: JSON.stringify({ id: `k${n}`, fill }) }))
  assert.deepEqual(await sink.deliver(requestOf(records), never), { kind: 'ok' })
  const { Count } = await client.send(new ScanCommand({ TableName: 'large', Select: 'COUNT', Limit: 2 }))
  assert.equal(Count, 2)
})

test('an item whose key has another type than the table is dead-lettered alone, first or last', async t => {
  for (const condition of [undefined, 'newer'] as const) {
    const table = `typed-${condition ?? 'always'}`
    await makeTable(client, table)
    const sink = sinkFor({ table, concurrency: 1, ...(condition === undefined ? {} : { condition }) })
    t.after(() => sink.close())
    const ids = ['7', '"a"', '"b"', '8', '"c"']
    // Nothing was ever taken: whether the table or the record is wrong, nobody knows yet.
    const first = await sink.deliver(requestOf([{ text: '{"id":7}' }]), never)
    assert.equal(first.kind === 'unavailable' && first.isSuspect, true)
    if (condition !== undefined) await sink.deliver(requestOf([{ text: '{"id":"z"}' }]), never)
    const outcome = await sink.deliver(requestOf(ids.map(id => ({ text: `{"id":${id}}` }))), never)
    assert.deepEqual(failuresOf(outcome), { 0: 'deadLetter', 3: 'deadLetter' })
    const { Items = [] } = await client.send(new ScanCommand({ TableName: table }))
    const stored = new Set(Items.map(({ id }) => id?.S))
    assert.deepEqual(new Set([...stored].filter(id => id !== 'z')), new Set(['a', 'b', 'c']))
  }
})

test('a key that the table has not makes all wait: no record is to blame', async t => {
  await makeTable(client, 'wrong')
  const sink = sinkFor({ table: 'wrong', key: ['name'] } as never)
  t.after(() => sink.close())
  const outcome = await sink.deliver(requestOf([1, 2, 3].map(n => ({ text: `{"name":"${n}"}` }))), never)
  assert.equal(outcome.kind, 'unavailable')
})

test('an older offset changes nothing, whatever comes at once', async t => {
  await makeTable(client, 'newest')
  const sinks = [1, 2, 3].map(() => sinkFor({ table: 'newest', condition: 'newer' }))
  t.after(() => Promise.all(sinks.map(sink => sink.close())))
  const offsets = Array.from({ length: 60 }, (_, index) => index)
  const batches = [0, 20, 40].map(from => offsets.slice(from, from + 20))
  const deliver = (sink: DynamoDbSink, batch: readonly number[]) =>
    sink.deliver(requestOf(batch.map(offset => ({ offset, text: `{"id":"i${offset % 5}","at":${offset}}` }))), never)
  const outcomes = await Promise.all(
    sinks.flatMap((sink, index) => batches.map((_, turn) => deliver(sink, batches[(index + turn) % 3] ?? [])))
  )
  assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(['ok']))
  const { Items = [] } = await client.send(new ScanCommand({ TableName: 'newest', ConsistentRead: true }))
  assert.deepEqual(Object.fromEntries(Items.map(({ id, at }) => [id?.S, at?.N])), {
    i0: '55',
    i1: '56',
    i2: '57',
    i3: '58',
    i4: '59'
  })
})

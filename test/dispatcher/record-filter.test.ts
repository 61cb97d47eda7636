import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig } from '../../src/config/index.ts'
import { RecordFilter } from '../../src/dispatcher/record-filter.ts'
import { tableOf, type TestRecord } from './support.ts'

type Filters = NonNullable<Parameters<typeof dispatcherConfig>[0]['filters']>

function configOf(filters: Filters): ReturnType<typeof dispatcherConfig> {
  return dispatcherConfig({
    groupId: 'g',
    topics: ['trucks'],
    target: { type: 'http', url: 'http://127.0.0.1:1/' },
    deadLetterTopic: 'dead',
    filters
  })
}

/** The indexes of the records that pass. */
function passing(filters: Filters, records: readonly TestRecord[]): number[] {
  const filter = new RecordFilter(configOf(filters).filters)
  const table = tableOf(100n, records)
  return [...records.keys()].filter(row => filter.passes(table, row))
}

const header = (key: string, value: string | null): { key: string; value: Buffer | null } => ({
  key,
  value: value === null ? null : Buffer.from(value)
})

test('keys are compared as text', () => {
  const records = [{ key: 'truck-1' }, { key: 'car-1' }, { key: null }, { key: '' }]
  assert.deepEqual(passing([{ key: [{ prefix: 'truck-' }] }], records), [0])
  assert.deepEqual(passing([{ key: [null] }], records), [2])
  assert.deepEqual(passing([{ key: [{ 'anything-but': ['car-1'] }] }], records), [0, 2, 3])
})

test('one of the headers of a name must match, and a header can be asked to be absent', () => {
  const records = [
    { headers: [header('type', 'created')] },
    { headers: [header('type', 'ping'), header('type', 'created')] },
    { headers: [header('type', null)] },
    { headers: [header('other', 'created')] },
    {}
  ]
  assert.deepEqual(passing([{ headers: { type: ['created'] } }], records), [0, 1])
  assert.deepEqual(passing([{ headers: { type: [null] } }], records), [2])
  assert.deepEqual(passing([{ headers: { type: [{ exists: false }] } }], records), [3, 4])
})

test('fields of the value are compared, and a tombstone has none', () => {
  const records = [
    { value: '{"codigo":400,"vehicle":{"type":"truck"}}' },
    { value: '{"codigo":401,"vehicle":{"type":"truck"}}' },
    { value: '{"codigo":400}' },
    { value: null }
  ]
  assert.deepEqual(passing([{ value: { codigo: [400], vehicle: { type: ['truck'] } } }], records), [0])
  assert.deepEqual(passing([{ value: { codigo: [{ exists: false }] } }], records), [3])
})

test('a value that is not JSON passes a filter on fields: its place is the dead letter topic', () => {
  assert.deepEqual(passing([{ value: { codigo: [400] } }], [{ value: 'codigo=400' }, { value: '{"codigo":1}' }]), [0])
})

test('a list compares the value as plain text', () => {
  const records = [{ value: 'error' }, { value: 'fine' }, { value: null }]
  assert.deepEqual(passing([{ value: [{ 'anything-but': ['error'] }] }], records), [1, 2])
})

test('in a filter everything must match, of several filters one', () => {
  const records = [
    { key: 'a', value: '{"codigo":400}' },
    { key: 'a', value: '{"codigo":500}' },
    { key: 'b', value: '{"codigo":500}' },
    { key: 'b', value: '{"codigo":400}' }
  ]
  assert.deepEqual(
    passing(
      [
        { key: ['a'], value: { codigo: [400] } },
        { key: ['b'], value: { codigo: [500] } }
      ],
      records
    ),
    [0, 2]
  )
})

test('a wrong filter does not start, and its place is named', () => {
  assert.throws(
    () => configOf([{ value: { codigo: 400 } }, {}]),
    (error: Error) => {
      assert.match(error.message, /dispatcher\.filters\.0\.value\.codigo: must be a list of allowed values/)
      assert.match(error.message, /dispatcher\.filters\.1: names neither key nor headers nor value/)
      return true
    }
  )
})

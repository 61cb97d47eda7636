/** Which traces the records of a batch are in. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { traceLinksOf } from '../../src/dispatcher/trace-links.ts'
import { tableOf, type TestRecord } from './support.ts'

function parent(number: number, flags = '01'): string {
  return `00-${'a'.repeat(32)}-${number.toString(16).padStart(16, '0')}-${flags}`
}

function record(headers: Readonly<Record<string, string | null>>): TestRecord {
  return {
    headers: Object.entries(headers).map(([key, value]) => ({ key, value: value === null ? null : Buffer.from(value) }))
  }
}

test('sampled traces are found behind other headers, each once, with their state', () => {
  const table = tableOf(0n, [
    record({ 'correlation-id': 'x', traceparent: parent(1), tracestate: 'a=1' }),
    record({}),
    record({ traceparent: parent(1) }),
    record({ traceparent: parent(2, '03') }),
    record({ traceparent: parent(1) })
  ])

  assert.deepEqual(traceLinksOf(table), {
    links: [{ traceparent: parent(1), tracestate: 'a=1' }, { traceparent: parent(2, '03') }],
    leftOut: 0,
    recordCount: 4
  })
})

test('what is not sampled, or no context at all, is no link', () => {
  const table = tableOf(0n, [
    record({ traceparent: parent(1, '00') }),
    record({ traceparent: parent(1, '02') }),
    record({ traceparent: parent(1, 'fe') }),
    record({ traceparent: null }),
    record({ traceparent: 'short' }),
    record({ traceparenu: parent(1) }),
    record({ traceparent: `${'x'.repeat(54)}1` }),
    record({ traceparent: `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01` })
  ])

  assert.deepEqual(traceLinksOf(table).links, [])
})

test('no more than 128 are linked, and the rest is counted', () => {
  const table = tableOf(
    0n,
    Array.from({ length: 200 }, (_, index) => record({ traceparent: parent(index + 1) }))
  )

  const { links, leftOut, recordCount } = traceLinksOf(table)

  assert.deepEqual([links.length, leftOut, recordCount], [128, 72, 200])
})

test('states of hostile records are no more than 16 KiB of a batch: their links go without', () => {
  const state = `a=${'x'.repeat(200)}${','.repeat(16_000)}`
  const table = tableOf(
    0n,
    Array.from({ length: 20 }, (_, index) => record({ traceparent: parent(index + 1), tracestate: state }))
  )

  const { links } = traceLinksOf(table)

  assert.equal(links.length, 20)
  assert.equal(links.filter(({ tracestate }) => tracestate !== undefined).length, 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { AppendRecord, DeliveryListener } from '../../src/client/index.ts'
import { PipelineError, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import { deadLetterHeaders, DeadLetterWriter, smallerDeadLetter } from '../../src/dispatcher/dead-letters.ts'
import { Meters } from '../../src/dispatcher/meters.ts'
import { createMetrics, silentLogger } from '../../src/telemetry/index.ts'
import { tableOf } from './support.ts'

interface Taken {
  readonly record: AppendRecord
  readonly listener: DeliveryListener
}

/** A writer on an appender that takes what the test lets it take. */
function writerOf(options: { tooLarge?: 'reference' | 'wait'; onReference?: () => void } = {}) {
  const clock = new VirtualClock()
  const taken: Taken[] = []
  const state = { room: 1000, isClosed: false, wake: () => undefined as unknown }
  const appender = {
    append: (record: AppendRecord, listener: DeliveryListener): boolean => {
      if (state.isClosed) throw new PipelineError('ERR_CLIENT_CLOSED', 'the appender is closed')
      if (state.room === 0) return false
      state.room -= 1
      taken.push({ record, listener })
      return true
    },
    room: () => new Promise<void>(resolve => (state.wake = () => resolve()))
  }
  const random = new SeededRandom(1)
  const writer = new DeadLetterWriter({ topic: 'dead', appender, clock, random, logger: silentLogger, ...options })
  return { clock, taken, state, writer }
}

const records = (count: number): Omit<AppendRecord, 'topic'>[] =>
  Array.from({ length: count }, (_, index) => ({ key: null, value: Buffer.from(String(index)) }))
const valuesOf = (taken: readonly Taken[]): string[] => taken.map(({ record }) => String(record.value))
const failure = new PipelineError('ERR_CLIENT_DELIVERY_TIMEOUT', 'no leader')
const delivered = (recordCount: number) => ({ topic: 'dead', partition: 0, baseOffset: 0n, recordCount })

test('records count as put aside only when every one is acknowledged', async () => {
  const { clock, taken, writer } = writerOf()
  let result: boolean | undefined
  void writer.write(records(3), new AbortController().signal).then(value => (result = value))
  await clock.advance(1)
  assert.deepEqual(
    taken.map(({ record }) => record.topic),
    ['dead', 'dead', 'dead']
  )
  taken[0]?.listener.delivered(delivered(2))
  await clock.advance(100_000)
  assert.equal(result, undefined)
  taken[0]?.listener.delivered(delivered(1))
  await clock.advance(1)
  assert.equal(result, true)
})

test('what was not taken is tried again until it is, and nothing else', async () => {
  const { clock, taken, writer } = writerOf()
  let result: boolean | undefined
  void writer.write(records(3), new AbortController().signal).then(value => (result = value))
  await clock.advance(1)
  for (let round = 0; round < 10; round += 1) {
    const last = taken.at(-1)
    const failed =
      round === 0 ? taken.slice(1, 3).map(({ record }) => record) : taken.slice(-2).map(each => each.record)
    if (round === 0) taken[0]?.listener.delivered(delivered(1))
    last?.listener.failed(failure, failed)
    await clock.advance(40_000)
  }
  assert.equal(result, undefined)
  assert.equal(taken.length, 3 + 10 * 2)
  assert.deepEqual(valuesOf(taken.slice(-2)), ['1', '2'])
  taken.at(-1)?.listener.delivered(delivered(2))
  await clock.advance(1)
  assert.equal(result, true)
})

test('a full appender is waited for', async () => {
  const { clock, taken, state, writer } = writerOf()
  state.room = 1
  void writer.write(records(2), new AbortController().signal)
  await clock.advance(1000)
  assert.deepEqual(valuesOf(taken), ['0'])
  state.room = 5
  state.wake()
  await clock.advance(1)
  assert.deepEqual(valuesOf(taken), ['0', '1'])
})

test('a lane that is gone stops waiting, wherever it waits', async () => {
  for (const prepare of ['acknowledgement', 'room', 'backoff', 'closed'] as const) {
    const { clock, taken, state, writer } = writerOf()
    if (prepare === 'room') state.room = 0
    if (prepare === 'closed') state.isClosed = true
    const abort = new AbortController()
    let result: boolean | undefined
    void writer.write(records(1), abort.signal).then(value => (result = value))
    await clock.advance(1)
    if (prepare === 'backoff') taken[0]?.listener.failed(failure, [taken[0].record])
    await clock.advance(1)
    assert.equal(result, undefined, prepare)
    abort.abort()
    await clock.advance(1)
    assert.equal(result, false, prepare)
  }
})

test('the headers of the record stay in front of what is told of it', () => {
  const table = tableOf(7n, [{ value: '1', headers: [{ key: 'a', value: null }], timestampMs: 1234 }])
  const dead = { row: 0, errorClass: 'TypeError', reason: 'é'.repeat(5000), attempts: 3 }
  const origin = { topic: 't', partition: 2, groupId: 'g', firstFailureMs: 10, lastFailureMs: 20 }
  const headers = deadLetterHeaders(table, dead, origin)
  assert.deepEqual(headers[0], { key: 'a', value: null })
  const texts = Object.fromEntries(headers.slice(1).map(({ key, value }) => [key, value?.toString()]))
  assert.deepEqual(texts, {
    'comporta-origin-topic': 't',
    'comporta-origin-partition': '2',
    'comporta-origin-offset': '7',
    'comporta-origin-timestamp': '1234',
    'comporta-error-class': 'TypeError',
    'comporta-error-reason': 'é'.repeat(1000),
    'comporta-attempts': '3',
    'comporta-group': 'g',
    'comporta-first-failure-ms': '10',
    'comporta-last-failure-ms': '20'
  })
})

/** A dead letter as large as its key, value and reason make it. */
function letter(options: { key?: Buffer; reason?: string } = {}): Omit<AppendRecord, 'topic'> {
  const table = tableOf(7n, [{ key: options.key ?? 'k', value: '{"n":1}', headers: [{ key: 'a', value: null }] }])
  const dead = { row: 0, errorClass: 'TypeError', reason: options.reason ?? 'bad', attempts: 3 }
  const origin = { topic: 't', partition: 2, groupId: 'g', firstFailureMs: 10, lastFailureMs: 20 }
  return { key: table.key(0), value: table.value(0), headers: deadLetterHeaders(table, dead, origin) }
}

test('a dead letter that is too large loses its reason first, then its value, and keeps its origin', async () => {
  let references = 0
  const { clock, taken, writer } = writerOf({ onReference: () => (references += 1) })
  let result: boolean | undefined
  void writer.write([letter()], new AbortController().signal).then(value => (result = value))
  const tooLarge = new PipelineError('ERR_CLIENT_RECORD_TOO_LARGE', 'too large')
  const refuse = async (): Promise<Record<string, string | undefined>> => {
    await clock.advance(1)
    const { record, listener } = taken.at(-1) ?? assert.fail('nothing was appended')
    listener.failed(tooLarge, [record])
    await clock.advance(1)
    const { headers = [] } = taken.at(-1)?.record ?? {}
    return Object.fromEntries(headers.map(({ key, value }) => [key, value?.toString()]))
  }
  const second = await refuse()
  assert.equal(second['comporta-error-reason'], '')
  assert.deepEqual(valuesOf(taken.slice(-1)), ['{"n":1}'])
  assert.equal(references, 0)
  const third = await refuse()
  assert.equal(references, 1)
  assert.equal(taken.at(-1)?.record.value, null)
  assert.deepEqual(taken.at(-1)?.record.key, Buffer.from('k'))
  assert.deepEqual(
    [third['comporta-origin-topic'], third['comporta-origin-partition'], third['comporta-origin-offset']],
    ['t', '2', '7']
  )
  assert.equal(third['comporta-value-bytes'], '7')
  assert.equal('a' in third, false)
  taken.at(-1)?.listener.delivered(delivered(1))
  await clock.advance(1)
  assert.equal(result, true)
})

test('a reference keeps no key that is large itself, and gets no smaller', () => {
  let record: AppendRecord | undefined = { ...letter({ key: Buffer.alloc(5000, 'k'), reason: '' }), topic: 'dead' }
  record = smallerDeadLetter(record)
  assert.equal(record?.key, null)
  assert.equal(record?.value, null)
  assert.ok(record !== undefined && smallerDeadLetter(record) === undefined)
})

test('a partition waits for a dead letter topic that finds a letter too large, where that is wished for', async () => {
  const { clock, taken, writer } = writerOf({ tooLarge: 'wait' })
  let result: boolean | undefined
  void writer.write([letter()], new AbortController().signal).then(value => (result = value))
  const tooLarge = new PipelineError('ERR_CLIENT_RECORD_TOO_LARGE', 'too large')
  for (let round = 0; round < 5; round += 1) {
    await clock.advance(40_000)
    const { record, listener } = taken.at(-1) ?? assert.fail('nothing was appended')
    assert.deepEqual(record.value, Buffer.from('{"n":1}'))
    assert.equal(taken.length, round + 1)
    listener.failed(tooLarge, [record])
  }
  assert.equal(result, undefined)
})

test('what happens is counted in the metrics', async t => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const meters = new Meters(metrics.meter, 'g')
  const ended = meters.batchStarted({ lane: { topic: 't' }, table: { count: 500, timestampMs: () => 0 } })
  meters.invoked('ok', 12)
  meters.decided({ waitMs: 0, deadRows: [], retriedCount: 3, deliveredCount: 490, skippedCount: 7 })
  meters.deadLettered('MalformedRecord')
  ended(true)
  meters.rebalanced()
  const text = await metrics.prometheusText()
  for (const line of [
    /^comporta_dispatcher_records_total\{group="g",result="delivered".*\} 490/m,
    /^comporta_dispatcher_records_total\{group="g",result="skipped".*\} 7/m,
    /^comporta_dispatcher_retries_total\{group="g".*\} 3/m,
    /^comporta_dispatcher_dead_letters_total\{group="g",class="MalformedRecord".*\} 1/m,
    /^comporta_dispatcher_rebalances_total\{group="g".*\} 1/m,
    /^comporta_dispatcher_invoke_duration.*_bucket\{group="g",outcome="ok".*le="25".*\} 1/m
  ]) {
    assert.match(text, line)
  }
  assert.equal(meters.inFlightRecords, 0)
})

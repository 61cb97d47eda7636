import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AlertBook, type AlertBookOptions } from '../../../src/ops/alerts/alert-book.ts'
import type { AlertCondition } from '../../../src/ops/alerts/alert.ts'

const MINUTE_MS = 60_000

function condition(change: Partial<AlertCondition> = {}): AlertCondition {
  const words = { title: 'lag of billing', group: 'billing', value: '2,000', threshold: '1,000', reason: '', next: '' }
  return { key: 'lag:billing', severity: 'ticket', ...words, ...change }
}

/** What is sent, minute by minute: `+` and `-` for firing and resolved. `x` = the condition holds. */
function run(minutes: string, options: AlertBookOptions = {}, change: Partial<AlertCondition> = {}): string {
  const book = new AlertBook(options)
  return minutes
    .split('')
    .map((state, minute) => {
      const sent = book.decide(state === 'x' ? [condition(change)] : [], minute * MINUTE_MS)
      return sent.map(({ status }) => (status === 'firing' ? '+' : '-')).join('') || '.'
    })
    .join('')
}

test('a condition is sent after it has held for a while, and once', () => {
  assert.equal(run('xxxxxx', { forMs: 2 * MINUTE_MS }), '..+...')
})

test('one that goes before that is never sent, nor resolved', () => {
  assert.equal(run('xx.xx.', { forMs: 2 * MINUTE_MS }), '......')
})

test('a condition with its own patience keeps to that', () => {
  assert.equal(run('xxx', { forMs: 2 * MINUTE_MS }, { forMs: 0 }), '+..')
})

test('it is resolved when it has been gone for a while', () => {
  assert.equal(run('xxx....', { forMs: 0, resolveAfterMs: 2 * MINUTE_MS }), '+...-..')
})

test('one that comes and goes is one alert', () => {
  assert.equal(run('x.x.x.x.xx', { forMs: 0, resolveAfterMs: 2 * MINUTE_MS }), '+.........')
})

test('what still holds is repeated', () => {
  assert.equal(run('xxxxxxx', { forMs: 0, repeatMs: 3 * MINUTE_MS }), '+..+..+')
})

test('a repeat says how often it was said, and since when', () => {
  const book = new AlertBook({ forMs: 0, repeatMs: MINUTE_MS })
  const sent = [0, 1, 2].flatMap(minute => book.decide([condition()], minute * MINUTE_MS))
  assert.deepEqual(
    sent.map(({ repeats, sinceMs, atMs }) => [repeats, sinceMs, atMs]),
    [
      [0, 0, 0],
      [1, 0, MINUTE_MS],
      [2, 0, 2 * MINUTE_MS]
    ]
  )
})

test('the newest value is sent, and what is resolved says the last one', () => {
  const book = new AlertBook({ forMs: MINUTE_MS, resolveAfterMs: 0 })
  assert.deepEqual(book.decide([condition({ value: '1' })], 0), [])
  assert.equal(book.decide([condition({ value: '2' })], MINUTE_MS)[0]?.value, '2')
  assert.equal(book.firing().length, 1)
  assert.equal(book.decide([], 2 * MINUTE_MS)[0]?.value, '2')
  assert.equal(book.firing().length, 0)
})

test('what finds no place is counted, and the first come stay', () => {
  const book = new AlertBook({ forMs: 0, alertsMax: 2 })
  const three = ['a', 'b', 'c'].map(key => condition({ key }))
  assert.deepEqual(
    book.decide(three, 0).map(({ key }) => key),
    ['a', 'b']
  )
  assert.equal(book.leftOut, 1)
})

/** What the pages compute without a browser: addresses, numbers, windows of long tables, lines. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bestMatches } from '../../src/console/web/base/find-matches.ts'
import {
  agoText,
  bytesText,
  compactText,
  countText,
  rateText,
  secondsText,
  timeText
} from '../../src/console/web/base/format-values.ts'
import { healthOfThen, isLookLate } from '../../src/console/web/base/look-age.ts'
import { liveAddress, retryDelayMs } from '../../src/console/web/base/live-state.ts'
import { changedQuery, matchPath, pathOf, queryValues } from '../../src/console/web/base/route-match.ts'
import { sparklinePath } from '../../src/console/web/parts/sparkline-path.ts'
import { drawnRows, missingPage, movedRow, scrollToRow } from '../../src/console/web/parts/virtual-window.ts'

/** Formats use narrow and other spaces that look alike. */
const plain = (text: string): string => text.replaceAll(/[\u00a0\u202f]/g, ' ')

test('a name in a path comes back as it was, whatever is in it', () => {
  const id = 'a/b ?#%ç'
  const path = pathOf('/groups/:id', { id })
  assert.deepEqual(matchPath('/groups/:id', path), { id })
  assert.equal(matchPath('/groups/:id', '/groups'), undefined)
  assert.equal(matchPath('/groups', '/topics'), undefined)
  assert.deepEqual(matchPath('/', '/'), {})
  assert.deepEqual(matchPath('/groups/:id', '/groups/%E0%A4%A'), { id: '%E0%A4%A' })
})

test('the query holds what differs from the defaults, and leaves the values of others alone', () => {
  const defaults = { sort: 'lagSeconds', find: '' }
  assert.equal(changedQuery('?other=1', defaults, { find: 'é&b' }), '?other=1&find=%C3%A9%26b')
  assert.equal(changedQuery('?find=x&sort=name', defaults, { find: '', sort: 'lagSeconds' }), '')
  assert.deepEqual(queryValues('?find=x', defaults), { sort: 'lagSeconds', find: 'x' })
})

test('the same set of views has one address, and none has none', () => {
  assert.equal(
    liveAddress(['/api/b?x=1&y=2', '/api/a', '/api/a']),
    '/api/live?of=%2Fapi%2Fa&of=%2Fapi%2Fb%3Fx%3D1%26y%3D2'
  )
  assert.equal(liveAddress([]), undefined)
  assert.deepEqual([0, 1, 2, 20].map(retryDelayMs), [500, 1_000, 2_000, 15_000])
})

test('a look is late after three intervals and a little, not while it is only slow', () => {
  const look = { takenAtMs: 100_000, intervalMs: 2_000 }
  assert.equal(isLookLate(look, 111_000), false)
  assert.equal(isLookLate(look, 111_001), true)
  assert.equal(isLookLate(look, 90_000), false)
  // Symptom: the header said Healthy, in green, beside "Kafka away".
  const levels = ['good', 'idle', 'unknown', 'warn', 'bad'] as const
  assert.deepEqual(levels.map(healthOfThen), ['unknown', 'unknown', 'unknown', 'warn', 'bad'])
})

test('numbers are written as the language has them, exact offsets included', () => {
  assert.equal(countText(1_234_567, 'en'), '1,234,567')
  assert.equal(countText('9007199254740993', 'pt-BR'), '9.007.199.254.740.993')
  assert.equal(countText(0.256, 'en'), '0.26')
  assert.equal(compactText(1_234_567, 'en'), '1.23M')
  assert.equal(compactText(9_999, 'en'), '9,999')
  assert.equal(rateText(1_204.4, 'en'), '1,204/s')
  assert.equal(rateText(0.25, 'pt-BR'), '0,3/s')
  assert.equal(plain(bytesText(1_250_000, 'en')), '1.3 MB')
})

test('a duration has its two largest units, and less than a second is in milliseconds', () => {
  assert.equal(secondsText(0, 'en'), '0s')
  assert.equal(secondsText(0.0304, 'en'), '31ms')
  assert.equal(secondsText(9.94, 'en'), '9.9s')
  assert.equal(secondsText(59.6, 'en'), '1m')
  assert.equal(secondsText(200, 'en'), '3m 20s')
  assert.equal(secondsText(7_500, 'en'), '2h 5m')
  assert.equal(secondsText(90_000, 'en'), '1d 1h')
  assert.equal(plain(secondsText(200, 'pt-BR')), '3 min 20 s')
})

test('what is not known is a dash and never 0', () => {
  const formats = [countText, compactText, rateText, secondsText, bytesText]
  for (const format of formats) {
    for (const value of [null, undefined, Number.NaN]) assert.equal(format(value, 'en'), '–')
  }
  assert.equal(agoText(null, 0, 'en'), '–')
})

test('times of today are short, others have their date; what lies ahead is now', () => {
  const noon = new Date(2026, 4, 10, 12, 0, 5).getTime()
  assert.equal(timeText(noon, noon + 1_000, 'pt-BR'), '12:00:05')
  assert.match(timeText(noon, noon + 86_400_000, 'pt-BR'), /^10 de mai\. de 2026, 12:00:05$/)
  assert.equal(agoText(noon, noon + 61_000, 'en'), '1m ago')
  assert.equal(agoText(noon + 5_000, noon, 'en'), 'now')
})

test('a long table draws what is seen and a little around it', () => {
  const view = { viewHeight: 360, rowHeight: 36, total: 10_000 }
  assert.deepEqual(drawnRows({ ...view, scrollTop: 0 }), { first: 0, count: 18 })
  assert.deepEqual(drawnRows({ ...view, scrollTop: 180_000 }), { first: 4_992, count: 26 })
  assert.deepEqual(drawnRows({ ...view, scrollTop: 359_640 }), { first: 9_982, count: 18 })
  assert.deepEqual(drawnRows({ ...view, scrollTop: 359_640, total: 3 }), { first: 3, count: 0 })
})

test('rows are asked for when they are seen and not there, by few requests while a hand scrolls', () => {
  const loaded = { first: 0, count: 100 }
  assert.equal(missingPage({ first: 60, count: 30 }, loaded, 10_000), undefined)
  assert.deepEqual(missingPage({ first: 90, count: 26 }, loaded, 10_000), { offset: 50, limit: 100 })
  assert.equal(missingPage({ first: 90, count: 26 }, { first: 50, count: 100 }, 10_000), undefined)
  assert.equal(missingPage({ first: 90, count: 26 }, loaded, 100), undefined)
  const asked = new Set<number>()
  for (let first = 0; first < 1_000; first++)
    asked.add(missingPage({ first, count: 26 }, { first: 0, count: 0 }, 10_000)?.offset ?? -1)
  assert.ok(asked.size <= 20, `${asked.size} requests`)
})

test('keys move the active row and stop at the ends', () => {
  const size = { total: 100, page: 10 }
  assert.deepEqual(
    ['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Home', 'End', 'x'].map(key => movedRow(key, 95, size)),
    [96, 94, 99, 85, 0, 99, undefined]
  )
  assert.equal(movedRow('ArrowDown', 0, { total: 0, page: 10 }), undefined)
  const view = { scrollTop: 360, viewHeight: 360, rowHeight: 36 }
  assert.deepEqual(
    [12, 2, 30].map(row => scrollToRow(row, view)),
    [360, 72, 756]
  )
})

test('a sparkline keeps its gaps, and one value between gaps is a dot', () => {
  assert.equal(sparklinePath([0, 10, null, 5], 30, 10), 'M0 10L10 0M30 5h0')
  assert.equal(sparklinePath([null, null], 30, 10), '')
  assert.equal(sparklinePath([0, 0], 30, 10), 'M0 10L30 10')
})

test('a name that begins with what was typed comes before one that contains it', () => {
  const names = ['reorders', 'team.orders', 'orders-eu', 'orders', 'payments']
  assert.deepEqual(
    bestMatches(names, name => name, 'Orders'),
    ['orders', 'orders-eu', 'team.orders', 'reorders']
  )
})

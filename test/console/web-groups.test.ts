/** What the pages of groups and topics compute without a browser. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { detailAddress, groupDefaults } from '../../src/console/web/pages/group/query.ts'
import { alignedValues } from '../../src/console/web/pages/group/aligned.ts'
import { csvText } from '../../src/console/web/pages/groups/csv.ts'
import { groupPath, recordsPath } from '../../src/console/web/pages/groups/paths.ts'
import { isHeadroomShort, saidFlags, sloWord, trendWord } from '../../src/console/web/pages/groups/row-facts.ts'
import { steadyRows } from '../../src/console/web/pages/groups/steady-rows.ts'
import { isTopicName, readSettings, wholeNumber } from '../../src/console/web/pages/topics/settings-text.ts'

interface Row {
  readonly id: string
  readonly lag: number
}

const keyOf = ({ id }: Row): string => id
const row = (id: string, lag: number): Row => ({ id, lag })

test('rows keep their places while somebody reads, and take the new values', () => {
  const shown = [row('a', 9), row('b', 5), row('c', 1)]
  const incoming = [row('c', 20), row('a', 10), row('b', 4)]

  const held = steadyRows({ shown, incoming, keyOf, isHeld: true })
  assert.deepEqual(held.rows, [row('a', 10), row('b', 4), row('c', 20)])
  assert.equal(held.isBehind, true)

  const free = steadyRows({ shown, incoming, keyOf, isHeld: false })
  assert.deepEqual(free, { rows: incoming, isBehind: false })
})

test('a row that left the answer stays under the eyes of its reader, and a new one moves nobody', () => {
  const shown = [row('a', 9), row('b', 5)]
  const left = steadyRows({ shown, incoming: [row('c', 30), row('a', 8)], keyOf, isHeld: true })
  assert.deepEqual(left.rows, [row('a', 8), row('b', 5)])
  assert.equal(left.isBehind, true)

  const added = steadyRows({ shown, incoming: [row('n', 7), row('a', 9), row('b', 5)], keyOf, isHeld: true })
  assert.deepEqual(added.rows.map(keyOf), ['a', 'b', 'n'])
})

test('the same order is not called behind', () => {
  const incoming = [row('a', 1), row('b', 2)]
  const held = steadyRows({ shown: [row('a', 3), row('b', 3)], incoming, keyOf, isHeld: true })
  assert.deepEqual(held, { rows: incoming, isBehind: false })
  assert.deepEqual(steadyRows({ shown: [], incoming, keyOf, isHeld: true }), { rows: incoming, isBehind: false })
})

test('a download quotes what RFC 4180 wants quoted, leaves unknown cells empty and runs no formula', () => {
  const text = csvText(
    ['group', 'lag', 'offset'],
    [
      ['say "hi", all', 1.5, '9223372036854775807'],
      ['=1+1', null, '-5'],
      ['@SUM(A1)', undefined, '+cmd']
    ]
  )
  const lines = ['group,lag,offset', '"say ""hi"", all",1.5,9223372036854775807', "'=1+1,,-5", "'@SUM(A1),,'+cmd", '']
  assert.equal(text, lines.join('\r\n'))
})

test('the trend of a lag is steady within the noise of its rate', () => {
  assert.equal(trendWord({ trend: null, arrivalRate: 10 }), 'unknown')
  assert.equal(trendWord({ trend: 0.05, arrivalRate: null }), 'steady')
  assert.equal(trendWord({ trend: 19, arrivalRate: 1_000 }), 'steady')
  assert.equal(trendWord({ trend: 21, arrivalRate: 1_000 }), 'rising')
  assert.equal(trendWord({ trend: -3, arrivalRate: 100 }), 'falling')
})

test('an unknown lag neither keeps nor breaks a promise', () => {
  assert.equal(sloWord({ lagSeconds: null, sloSeconds: 60 }), 'none')
  assert.equal(sloWord({ lagSeconds: 10, sloSeconds: null }), 'none')
  assert.equal(sloWord({ lagSeconds: 48, sloSeconds: 60 }), 'kept')
  assert.equal(sloWord({ lagSeconds: 49, sloSeconds: 60 }), 'near')
  assert.equal(sloWord({ lagSeconds: 60, sloSeconds: 60 }), 'near')
  assert.equal(sloWord({ lagSeconds: 61, sloSeconds: 60 }), 'broken')
})

test('retention is said when it is near, or nearer than the end of the lag', () => {
  assert.equal(isHeadroomShort({ headroomSeconds: null, drainSeconds: 5 }), false)
  assert.equal(isHeadroomShort({ headroomSeconds: 3_599, drainSeconds: null }), true)
  assert.equal(isHeadroomShort({ headroomSeconds: 86_400, drainSeconds: 60 }), false)
  assert.equal(isHeadroomShort({ headroomSeconds: 86_400, drainSeconds: 90_000 }), true)
})

test('flags are told worst first, and one of a newer server is left out', () => {
  assert.deepEqual(saidFlags(['compacted', 'fromTheFuture', 'dataLoss']), ['dataLoss', 'compacted'])
})

test('names with a slash, a space or a question mark survive an address', () => {
  assert.equal(groupPath('a/b c?d'), '/groups/a%2Fb%20c%3Fd')
  assert.equal(recordsPath('t&x'), '/records?topic=t%26x')
  assert.equal(recordsPath('t', 0, '12'), '/records?topic=t&partition=0&from=offset&fromOffset=12')
})

test('an address that somebody has edited asks for nothing that the server does not know', () => {
  const address = detailAddress('g 1', { ...groupDefaults, sort: 'password', descending: 'perhaps', find: '  mt ' })
  assert.equal(address, '/api/group?id=g+1&sort=partition&descending=false&find=mt')
})

test('two series share an axis of time, with gaps where one has no value', () => {
  const series = { timesMs: [1, 3], values: [10, 30] }
  assert.deepEqual(alignedValues(series, [1, 2, 3]), [10, null, 30])
  assert.equal(alignedValues(series, [1, 3]), series.values)
})

test('settings are read line by line, and the first that says nothing is named', () => {
  assert.deepEqual(readSettings('retention.ms = 1000\n\n# a remark\ncleanup.policy=\n'), {
    kind: 'settings',
    settings: { 'retention.ms': '1000', 'cleanup.policy': null }
  })
  assert.deepEqual(readSettings('a=b=c'), { kind: 'settings', settings: { a: 'b=c' } })
  assert.deepEqual(readSettings('a=1\nhello'), { kind: 'wrong', line: 'hello' })
})

test('names of topics are those that Kafka takes', () => {
  for (const name of ['a', 'mt-c400', 'a.b_c', 'x'.repeat(249)]) assert.equal(isTopicName(name), true, name)
  for (const name of ['', '.', '..', 'a b', 'á', 'x'.repeat(250)]) assert.equal(isTopicName(name), false, name)
  assert.equal(wholeNumber('12', 1, 20), 12)
  for (const text of ['0', '21', '1.5', '-1', '1e1', '']) assert.equal(wholeNumber(text, 1, 20), undefined, text)
})

/** What pages make of records' text and of what is typed into forms. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import {
  localTimeOf,
  localTimeText,
  offsetOf,
  partitionsOf,
  wholeOf
} from '../../src/console/web/parts/plan/form-values.ts'
import { layOutJson, oneLine, visiblePieces } from '../../src/console/web/parts/records/visible-text.ts'

test('JSON is laid out without touching a value: long numbers, escapes and odd members stay', () => {
  const text = '{"id":12345678901234567890,"e":1e400,"a":[],"o":{},"t":"a\\"{,:}\\u202e","l":[1,{"b":null}],"id":2}'
  const laid = layOutJson(text)
  assert.equal(
    laid,
    [
      '{',
      '  "id": 12345678901234567890,',
      '  "e": 1e400,',
      '  "a": [],',
      '  "o": {},',
      '  "t": "a\\"{,:}\\u202e",',
      '  "l": [',
      '    1,',
      '    {',
      '      "b": null',
      '    }',
      '  ],',
      '  "id": 2',
      '}'
    ].join('\n')
  )
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 7))
  for (let round = 0; round < 200; round += 1) {
    const value = anyJson(random, 0)
    assert.deepEqual(JSON.parse(layOutJson(JSON.stringify(value))), value)
  }
  assert.equal(layOutJson('12'), '12')
})

function anyJson(random: SeededRandom, depth: number): unknown {
  const dice = random.next()
  if (depth > 3 || dice < 0.4) return [null, true, 1.5, 'a "b" {c}', '', '\\'][Math.floor(random.next() * 6)]
  const inner = Array.from({ length: Math.floor(random.next() * 4) }, () => anyJson(random, depth + 1))
  return dice < 0.7 ? inner : Object.fromEntries(inner.map((value, index) => [`k"${index}`, value]))
}

test('marks that turn or hide text are shown for what they are', () => {
  assert.deepEqual(visiblePieces('ab\u202ecd\n\u0007'), [
    { text: 'ab', isEscape: false },
    { text: 'U+202E', isEscape: true },
    { text: 'cd\n', isEscape: false },
    { text: 'U+0007', isEscape: true }
  ])
  assert.equal(oneLine('  a\n\t b\u200bc ', 100), 'a b[U+200B]c')
  assert.equal(oneLine('x'.repeat(1000), 10), 'x'.repeat(10))
  assert.deepEqual(visiblePieces('<script>alert(1)</script>').length, 1)
})

test('numbers, partitions and times are read as typed, and nothing else is', () => {
  assert.deepEqual(
    [offsetOf('1.234.567'), offsetOf('007'), offsetOf('-1'), offsetOf('1.5')],
    ['1234567', '7', undefined, undefined]
  )
  assert.deepEqual([wholeOf('-5', { least: -10, most: 10 }), wholeOf('11', { least: 0, most: 10 })], [-5, undefined])
  assert.deepEqual(partitionsOf('3, 0-2,1'), [0, 1, 2, 3])
  assert.deepEqual(
    [partitionsOf(''), partitionsOf('2-1'), partitionsOf('a'), partitionsOf('0-99999999')],
    [[], undefined, undefined, undefined]
  )
  const atMs = 1_772_355_661_000
  assert.equal(localTimeOf(localTimeText(atMs)), atMs)
  assert.deepEqual([localTimeOf(''), localTimeOf('soon')], [undefined, undefined])
})

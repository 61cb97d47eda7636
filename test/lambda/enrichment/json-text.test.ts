/** JSON text with members added, cut out and measured, compared with what `JSON.parse` makes of it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  depthOf,
  entryTexts,
  isPlausibleNumber,
  memberSpans,
  memberText,
  nameOf,
  wholeObjectSpans,
  withMembers,
  withoutMembers
} from '../../../src/lambda/enrichment/json-text.ts'

const seed = Number(process.env['TEST_SEED'] ?? 20_260_917)

/** Thousands take a second, which is for who works on it. */
const rounds = process.env['FUZZ'] === 'long' ? 20_000 : 400

const CHARACTERS = ['a', 'ç', '"', '\\', '{', '}', '[', ']', ',', ':', ' ', '\n', '\u0000', '\u2028', '😀', '/']

function randomText(random: Random): string {
  return Array.from({ length: randomInt(random, 6) }, () => CHARACTERS[randomInt(random, CHARACTERS.length)]).join('')
}

/** Space and escapes that no writer of ours would make. */
function randomJson(random: Random, depth: number): string {
  const pad = (): string => ['', '', ' ', '\n\t', '\r'][randomInt(random, 5)] ?? ''
  const literal = (): string =>
    JSON.stringify(randomText(random)).replace(/a/g, () => (randomInt(random, 2) === 0 ? '\\u0061' : 'a'))
  const kind = randomInt(random, depth > 0 ? 6 : 4)
  const inner = (): string => {
    switch (kind) {
      case 0:
        return literal()
      case 1:
        return ['0', '-0.50', '1e400', '12345678901234567890', '1E-7'][randomInt(random, 5)] ?? '0'
      case 2:
        return ['true', 'false', 'null'][randomInt(random, 3)] ?? 'null'
      case 3:
        return ['{}', '[]', '{ }', '[\n]'][randomInt(random, 4)] ?? '{}'
      case 4:
        return `[${Array.from({ length: randomInt(random, 4) }, () => randomJson(random, depth - 1)).join(',')}]`
      default:
        return randomObject(random, depth)
    }
  }
  return pad() + inner() + pad()
}

function randomObject(random: Random, depth: number): string {
  const members = Array.from({ length: randomInt(random, 5) }, () => {
    const name = ['driver', 'driv\\u0065r', '__proto__', '', 'x'][randomInt(random, 5)] ?? 'x'
    return ` "${name}" :${randomJson(random, depth - 1)}`
  })
  return ` {${members.join(',')}} `
}

/** Members as a Map, so that `__proto__` is one like all others. */
function membersOf(text: string): Map<string, unknown> {
  return new Map(Object.entries(JSON.parse(text) as Record<string, unknown>))
}

test('a spliced text parses to the same members and the new one', () => {
  const random = new SeededRandom(seed)
  for (let round = 0; round < rounds; round += 1) {
    const text = randomObject(random, 3)
    const value = randomJson(random, 2)
    const expected = membersOf(text)
    expected.delete('new')
    expected.set('new', JSON.parse(value) as unknown)

    const spliced = withMembers(text, `"new":${value}`)

    assert.ok(spliced !== undefined, `seed ${seed}: ${text}`)
    assert.deepEqual(membersOf(spliced), expected, `seed ${seed}: ${text}`)
    // What was there is there, character for character.
    assert.ok(spliced.startsWith(text.trimEnd().slice(0, -1).trimEnd()), `seed ${seed}: ${text}`)
  }
})

test('a text without some members parses to the others, and each of them is as it was', () => {
  const random = new SeededRandom(seed + 1)
  for (let round = 0; round < rounds; round += 1) {
    const text = randomObject(random, 3)
    const expected = membersOf(text)
    expected.delete('driver')
    expected.delete('__proto__')

    const cut = withoutMembers(text, new Set(['driver', '__proto__']))

    assert.deepEqual(membersOf(cut), expected, `seed ${seed}: ${text}`)
    for (const span of memberSpans(cut)) assert.ok(text.includes(cut.slice(span.nameStart, span.valueEnd)))
  }
})

test('members and entries are found where JSON.parse finds them', () => {
  const random = new SeededRandom(seed + 2)
  for (let round = 0; round < rounds; round += 1) {
    const text = randomObject(random, 3)
    const found = new Map<string, unknown>()
    for (const span of memberSpans(text)) {
      found.set(nameOf(text, span), JSON.parse(text.slice(span.valueStart, span.valueEnd)) as unknown)
    }
    assert.deepEqual(found, membersOf(text), `seed ${seed}: ${text}`)
    assert.equal(wholeObjectSpans(text)?.length, memberSpans(text).length)
    const list = `[${Array.from({ length: randomInt(random, 4) }, () => randomJson(random, 2)).join(',')}]`
    assert.deepEqual(
      entryTexts(list).map(entry => JSON.parse(entry) as unknown),
      JSON.parse(list),
      `seed ${seed}: ${list}`
    )
  }
})

test('depth is that of the parsed value', () => {
  const depthOfValue = (value: unknown): number =>
    typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOfValue)) : 0
  const random = new SeededRandom(seed + 3)
  for (let round = 0; round < rounds; round += 1) {
    // A list has every entry, where an object keeps one of two members of a name.
    const text = `[${randomJson(random, 0)},[[${randomJson(random, 0)}]],"[[[["]`
    assert.equal(depthOf(text), depthOfValue(JSON.parse(text)), `seed ${seed}: ${text}`)
  }
  assert.deepEqual(['1', '"{[{["', '{}', '[{}]', '{"a":[{"b":[]}]}'].map(depthOf), [0, 0, 1, 2, 4])
})

test('text that is no object takes no member', () => {
  for (const text of ['1', '"}"', '[{}]', 'null', ' true ', '"a"']) assert.equal(withMembers(text, '"x":1'), undefined)
})

test('text that is cut off or goes on is no whole object', () => {
  const text = '{"a":{"b":"}"},"c":[1]}'
  for (let end = 0; end < text.length; end += 1) assert.equal(wholeObjectSpans(text.slice(0, end)), undefined)
  for (const more of ['x', '}', '{}', ',']) assert.equal(wholeObjectSpans(text + more), undefined)
  for (const other of ['{"a":1,}', '{"a" 1}', '{a:1}', '[1]']) assert.equal(wholeObjectSpans(other), undefined)
  assert.equal(wholeObjectSpans(`${text} \n`)?.length, 2)
})

test('of two members with one name the last one counts, as in JSON.parse', () => {
  assert.equal(memberText('{"items":1,"\\u0069tems":{"a":2}}', 'items'), '{"a":2}')
  assert.equal(memberText('{"items":1}', 'other'), undefined)
})

// Source: RFC 8259 §6.
test('numbers are told from what looks like them', () => {
  for (const text of [
    '0',
    '-0',
    '10',
    '1.50',
    '1e5',
    '1E+126',
    '-9.9e-130',
    '12345678901234567890123456789012345678'
  ]) {
    assert.ok(isPlausibleNumber(text), text)
    assert.doesNotThrow(() => JSON.parse(text))
  }
  for (const text of ['', '01', '.5', '5.', '+1', '0x1', 'NaN', 'Infinity', '1e', ' 1', '1,2']) {
    assert.equal(isPlausibleNumber(text), false, text)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type EventFields, FieldSet } from '../../src/producer/event-fields.ts'
import { KeyResolver } from '../../src/producer/key-resolver.ts'

function fieldsOf(texts: readonly string[]): EventFields {
  return { text: field => texts[field], parsed: () => ({}) }
}

test('the key of texts that were seen together is the same bytes again', () => {
  const keys = new KeyResolver({ strategy: 'fields', fields: ['a', 'b'], separator: '|' }, new FieldSet())
  keys.resolve(fieldsOf(['400', 'T-1']))
  const first = keys.key
  keys.resolve(fieldsOf(['T-1', '400']))
  assert.equal(keys.key?.toString(), 'T-1|400')
  keys.resolve(fieldsOf(['400', 'T-1']))
  assert.equal(keys.key, first)
  assert.equal(keys.text, '400|T-1')
})

/** The numbers that a reader could give: the text's own, shifted when they are given anew. */
function numberedOf(texts: readonly string[], generation: number): EventFields {
  return {
    ...fieldsOf(texts),
    textNumber: field => ((Number(texts[field]) + generation * 7) % 16_000) + 3,
    textGeneration: generation
  }
}

test('keys found by numbers are those of the texts, in every generation and however many there are', () => {
  for (const fields of [['a'], ['a', 'b']]) {
    const keys = new KeyResolver({ strategy: 'fields', fields, separator: '|' }, new FieldSet())
    for (let round = 0; round < 150_000; round += 1) {
      const texts = [String(round % 13), String((round * 7919) % 15_000)].slice(0, fields.length)
      keys.resolve(numberedOf(texts, Math.floor(round / 40_000)))
      assert.equal(keys.key?.toString(), texts.join('|'))
      assert.equal(keys.text, texts.join('|'))
    }
  }
})

test('a text without a number is read as it is', () => {
  const keys = new KeyResolver({ strategy: 'fields', fields: ['a', 'b'], separator: '|' }, new FieldSet())
  for (const [text, number] of [
    ['x', 0],
    ['y', -1],
    ['z', 0]
  ] as const) {
    const fields = {
      ...fieldsOf(['1', text]),
      textNumber: (field: number) => (field === 0 ? 5 : number),
      textGeneration: 1
    }
    keys.resolve(fields)
    assert.equal(keys.key?.toString(), `1|${text}`)
  }
})

test('more keys than are kept, and long ones, are right every time', () => {
  const keys = new KeyResolver({ strategy: 'fields', fields: ['a', 'b'], separator: '|' }, new FieldSet())
  const long = 'x'.repeat(1000)
  for (let number = 0; number < 100_000; number += 1) {
    const texts = [String(number % 7), number % 1000 === 0 ? `${long}${number}` : String(number)]
    assert.equal(keys.resolve(fieldsOf(texts)), undefined)
    assert.equal(keys.key?.toString(), texts.join('|'))
  }
})

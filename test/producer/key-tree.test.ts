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

test('more keys than are kept, and long ones, are right every time', () => {
  const keys = new KeyResolver({ strategy: 'fields', fields: ['a', 'b'], separator: '|' }, new FieldSet())
  const long = 'x'.repeat(1000)
  for (let number = 0; number < 100_000; number += 1) {
    const texts = [String(number % 7), number % 1000 === 0 ? `${long}${number}` : String(number)]
    assert.equal(keys.resolve(fieldsOf(texts)), undefined)
    assert.equal(keys.key?.toString(), texts.join('|'))
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { looksLikeArray, splitJsonArray } from '../../src/producer/json-array.ts'

function elements(text: string): string[] | string {
  const bytes = Buffer.from(text)
  const chunk = splitJsonArray(bytes)
  if (typeof chunk === 'string') return chunk
  return Array.from({ length: chunk.count }, (_, index) =>
    bytes.toString('utf8', chunk.spans[index * 2], chunk.spans[index * 2 + 1])
  )
}

test('the elements of an array are its bytes, blanks around them left out', () => {
  assert.deepEqual(elements('[{"a":1},{"b":[1,2]} ,\n  {"c":{"d":"e"}}\n]'), [
    '{"a":1}',
    '{"b":[1,2]}',
    '{"c":{"d":"e"}}'
  ])
  assert.deepEqual(elements(' [ ] '), [])
  assert.deepEqual(elements('[1]'), ['1'])
})

test('commas, brackets and quotes within strings do not end an element', () => {
  const tricky = '{"a":"],[\\"}{,","b":"\\\\"}'
  assert.deepEqual(elements(`[${tricky},{"c":1}]`), [tricky, '{"c":1}'])
})

test('what is not one whole array is refused with the reason', () => {
  assert.equal(elements('{"a":1}'), 'not a JSON array')
  assert.equal(elements('[{"a":1}'), 'the array ends too early, in element 1')
  assert.equal(elements('[{"a":1},'), 'element 2 of the array is missing')
  assert.equal(elements('[{"a":1},]'), 'element 2 of the array is missing')
  assert.equal(elements('[,{"a":1}]'), 'element 1 of the array is missing')
  assert.equal(elements('['), 'element 1 of the array is missing')
  assert.equal(elements('[{"a":1}] {"b":2}'), 'there is something behind the end of the array')
  assert.equal(elements('[{"a":"1]'), 'the array ends too early, in element 1')
  assert.equal(elements(''), 'not a JSON array')
})

test('a missing comma leaves one element that is no JSON, found where events are parsed', () => {
  assert.deepEqual(elements('[{"a":1} {"b":2}]'), ['{"a":1} {"b":2}'])
  assert.equal(elements('[{]}]'), 'the array ends too early, in element 1')
})

test('a hundred thousand nested brackets do not exhaust the stack', () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  assert.equal(elements(deep).length, 1)
})

test('only a body whose first byte opens an array looks like one', () => {
  assert.equal(looksLikeArray(Buffer.from(' \n[1]')), true)
  assert.equal(looksLikeArray(Buffer.from('{"a":[1]}')), false)
  assert.equal(looksLikeArray(Buffer.alloc(0)), false)
})

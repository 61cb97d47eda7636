/** Names and sizes that nothing may be lost by: sets of records, executions, payloads, texts from templates. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  emptyPayloadBytes,
  offsetsName,
  payloadOf,
  payloadRecordBytes
} from '../../../src/targets/sinks/record-payload.ts'
import { parseExact, readRecordTemplate, renderTemplate } from '../../../src/targets/sinks/record-template.ts'
import { executionName } from '../../../src/targets/sinks/step-functions-sink.ts'
import { requestOf } from './requests.ts'

const seed = Number(process.env['TEST_SEED'] ?? 20261121)

test('a set of offsets has one name, and no other set has it', () => {
  const random = new SeededRandom(seed)
  const sets = new Map<string, string>()
  for (let round = 0; round < 5000; round += 1) {
    const offsets = Array.from({ length: 12 }, (_, index) => 90 + index).filter(() => random.next() < 0.7)
    if (offsets.length === 0) continue
    const name = offsetsName(offsets, 16)
    assert.match(name, /^\d{16}-\d{16}(?:-[0-9a-f]{16})?$/, `TEST_SEED=${seed}`)
    assert.equal(sets.get(name) ?? offsets.join(), offsets.join(), `TEST_SEED=${seed}`)
    sets.set(name, offsets.join())
  }
  assert.equal(offsetsName([5, 6, 7]), '5-7')
  for (const other of [
    [5, 9, 7],
    [5, 5, 7]
  ])
    assert.match(offsetsName(other), /^5-7-[0-9a-f]{16}$/)
  // As text, so that keys are listed in the order of offsets: 2^53 - 1 has 16 digits.
  assert.equal(offsetsName([9_007_199_254_740_991], 16), '9007199254740991-9007199254740991')
})

test('a name of an execution is one that AWS takes, the same for the same id, and another for another', () => {
  const random = new SeededRandom(seed)
  const names = new Map<string, string>()
  const letters = 'aZ09-_.:/ü #{}\u0000'
  for (let round = 0; round < 3000; round += 1) {
    const id = Array.from(
      { length: 1 + randomInt(random, 120) },
      () => letters[randomInt(random, letters.length)]
    ).join('')
    const name = executionName(id)
    assert.match(name, /^[A-Za-z0-9_-]{1,80}$/, `TEST_SEED=${seed}`)
    assert.equal(names.get(name) ?? id, id, `TEST_SEED=${seed}`)
    names.set(name, id)
  }
  assert.equal(executionName('mt-c400-3-107'), 'mt-c400-3-107')
  assert.match(executionName('mt.c400-3-107'), /^mt_c400-3-107-[0-9a-f]{32}$/)
  assert.equal(executionName('x'.repeat(80)), 'x'.repeat(80))
  assert.equal(executionName('x'.repeat(81)).length, 80)
})

test('no payload is larger than was reckoned', () => {
  const random = new SeededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const request = requestOf(
      Array.from({ length: randomInt(random, 20) }, () => ({
        text: JSON.stringify(anyText(random)),
        key: anyKey(random)
      })),
      random.next() < 0.3 ? { keys: undefined, timestamps: undefined } : {}
    )
    const indexes = [...request.texts.keys()].filter(() => random.next() < 0.6)
    const reckoned = indexes.reduce(
      (sum, index) => sum + payloadRecordBytes(request, index),
      emptyPayloadBytes(request)
    )
    const payload = payloadOf(request, indexes)
    assert.ok(Buffer.byteLength(payload) <= reckoned, `TEST_SEED=${seed}`)
    assert.ok(reckoned - Buffer.byteLength(payload) <= 2 + 4 * indexes.length, `TEST_SEED=${seed}`)
    const { messages } = JSON.parse(payload) as { messages: unknown[] }
    assert.deepEqual(
      messages,
      indexes.map(index => JSON.parse(request.texts[index] ?? '') as unknown)
    )
  }
})

function anyText(random: Random): string {
  return ['', 'text', 'ü"\\', '\u0001\u2028', 'x'.repeat(100)][randomInt(random, 5)] ?? ''
}

function anyKey(random: Random): string | null {
  return [null, 'T-1', 'ü"', ''][randomInt(random, 4)] ?? null
}

test('a template has what a record has, every digit of its numbers, and nothing where the record has nothing', () => {
  const request = requestOf([{ text: '{"id":12345678901234567890,"a":{"b":true},"n":3.5,"o":{},"t":"ü"}', key: 'K' }])
  const value = parseExact(request.texts[0] ?? '')
  const textOf = (text: string): string | undefined => {
    const template = readRecordTemplate(text)
    if (typeof template === 'string') throw new Error(template)
    return renderTemplate(template, request, { index: 0, value })
  }
  assert.equal(
    textOf('{topic}/{partition}/{offset}/{timestamp}/{key}/{id}'),
    'mt-c400/3/100/1772600767000/K/mt-c400-3-100'
  )
  assert.equal(textOf('{value.id}|{value.a.b}|{value.n}|{value.t}|{{}}'), '12345678901234567890|true|3.5|ü|{}')
  for (const absent of [
    '{value}',
    '{value.o}',
    '{value.no}',
    '{value.t.length}',
    '{value.__proto__}',
    'x{value.a.c}'
  ]) {
    assert.equal(textOf(absent), undefined, absent)
  }
  assert.match(JSON.stringify(readRecordTemplate('{nothing}')), /a place \{nothing\} that is none of/)
  assert.equal(parseExact('no JSON'), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fingerprintOf, idempotencyKeyOf, IdempotencyStore } from '../../src/producer/sources/http-idempotency.ts'

const limits = { windowMs: 1000, keysMax: 3, bytesMax: 100_000 }
const answer = { status: 202, text: '{"accepted":1}\n' }

test('keys are strings in quotation marks, or the same without them', () => {
  // The example of the draft, §2.
  assert.equal(idempotencyKeyOf('"8e03978e-40d5-43dd-bc93-6894a57f9324"'), '8e03978e-40d5-43dd-bc93-6894a57f9324')
  assert.equal(idempotencyKeyOf('8e03978e-40d5-43dd-bc93-6894a57f9324'), '8e03978e-40d5-43dd-bc93-6894a57f9324')
  assert.equal(idempotencyKeyOf(String.raw`"a \"b\" \\c";p=1`), String.raw`a "b" \c`)
  for (const bad of ['', '""', '"a', 'a b', 'a, b', 'é', '"é"', 'x'.repeat(256), `"${'x'.repeat(256)}"`, '"a" b']) {
    assert.equal(idempotencyKeyOf(bad), undefined, bad)
  }
})

test('a request under way is busy, one that was answered has its answer, another body is a mismatch', () => {
  const store = new IdempotencyStore(limits)
  assert.deepEqual(store.begin('k', 'one', 0), { kind: 'new' })
  assert.deepEqual(store.begin('k', 'one', 1), { kind: 'busy' })
  assert.deepEqual(store.begin('k', 'two', 1), { kind: 'mismatch' })
  store.keep('k', answer, 2)
  store.forgetOpen('k')
  assert.deepEqual(store.begin('k', 'one', 3), { kind: 'answered', answer })
  assert.deepEqual(store.begin('k', 'two', 3), { kind: 'mismatch' })
})

test('a request that was not answered for good may come again, with any body', () => {
  const store = new IdempotencyStore(limits)
  store.begin('k', 'one', 0)
  store.forgetOpen('k')
  assert.deepEqual(store.begin('k', 'two', 1), { kind: 'new' })
})

test('answers end with their window; requests under way do not', () => {
  const store = new IdempotencyStore(limits)
  store.begin('open', 'one', 0)
  store.begin('done', 'one', 0)
  store.keep('done', answer, 10)
  assert.deepEqual(store.begin('done', 'one', 1009), { kind: 'answered', answer })
  assert.deepEqual(store.begin('done', 'one', 1010), { kind: 'new' })
  assert.deepEqual(store.begin('open', 'one', 1_000_000), { kind: 'busy' })
})

test('the oldest answers go when there are too many keys or bytes, requests under way stay', () => {
  const store = new IdempotencyStore(limits)
  store.begin('open', 'x', 0)
  for (const key of ['a', 'b', 'c']) {
    store.begin(key, 'x', 0)
    store.keep(key, answer, 0)
  }
  assert.equal(store.keyCount, 3)
  assert.deepEqual(store.begin('open', 'x', 1), { kind: 'busy' })
  assert.deepEqual(store.begin('c', 'x', 1), { kind: 'answered', answer })
  assert.deepEqual(store.begin('a', 'x', 1), { kind: 'new' })
  store.begin('d', 'x', 1)
  assert.deepEqual(store.begin('e', 'x', 1), { kind: 'full' })

  const small = new IdempotencyStore({ windowMs: 1000, keysMax: 1000, bytesMax: 2000 })
  for (let number = 0; number < 100; number += 1) {
    small.begin(`k${number}`, 'x', 0)
    small.keep(`k${number}`, answer, 0)
    assert.ok(small.bytes <= 2000, `${small.bytes}`)
  }
  assert.ok(small.keyCount >= 5)
})

test('bodies are told apart by their bytes and by how they are cut', () => {
  const body = Buffer.from('{"a":1}')
  assert.equal(fingerprintOf('json', body), fingerprintOf('json', Buffer.from(body)))
  assert.notEqual(fingerprintOf('json', body), fingerprintOf('lines', body))
  assert.notEqual(fingerprintOf('json', body), fingerprintOf('json', Buffer.from('{"a":2}')))
})

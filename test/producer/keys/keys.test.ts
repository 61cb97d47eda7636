import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTextTemplate } from '../../../src/core/index.ts'
import { type Outcome, resolving, topicOf } from '../routing/support.ts'

function keyOf(outcome: Outcome | undefined): string | null {
  assert.ok(outcome !== undefined && 'key' in outcome, JSON.stringify(outcome))
  return outcome.key
}

test('a template puts fields between literal text', async () => {
  const template = '{codigo}-{vehicle.id}/{{x}}'
  const { resolve } = await resolving({ key: { strategy: 'template', template } })
  const found = resolve({ codigo: 400, vehicle: { id: 'ç7' } }, { codigo: 400 }, { codigo: '', vehicle: { id: '' } })
  assert.equal(keyOf(found[0]), '400-ç7/{x}')
  assert.deepEqual(found[1], {
    errorClass: 'unkeyed',
    reason: 'the key field vehicle.id is missing, or no string, number or boolean'
  })
  assert.equal(keyOf(found[2]), '-/{x}')
})

test('a template that is none says where', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{a', /a \{ without a \} at character 1/],
    ['a}b', /a \} without a \{ at character 2/],
    ['x{}', /names no field at character 2/],
    ['{a{b}', /names no field at character 1/],
    ['{{{a}', /^undefined$/]
  ]
  for (const [text, expected] of cases) {
    const read = readTextTemplate(text)
    assert.match(typeof read === 'string' ? read : 'undefined', expected, text)
  }
  assert.deepEqual(readTextTemplate('{{{a}}}{b}'), { literals: ['{', '}', ''], fields: ['a', 'b'] })
})

test('a hot key becomes as many as were asked for, in turn; others stay', async () => {
  const subKeys = { keys: ['400'], count: 3 }
  const { resolve } = await resolving({ key: { strategy: 'field', field: 'c', subKeys } })
  const found = resolve(...Array.from({ length: 6 }, () => ({ c: 400 })), { c: 401 }).map(keyOf)
  assert.deepEqual(found.slice(0, 6).map(String).toSorted(), ['400#0', '400#0', '400#1', '400#1', '400#2', '400#2'])
  assert.equal(found[6], '401')
})

test('by a field, a value of that field always has the same sub-key, and all are used evenly', async () => {
  const subKeys = { keys: [400], count: 4, by: { field: 'truck' } }
  const { resolve } = await resolving({ key: { strategy: 'field', field: 'c', subKeys } })
  const events = Array.from({ length: 4000 }, (_, index) => ({ c: 400, truck: `T-${index}` }))
  const first = resolve(...events).map(keyOf)
  assert.deepEqual(resolve(...events).map(keyOf), first)
  for (let number = 0; number < 4; number += 1) {
    const count = first.filter(key => key === `400#${number}`).length
    const sigma = Math.sqrt(4000 * 0.25 * 0.75)
    assert.ok(Math.abs(count - 1000) < 4 * sigma, `${number}: ${count}`)
  }
  assert.equal(keyOf(resolve({ c: 400 })[0]), '400#0')
})

test('what is hot may be said of another field, and the whole key is kept', async () => {
  const subKeys = { keys: [400], field: 'c', count: 2, by: { field: 't' } }
  const { resolve } = await resolving({ key: { strategy: 'template', template: '{c}-{t}', subKeys } })
  const [hot, cold] = resolve({ c: 400, t: 'a' }, { c: 300, t: 'a' }).map(keyOf)
  assert.match(hot ?? '', /^400-a#[01]$/)
  assert.equal(cold, '300-a')
})

test('sub-keys of a hashed key are its digits and a number, and no other key is mistaken for one', async () => {
  const subKeys = { keys: ['foobar'], count: 2 }
  const { resolve } = await resolving({ key: { strategy: 'hash', fields: ['x'], subKeys } })
  const [hot, plain] = resolve({ x: 'foobar' }, { x: 'foobar#1' }).map(keyOf)
  // Published vector: FNV-1a 64 of "foobar".
  assert.equal(hot, '85944171f73967e8#1')
  assert.match(plain ?? '', /^[0-9a-f]{16}$/)
})

test('an event that neither has a key nor a topic is unroutable', async () => {
  const { resolve } = await resolving({
    route: { rules: [{ when: { fields: { a: [1] } }, topic: 't' }] },
    key: { strategy: 'field', field: 'k' }
  })
  assert.deepEqual(resolve({}, { a: 1 }).map(topicOf), ['unroutable', 'unkeyed'])
})

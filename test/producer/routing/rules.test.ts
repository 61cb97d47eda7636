import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom, randomInt } from '../../../src/core/index.ts'
import type { ProducerInput } from '../../../src/config/index.ts'
import { resolving, topicOf } from './support.ts'

type Rule = Extract<ProducerInput['route'], { rules: unknown }>['rules'][number]

async function topicsOf(route: ProducerInput['route'], ...events: readonly object[]): Promise<string[]> {
  const { resolve } = await resolving({ route })
  return resolve(...events).map(topicOf)
}

test('the first rule that matches decides, and what none takes goes to the topic for the others', async () => {
  const route: ProducerInput['route'] = {
    rules: [
      { name: 'urgent', when: { fields: { codigo: [300], 'vehicle.kind': ['truck'] } }, priority: 'high' },
      { when: { fields: { codigo: [{ from: 300, to: 399 }] } }, topic: 'mt-c300' },
      { when: { fields: { codigo: [300, 400] } }, topic: 'mt-c400' }
    ],
    priorities: { high: 'high_priority_events' },
    otherwise: 'telemetry_standard'
  }
  const found = await topicsOf(
    route,
    { codigo: 300, vehicle: { kind: 'truck' } },
    { codigo: '300', vehicle: { kind: 'car' } },
    { codigo: 399 },
    { codigo: 400 },
    { codigo: 401 },
    {}
  )
  const others = 'telemetry_standard'
  assert.deepEqual(found, ['high_priority_events', 'mt-c300', 'mt-c300', 'mt-c400', others, others])
})

test('an event that no rule takes is unroutable without a topic for the others', async () => {
  const { resolve } = await resolving({ route: { rules: [{ when: { fields: { a: [1] } }, topic: 't' }] } })
  assert.deepEqual(resolve({ a: 2 })[0], { errorClass: 'unroutable', reason: 'no rule takes the event' })
})

test('fields know ranges without an end, text operators, and whether they are there', async () => {
  const rule = (list: unknown[], topic: string): Rule => ({ when: { fields: { f: list } }, topic })
  const route: ProducerInput['route'] = {
    rules: [
      rule([{ to: -1 }], 'below'),
      rule([{ from: 1000 }], 'above'),
      rule([{ prefix: 'eu-' }], 'prefix'),
      rule([{ suffix: '.log' }], 'suffix'),
      rule([{ wildcard: 'a*z' }], 'wildcard'),
      rule([{ 'equals-ignore-case': 'YES' }], 'case'),
      rule([{ exists: false }], 'absent'),
      rule([{ 'anything-but': ['b', 'c'] }], 'other')
    ],
    otherwise: 'rest'
  }
  const values = [-5, -1.5, '1000', 1e6, 'eu-1', 'x.log', 'abz', 'az', 'yes', undefined, null, 'b', 'd', true]
  const expected = 'below below above above prefix suffix wildcard wildcard case absent absent rest other other'
  assert.deepEqual(await topicsOf(route, ...values.map(f => ({ f }))), expected.split(' '))
})

test('a pattern over the whole event is that of EventBridge: types count, lists match by one element', async () => {
  const route: ProducerInput['route'] = {
    rules: [
      { when: { fields: { kind: ['t'] }, value: { tags: ['hot'], speed: [{ numeric: ['>', 80] }] } }, topic: 'fast' }
    ],
    otherwise: 'rest'
  }
  const found = await topicsOf(
    route,
    { kind: 't', tags: ['cold', 'hot'], speed: 81 },
    { kind: 't', tags: ['hot'], speed: '81' },
    { kind: 'u', tags: ['hot'], speed: 81 }
  )
  assert.deepEqual(found, ['fast', 'rest', 'rest'])
})

interface Naive {
  readonly rule: Rule
  readonly topic: string
}

const decimal = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/

/** Whether one entry of a list takes a text: the words of the documentation, without any table. */
function takes(entry: unknown, text: string | undefined): boolean {
  if (typeof entry !== 'object' || entry === null) return text === String(entry)
  const { from, to, prefix, exists } = entry as { from?: number; to?: number; prefix?: string; exists?: boolean }
  if (prefix !== undefined) return text?.startsWith(prefix) ?? false
  if (exists !== undefined) return (text !== undefined) === exists
  if (text === undefined || !decimal.test(text)) return false
  return Number(text) >= (from ?? Number.NEGATIVE_INFINITY) && Number(text) <= (to ?? Number.POSITIVE_INFINITY)
}

type Plain = string | number | boolean

function naiveTopic(rules: readonly Naive[], event: Readonly<Record<string, Plain>>): string {
  const textOf = (name: string): string | undefined => {
    const value = event[name]
    return value === undefined ? undefined : String(value)
  }
  const found = rules.find(({ rule }) =>
    Object.entries(rule.when?.fields ?? {}).every(([name, list]) => list.some(entry => takes(entry, textOf(name))))
  )
  return found?.topic ?? 'rest'
}

test('the compiled rules decide as trying every rule in order does, for any rules and events', async () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_260)
  const random = new SeededRandom(seed)
  const one = <T>(list: readonly T[]): T => {
    const chosen = list[randomInt(random, list.length)]
    assert.ok(chosen !== undefined)
    return chosen
  }
  const value = (): Plain => one([0, 1, 2, 3, -1, 2.5, 'a', 'ab', '1', '01', '2.50', true, 'true', ''])
  const entry = (): unknown => {
    const from = one([-2, 0, 1, 2.5])
    return one<unknown>([value(), value(), { from, to: from + randomInt(random, 3) }, { from }, { to: from }])
  }
  const operator = (): unknown => one<unknown>([{ prefix: 'a' }, { exists: true }, { exists: false }])
  for (let round = 0; round < 150; round += 1) {
    const rules: Naive[] = Array.from({ length: 1 + randomInt(random, 8) }, (_, index) => {
      const names = ['x', 'y', 'z'].filter(() => random.next() < 0.5)
      const list = (): unknown[] =>
        Array.from({ length: 1 + randomInt(random, 3) }, () => (random.next() < 0.15 ? operator() : entry()))
      const fields = Object.fromEntries((names.length === 0 ? ['x'] : names).map(name => [name, list()]))
      return { rule: { when: { fields }, topic: `t${index}` }, topic: `t${index}` }
    })
    const { resolve } = await resolving({ route: { rules: rules.map(({ rule }) => rule), otherwise: 'rest' } })
    const events = Array.from({ length: 40 }, () =>
      Object.fromEntries(['x', 'y', 'z'].filter(() => random.next() < 0.8).map(name => [name, value()]))
    )
    const found = resolve(...events).map(topicOf)
    for (const [index, event] of events.entries()) {
      const place = `seed ${seed}, round ${round}: ${JSON.stringify({ rules: rules.map(({ rule }) => rule), event })}`
      assert.equal(found[index], naiveTopic(rules, event), place)
    }
  }
})

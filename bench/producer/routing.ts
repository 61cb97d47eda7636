/**
 * What routing, keys and checks cost per event, beside the way before rules: one map, then ranges in turn.
 *
 *     node bench/producer/routing.ts [--events 200000] [--runs 5]
 *
 * Prints nanoseconds per event (the best and the median of the runs) of the resolver alone; reading the fields is
 * apart, because every variant needs it.
 */

import { parseArgs } from 'node:util'

import { producerConfig, type ProducerInput } from '../../src/config/index.ts'
import type { OpenEvent } from '../../src/producer/event-fields.ts'
import { FieldSet } from '../../src/producer/event-fields.ts'
import { EventResolver } from '../../src/producer/event-resolver.ts'
import { LineSplitter } from '../../src/producer/line-splitter.ts'
import { compileSchemas } from '../../src/producer/validation/compile-schemas.ts'
import { EventChecks } from '../../src/producer/validation/event-checks.ts'

const { values: args } = parseArgs({
  options: { events: { type: 'string', default: '200000' }, runs: { type: 'string', default: '5' } }
})
const EVENTS = Number(args.events)
const RUNS = Number(args.runs)

type Event = Readonly<Record<string, string>>
const events: Event[] = Array.from({ length: 1000 }, (_, index) => ({
  codigo: String(300 + ((index * 7) % 200)),
  truck_id: `T-${(index * 31) % 1000}`,
  speed: String(index % 140)
}))
const parsed = events.map(event => ({ ...event, codigo: Number(event['codigo']), speed: Number(event['speed']) }))

/** Gives fields without reading any bytes. */
class Fixed {
  readonly chunk = new LineSplitter(1000).push(Buffer.from('{}\n'))
  readonly context = {}
  readonly index = 0
  readonly #names: readonly string[]
  at = 0

  constructor(fields: FieldSet) {
    this.#names = fields.paths.map(path => path.join('.'))
  }

  text(field: number): string | undefined {
    return events[this.at]?.[this.#names[field] ?? '']
  }

  parsed(): Readonly<Record<string, unknown>> {
    return parsed[this.at] ?? {}
  }
}

/** The router before rules. */
function before(): (event: Fixed) => string | undefined {
  const byValue = new Map(Array.from({ length: 100 }, (_, index) => [String(300 + index), 'mt-c300']))
  const ranges = [{ from: 400, to: 499, topic: 'mt-c400' }]
  const decimal = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/
  return event => {
    const value = event.text(0) ?? ''
    const found = byValue.get(value)
    if (found !== undefined || !decimal.test(value)) return found
    const number = Number(value)
    return ranges.find(range => number >= range.from && number <= range.to)?.topic
  }
}

const codes = Array.from({ length: 100 }, (_, index) => 300 + index)
const route = { field: 'codigo', topics: { 'mt-c300': codes, 'mt-c400': [{ from: 400, to: 499 }] } }
const rules = Array.from({ length: 200 }, (_, index) => ({
  when: { fields: { codigo: [300 + index], speed: [{ from: 0 }] } },
  topic: `t${index % 10}`
}))
const schema = {
  type: 'object',
  properties: {
    codigo: { type: 'integer', minimum: 300 },
    truck_id: { type: 'string', pattern: '^T-[0-9]+$' },
    speed: { type: 'number' }
  },
  required: ['codigo', 'truck_id']
}
const key: ProducerInput['key'] = { strategy: 'field', field: 'truck_id' }
const split = { t: { field: 'codigo', heavy: [400, 401], topics: { heavy: 'h', light: 'l' } } }
const VARIANTS: Readonly<Record<string, Partial<ProducerInput>>> = {
  'one topic, no key': { route: { topic: 't' } },
  'field and topics': { route },
  '200 rules of two fields': { route: { rules, otherwise: 'rest' } },
  'field and topics, key': { route, key },
  'canary by key': {
    route: {
      rules: [
        {
          to: [
            { topic: 'a', weight: 95 },
            { topic: 'b', weight: 5 }
          ]
        }
      ]
    },
    key
  },
  'split by field': { route: { topic: 't', split } },
  'split and detector': { route: { topic: 't', split, detector: {} }, key },
  'template key': { route: { topic: 't' }, key: { strategy: 'template', template: '{codigo}-{truck_id}' } },
  'sub-keys by field': {
    route: { topic: 't' },
    key: { strategy: 'field', field: 'codigo', subKeys: { keys: [400], count: 8, by: { field: 'truck_id' } } }
  },
  'required fields': { route: { topic: 't' }, validate: { topics: { t: { required: ['codigo', 'truck_id'] } } } },
  'JSON Schema': { route: { topic: 't' }, validate: { topics: { t: { schema } } } }
}

function measure(run: (at: number) => void): { bestNs: number; medianNs: number } {
  const times: number[] = []
  for (let round = 0; round <= RUNS; round += 1) {
    const startedAt = process.hrtime.bigint()
    for (let index = 0; index < EVENTS; index += 1) run(index % events.length)
    // The first round warms up.
    if (round > 0) times.push(Number(process.hrtime.bigint() - startedAt) / EVENTS)
  }
  times.sort((a, b) => a - b)
  return { bestNs: times[0] ?? 0, medianNs: times[Math.floor(times.length / 2)] ?? 0 }
}

function print(name: string, result: { bestNs: number; medianNs: number }): void {
  console.log(`${name.padEnd(28)} ${result.bestNs.toFixed(0).padStart(6)} ${result.medianNs.toFixed(0).padStart(6)}`)
}

console.log(`Node ${process.version}, ${EVENTS} events, ${RUNS} runs\n${'ns per event'.padEnd(28)}   best median`)
const fields = new FieldSet()
fields.add('codigo')
const fixed = new Fixed(fields)
const choose = before()
print(
  'before: map, then ranges',
  measure(at => {
    fixed.at = at
    choose(fixed)
  })
)
for (const [name, input] of Object.entries(VARIANTS)) {
  const config = producerConfig({ deadLetterTopic: 'dead', route: { topic: 't' }, ...input })
  const checks = new EventChecks(config, await compileSchemas(config))
  const own = new FieldSet()
  const resolver = new EventResolver({
    route: config.route,
    key: config.key,
    fields: own,
    ...(checks.isEmpty ? {} : { checks })
  })
  const event = new Fixed(own)
  print(
    name,
    measure(at => {
      event.at = at
      // A chunk of one line was made above: it is there.
      resolver.resolve(event as OpenEvent)
    })
  )
}

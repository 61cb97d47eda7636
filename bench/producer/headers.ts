/**
 * What headers cost: events per second of CPU time through the intake into an outlet that
 * takes everything at once, without headers and with more and more of them, in one run.
 *
 *     node bench/producer/headers.ts [events] [rounds]
 *
 * Each round measures every variant once, in turn; the median counts.
 */

import { producerConfig, type ProducerInput } from '../../src/config/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { EventIntake } from '../../src/producer/intake.ts'
import { LineSplitter } from '../../src/producer/index.ts'
import type { Outlet } from '../../src/producer/outlet.ts'
import { ProducerMeter } from '../../src/producer/producer-metrics.ts'
import { resolverParts } from '../../src/producer/resolver-parts.ts'
import { noopMeter } from '../../src/telemetry/index.ts'

const eventCount = Number(process.argv[2] ?? 200_000)
const roundCount = Number(process.argv[3] ?? 5)
const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const variants: Readonly<Record<string, ProducerInput['headers']>> = {
  none: undefined,
  'shared by a request': {
    correlationId: true,
    trace: true,
    ingestTime: true,
    producerId: true,
    schemaId: { value: '7' }
  },
  'id of a field': { correlationId: { field: 'id' } },
  'new id per event': { correlationId: true },
  'new trace per event': { trace: true },
  'new id and trace per event': { correlationId: true, trace: true, ingestTime: true, producerId: true }
}

const outlet: Outlet = {
  bufferedBytes: 0,
  state: 'up',
  append: (_record, listener) => accept(listener),
  // oxlint-disable-next-line max-params -- the outlet's hot path
  appendRow: (_place, _rows, _row, listener) => accept(listener),
  room: () => Promise.resolve(),
  flush: () => Promise.resolve(),
  close: () => Promise.resolve()
}

const pending: { listener: Parameters<Outlet['append']>[1]; count: number }[] = []

function accept(listener: Parameters<Outlet['append']>[1]): boolean {
  const last = pending.at(-1)
  if (last?.listener === listener) last.count += 1
  else pending.push({ listener, count: 1 })
  return true
}

const lines = Array.from(
  { length: 1000 },
  (_, n) => `{"codigo":400,"truck_id":"T-${n % 50}","id":"order-${n}","fill":"${'x'.repeat(120)}"}\n`
).join('')

async function measure(headers: ProducerInput['headers']): Promise<number> {
  const config = producerConfig({
    route: { topic: 'events' },
    key: { strategy: 'field', field: 'truck_id' },
    deadLetterTopic: 'dead',
    ...(headers === undefined ? {} : { headers })
  })
  const parts = await resolverParts(config, { cachedTopic: () => undefined, follow: () => undefined })
  const intake = new EventIntake({ config, outlet, clock: systemClock, meter: new ProducerMeter(noopMeter), parts })
  const isOneRequest = headers !== undefined && typeof headers.schemaId === 'object'
  const context = isOneRequest ? { isOneRequest, traceparent: parent, correlationId: 'r-1' } : {}
  const before = process.cpuUsage()
  for (let sent = 0; sent < eventCount; sent += 1000) {
    const chunk = new LineSplitter(1000).push(Buffer.from(lines))
    if (chunk === undefined) throw new Error('no chunk')
    await intake.submit(chunk, { source: 'bench', context })
    for (const { listener, count } of pending.splice(0)) {
      listener.delivered({ topic: 'events', partition: 0, baseOffset: 0n, recordCount: count })
    }
  }
  const { user, system } = process.cpuUsage(before)
  return eventCount / ((user + system) / 1_000_000)
}

const samples = new Map<string, number[]>(Object.keys(variants).map(name => [name, []]))
for (let round = 0; round <= roundCount; round += 1) {
  for (const [name, headers] of Object.entries(variants)) {
    const rate = await measure(headers)
    if (round > 0) samples.get(name)?.push(rate) // the first round warms up
  }
}
const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0
const base = median(samples.get('none') ?? [])
for (const [name, values] of samples) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.round)
  const ratio = (median(values) / base).toFixed(2)
  console.log(`${name}: ${Math.round(median(values))} events/CPU s (${low} to ${high}), ${ratio} of none`)
}

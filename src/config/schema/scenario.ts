/** A load: what the generator makes, and how fast. Inline as `type: generator`, or as a file of its own. */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'

const distribution = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('uniform') }),
    z.strictObject({
      type: z.literal('pareto'),
      topRatio: z.number().gt(0).lt(1).default(0.2).describe('Share of the values that make `topShare`.'),
      topShare: z.number().gt(0).lt(1).default(0.8).describe('Share of the events that they make.')
    }),
    z.strictObject({
      type: z.literal('zipf'),
      exponent: z.number().gt(0).max(5).default(1).describe('The value of rank r has the weight r^-exponent.')
    })
  ])
  .describe('How events spread over the values, the first being the most frequent.')

const codes = z
  .union([
    z.strictObject({
      weights: z
        .record(z.string().regex(/^\d{1,5}$/, 'not a code: 0 to 65535'), z.number().nonnegative())
        .describe('For each code its weight; they need not add up to 1.')
    }),
    z.strictObject({
      from: integer(0, 65_535),
      to: integer(0, 65_535),
      distribution: distribution.prefault({ type: 'pareto' })
    })
  ])
  .describe('Default: 20 codes of the truck example, of which four make 80 %.')

const workerPhase = z.strictObject({
  count: integer(1, 64),
  forMs: milliseconds(1).optional().describe('How long this phase lasts. Only the last may leave it out: to the end.')
})

/** Vilfredo Pareto's rule of thumb. */
const paretoDefault = { type: 'pareto', topRatio: 0.2, topShare: 0.8 } as const

/** The settings of a load. */
export const scenarioShape = {
  records: integer(0, 1_000_000_000_000).optional().describe('Events to make. Default: no end.'),
  recordsPerSecond: z
    .number()
    .positive()
    .optional()
    .describe('Events per second with all workers. Default: as fast as Kafka takes them.'),
  rampUpMs: milliseconds(0).default(0).describe('Time over which the rate grows from a fifth to the whole.'),
  workers: z
    .union([integer(1, 64).transform(count => [{ count, forMs: undefined }]), z.array(workerPhase).min(1).max(100)])
    .prefault(1)
    .describe(
      'Streams of events beside each other, each with the same part of the rate and ids of its own; or a list of ' +
        'phases, one after another: 1, then 5, then 10 workers.'
    ),
  bursts: z
    .strictObject({
      everyMs: milliseconds(1),
      forMs: milliseconds(1),
      factor: z.number().min(0).max(1000).describe('The rate is multiplied by it.')
    })
    .optional()
    .describe('At the end of every `everyMs` the rate changes for `forMs`. A factor below 1 makes lulls.'),
  seed: integer(0, 4_294_967_295).default(1).describe('The same seed makes the same events.'),
  codes: codes.optional(),
  trucks: z
    .union([
      integer(1, 1_000_000).transform(count => ({ count, distribution: paretoDefault })),
      z.strictObject({ count: integer(1, 1_000_000), distribution: distribution.prefault({ type: 'pareto' }) })
    ])
    .prefault(1000)
    .describe('Size of the fleet, and how events spread over it. Default: 1000 trucks, of which a fifth make 80 %.'),
  malformedRatio: z.number().min(0).max(1).default(0).describe('Share of events that are not JSON.'),
  poisonRatio: z.number().min(0).max(1).default(0).describe('Share of events that their service refuses.'),
  valueBytes: integer(150, 1_000_000)
    .optional()
    .describe('Events are filled up to this size. Default: as they are, about 200 bytes.')
}

/** A scenario file. */
export const scenarioSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors only.'),
  name: z.string().max(200).optional().describe('What it is for; shown by `comporta generate`.'),
  ...scenarioShape
})

/** A load as read. */
export type ScenarioConfig = Omit<z.infer<typeof scenarioSchema>, '$schema'>

/** Most counters of events per code and truck: 4 bytes each in every worker. */
const SEQUENCES_MAX = 20_000_000
/** Codes of the built-in table. */
const CODES_DEFAULT = 20

/** What each setting of a load allows on its own, but not together with the others: place and reason. */
export function scenarioProblems(scenario: ScenarioConfig): { path: PropertyKey[]; message: string }[] {
  const problems: { path: PropertyKey[]; message: string }[] = []
  const { workers, bursts, codes: given, trucks, recordsPerSecond } = scenario
  workers.slice(0, -1).forEach(({ forMs }, index) => {
    if (forMs === undefined) problems.push({ path: ['workers', index], message: 'only the last phase has no end' })
  })
  const isPaced = recordsPerSecond !== undefined
  if (!isPaced && workers.length > 1) {
    problems.push({ path: ['workers'], message: 'phases of workers need recordsPerSecond: they divide it' })
  }
  if (!isPaced && bursts !== undefined) {
    problems.push({ path: ['bursts'], message: 'bursts need recordsPerSecond: they multiply it' })
  }
  if (bursts !== undefined && bursts.forMs >= bursts.everyMs) {
    problems.push({ path: ['bursts', 'forMs'], message: `must be shorter than everyMs (${bursts.everyMs})` })
  }
  if (given !== undefined && 'from' in given && given.from > given.to) {
    problems.push({ path: ['codes'], message: `the codes ${given.from} to ${given.to} are none` })
  }
  if (given !== undefined && 'weights' in given) {
    const weights = Object.entries(given.weights)
    if (!weights.some(([, weight]) => weight > 0)) {
      problems.push({ path: ['codes', 'weights'], message: 'at least one code must have a weight above 0' })
    }
    for (const [code] of weights) {
      if (Number(code) > 65_535) problems.push({ path: ['codes', 'weights', code], message: 'not a code: 0 to 65535' })
    }
  }
  const count = codeCount(given) * trucks.count * Math.max(...workers.map(phase => phase.count))
  if (count > SEQUENCES_MAX) {
    const message = `codes × trucks × workers are ${count} counters, allowed are ${SEQUENCES_MAX}: take fewer trucks`
    problems.push({ path: ['trucks'], message })
  }
  return problems
}

function codeCount(given: ScenarioConfig['codes']): number {
  if (given === undefined) return CODES_DEFAULT
  return 'from' in given ? Math.max(1, given.to - given.from + 1) : Object.keys(given.weights).length
}

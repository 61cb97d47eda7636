/**
 * A simulated pipeline: arrivals, a topic, a group, a target, what happens to them, and what-ifs.
 *
 * Times are seconds from the start (`90`), durations (`8m`, `2h`, `1d`) or, with
 * `startsAt`, times of the day (`10:13`, `10:13:45`).
 */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'
import { simulationAutoscale } from './simulation-autoscale.ts'
import { simulationTime as time } from './simulation-time.ts'

const ratio = z.number().min(0).max(1)
const rate = z.number().min(0).max(1e12)

const spread = z
  .union([z.enum(['none', 'exponential']), z.strictObject({ lognormal: z.number().gt(0).max(5) })])
  .default('none')
  .describe('How single times lie around their mean: not at all, exponentially, or log-normally (deviation / mean).')

const keyDistribution = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('uniform') }),
    z.strictObject({
      type: z.literal('pareto'),
      topRatio: z.number().gt(0).lt(1).default(0.2),
      topShare: z.number().gt(0).lt(1).default(0.8)
    }),
    z.strictObject({ type: z.literal('zipf'), exponent: z.number().gt(0).max(5).default(1) })
  ])
  .prefault({ type: 'pareto' })

const keys = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('even') }).describe('Every partition gets the same.'),
    z
      .strictObject({ type: z.literal('shares'), shares: z.array(z.number().nonnegative()).min(1).max(20_000) })
      .describe('What each partition gets, in proportion. Not with a growth of partitions.'),
    z
      .strictObject({ type: z.literal('hashed'), count: integer(1, 1_000_000), distribution: keyDistribution })
      .describe('Keys, spread over partitions by murmur2 as clients do.'),
    z
      .strictObject({
        type: z.literal('codeAndTruck'),
        codes: integer(1, 10_000).default(20),
        trucks: integer(1, 100_000).default(1000),
        distribution: keyDistribution
      })
      .describe('Keys `code:truck`, both spread by the distribution: those of the truck example.')
  ])
  .prefault({ type: 'even' })

const arrival = z.strictObject({
  recordsPerSecond: rate.optional().describe('Rate, if it does not change.'),
  curve: z
    .array(z.strictObject({ at: time, recordsPerSecond: rate }))
    .min(1)
    .max(10_000)
    .optional()
    .describe('Rate over time: straight lines between these points; the last one holds.'),
  repeat: time.optional().describe('The curve starts again after this time: `1d` for a day’s course.'),
  bursts: z
    .strictObject({ everyS: z.number().positive(), forS: z.number().positive(), factor: z.number().min(0).max(1000) })
    .optional()
    .describe('At the end of every `everyS` the rate is multiplied for `forS`.'),
  factor: z.number().min(0).max(1_000_000).default(1).describe('Multiplies all rates: 2 is the double volume.'),
  limitPerSecond: rate.optional().describe('The producer’s rate limit: what is above it waits at the producer.'),
  until: time.optional().describe('Nothing arrives from then on.'),
  pattern: z.enum(['even', 'poisson']).default('even').describe('`poisson` draws each record; for up to some million.'),
  keys
})

const topic = z
  .strictObject({
    name: z.string().default('events'),
    partitions: integer(1, 20_000).default(12),
    recordBytes: z.number().min(1).max(100_000_000).default(200).describe('Mean size of a record in the log.'),
    backlog: z.number().min(0).max(1e13).default(0).describe('Records that wait at the start.'),
    backlogAge: time.default(3600).describe('Time over which the backlog came together, evenly.'),
    retentionTime: time.optional().describe('Source: Kafka `retention.ms`. Default: for ever.'),
    retentionBytes: z
      .number()
      .positive()
      .optional()
      .describe('Of a partition. Source: Kafka `retention.bytes`. Default: no limit.'),
    segmentBytes: z
      .number()
      .min(1024)
      .default(1_073_741_824)
      .describe('Retention deletes whole segments of a partition.'),
    retentionCheck: time.default(300).describe('Source: Kafka `log.retention.check.interval.ms`.')
  })
  .prefault({})

const group = z
  .strictObject({
    instances: integer(0, 20_000).default(1),
    concurrency: integer(1, 10_000).default(10).describe('Most batches of an instance at the target at once.'),
    order: z
      .enum(['partition', 'key', 'none'])
      .default('partition')
      .describe('`partition`: one batch of a partition at a time.'),
    batchesPerPartitionMax: integer(1, 1000).default(4).describe('With order `key` or `none`.'),
    batch: z
      .strictObject({
        recordsMax: integer(1, 10_000_000).default(500),
        bytesMax: integer(1, 4_294_967_296).default(5_242_880),
        ageMs: milliseconds(0).default(1000),
        latencyTargetMs: milliseconds(1)
          .optional()
          .describe('Lets the record count follow the target’s time: as many records as it takes this long for.')
      })
      .prefault({}),
    overheadMs: z
      .number()
      .min(0)
      .max(3_600_000)
      .default(0)
      .describe('Time of a batch beside the target: fetch, encode, commit.'),
    cpu: z
      .strictObject({
        perBatchMs: z.number().min(0).max(60_000).default(0),
        perRecordUs: z.number().min(0).max(60_000_000).default(0)
      })
      .prefault({})
      .describe('Work of an instance that is done one batch after the other: its ceiling.'),
    fetchBytesPerSecond: z.number().positive().optional().describe('Most that an instance fetches. Default: no limit.'),
    memory: z
      .strictObject({
        baseBytes: z.number().min(0).default(150_000_000),
        bufferBytes: z
          .number()
          .positive()
          .default(16_777_216)
          .describe('Most bytes fetched ahead. Source: `dispatcher.bufferBytes`.'),
        limitBytes: z.number().positive().optional().describe('An instance that needs more is killed.')
      })
      .prefault({}),
    protocol: z.enum(['eager', 'cooperative', 'consumer']).default('cooperative'),
    isStatic: z.boolean().default(false).describe('Static members: a restart within the session moves nothing.'),
    sessionTimeoutMs: milliseconds(1, 86_400_000).default(45_000),
    rebalanceMs: milliseconds(0).default(3000).describe('Pause of what a rebalance moves (`eager`: of everything).'),
    drainsOnRevoke: z
      .boolean()
      .default(true)
      .describe('Batches under way are finished first. Without: they come again.')
  })
  .prefault({})

const targetPhase = z.strictObject({
  from: time,
  to: time.optional().describe('Default: the end.'),
  ramp: time.default(0).describe('Time over which it sets in.'),
  rampOut: time.default(0).describe('Time before `to` over which it fades.'),
  addMs: z.number().min(0).max(3_600_000).default(0).describe('Added to the time of every invocation.'),
  factor: z.number().min(0).max(100_000).default(1).describe('Multiplies the time of every invocation.'),
  errorRatio: ratio.default(0).describe('Share of invocations that fail and are repeated.'),
  isDown: z.boolean().default(false).describe('Every invocation fails.'),
  concurrencyMax: integer(0, 1_000_000).optional().describe('Instead of the target’s own.')
})

const target = z
  .strictObject({
    baseMs: z.number().min(0).max(3_600_000).default(100).describe('Mean time of an invocation, whatever its size.'),
    perRecordUs: z.number().min(0).max(3_600_000_000).default(0).describe('And for each record.'),
    spread,
    concurrencyMax: integer(1, 1_000_000)
      .optional()
      .describe('Most invocations at once, all instances together. Default: no limit.'),
    throttleMs: milliseconds(1)
      .default(200)
      .describe('Wait after a refusal for want of concurrency; doubles up to 16 times.'),
    timeoutMs: milliseconds(1).default(60_000),
    retryMs: milliseconds(1).default(1000).describe('Wait before a failed batch is tried again.'),
    memoryMb: integer(1, 100_000).default(128).describe('For GB-seconds.'),
    breaker: z
      .union([
        z.literal(false),
        z.strictObject({ failuresMax: integer(1, 1000).default(5), openMs: milliseconds(10).default(5000) })
      ])
      .prefault({}),
    phases: z.array(targetPhase).max(1000).default([]).describe('What befalls the target.')
  })
  .prefault({})

const microBatch = z
  .strictObject({
    intervalMs: milliseconds(1).default(5000).describe('A batch is planned this often.'),
    recordsPerSecond: z.number().positive().describe('What all cores together process.'),
    perBatchMs: z.number().min(0).default(0).describe('Scheduling of a batch.'),
    maxRatePerPartition: z
      .number()
      .positive()
      .optional()
      .describe('Source: `spark.streaming.kafka.maxRatePerPartition`.'),
    backpressure: z
      .strictObject({
        initialRate: z
          .number()
          .positive()
          .optional()
          .describe('Records per second of the first batch. Default: no limit.'),
        minRate: z.number().positive().default(100)
      })
      .optional()
      .describe('Rate by Spark’s PID estimator.'),
    memoryBytes: z.number().positive().describe('A batch that needs more ends the job.'),
    memoryPerRecordBytes: z.number().positive().optional().describe('Default: the size of the record.'),
    timeoutMs: milliseconds(1, 2_147_483_647)
      .default(120_000)
      .describe('A batch that takes longer is cancelled; its work is lost.'),
    restartMs: milliseconds(0).default(30_000).describe('Time to the next try after a death or a cancel.')
  })
  .describe('An engine that takes all that waits into one batch, instead of the group.')

const event = z.discriminatedUnion('type', [
  z.strictObject({
    at: time,
    type: z.literal('restart'),
    instances: z.union([integer(1, 20_000), z.literal('all')]).default('all'),
    downS: z.number().min(0).default(30).describe('Time until an instance is back.'),
    isGraceful: z
      .boolean()
      .default(true)
      .describe('It drains and leaves. Without: it is killed, and missed after its session.'),
    gapS: z.number().min(0).default(0).describe('Time between one instance and the next. 0: all at once.')
  }),
  z.strictObject({ at: time, type: z.literal('kill'), instances: integer(1, 20_000).default(1) }),
  z.strictObject({ at: time, type: z.literal('scale'), instances: integer(0, 20_000) }),
  z.strictObject({ at: time, type: z.literal('rebalance') }),
  z.strictObject({ at: time, type: z.literal('partitions'), count: integer(1, 20_000) }),
  z
    .strictObject({ at: time, type: z.literal('skipToEnd') })
    .describe('Offsets reset to latest: what waits is never read.'),
  z.strictObject({ at: time, type: z.literal('note'), text: z.string().max(500) })
])

const alert = z.strictObject({
  name: z.string().max(100).default('lag'),
  lag: z.number().min(0).optional().describe('Records that wait.'),
  lagS: z.number().min(0).optional().describe('Seconds that the oldest record waits.'),
  for: time.default(0).describe('For so long without a break.'),
  everyS: z.number().positive().default(60).describe('Time between two looks.')
})

const whatIf = z.strictObject({
  name: z.string().min(1).max(200),
  set: z.record(z.string(), z.unknown()).describe('Settings by their path: `group.batch.recordsMax: 1000`.')
})

/** A simulation file. */
export const simulationSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors only.'),
  name: z.string().max(200).default('simulation'),
  description: z.string().max(4000).optional(),
  startsAt: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'not a time of the day: HH:MM or HH:MM:SS')
    .optional()
    .describe('Time of the day at the start; times may then be given, and are shown, as such.'),
  duration: time.describe('Simulated time.'),
  seed: integer(0, 4_294_967_295).default(1),
  mode: z
    .enum(['auto', 'exact', 'fluid'])
    .default('auto')
    .describe(
      '`exact`: every batch is an event. `fluid`: flows between changes. `auto`: exact up to some million events.'
    ),
  sampleS: z
    .number()
    .positive()
    .optional()
    .describe('Time between two points of the series. Default: about 600 points.'),
  arrival,
  topic,
  group,
  target,
  microBatch: microBatch.optional(),
  autoscale: simulationAutoscale.optional(),
  events: z.array(event).max(10_000).default([]),
  alerts: z.array(alert).max(100).default([]),
  normalLagS: z.number().positive().default(10).describe('All is normal when no record waits longer.'),
  whatIfs: z.array(whatIf).max(100).default([]).describe('Runs of `--compare`.')
})

/** A simulation as read. */
export type SimulationConfig = Omit<z.infer<typeof simulationSchema>, '$schema'>
/** Something that happens at a time. */
export type SimulationEvent = SimulationConfig['events'][number]

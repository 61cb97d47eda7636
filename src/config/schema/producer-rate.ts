/** `producer.rate:` — how much may pass, and what happens to more. */

import { z } from 'zod'

import { integer, milliseconds, type Report, topicName } from './common.ts'

const recordsPerSecond = z.number().positive().optional().describe('Records per second. Default: no limit.')
const bytesPerSecond = z
  .number()
  .positive()
  .optional()
  .describe('Bytes of events per second, before compression. Default: no limit.')

const whenExceeded = z
  .enum(['wait', 'shed', 'spill'])
  .describe(
    'What happens to events above the limit: `wait` holds their source back, `shed` drops them with a count ' +
      '(HTTP: 429 with Retry-After), `spill` puts them on disk until the limit has room (needs `spill`).'
  )

const topicRate = z
  .strictObject({
    recordsPerSecond,
    bytesPerSecond,
    burstMs: milliseconds(1, 60_000).optional().describe('Default: `rate.burstMs`.'),
    whenExceeded: whenExceeded.optional().describe('As `rate.whenExceeded`, which is the default.')
  })
  .describe('A limit of one topic, on top of the global one.')

const quotaShare = z
  .strictObject({
    type: z.literal('quota'),
    manage: z
      .boolean()
      .default(false)
      .describe('Whether the producer sets the quota when it starts. Otherwise it compares and warns.'),
    user: z.string().min(1).optional().describe('User of the quota, besides the client id. Default: any user.')
  })
  .describe(
    'Kafka holds the limit on bytes: `bytesPerSecond` over all instances with this client id, by a quota ' +
      '(`producer_byte_rate`, in each broker its part). Source: Kafka client quotas, KIP-546.'
  )

const topicShare = z
  .strictObject({
    type: z.literal('topic'),
    topic: topicName
      .default('comporta-rate')
      .describe('Coordinator topic: its partitions are the shares, nothing is ever written to it.'),
    group: z.string().min(1).max(255).default('comporta-rate').describe('Group whose members share the rate.'),
    sessionTimeoutMs: integer(6000, 300_000)
      .default(10_000)
      .describe('A killed instance’s share is free after so long. Source: Kafka `session.timeout.ms`.'),
    fallbackShare: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe(
        'Share of an instance that cannot reach the coordinator for `sessionTimeoutMs`. Above 0 all instances ' +
          'together may exceed the rate.'
      )
  })
  .describe('Instances share the rate: each has as much of it as it owns partitions of the coordinator topic.')

/** `producer.rate:` */
export const rateSchema = z
  .strictObject({
    recordsPerSecond,
    bytesPerSecond,
    burstMs: milliseconds(1, 60_000)
      .default(1000)
      .describe('How much unused rate may be saved up. Below 20 timers are too coarse to reach the rate.'),
    whenExceeded: whenExceeded.default('wait'),
    topics: z.record(topicName, topicRate).default({}).describe('Limits of single topics.'),
    shared: z
      .discriminatedUnion('type', [quotaShare, topicShare])
      .optional()
      .describe('Whether the limits are those of all instances together. Default: each instance has them for itself.')
  })
  .describe('Token buckets before Kafka, on records and on bytes: both hold. Default: no limit.')

/** `producer.rate:` as read. */
export type RateSettings = z.infer<typeof rateSchema>

/** What the rate's rules look at. */
export interface RateSurroundings {
  readonly rate?: RateSettings | undefined
  /** Topics that events may go to, as far as the file names them. */
  readonly topics: readonly string[]
  readonly hasSpill: boolean
}

/** Reports settings of the rate that do not go together. */
export function checkRate({ rate, topics, hasSpill }: RateSurroundings, report: Report): void {
  if (rate === undefined) return
  const path = ['producer', 'rate']
  const limits = [rate, ...Object.values(rate.topics)]
  for (const [topic, limit] of Object.entries(rate.topics)) {
    if (!topics.includes(topic)) report([...path, 'topics', topic], `no event goes to ${topic}`)
    if (limit.recordsPerSecond === undefined && limit.bytesPerSecond === undefined)
      report([...path, 'topics', topic], 'says neither recordsPerSecond nor bytesPerSecond')
  }
  if (!hasSpill && limits.some(limit => limit.whenExceeded === 'spill'))
    report([...path, 'whenExceeded'], '`spill` needs `producer.whenAway: { mode: spill }` and `producer.spill`')
  if (rate.shared?.type === 'quota' && rate.bytesPerSecond === undefined)
    report([...path, 'shared'], '`quota` needs `bytesPerSecond`: Kafka’s quotas count bytes')
  const hasLimit = limits.some(limit => limit.recordsPerSecond !== undefined || limit.bytesPerSecond !== undefined)
  if (rate.shared?.type === 'topic' && !hasLimit) report([...path, 'shared'], 'there is no limit to share')
}

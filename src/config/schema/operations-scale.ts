/** `operations.scale:` — how many instances, by what, and when not. */

import { z } from 'zod'

import { integer } from './common.ts'

const seconds = (most = 86_400): z.ZodNumber => z.number().min(0).max(most)

const kedaSchema = z
  .strictObject({
    lagThreshold: integer(1, Number.MAX_SAFE_INTEGER).default(10).describe('Records of lag that one instance is for.'),
    activationLagThreshold: integer(0, Number.MAX_SAFE_INTEGER).default(0),
    offsetResetPolicy: z.enum(['latest', 'earliest']).default('latest'),
    allowIdleConsumers: z.boolean().default(false),
    excludePersistentLag: z.boolean().default(false),
    scaleToZeroOnInvalidOffset: z.boolean().default(false),
    limitToPartitionsWithLag: z.boolean().default(false),
    ensureEvenDistributionOfPartitions: z.boolean().default(false),
    topic: z.string().min(1).optional(),
    partitionLimitation: z.string().min(1).optional()
  })
  .prefault({})
  .describe('Options of KEDA’s `kafka` trigger, for `mode: keda`. Source: keda.sh/docs/latest/scalers/apache-kafka.')

/** `operations.scale:` */
export const scaleSchema = z
  .strictObject({
    group: z.string().min(1).max(249).optional().describe('The group. Default: `dispatcher.groupId`.'),
    mode: z
      .enum(['drain', 'keda'])
      .default('drain')
      .describe('`drain`: ceil((arrival + backlog / drainSeconds) / rate of an instance). `keda`: KEDA’s rules.'),
    instancesMin: integer(1, 10_000).default(1),
    instancesMax: integer(1, 10_000).default(10).describe('Never more than partitions, whatever stands here.'),
    targetLagSeconds: seconds().default(60).describe('A lag up to this age is no backlog.'),
    drainSeconds: z.number().min(1).max(604_800).default(300).describe('Within this time a backlog shall be gone.'),
    stepUpRatio: z.number().min(1).max(100).default(2).describe('Largest step up: a multiple of the size now.'),
    downMarginRatio: z
      .number()
      .min(0)
      .max(10)
      .default(0.2)
      .describe('Spare capacity that must be left after a step down.'),
    upCooldownSeconds: seconds().default(120).describe('Pause before a step up; 1.5 rebalances if that is longer.'),
    downCooldownSeconds: seconds().default(300).describe('Pause before a step down; 1.5 rebalances if that is longer.'),
    stabilizationSeconds: seconds(3600).default(300).describe('For this long fewer must have been enough.'),
    measureSeconds: seconds(3600).default(60).describe('For this long a group is settled before its rates count.'),
    preferEven: z.boolean().default(true).describe('Whether sizes that spread the partitions evenly are preferred.'),
    hotRatio: z
      .number()
      .min(0.01)
      .max(1)
      .default(0.8)
      .describe('Share of the lag in partitions that are alone on their consumer from which more do not help.'),
    sickRateRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('Below this share of what an instance is known to do, its target is suspected.'),
    sickLatencyRatio: z
      .number()
      .min(1)
      .max(100)
      .default(2)
      .describe('Above this multiple of its usual time it is slow.'),
    sickHoldSeconds: seconds().default(300).describe('After this long a slower pace is the new normal.'),
    ceilingSeconds: seconds().default(1800).describe('Pause of growth after a step that did not help.'),
    fleetWaitSeconds: seconds().default(600).describe('How long instances that were asked for are waited for.'),
    stormRebalances: integer(1, 100).default(3).describe('Rebalances in 15 min, of nobody’s making, that are a storm.'),
    periodSeconds: z.number().min(1).max(600).default(15).describe('How often is looked and decided.'),
    stateFile: z
      .string()
      .min(1)
      .default('.comporta/scale.json')
      .describe('What is remembered across restarts: pauses, measured rates. Beside it lies a lock.'),
    metricsUrls: z
      .array(z.url({ protocol: /^https?$/ }))
      .max(200)
      .default([])
      .describe('`/metrics` of the dispatchers: from them a slow or broken target is seen. Local fleets need none.'),
    keda: kedaSchema
  })
  .refine(({ instancesMin, instancesMax }) => instancesMin <= instancesMax, {
    path: ['instancesMin'],
    error: 'is above instancesMax'
  })
  .prefault({})
  .describe('How many instances `comporta scale` wants.')

/** `operations.scale:` as read. */
export type ScaleConfig = z.infer<typeof scaleSchema>

/** The section of a file that says nothing of scaling. */
export function scaleDefaults(): ScaleConfig {
  return scaleSchema.parse(undefined)
}

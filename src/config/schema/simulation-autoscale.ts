/** `autoscale:` of a simulation: who decides how many instances there are, and how soon they are there. */

import { z } from 'zod'

import { integer } from './common.ts'
import { simulationTime as time } from './simulation-time.ts'

const common = {
  from: time.optional().describe('It looks from then on. Default: the start.'),
  everyS: z.number().positive().default(60).describe('Time between two looks.'),
  bootS: z.number().min(0).default(120).describe('Time until a new instance joins the group.'),
  instancesMin: integer(0, 20_000).default(1),
  instancesMax: integer(1, 20_000).optional().describe('Default: the number of partitions.')
}

/** Policies. */
export const simulationAutoscale = z.discriminatedUnion('policy', [
  z
    .strictObject({
      policy: z.literal('threshold'),
      ...common,
      lag: z.number().min(0).describe('Above so many waiting records it adds `step`.'),
      for: time.default(0).describe('Only if for so long.'),
      step: integer(1, 1000).default(1),
      cooldownS: z.number().min(0).default(300).describe('Time after a step without another.'),
      lagLow: z.number().min(0).optional().describe('Below so many it takes `step` away. Default: never.'),
      lowFor: time.default(900)
    })
    .describe('Steps by lag, as an alarm with a step policy does.'),
  z
    .strictObject({
      policy: z.literal('keda'),
      ...common,
      everyS: z.number().positive().default(30).describe('KEDA’s `pollingInterval`.'),
      lagThreshold: z.number().positive().default(10),
      cooldownS: z
        .number()
        .min(0)
        .default(300)
        .describe('Stabilisation: the largest wish of this time holds before less.')
    })
    .describe('KEDA’s Kafka scaler: lag / lagThreshold, rounded up, partitions at most.'),
  z
    .strictObject({
      policy: z.literal('drainTime'),
      ...common,
      drainS: z.number().positive().default(300).describe('Time in which a backlog is to be gone.'),
      perInstancePerSecond: z
        .number()
        .positive()
        .optional()
        .describe('Default: what the model says an instance can do.'),
      cooldownS: z.number().min(0).default(300)
    })
    .describe('ceil((arrival + backlog / drainS) / what an instance does).'),
  z
    .strictObject({
      policy: z.literal('comporta'),
      ...common,
      everyS: z.number().positive().default(30),
      lagS: z.number().positive().default(60).describe('A lag up to this age is no reason to grow.'),
      drainS: z.number().positive().default(300)
    })
    .describe('What `comporta scale` would decide, with its vetoes and pauses.'),
  z
    .strictObject({ policy: z.literal('hook'), ...common, cooldownS: z.number().min(0).default(0) })
    .describe('The program that calls the simulator decides.')
])

/** The section as read. */
export type SimulationAutoscale = z.infer<typeof simulationAutoscale>

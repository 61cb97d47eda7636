/** `operations.slo` and `operations.health`: what is promised, and when a group without a promise is ill. */

import { z } from 'zod'

import { integer, topicName } from './common.ts'

const objectiveSchema = z.strictObject({
  group: z.string().min(1).max(255).describe('The consumer group.'),
  topics: z.array(topicName).min(1).optional().describe('Only these topics. Default: all that the group reads.'),
  lagSeconds: z
    .number()
    .min(1)
    .max(2_592_000)
    .default(60)
    .describe('The oldest unread record is younger than this, in seconds …'),
  objective: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.999)
    .describe('… for this share of the time: 0.999 leaves 43 minutes of 30 days.'),
  windowDays: integer(1, 90).default(30).describe('Days over which the share is taken.')
})

/** Objectives on lag. */
export const sloSchema = z
  .array(objectiveSchema)
  .max(50)
  .default([])
  .describe('Objectives on lag, for `comporta slo`. Groups without one are held against `health`.')

/** Thresholds of groups without an objective. */
export const healthSchema = z
  .strictObject({
    lagRecords: integer(1, Number.MAX_SAFE_INTEGER).default(1000).describe('Alert above this many unread records.'),
    isSilenceBad: z.boolean().default(true).describe('Alert if no records come in at all: the producer has stopped.'),
    silenceForSeconds: integer(1, 604_800).default(300).describe('For so many seconds.'),
    retentionRatio: z
      .number()
      .gt(0)
      .max(1)
      .default(0.9)
      .describe('Alert if what is unread takes up this share of the topic’s retention, by time or by size.'),
    growthForSeconds: integer(1, 604_800).default(600).describe('Alert if the lag grows for so many seconds.'),
    headroomHours: z
      .number()
      .gt(0)
      .max(8760)
      .default(6)
      .describe('Alert if retention deletes the oldest unread record within so many hours. Objective or not.')
  })
  .prefault({})
  .describe('When a group without an objective is ill. Lost records are an alert always.')

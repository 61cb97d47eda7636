/** `operations.alerts` and `operations.alerting`: who is told, and how patiently. */

import { z } from 'zod'

import { httpUrl, integer } from './common.ts'
import { secretTextSchema, sourceSchema } from './kafka-sources.ts'

const severities = z
  .array(z.enum(['page', 'ticket']))
  .min(1)
  .default(['page', 'ticket'])
  .describe('Which are sent here: `page` wakes somebody, `ticket` can wait for the morning.')

/** Addresses of chats hold a secret: a place, or the text by `${VARIABLE}`. */
const address = z
  .union([httpUrl, sourceSchema])
  .describe('Address, or where it is: `{ env: NAME }`. Addresses of chats are secrets.')

const webhookSchema = z.strictObject({
  type: z.literal('webhook'),
  url: address,
  secret: secretTextSchema
    .optional()
    .describe('Key of the signature in `x-comporta-signature`, HMAC-SHA256: `{ env: NAME }`. Default: unsigned.'),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a header name'), z.string())
    .optional()
    .describe('Further headers.'),
  severities
})

const slackSchema = z.strictObject({
  type: z.literal('slack'),
  url: address,
  severities
})

const snsSchema = z.strictObject({
  type: z.literal('sns'),
  topicArn: z
    .string()
    .regex(/^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/, 'not the ARN of a topic of SNS'),
  region: z.string().min(1).optional().describe('Default: that of the ARN.'),
  endpoint: httpUrl.optional().describe('Address instead of AWS’s own.'),
  severities
})

const stdoutSchema = z.strictObject({ type: z.literal('stdout'), severities })

/** Who is told. */
export const alertsSchema = z
  .array(z.discriminatedUnion('type', [webhookSchema, slackSchema, snsSchema, stdoutSchema]))
  .max(20)
  .default([])
  .describe('Where `comporta slo --watch` sends alerts.')

/** How patiently. */
export const alertingSchema = z
  .strictObject({
    everySeconds: integer(1, 3600).default(30).describe('Time between two looks.'),
    forSeconds: integer(0, 86_400).default(60).describe('A condition has to hold this long before it is sent …'),
    resolveAfterSeconds: integer(0, 86_400).default(60).describe('… and to be gone this long before it is resolved.'),
    repeatMinutes: integer(1, 10_080).default(240).describe('What still holds is sent again after this.'),
    queueMax: integer(1, 100_000).default(1000).describe('Messages that wait for one receiver; the oldest makes room.'),
    attemptsMax: integer(1, 100).default(6).describe('Tries for one message, with growing pauses up to a minute.'),
    timeoutMs: integer(100, 120_000).default(10_000).describe('Longest time of one try.')
  })
  .prefault({})
  .describe('Patience and limits of alerts.')

/** One receiver, as read. */
export type AlertConfig = z.infer<typeof alertsSchema>[number]

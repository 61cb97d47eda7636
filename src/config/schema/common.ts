/** Building blocks of the pipeline file's schema. */

import { z } from 'zod'

/** A Kafka topic name: 1 to 249 of letters, digits, `.`, `_`, `-`; not `.` or `..`. Source: Kafka `Topic.validate`. */
export const topicName: z.ZodString = z
  .string()
  .regex(/^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/, 'not a topic name: 1 to 249 letters, digits, ".", "_" or "-"')

/** A whole number within bounds. */
export function integer(min: number, max: number): z.ZodNumber {
  return z.int().min(min).max(max)
}

/** A duration in milliseconds: whole, up to the given bound (a day unless said otherwise). */
export function milliseconds(min = 0, max = 86_400_000): z.ZodNumber {
  return integer(min, max)
}

/** A TCP port; 0 lets the system choose. */
export const port: z.ZodNumber = integer(0, 65_535)

/** An address to listen on. Loopback unless said otherwise. */
export const listenHost: z.ZodDefault<z.ZodString> = z
  .string()
  .min(1)
  .default('127.0.0.1')
  .describe('Address to listen on. Loopback by default: name another only behind a firewall or a proxy.')

/** An http or https address. */
export const httpUrl: z.ZodURL = z.url({ protocol: /^https?$/, error: 'not an http:// or https:// address' })

/** Takes what is wrong with a setting. */
export type Report = (path: PropertyKey[], message: string) => void

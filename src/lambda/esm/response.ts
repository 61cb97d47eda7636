/**
 * What a function answers to an event, with `ReportBatchItemFailures`:
 *
 * ```
 * {"batchItemFailures":[{"itemIdentifier":{"partition":"mytopic-0","offset":42}}]}
 * ```
 *
 * names the first record of a partition that is to come again; with several of a partition the lowest counts. No
 * answer, `{}`, or a list that is null or empty is a success. An identifier that is null, has other names, or names no
 * record of the event, and an answer that is no object, fail the whole batch.
 *
 * Source: Lambda developer guide, "Configuring partial batch response" (success and failure conditions, which AWS
 * writes down for streams), with the identifier of Kafka.
 */

import type { EsmRecord } from './event-text.ts'

/** An answer that was read. */
export type EsmReply =
  | { readonly kind: 'ok' }
  /** From these offsets on, by partition, records come again; other partitions are done. */
  | { readonly kind: 'partial'; readonly resumeAt: ReadonlyMap<number, number> }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Reads an answer to these records. */
export function readReply(text: string, topic: string, records: readonly EsmRecord[]): EsmReply {
  if (text.trim() === '') return { kind: 'ok' }
  let reply: unknown
  try {
    reply = JSON.parse(text)
  } catch {
    return { kind: 'malformed', reason: 'the answer is not JSON' }
  }
  if (reply === null) return { kind: 'ok' }
  if (typeof reply !== 'object' || Array.isArray(reply)) {
    return { kind: 'malformed', reason: 'the answer is not an object' }
  }
  const failures: unknown = 'batchItemFailures' in reply ? reply.batchItemFailures : null
  if (failures === null || failures === undefined) return { kind: 'ok' }
  if (!Array.isArray(failures)) return { kind: 'malformed', reason: 'batchItemFailures is not a list' }
  return failures.length === 0 ? { kind: 'ok' } : readFailures(failures, topic, records)
}

function readFailures(failures: readonly unknown[], topic: string, records: readonly EsmRecord[]): EsmReply {
  const sent = new Set(records.map(record => `${topic}-${record.partition}/${record.offset}`))
  const resumeAt = new Map<number, number>()
  for (const failure of failures) {
    const place = readIdentifier(failure)
    if (place === undefined) {
      return { kind: 'malformed', reason: 'an itemIdentifier is not {"partition":"topic-partition","offset":number}' }
    }
    if (!sent.has(`${place.name}/${place.offset}`)) {
      return { kind: 'malformed', reason: 'an itemIdentifier names a record that the event does not have' }
    }
    const partition = Number(place.name.slice(topic.length + 1))
    resumeAt.set(partition, Math.min(resumeAt.get(partition) ?? place.offset, place.offset))
  }
  return { kind: 'partial', resumeAt }
}

function readIdentifier(failure: unknown): { readonly name: string; readonly offset: number } | undefined {
  const identifier = fieldOf(failure, 'itemIdentifier')
  const name = fieldOf(identifier, 'partition')
  const offset = fieldOf(identifier, 'offset')
  return typeof name === 'string' && typeof offset === 'number' ? { name, offset } : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

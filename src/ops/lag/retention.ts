/**
 * How long the oldest unread record is still there.
 *
 * Retention deletes whole segments, and never the one that is written to: a record may live longer than said here, by
 * up to a segment, but not shorter. By time it goes `retention.ms` after its timestamp; by size when `retention.bytes`
 * have come after it. Pure.
 */

import type { HeadroomLimit } from './lag-types.ts'

/** What a topic says of deletion. */
export interface RetentionSettings {
  /** Source: Kafka `retention.ms`; `undefined` = without limit. */
  readonly retentionMs: number | undefined
  /** Of each partition. Source: Kafka `retention.bytes`; `undefined` = without limit. */
  readonly retentionBytes: number | undefined
  /** Source: Kafka `cleanup.policy`. */
  readonly isDeleted: boolean
  readonly isCompacted: boolean
}

/** What the headroom is worked out from. */
export interface HeadroomQuestion {
  /** `undefined` = they cannot be read. */
  readonly settings: RetentionSettings | undefined
  /** Unread records. */
  readonly lagRecords: number
  /** Age of the oldest, in seconds; `undefined` if unknown. */
  readonly ageSeconds: number | undefined
  /** What a record takes on disk, in bytes; `undefined` if unknown. */
  readonly recordBytes: number | undefined
  /** Whether that is of one batch instead of all of the partition. */
  readonly isRecordBytesEstimated: boolean
  /** Records per second; `undefined` if unknown. */
  readonly arrivalRate: number | undefined
}

/** The answer. */
export interface Headroom {
  readonly headroomSeconds: number | undefined
  readonly headroomLimit: HeadroomLimit
  readonly isHeadroomEstimated: boolean
  readonly retentionUsed: number | undefined
}

const nothing: Headroom = {
  headroomSeconds: undefined,
  headroomLimit: 'none',
  isHeadroomEstimated: false,
  retentionUsed: undefined
}

const nothingUnread: Headroom = { ...nothing, retentionUsed: 0 }

/** Seconds until the oldest unread record is deleted, at the earliest, and how much of the retention is used up. */
export function headroomOf(question: HeadroomQuestion): Headroom {
  const { settings, lagRecords } = question
  if (lagRecords === 0) return nothingUnread
  if (settings === undefined) return { ...nothing, headroomLimit: 'unknown' }
  if (!settings.isDeleted) return nothing
  const byTime = timeHeadroom(settings.retentionMs, question.ageSeconds)
  const bySize = sizeHeadroom(settings.retentionBytes, question)
  if (byTime === undefined && bySize === undefined) return nothing
  const isTime = (byTime?.seconds ?? Infinity) <= (bySize?.seconds ?? Infinity)
  const first = isTime ? (byTime ?? bySize) : bySize
  const used = Math.max(byTime?.used ?? -1, bySize?.used ?? -1)
  const isUnknown = first?.seconds === undefined
  return {
    headroomSeconds: first?.seconds === Infinity ? undefined : first?.seconds,
    headroomLimit: isUnknown ? 'unknown' : limitOf(first.seconds, isTime),
    isHeadroomEstimated: bySize !== undefined && (bySize.seconds === undefined || question.isRecordBytesEstimated),
    retentionUsed: used < 0 ? undefined : used
  }
}

function limitOf(seconds: number | undefined, isTime: boolean): HeadroomLimit {
  if (seconds === Infinity) return 'none'
  return isTime ? 'time' : 'size'
}

/** `seconds` `undefined` = unknown, infinite = never. */
interface Limit {
  readonly seconds: number | undefined
  readonly used: number | undefined
}

function timeHeadroom(retentionMs: number | undefined, ageSeconds: number | undefined): Limit | undefined {
  if (retentionMs === undefined) return undefined
  if (ageSeconds === undefined) return { seconds: undefined, used: undefined }
  const retentionSeconds = retentionMs / 1000
  const used = retentionSeconds === 0 ? 1 : Math.min(1, ageSeconds / retentionSeconds)
  return { seconds: Math.max(0, retentionSeconds - ageSeconds), used }
}

function sizeHeadroom(retentionBytes: number | undefined, question: HeadroomQuestion): Limit | undefined {
  const { lagRecords, recordBytes, arrivalRate } = question
  if (retentionBytes === undefined) return undefined
  if (recordBytes === undefined) return { seconds: undefined, used: undefined }
  const backlogBytes = lagRecords * recordBytes
  const used = retentionBytes === 0 ? 1 : Math.min(1, backlogBytes / retentionBytes)
  if (backlogBytes >= retentionBytes) return { seconds: 0, used }
  if (arrivalRate === undefined) return { seconds: undefined, used }
  const bytesPerSecond = arrivalRate * recordBytes
  return { seconds: bytesPerSecond > 0 ? (retentionBytes - backlogBytes) / bytesPerSecond : Infinity, used }
}

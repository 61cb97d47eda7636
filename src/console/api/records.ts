/**
 * Records and dead letters: `GET /api/records`, `GET /api/records/tail` (server-sent events), `GET /api/dead-letters`.
 */

import type { Freshness, Page } from './common.ts'

/** How bytes are shown. `auto` decides by the bytes: JSON, text, else hexadecimal. */
export type RecordShape = 'auto' | 'json' | 'text' | 'hex' | 'base64'

/** Query of `GET /api/records`. */
export interface RecordsQuery {
  readonly topic: string
  /** Default: all. */
  readonly partition?: number
  /** Where reading begins. Default: the last `limit` records. */
  readonly from?: 'earliest' | 'latest' | 'datetime' | 'offset'
  readonly fromMs?: number
  readonly fromOffset?: string
  readonly toMs?: number
  /** Text that key, value or a header holds. */
  readonly find?: string
  readonly findIn?: 'any' | 'key' | 'value' | 'headers'
  /** Whether `find` is a regular expression. */
  readonly isPattern?: boolean
  readonly shape?: RecordShape
  /** 1 to 500. Default 50. */
  readonly limit?: number
}

/** A record as it is shown. */
export interface ShownRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly timestampMs: number
  readonly timestampType: 'create' | 'append'
  /** `null` = a null key, or value. */
  readonly key: ShownBytes | null
  readonly value: ShownBytes | null
  readonly headers: readonly { readonly key: string; readonly value: ShownBytes | null }[]
}

/** Bytes as they are shown. */
export interface ShownBytes {
  readonly shape: 'json' | 'text' | 'hex' | 'base64' | 'masked'
  /** Cut at 64 KiB. */
  readonly text: string
  readonly byteLength: number
  readonly isCut: boolean
}

/** Answer of `GET /api/records`. */
export interface RecordsAnswer {
  readonly records: readonly ShownRecord[]
  /** Records that were looked at. */
  readonly searched: number
  /** Whether the end of the range was reached; otherwise go on from `next`. */
  readonly isComplete: boolean
  /** Opaque: goes back as `next` of the same query. */
  readonly next: string | null
}

/** A dead letter. */
export interface DeadLetterRow {
  readonly partition: number
  readonly offset: string
  readonly atMs: number
  readonly class: string
  readonly reason: string
  readonly originTopic: string | null
  readonly originPartition: number | null
  readonly originOffset: string | null
  readonly attempts: number | null
  readonly redrives: number
  readonly record: ShownRecord
}

/** `GET /api/dead-letters?topic=`: newest first. Without `topic`: that of the pipeline. */
export interface DeadLetters {
  readonly freshness: Freshness
  readonly topic: string
  /** All topics that hold dead letters. */
  readonly topics: readonly string[]
  readonly letters: Page<DeadLetterRow>
  /** How many there are of each class, of those that were looked at. */
  readonly classes: readonly { readonly class: string; readonly count: number }[]
}

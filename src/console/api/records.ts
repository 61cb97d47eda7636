/**
 * Records and dead letters: `GET /api/records`, `GET /api/records/tail` (server-sent events), `GET /api/dead-letters`.
 */

import type { Freshness, Page } from './common.ts'

/** How bytes are shown. `auto` decides by the bytes: JSON, text, else hexadecimal. */
export type RecordShape = 'auto' | 'json' | 'text' | 'hex' | 'base64'

/** Bytes of a key or value that a list shows. */
export const LIST_BYTES = 4096
/** Bytes of a key or value that a single record shows. */
export const RECORD_BYTES = 1_048_576
/** Bytes of the name and of the value of a header that are shown. */
export const HEADER_BYTES = 1024
/** Headers of a record that are shown. */
export const HEADERS_MAX = 100

/** Query of `GET /api/records`, and of `GET /api/records/export` with `format`. */
export interface RecordsQuery {
  readonly topic: string
  /** Default: all. */
  readonly partition?: number
  /** Where reading begins. Default, as `latest`: the newest records, the newest first; all others: the oldest first. */
  readonly from?: 'earliest' | 'latest' | 'datetime' | 'offset'
  readonly fromMs?: number
  readonly fromOffset?: string
  /** Not itself part of it. */
  readonly toMs?: number
  /** Text that key, value or a header holds. */
  readonly find?: string
  readonly findIn?: 'any' | 'key' | 'value' | 'headers' | `header:${string}`
  /** Whether `find` is a regular expression of RE2. */
  readonly isPattern?: boolean
  readonly isCaseIgnored?: boolean
  readonly shape?: RecordShape
  /** 1 to 500. Default 50. */
  readonly limit?: number
  /** From the answer before: goes on there. */
  readonly next?: string
}

/** Formats of `GET /api/records/export`. */
export type ExportFormat = 'ndjson' | 'csv'

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
  /** How many headers it has; `headers` are at most `HEADERS_MAX`. */
  readonly headerCount: number
}

/** Bytes as they are shown. */
export interface ShownBytes {
  readonly shape: 'json' | 'text' | 'hex' | 'base64' | 'masked'
  /** Cut at `LIST_BYTES` in lists and at `RECORD_BYTES` in a single record; headers at `HEADER_BYTES`. */
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
  readonly order: 'newestFirst' | 'oldestFirst'
  /** What was left out, and why. */
  readonly troubles: readonly string[]
}

/** `GET /api/record?topic=&partition=&offset=&shape=`. Raw bytes: `/api/record/bytes`, with `part`. */
export interface RecordAnswer {
  readonly record: ShownRecord
  /** Of a dead letter. */
  readonly letter: DeadLetterRow | null
}

/**
 * `GET /api/records/tail`: server-sent events with the query of `GET /api/records` as far as it is about topic and
 * search. `event: records`.
 */
export interface TailBatch {
  readonly records: readonly ShownRecord[]
  /** Records that matched, and were left out because they came faster than they can be shown. */
  readonly dropped: number
  /** Looked at since the beginning. */
  readonly searched: number
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
  /** Group that could not deliver it. */
  readonly group: string | null
  readonly firstFailureMs: number | null
  readonly lastFailureMs: number | null
  readonly redrives: number
  /** `false`: only the beginning of its value was kept, or it lies at its origin. */
  readonly isWhole: boolean
  readonly record: ShownRecord
}

/** Dead letters that are looked at, the newest. */
export const LETTERS_LOOKED_MAX = 2000

/**
 * `GET /api/dead-letters?topic=&class=&origin=&fromMs=&toMs=&find=&offset=&limit=`: newest first. Without `topic`: that
 * of the pipeline.
 */
export interface DeadLetters {
  readonly freshness: Freshness
  readonly topic: string
  /** All topics that hold dead letters. */
  readonly topics: readonly string[]
  readonly letters: Page<DeadLetterRow>
  /** How many there are of each class, of those that were looked at. */
  readonly classes: readonly { readonly class: string; readonly count: number }[]
  /** Topics that they came from. */
  readonly origins: readonly { readonly topic: string; readonly count: number }[]
  /** Dead letters that were looked at, and whether those are all there are. */
  readonly looked: number
  readonly isComplete: boolean
}

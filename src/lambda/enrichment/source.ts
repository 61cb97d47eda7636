/** What a source of look-ups is, and what it answers. */

import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** What a source says to one request. */
export type SourceAnswer =
  /**
   * JSON texts by key; a key in neither list has nothing in the source. `unanswered` are keys that it had no room for
   * and must be asked for again.
   */
  | { readonly kind: 'answered'; readonly texts: ReadonlyMap<string, string>; readonly unanswered?: readonly string[] }
  /** The request is refused for what is in it: it is halved until the bad key is alone. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly isUnclear?: boolean }
  /** Nothing can be learned from the source now. */
  | {
      readonly kind: 'unavailable'
      readonly reason: string
      readonly retryAfterMs?: number
      /** Whether the keys may be what breaks the source. */
      readonly isSuspect?: boolean
      /** Whether asking again at once is of no use: only a change of set-up helps, or the source is broken. */
      readonly isFinal?: boolean
    }

/** A place where things are looked up. */
export interface LookupSource {
  /** For reasons and logs. */
  readonly name: string
  /** Most keys in one request. */
  readonly keysMax: number
  /** Whether the source could have something for a key at all; nothing is asked for others. */
  isPossible(key: string): boolean
  /** Asks for distinct keys. Gives up when `signal` is aborted, with an answer. Never rejects. */
  ask(keys: readonly string[], signal: AbortSignal): Promise<SourceAnswer>
  close(): Promise<void>
}

/** Why there is no answer for a key. */
export interface LookupFailure {
  readonly reason: string
  /** Whether the source, and not the key, is at fault. */
  readonly isUnavailable: boolean
  readonly isSuspect?: boolean
  readonly retryAfterMs?: number
}

/** What was found for a key. */
export interface Found {
  readonly kind: 'found'
  readonly text: string
  /** What the text parses to, once somebody has asked; frozen, because records and invocations share it. */
  parsed?: { readonly value: unknown }
}

/** There is nothing for the key. */
export interface Absent {
  readonly kind: 'absent'
}

/** What is known of a key. */
export type Resolution = Found | Absent | { readonly kind: 'failed'; readonly failure: LookupFailure }

/** There is nothing for the key. */
export const ABSENT: Absent = { kind: 'absent' }

/** What was found, parsed. */
export function parsedValue(found: Found): unknown {
  found.parsed ??= { value: frozen(JSON.parse(found.text)) }
  return found.parsed.value
}

/** Not deeper than `DEPTH_MAX`. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}

/** One distinct key of an event; its records share it. */
export interface Slot {
  readonly key: string
  resolution: Resolution
  /** Whether the resolution comes from memory. */
  isHit: boolean
  /** Whether its time is over, and it stands in for a source that fails. */
  isStale: boolean
}

/** Resolves all keys of an event. */
export interface Lookup {
  /** Fills in the resolutions, in `timeoutMs` at most. Never rejects. */
  resolve(slots: readonly Slot[], timeoutMs: number): Promise<void>
  close(): Promise<void>
}

/** What the parts of an enrichment share. */
export interface SourceSurroundings {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Deepest nesting of a value that is added: what parsers of every language take. Source: System.Text.Json, 64. */
export const DEPTH_MAX = 64

/**
 * A copy of a part of a text. V8 lets a part keep the whole alive: a value of 60 bytes in the cache would hold the
 * answer of 4 MB that it came with.
 */
export function detached(part: string): string {
  return Buffer.from(part, 'utf8').toString('utf8')
}

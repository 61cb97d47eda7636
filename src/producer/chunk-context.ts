/** What a source knows about all events of a chunk, besides their bytes. */

import type { AppendHeader } from '../client/index.ts'

/** What is the same for all events of a chunk. Every field is optional: a source gives what it has. */
export interface ChunkContext {
  /** Names the request or job that the events belong to, for whoever follows it through other systems. */
  readonly correlationId?: string
  /** Trace that the events belong to. Source: W3C Trace Context `traceparent`. */
  readonly traceparent?: string
  /** What vendors add to it. Source: W3C Trace Context `tracestate`. */
  readonly tracestate?: string
  /** Headers that every record of the chunk gets. */
  readonly headers?: readonly AppendHeader[]
  /** `Idempotency-Key` of the request that the events came in. */
  readonly idempotencyKey?: string
  /** Whether the events came in one request: then they share the correlation id and trace that are made for them. */
  readonly isOneRequest?: boolean
  /** When the source received the chunk, in milliseconds since 1970. Default: when it is handed over. */
  readonly receivedAtMs?: number
}

/** The context of a source that knows nothing. */
export const NO_CONTEXT: ChunkContext = {}

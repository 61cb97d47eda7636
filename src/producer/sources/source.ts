/** What every source of events offers, and what it reports. */

import type { PipelineError } from '../../core/index.ts'
import type { Intake } from '../intake.ts'

/** How far a source is. */
export interface SourceProgress {
  /** Events handed over. */
  readonly eventCount: number
  /** Bytes read, those before `resumedBytes` included. */
  readonly readBytes: number
  /** Bytes whose events are all safe in Kafka: those before it need not be read again. */
  readonly safeBytes: number
  /** Size of the whole source in bytes, where it has one. */
  readonly totalBytes?: number
  /** Bytes that were safe before this run, where it went on; absent if it began anew. */
  readonly resumedBytes?: number
  /** Events that were lost because nothing could hold them: only sources whose senders cannot wait drop any. */
  readonly droppedCount?: number
  /** Inputs that cannot be read now, while the others are. */
  readonly problemCount?: number
  /** How often the source began again from its safe position, because events had failed. */
  readonly retryCount?: number
}

/** A source of events. */
export interface Source {
  /** Name in reports and dead letters: `stdin`, `file:events.ndjson`, `http`, … */
  readonly name: string
  /**
   * Hands events to the intake until the source ends or the signal aborts, and
   * resolves when everything that was handed over is settled.
   *
   * @throws PipelineError why the source ended early; everything before `safeBytes` is in Kafka.
   */
  run(intake: Intake, signal: AbortSignal): Promise<void>
  /** How far it is. */
  progress(): SourceProgress
  /** Gives up what it still holds, for example open connections. Idempotent. */
  close(): Promise<void>
}

/** The end of a source. */
export interface SourceReport {
  readonly name: string
  readonly progress: SourceProgress
  /** Why it ended early; `undefined` if it came to its end or was stopped. */
  readonly error: PipelineError | undefined
}

/**
 * Newline-delimited JSON from a stream: standard input, a file, or any Readable.
 *
 * The next bytes are read only after the last ones were handed over, so a slow
 * Kafka stops the reading. A stop finishes what has been read: every whole line
 * is published, a line without its end is left unread. Files report how many
 * bytes are safe; a pipe cannot be read twice, so bytes already taken from it
 * are published before the source ends.
 *
 * With a state file the source goes on where it stopped. A kill repeats what was
 * published since the state was last written (`intervalMs`, one second unless
 * said otherwise), and loses nothing. A file is opened at its position; of a
 * stream, standard input included, as many bytes are left out as were safe. In
 * both cases the bytes before the position must be those of the last time, or
 * nothing is published: `ERR_PRODUCER_STATE_MISMATCH`.
 */

import { hostname } from 'node:os'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'

import { type Clock, messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Intake } from '../intake.ts'
import { type OpenedInput, openInput } from './file-input.ts'
import { readInput } from './input-reader.ts'
import { OpenChunks } from './open-chunks.ts'
import { readPoint, type ResumePoint } from './resume-point.ts'
import type { Source, SourceProgress } from './source.ts'
import { StateFile, type StateFileOptions, stateInvalid } from './source-state.ts'
import type { TextLines } from './text-lines.ts'

/** Where a source of bytes keeps its position. */
export interface ResumeOptions extends StateFileOptions {
  /** What to do if the input is not the one of the state: end with an error, or begin anew. Default `refuse`. */
  readonly onChange?: 'refuse' | 'restart'
}

/** What sources of lines have in common. */
export interface LineSourceOptions {
  /** Where the source goes on after a restart. Default: it begins anew. */
  readonly state?: ResumeOptions | undefined
  /** Begins anew, whatever was committed with the events of an earlier run. Default false. */
  readonly isRestart?: boolean
  /** `json`: a line is an event; `text`: a line becomes an object with `message`. Default `json`. */
  readonly format?: 'json' | 'text'
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Options of `StreamSource`. */
export interface StreamSourceOptions extends LineSourceOptions {
  /** Name in reports and dead letters. */
  readonly name: string
  /** Value of `file` in events of `format: text`. Default: the name. */
  readonly file?: string
  /** Kind of source in the state file. Default `stream`. */
  readonly kind?: string
  /**
   * Where the bytes come from; opened when the source runs, and again where the
   * input is not that of the state and shall be read from its start. It may begin
   * at the point, or at the start of the input: then the point's bytes are skipped.
   */
  readonly open: (point: ResumePoint | undefined) => Promise<OpenedInput>
}

/** A source of newline-delimited JSON. Runs once. */
export class StreamSource implements Source {
  readonly name: string
  readonly #options: StreamSourceOptions
  readonly #logger: Logger
  #chunks = new OpenChunks()
  #state: StateFile | undefined
  #eventCount = 0
  #readBytes = 0
  #resumedBytes: number | undefined
  #totalBytes: number | undefined
  #stream: Readable | undefined

  constructor(options: StreamSourceOptions) {
    this.name = options.name
    this.#options = options
    this.#logger = options.logger ?? silentLogger
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    const { state, kind = 'stream', clock = systemClock } = this.#options
    if (state !== undefined) this.#state = await StateFile.open({ ...state, kind, clock, logger: this.#logger })
    try {
      await this.#read(intake, signal)
    } catch (error) {
      await this.#state?.close().catch(() => undefined) // what ended the source says more
      throw error
    }
    await this.#state?.close()
  }

  progress(): SourceProgress {
    return {
      eventCount: this.#eventCount,
      readBytes: this.#readBytes,
      safeBytes: this.#chunks.safeBytes,
      ...(this.#resumedBytes === undefined ? {} : { resumedBytes: this.#resumedBytes }),
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes })
    }
  }

  close(): Promise<void> {
    this.#stream?.destroy()
    return Promise.resolve()
  }

  async #read(intake: Intake, signal: AbortSignal): Promise<void> {
    try {
      await this.#readFrom(this.#savedPoint(intake), intake, signal)
    } catch (error) {
      await this.#chunks.end() // a failed event says more than the reading it ended
      if (this.#options.state?.onChange !== 'restart' || !PipelineError.is(error, 'ERR_PRODUCER_STATE_MISMATCH')) {
        throw sourceFailed(this.name, error)
      }
      this.#logger.warn(
        { source: this.name, reason: error.message },
        'the input has changed: it is read from its start'
      )
      this.#resumedBytes = undefined
      await this.#readFrom(undefined, intake, signal)
    } finally {
      await this.close()
    }
    await intake.commit?.()
    await this.#chunks.end()
  }

  get #positionKey(): string {
    return `${this.#options.kind ?? 'stream'}:${this.#options.file ?? this.name}`
  }

  /** What was committed with the events counts more than a file. */
  #savedPoint(intake: Intake): ResumePoint | undefined {
    const committed = this.#options.isRestart === true ? undefined : intake.savedPosition?.(this.#positionKey)
    if (committed !== undefined) {
      const point = readPoint(committed)
      if (point === undefined) throw stateInvalid(this.#positionKey, 'it has no position')
      return point
    }
    if (this.#state?.saved === undefined) return undefined
    const point = readPoint(this.#state.saved)
    if (point === undefined) throw stateInvalid(this.#state.path, 'it has no position')
    return point
  }

  async #readFrom(point: ResumePoint | undefined, intake: Intake, signal: AbortSignal): Promise<void> {
    const opened = await this.#options.open(point)
    this.#stream = opened.stream
    this.#totalBytes = opened.totalBytes
    const chunks = new OpenChunks(point?.bytes)
    this.#chunks = chunks
    const end = await readInput({
      opened,
      point,
      name: this.name,
      positionKey: this.#positionKey,
      text: this.#text(),
      intake,
      chunks,
      stop: AbortSignal.any([signal, chunks.failedSignal]),
      onResumed: () => this.#resumed(point),
      onRead: (eventCount, readBytes) => {
        this.#eventCount += eventCount
        this.#readBytes = readBytes
      },
      onSafe: safe => this.#state?.set(safe)
    })
    if (end.kind === 'other') throw changed(this.name, end.reason)
  }

  #resumed(point: ResumePoint | undefined): void {
    if (point === undefined) return
    this.#resumedBytes = point.bytes
    this.#logger.info({ source: this.name, bytes: point.bytes, line: point.lines + 1 }, 'goes on where it stopped')
  }

  #text(): TextLines | undefined {
    if (this.#options.format !== 'text') return undefined
    return { file: this.#options.file ?? this.name, host: hostname() }
  }
}

/** Newline-delimited JSON from a stream that is already open, such as `process.stdin`. */
export function streamSource(stream: Readable, name = 'stdin', options: LineSourceOptions = {}): StreamSource {
  // What was skipped cannot be read again: a stream that is not the one of the state is always refused.
  const state = options.state && { ...options.state, onChange: 'refuse' as const }
  return new StreamSource({ ...options, state, name, open: () => Promise.resolve({ stream }) })
}

/**
 * Newline-delimited JSON from a file (or a named pipe). A name that ends in `.gz` is decompressed.
 *
 * `run` throws PipelineError `ERR_PRODUCER_SOURCE_FAILED` if it cannot be read,
 * and `ERR_PRODUCER_STATE_…` if it cannot go on where it stopped.
 */
export function fileSource(path: string, options: LineSourceOptions = {}): StreamSource {
  const name = `file:${basename(path)}`
  return new StreamSource({
    ...options,
    name,
    file: path,
    kind: 'file',
    open: async point => {
      const { input, check } = await openInput(path, point)
      if (check?.kind !== 'other') return input
      input.stream.destroy()
      throw changed(name, check.reason)
    }
  })
}

/** The input is not that of the state. */
export function changed(name: string, reason: string): PipelineError {
  const message =
    `${name} is not what the state file was written for: ${reason}; nothing of it was published. ` +
    'Name another state file, or publish all of it: --restart, or onChange: restart'
  return new PipelineError('ERR_PRODUCER_STATE_MISMATCH', message)
}

function sourceFailed(name: string, cause: unknown): PipelineError {
  if (PipelineError.is(cause)) return cause
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', `cannot read ${name}: ${messageOf(cause)}`, { cause })
}

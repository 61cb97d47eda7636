/**
 * Newline-delimited JSON from a stream: standard input, a file, or any Readable.
 *
 * The next bytes are read only after the last ones were handed over, so a slow
 * Kafka stops the reading. A stop finishes what has been read: every whole line
 * is published, a line without its end is left unread. Files report how many
 * bytes are safe; a pipe cannot be read twice, so bytes already taken from it
 * are published before the source ends.
 */

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { EventChunk } from '../event-chunk.ts'
import type { Intake } from '../intake.ts'
import { LineSplitter } from '../line-splitter.ts'
import { OpenChunks } from './open-chunks.ts'
import type { Source, SourceProgress } from './source.ts'

/** Bytes of one read of a file. */
const FILE_READ_BYTES = 262_144

/** Options of `StreamSource`. */
export interface StreamSourceOptions {
  /** Name in reports and dead letters. */
  readonly name: string
  /** Where the bytes come from; opened when the source runs. */
  readonly open: () => Promise<{ readonly stream: Readable; readonly totalBytes?: number }>
}

/** A source of newline-delimited JSON. Runs once. */
export class StreamSource implements Source {
  readonly name: string
  readonly #open: StreamSourceOptions['open']
  readonly #chunks = new OpenChunks()
  #eventCount = 0
  #readBytes = 0
  #totalBytes: number | undefined
  #stream: Readable | undefined

  constructor(options: StreamSourceOptions) {
    this.name = options.name
    this.#open = options.open
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    try {
      const opened = await this.#open()
      this.#stream = opened.stream
      this.#totalBytes = opened.totalBytes
      await this.#read(opened.stream, intake, AbortSignal.any([signal, this.#chunks.failedSignal]))
    } catch (error) {
      await this.#chunks.end() // a failed event says more than the reading it ended
      throw sourceFailed(this.name, error)
    } finally {
      await this.close()
    }
    await this.#chunks.end()
  }

  progress(): SourceProgress {
    return {
      eventCount: this.#eventCount,
      readBytes: this.#readBytes,
      safeBytes: this.#chunks.safeBytes,
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes })
    }
  }

  close(): Promise<void> {
    this.#stream?.destroy()
    return Promise.resolve()
  }

  async #read(stream: Readable, intake: Intake, signal: AbortSignal): Promise<void> {
    const lines = new LineSplitter(intake.recordBytesMax)
    const next = reader(stream, signal)
    for (let bytes = await next(); bytes !== undefined; bytes = await next()) {
      this.#readBytes += bytes.length
      await this.#hand(lines.push(bytes), intake)
    }
    if (signal.aborted && !stream.readableEnded) return
    await this.#hand(lines.end(), intake)
  }

  async #hand(chunk: EventChunk | undefined, intake: Intake): Promise<void> {
    if (chunk === undefined) return
    this.#eventCount += chunk.count
    await this.#chunks.follow(chunk.position, intake.submit(chunk, { source: this.name }))
  }
}

/** Newline-delimited JSON from a stream that is already open, such as `process.stdin`. */
export function streamSource(stream: Readable, name = 'stdin'): StreamSource {
  return new StreamSource({ name, open: () => Promise.resolve({ stream }) })
}

/**
 * Newline-delimited JSON from a file (or a named pipe).
 *
 * `run` throws PipelineError `ERR_PRODUCER_SOURCE_FAILED` if it cannot be read.
 */
export function fileSource(path: string): StreamSource {
  return new StreamSource({
    name: `file:${basename(path)}`,
    open: async () => {
      const entry = await stat(path)
      if (entry.isDirectory()) throw new Error(`${path} is a directory`)
      const stream = createReadStream(path, { highWaterMark: FILE_READ_BYTES })
      return entry.isFile() ? { stream, totalBytes: entry.size } : { stream }
    }
  })
}

/**
 * Reads a stream piece by piece. After the signal it gives what is in memory
 * then, once: reading makes the stream fetch more, so a loop until it is empty
 * would go on to its end. Then `undefined`.
 */
function reader(stream: Readable, signal: AbortSignal): () => Promise<Buffer | undefined> {
  let wake: () => void = () => undefined
  let failure: Error | undefined
  let hasEnded = stream.readableEnded
  let isStopped = false
  const end = (): void => {
    hasEnded = true
    wake()
  }
  stream.on('readable', () => wake())
  stream.on('end', end)
  stream.on('close', () => {
    if (!stream.readableEnded && !signal.aborted) failure ??= new Error('it was closed before its end')
    end()
  })
  stream.on('error', error => {
    failure = error
    wake()
  })
  signal.addEventListener('abort', () => wake(), { once: true })
  return async () => {
    for (;;) {
      if (failure !== undefined) throw failure
      if (isStopped) return undefined
      isStopped = signal.aborted
      const bytes: unknown = stream.read()
      if (bytes !== null) return asBuffer(bytes)
      if (hasEnded || signal.aborted) return undefined
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
}

function asBuffer(piece: unknown): Buffer {
  if (Buffer.isBuffer(piece)) return piece
  if (typeof piece === 'string') return Buffer.from(piece)
  throw new TypeError('it gives objects, not bytes')
}

function sourceFailed(name: string, cause: unknown): PipelineError {
  if (PipelineError.is(cause)) return cause
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', `cannot read ${name}: ${messageOf(cause)}`, { cause })
}

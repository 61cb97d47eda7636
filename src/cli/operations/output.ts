/**
 * Standard output for streams of records: pieces are collected into large writes, a slow reader holds the work back,
 * and one that has gone away (`| head`) ends it quietly.
 */

import { messageOf, PipelineError } from '../../core/index.ts'

/** Bytes that are collected before they are written. */
const WRITE_BYTES = 65_536

/** A place that text and bytes go to. */
export interface OutputTarget {
  write(chunk: Buffer): boolean
  once(event: 'drain', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** Writes to a stream in large pieces. */
export class StreamOutput {
  readonly #target: OutputTarget
  readonly #gone = new AbortController()
  readonly #onError: (error: Error) => void
  #pieces: Buffer[] = []
  #bytes = 0
  #drained: Promise<void> | undefined
  #error: Error | undefined

  constructor(target: OutputTarget = process.stdout) {
    this.#target = target
    this.#onError = error => {
      this.#error = error
      this.#gone.abort()
    }
    target.on('error', this.#onError)
  }

  /** Aborts when nobody reads any more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Takes a piece. Text is UTF-8. */
  write(piece: string | Buffer): void {
    if (piece.length === 0) return
    // A record's bytes lie in memory that is used again.
    const bytes = Buffer.from(piece as string)
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes >= WRITE_BYTES) this.flush()
  }

  /** Writes what was collected. */
  flush(): void {
    if (this.#bytes === 0 || this.#gone.signal.aborted) return
    const whole = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#bytes = 0
    if (this.#target.write(whole) || this.#drained !== undefined) return
    this.#drained = new Promise(resolve => {
      const finish = (): void => {
        this.#drained = undefined
        this.#gone.signal.removeEventListener('abort', finish)
        resolve()
      }
      this.#target.once('drain', finish)
      this.#gone.signal.addEventListener('abort', finish, { once: true })
    })
  }

  /** A promise while the reader is slow; `undefined` if more may be written. */
  room(): Promise<void> | undefined {
    return this.#drained
  }

  /**
   * Writes the rest and waits until it is out.
   *
   * @throws PipelineError `ERR_CLI_OUTPUT` if it could not be written; not if the reader has gone away.
   */
  async end(): Promise<void> {
    this.flush()
    await this.#drained
    const error = this.#error
    if (error === undefined || ('code' in error && error.code === 'EPIPE')) return
    throw new PipelineError('ERR_CLI_OUTPUT', `the output cannot be written: ${messageOf(error)}`, { cause: error })
  }
}

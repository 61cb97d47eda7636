/** An intake that writes events to a stream, a line each: where a generated load goes when it does not go to Kafka. */

import type { Writable } from 'node:stream'

import { PipelineError } from '../../core/index.ts'
import { EVENT_OUTCOME, type EventChunk, type Intake, type Submission } from '../../producer/index.ts'

/** Writes events. Each chunk waits until the stream has taken it. */
export class StreamIntake implements Intake {
  readonly recordBytesMax = Number.MAX_SAFE_INTEGER
  /** Events written. */
  eventCount = 0
  /** Whoever read the stream has gone: no failure, it has what it wanted. */
  hasLostReader = false
  readonly #stream: Writable
  #error: Error | undefined

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', error => {
      this.#error = error
    })
  }

  async submit(chunk: EventChunk): Promise<Submission> {
    const error = await this.#write(chunk)
    const isWritten = error === undefined
    if (isWritten) this.eventCount += chunk.count
    const outcome = isWritten ? EVENT_OUTCOME.delivered : EVENT_OUTCOME.failed
    return {
      settled: Promise.resolve({
        deliveredCount: isWritten ? chunk.count : 0,
        deadLetteredCount: 0,
        refusedCount: 0,
        spilledCount: 0,
        shedCount: 0,
        failedCount: isWritten ? 0 : chunk.count,
        outcomes: new Uint8Array(chunk.count).fill(outcome),
        refusals: [],
        error
      })
    }
  }

  /** The error that ended the stream, if one did. */
  async #write(chunk: EventChunk): Promise<PipelineError | undefined> {
    const cause = this.#error ?? (await this.#flush(linesOf(chunk)))
    if (cause === undefined) return undefined
    this.hasLostReader = 'code' in cause && cause.code === 'EPIPE'
    return outputFailed(cause)
  }

  #flush(bytes: Buffer): Promise<Error | undefined> {
    return new Promise(resolve => {
      this.#stream.write(bytes, error => resolve(error ?? undefined))
    })
  }
}

function linesOf({ bytes, spans, count }: EventChunk): Buffer {
  let text = ''
  for (let index = 0; index < count; index += 1) {
    text += `${bytes.toString('latin1', spans[index * 2], spans[index * 2 + 1])}\n`
  }
  return Buffer.from(text, 'latin1')
}

function outputFailed(cause: Error): PipelineError {
  return new PipelineError('ERR_CLI_OUTPUT', `the output cannot be written: ${cause.message}`, { cause })
}

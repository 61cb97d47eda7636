/**
 * A streamed answer: `awslambda.streamifyResponse` and the stream its handlers
 * write to. Bytes leave as they are written, at most `WINDOW_BYTES` ahead of the
 * reader: a handler that waits for `drain` is slowed down by a slow reader.
 *
 * Source: AWS's Lambda Node.js runtime interface client 3.3 (`ResponseStream.js`,
 * `StreamingContext.js`, `HttpResponseStream.js`).
 */

import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

import { RuntimeFailure } from './error-payload.ts'
import type { HandlerFunction } from './handler-loader.ts'
import { type InvocationContext, isThenable } from './invocation.ts'

/** Most bytes of an answer that have left the handler and not yet the runtime. */
const WINDOW_BYTES = 1_048_576
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming')
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')
const PRELUDE_CONTENT_TYPE = 'application/vnd.awslambda.http-integration-response'
const PRELUDE_DELIMITER_BYTES = 8

/** Whether the handler was wrapped by `awslambda.streamifyResponse`. */
export function isStreaming(handler: HandlerFunction): boolean {
  return STREAMING in handler && handler[STREAMING] === 'response'
}

/** Puts the global `awslambda` in place, before the handler is loaded. */
export function installAwsLambdaGlobal(): void {
  const streamifyResponse = (handler: object, options?: { readonly highWaterMark?: unknown }): object => {
    Object.assign(handler, { [STREAMING]: 'response' })
    if (typeof options?.highWaterMark === 'number') Object.assign(handler, { [HIGH_WATER_MARK]: options.highWaterMark })
    return handler
  }
  const HttpResponseStream = {
    from(stream: ResponseStream, prelude: unknown): ResponseStream {
      stream.setContentType(PRELUDE_CONTENT_TYPE)
      stream.prelude = [Buffer.from(JSON.stringify(prelude)), Buffer.alloc(PRELUDE_DELIMITER_BYTES)]
      return stream
    }
  }
  Object.assign(globalThis, { awslambda: { streamifyResponse, HttpResponseStream } })
}

/** Sends bytes away whose buffer is theirs alone. */
export type SendChunk = (payload: Uint8Array) => void

/** What the handler writes its answer to. */
export class ResponseStream extends Writable {
  readonly #send: SendChunk
  #aheadBytes = 0
  #isWritten = false
  #whenRoom: (() => void) | undefined
  /** Written before the first bytes of the handler. */
  prelude: readonly Buffer[] = []

  constructor(send: SendChunk, highWaterMark: number | undefined) {
    super(highWaterMark === undefined ? {} : { highWaterMark })
    this.#send = send
  }

  /** Names the type of the answer; must come before the first write. */
  setContentType(_contentType: string): void {
    if (this.#isWritten) throw new RuntimeFailure('InvalidStreamingOperation', 'Cannot set content-type, too late.')
  }

  /** The reader has taken so many bytes. */
  credit(bytes: number): void {
    this.#aheadBytes -= bytes
    if (this.#aheadBytes > WINDOW_BYTES) return
    const resume = this.#whenRoom
    this.#whenRoom = undefined
    resume?.()
  }

  // Objects are written as JSON, as Lambda does; a Writable would refuse them.
  override write(chunk: unknown, ...more: never[]): boolean {
    const isBytes = typeof chunk === 'string' || chunk instanceof Uint8Array
    this.#isWritten = true
    return super.write(isBytes ? chunk : JSON.stringify(chunk), ...more)
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    for (const each of this.prelude) this.#post(each)
    this.prelude = []
    this.#post(chunk)
    if (this.#aheadBytes <= WINDOW_BYTES) callback()
    else this.#whenRoom = callback
  }

  #post(bytes: Buffer): void {
    this.#aheadBytes += bytes.byteLength
    this.#send(Uint8Array.from(bytes))
  }
}

/** What a streaming handler is called with. */
export interface StreamedCall {
  readonly stream: ResponseStream
  readonly context: InvocationContext
  /** Writes a warning to the log of the function. */
  readonly warn: (text: string) => void
}

/** Lambda fails with this text, not with an error. */
const NOT_ASYNC: unknown = 'Streaming does not support non-async handlers.'

/** Calls a streaming handler; resolves once its answer has ended. Rejects with what it threw. */
export async function callStreamingHandler(
  handler: HandlerFunction,
  event: unknown,
  { stream, context, warn }: StreamedCall
): Promise<void> {
  const ended = finished(stream, { cleanup: true })
  // Whoever gives up before the end does not wait for it.
  ended.catch(() => undefined)
  const returned = handler(event, stream, context)
  if (!isThenable(returned)) throw NOT_ASYNC
  const value = await returned
  if (value !== undefined) warn('Streaming handlers ignore return values.')
  await ended
}

/** The stream of one invocation of this handler. */
export function streamFor(handler: HandlerFunction, send: SendChunk): ResponseStream {
  const mark: unknown = HIGH_WATER_MARK in handler ? handler[HIGH_WATER_MARK] : undefined
  return new ResponseStream(send, typeof mark === 'number' ? mark : undefined)
}

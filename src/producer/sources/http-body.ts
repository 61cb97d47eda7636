/**
 * Reads the body of a request with three limits: bytes of one body (after
 * decompression), bytes of all bodies together, and gzip only.
 *
 * Bytes count against the common limit as they arrive, not as announced, so that
 * a sender who announces much and sends slowly holds nothing. What does not fit
 * while a body is being read is not read on for a while: the sender, which was
 * let in, feels its socket fill. Only if there is no room for so long is it told
 * to come again.
 *
 * On events of the stream and not on its iterator: a request of one event is
 * read in one step. A body may come in pieces of one byte (HTTP's chunks), each
 * an object of some 200: small pieces are copied together as they come.
 */

import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { createGunzip, type Gunzip } from 'node:zlib'

import { messageOf } from '../../core/index.ts'
import type { BodyBudget } from './body-budget.ts'
import { type HttpRefusal, REFUSAL } from './http-answers.ts'

/** Longest time for which a body is not read on, in milliseconds, before its sender is told to come again. */
const PAUSE_MS = 1000
/** Bytes that are decompressed at once. */
const GUNZIP_BYTES = 65_536
/** Pieces from this size on are kept as they came, … */
const PIECE_BYTES_MIN = 1024
/** … smaller ones are copied into blocks of this size. */
const BLOCK_BYTES = 16_384
const NO_BYTES: Buffer = Buffer.alloc(0)

/** A body that was read, or why not. The budget holds `heldBytes` for it until the caller releases them. */
export type BodyReading =
  | { readonly kind: 'body'; readonly body: Buffer; readonly heldBytes: number }
  | { readonly kind: 'refused'; readonly refusal: HttpRefusal }
  | { readonly kind: 'gone' }

/** The limits of a body. */
export interface BodyLimits {
  readonly budget: BodyBudget
  readonly bodyBytesMax: number
  /** Longest time for which a body is not read on for want of room, in milliseconds. Default 1_000. */
  readonly pauseMs?: number
  /** When there may be room again, in milliseconds from now. Default: at once. */
  readonly retryAfterMs?: () => number
}

/** What can be said from the headers alone; `undefined` if the body may come. */
export function refuseByHeaders(request: IncomingMessage, limits: BodyLimits): HttpRefusal | undefined {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!CONTENT_TYPES.has(type)) return REFUSAL.contentType(type)
  const encoding = encodingOf(request)
  if (encoding !== 'identity' && encoding !== 'gzip') return REFUSAL.encoding(encoding)
  const announcedBytes = Number(request.headers['content-length'] ?? 0)
  if (announcedBytes > limits.bodyBytesMax) return REFUSAL.tooLarge(limits.bodyBytesMax)
  if (!limits.budget.hasRoom(announcedBytes)) return REFUSAL.busy(limits.retryAfterMs?.())
  return undefined
}

/** Types that a web page of another origin cannot send without asking first; the value says how the body is cut. */
const CONTENT_TYPES: ReadonlyMap<string, 'json' | 'lines'> = new Map([
  ['application/json', 'json'],
  ['application/x-ndjson', 'lines'],
  ['application/ndjson', 'lines'],
  ['application/jsonl', 'lines'],
  ['application/x-jsonlines', 'lines']
])

/** How the body of a request is cut into events. */
export function bodyFormat(request: IncomingMessage): 'json' | 'lines' {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return CONTENT_TYPES.get(type) ?? 'json'
}

function encodingOf(request: IncomingMessage): string {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  return encoding === 'x-gzip' ? 'gzip' : encoding
}

/** Reads a body to its end. What is not read is left in the request. */
export function readBody(request: IncomingMessage, limits: BodyLimits): Promise<BodyReading> {
  return new Promise(resolve => {
    new BodyReader(request, limits, resolve).start()
  })
}

class BodyReader {
  readonly #request: IncomingMessage
  readonly #limits: BodyLimits
  readonly #resolve: (reading: BodyReading) => void
  readonly #gunzip: Gunzip | undefined
  readonly #stream: Readable
  readonly #pieces: Buffer[] = []
  /** Where small pieces are copied to, and how much of it is in use. */
  #block = NO_BYTES
  #blockBytes = 0
  /** Where in the block the last of the pieces begins; -1 if that is a piece of its own. */
  #lastFrom = -1
  #heldBytes = 0
  /** Waits for room with a piece in hand; the stream may end meanwhile. */
  #isPaused = false
  #hasEnded = false
  #isDone = false

  constructor(request: IncomingMessage, limits: BodyLimits, resolve: (reading: BodyReading) => void) {
    this.#request = request
    this.#limits = limits
    this.#resolve = resolve
    this.#gunzip = encodingOf(request) === 'gzip' ? createGunzip({ chunkSize: GUNZIP_BYTES }) : undefined
    this.#stream = this.#gunzip ?? request
  }

  start(): void {
    this.#stream.on('data', this.#onData)
    this.#stream.on('end', this.#onEnd)
    this.#stream.on('error', this.#onError)
    this.#request.on('close', this.#onClose)
    if (this.#gunzip !== undefined) {
      this.#request.on('error', this.#onClose)
      this.#request.pipe(this.#gunzip)
    }
  }

  readonly #onData = (piece: Buffer): void => {
    const { budget, bodyBytesMax } = this.#limits
    if (this.#heldBytes + piece.length > bodyBytesMax) this.#refuse(REFUSAL.tooLarge(bodyBytesMax))
    else if (budget.take(piece.length)) this.#keep(piece)
    else this.#pause(piece)
  }

  #keep(piece: Buffer): void {
    this.#heldBytes += piece.length
    // Most bodies are one piece.
    if (piece.length < PIECE_BYTES_MIN && this.#pieces.length > 0) this.#keepSmall(piece)
    else {
      this.#pieces.push(piece)
      this.#lastFrom = -1
    }
  }

  #keepSmall(piece: Buffer): void {
    if (this.#block.length - this.#blockBytes < piece.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      this.#blockBytes = 0
      this.#lastFrom = -1
    }
    if (this.#lastFrom < 0) {
      this.#lastFrom = this.#blockBytes
      this.#pieces.push(NO_BYTES)
    }
    this.#blockBytes += piece.copy(this.#block, this.#blockBytes)
    this.#pieces[this.#pieces.length - 1] = this.#block.subarray(this.#lastFrom, this.#blockBytes)
  }

  /** Reads no more until there is room for this piece. */
  #pause(piece: Buffer): void {
    this.#stream.pause()
    this.#isPaused = true
    void this.#limits.budget.takeWithin(piece.length, this.#limits.pauseMs ?? PAUSE_MS).then(hasRoom => {
      this.#isPaused = false
      if (this.#isDone) {
        if (hasRoom) this.#limits.budget.release(piece.length)
      } else if (hasRoom) {
        this.#keep(piece)
        if (this.#hasEnded) this.#onEnd()
        else this.#stream.resume()
      } else this.#refuse(REFUSAL.busy(this.#limits.retryAfterMs?.()))
    })
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (this.#isPaused || this.#isDone) return
    const [first] = this.#pieces
    const body = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces)
    this.#finish({ kind: 'body', body, heldBytes: this.#heldBytes })
  }

  readonly #onError = (error: unknown): void => {
    if (this.#request.destroyed && !this.#request.complete) this.#onClose()
    else this.#refuse(REFUSAL.encoded(messageOf(error)))
  }

  /** A sender that goes away must end the reading, or the bytes it has sent are held for ever. */
  readonly #onClose = (): void => {
    if (this.#request.complete || this.#isDone) return
    this.#limits.budget.release(this.#heldBytes)
    this.#finish({ kind: 'gone' })
  }

  #refuse(refusal: HttpRefusal): void {
    if (this.#isDone) return
    this.#limits.budget.release(this.#heldBytes)
    this.#finish({ kind: 'refused', refusal })
  }

  /** Leaves the request as it is: the rest of its body can still be read. */
  #finish(reading: BodyReading): void {
    this.#isDone = true
    this.#pieces.length = 0
    this.#block = NO_BYTES
    this.#stream.off('data', this.#onData)
    this.#stream.off('end', this.#onEnd)
    this.#request.off('close', this.#onClose)
    if (this.#gunzip !== undefined) {
      this.#request.unpipe(this.#gunzip)
      this.#gunzip.destroy()
    }
    this.#resolve(reading)
  }
}

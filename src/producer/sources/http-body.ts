/**
 * Reads the body of a request with three limits: bytes of one body (after
 * decompression), bytes of all bodies together, and gzip only.
 *
 * Bytes count against the common limit as they arrive, not as announced, so that
 * a sender who announces much and sends slowly holds nothing.
 */

import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

import { messageOf } from '../../core/index.ts'
import { type HttpRefusal, REFUSAL } from './http-answers.ts'

/** Bytes of all bodies that are in memory. */
export class BodyBudget {
  readonly #bytesMax: number
  #bytes = 0

  /** @param bytesMax - Most bytes of all bodies together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether that many bytes would still fit. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax
  }

  /** Takes bytes; `false` if they do not fit. */
  take(bytes: number): boolean {
    if (!this.hasRoom(bytes)) return false
    this.#bytes += bytes
    return true
  }

  /** Gives bytes back. */
  release(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** Added to every body, so that its last line has an end; in JSON it is a blank. */
const LINE_END = Buffer.from('\n')

/** A body that was read, or why not. The budget holds `heldBytes` for it until the caller releases them. */
export type BodyReading =
  | { readonly kind: 'body'; readonly body: Buffer; readonly heldBytes: number }
  | { readonly kind: 'refused'; readonly refusal: HttpRefusal }
  | { readonly kind: 'gone' }

/** What can be said from the headers alone; `undefined` if the body may come. */
export function refuseByHeaders(
  request: IncomingMessage,
  limits: { readonly budget: BodyBudget; readonly bodyBytesMax: number }
): HttpRefusal | undefined {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!CONTENT_TYPES.has(type)) return REFUSAL.contentType(type)
  const encoding = encodingOf(request)
  if (encoding !== 'identity' && encoding !== 'gzip') return REFUSAL.encoding(encoding)
  const announcedBytes = Number(request.headers['content-length'] ?? 0)
  if (announcedBytes > limits.bodyBytesMax) return REFUSAL.tooLarge(limits.bodyBytesMax)
  if (!limits.budget.hasRoom(announcedBytes)) return REFUSAL.busy()
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

/** Reads a body to its end. */
export async function readBody(
  request: IncomingMessage,
  limits: { readonly budget: BodyBudget; readonly bodyBytesMax: number }
): Promise<BodyReading> {
  const { budget, bodyBytesMax } = limits
  const pieces: Buffer[] = []
  let heldBytes = 0
  const refused = (refusal: HttpRefusal): BodyReading => {
    budget.release(heldBytes)
    return { kind: 'refused', refusal }
  }
  try {
    for await (const piece of decoded(request)) {
      if (heldBytes + piece.length > bodyBytesMax) return refused(REFUSAL.tooLarge(bodyBytesMax))
      if (!budget.take(piece.length)) return refused(REFUSAL.busy())
      heldBytes += piece.length
      pieces.push(piece)
    }
  } catch (error) {
    if (!request.complete && request.destroyed) {
      budget.release(heldBytes)
      return { kind: 'gone' }
    }
    return refused(REFUSAL.encoded(messageOf(error)))
  }
  return { kind: 'body', body: Buffer.concat([...pieces, LINE_END]), heldBytes }
}

/** The bytes of a body, decompressed. Leaving the loop early leaves the request readable. */
async function* decoded(request: IncomingMessage): AsyncGenerator<Buffer> {
  const gunzip = encodingOf(request) === 'gzip' ? createGunzip() : undefined
  const source: Readable = gunzip === undefined ? request : request.pipe(gunzip)
  // A sender that goes away must end the loop, or the bytes it has sent are held for ever.
  const onGone = (): void => {
    if (!request.complete) gunzip?.destroy(new Error('the sender has gone'))
  }
  request.once('close', onGone)
  try {
    for await (const piece of source.iterator({ destroyOnReturn: false })) yield piece as Buffer // a byte stream
  } finally {
    request.off('close', onGone)
    if (gunzip !== undefined) {
      request.unpipe(gunzip)
      gunzip.destroy()
    }
  }
}

/**
 * Reads a request body into one buffer that can change owner, within a limit
 * per request and a budget over all of them.
 *
 * A body over its limit is read on and thrown away, so that a client that sends
 * before it reads still sees the answer; past `DISCARD_BYTES_MAX` the connection
 * is cut instead.
 */

import type { IncomingMessage } from 'node:http'

/** Most bytes of an oversized body that are read only to be thrown away. */
export const DISCARD_BYTES_MAX = 33_554_432

/** What became of a body. */
export type BodyOutcome =
  | { readonly kind: 'body'; readonly payload: ArrayBuffer }
  | { readonly kind: 'tooLarge' }
  | { readonly kind: 'noRoom' }
  /** The client went away. */
  | { readonly kind: 'aborted' }

/** Bytes of bodies that are held at the same time. */
export class BodyBudget {
  #heldBytes = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  tryHold(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#bytesMax) return false
    this.#heldBytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes
  }
}

/** Limits of one body. */
export interface BodyLimits {
  readonly bytesMax: number
  readonly budget: BodyBudget
}

/** Reads the body. Never rejects. Of a body, `payload.byteLength` stays held until the caller releases it. */
export async function readBody(request: IncomingMessage, { bytesMax, budget }: BodyLimits): Promise<BodyOutcome> {
  const declared = Number(request.headers['content-length'] ?? Number.NaN)
  if (declared > bytesMax) return refuse(request, declared, { kind: 'tooLarge' })
  // Without a declared length the most is assumed until the end is known.
  const reserved = Number.isNaN(declared) ? bytesMax : declared
  if (!budget.tryHold(reserved)) return refuse(request, reserved, { kind: 'noRoom' })
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    // Boundary: without an encoding the stream gives Buffers.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes <= bytesMax) chunks.push(chunk)
      else if (bytes > DISCARD_BYTES_MAX) request.destroy()
      else chunks.length = 0
    }
  } catch {
    budget.release(reserved)
    return { kind: 'aborted' }
  }
  if (bytes > bytesMax) {
    budget.release(reserved)
    return { kind: 'tooLarge' }
  }
  budget.release(reserved - bytes)
  return { kind: 'body', payload: joined(chunks, bytes) }
}

async function refuse(request: IncomingMessage, declared: number, outcome: BodyOutcome): Promise<BodyOutcome> {
  if (declared > DISCARD_BYTES_MAX) return outcome
  request.resume()
  await new Promise<void>(resolve => request.once('close', resolve).once('end', resolve))
  return outcome
}

function joined(chunks: readonly Buffer[], bytes: number): ArrayBuffer {
  const payload = new Uint8Array(bytes)
  let position = 0
  for (const chunk of chunks) {
    payload.set(chunk, position)
    position += chunk.length
  }
  return payload.buffer
}

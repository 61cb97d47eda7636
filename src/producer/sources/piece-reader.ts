/** Reads streams of bytes so that a stop ends the reading, and nothing that was taken is dropped. */

import type { Readable } from 'node:stream'

/**
 * Reads a stream piece by piece. After the signal it gives what is in memory
 * then, once: reading makes the stream fetch more, so a loop until it is empty
 * would go on to its end. Then `undefined`.
 */
export function pieceReader(stream: Readable, signal: AbortSignal): () => Promise<Buffer | undefined> {
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

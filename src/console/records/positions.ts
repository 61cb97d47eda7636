/**
 * Where a reading goes on: an offset for each partition, as opaque text that travels through the browser. A partition
 * that is not in it has been read to its end.
 */

import { PipelineError } from '../../core/index.ts'

/** Offsets by partition. */
export type Positions = ReadonlyMap<number, bigint>

const ENTRIES_MAX = 10_000

/** Positions as text. */
export function positionsText(positions: Positions): string {
  const entries = [...positions].map(([partition, offset]) => `${partition}:${offset}`)
  return Buffer.from(entries.join(',')).toString('base64url')
}

/** @throws PipelineError `ERR_CONSOLE_REQUEST` if the text is not one that this console has given. */
export function readPositions(text: string): Positions {
  const positions = new Map<number, bigint>()
  for (const entry of Buffer.from(text, 'base64url').toString('latin1').split(',')) {
    const [, partition, offset] = /^(\d{1,9}):(\d{1,19})$/.exec(entry) ?? []
    if (partition === undefined || offset === undefined || positions.size >= ENTRIES_MAX) {
      throw new PipelineError('ERR_CONSOLE_REQUEST', 'next is not what the answer before said: search again')
    }
    positions.set(Number(partition), BigInt(offset))
  }
  return positions
}

/**
 * What a log with transactions must look like, worked out from its batches in
 * the plainest way, and a reader that leaves out aborted records as clients do.
 */

import { RecordCursor } from '../../../src/protocol/index.ts'
import type { PartitionLog } from '../../../src/broker/log/index.ts'

/** One batch of a log. */
export interface ModelBatch {
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly kind: 'plain' | 'data' | 'commit' | 'abort'
  readonly coordinatorEpoch: number
  readonly values: readonly string[]
}

/** What follows from the batches. */
export interface ModelState {
  readonly lastStableOffset: bigint
  /** As in the index files: by marker. */
  readonly aborted: readonly { producerId: bigint; firstOffset: bigint; lastOffset: bigint; lastStableOffset: bigint }[]
  /** Values below the last stable offset that were not aborted. */
  readonly committed: readonly string[]
  /** Epochs, last sequence, first offset of the open transaction, by producer. */
  readonly producers: ReadonlyMap<bigint, readonly [number, number, number, bigint]>
}

/** Reads every batch of a log. */
export async function batchesOf(log: PartitionLog): Promise<ModelBatch[]> {
  const batches: ModelBatch[] = []
  const cursor = new RecordCursor()
  let next = log.logStartOffset
  while (next < log.highWatermark) {
    const { errorCode, records } = await log.read(next, 10_000)
    if (errorCode !== 0 || records.length === 0) throw new Error(`read at ${next}: ${errorCode}`)
    cursor.reset(records)
    while (cursor.nextBatch()) {
      batches.push(toModel(cursor))
      next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
  return batches
}

function toModel(cursor: RecordCursor): ModelBatch {
  const { header } = cursor
  const values: string[] = []
  let kind: ModelBatch['kind'] = (header.attributes & 0x10) === 0 ? 'plain' : 'data'
  let coordinatorEpoch = -1
  while (cursor.nextRecord()) {
    if ((header.attributes & 0x20) === 0) {
      values.push(cursor.value()?.toString() ?? '')
      continue
    }
    kind = cursor.key()?.readInt16BE(2) === 1 ? 'commit' : 'abort'
    coordinatorEpoch = cursor.value()?.readInt32BE(2) ?? -1
  }
  const { baseOffset, producerId, producerEpoch, baseSequence, lastOffsetDelta } = header
  const lastOffset = baseOffset + BigInt(lastOffsetDelta)
  const lastSequence = baseSequence < 0 ? -1 : (baseSequence + lastOffsetDelta) % 2 ** 31
  return { baseOffset, lastOffset, producerId, producerEpoch, lastSequence, kind, coordinatorEpoch, values }
}

/** Works out the state after all batches. */
export function stateOf(batches: readonly ModelBatch[], highWatermark: bigint): ModelState {
  const open = new Map<bigint, bigint>()
  const aborted: ModelState['aborted'][number][] = []
  const producers = new Map<bigint, [number, number, number, bigint]>()
  const lowestOpen = (end: bigint): bigint => [...open.values()].reduce((low, each) => (each < low ? each : low), end)
  for (const batch of batches) {
    const { producerId, producerEpoch, baseOffset, lastOffset } = batch
    if (producerId < 0n) continue
    const known = producers.get(producerId)
    if (batch.kind === 'plain' || batch.kind === 'data') {
      if (batch.kind === 'data' && !open.has(producerId)) open.set(producerId, baseOffset)
      producers.set(producerId, [producerEpoch, batch.lastSequence, known?.[2] ?? -1, open.get(producerId) ?? -1n])
      continue
    }
    const firstOffset = open.get(producerId)
    open.delete(producerId)
    if (batch.kind === 'abort' && firstOffset !== undefined) {
      aborted.push({ producerId, firstOffset, lastOffset, lastStableOffset: lowestOpen(lastOffset + 1n) })
    }
    const lastSequence = known?.[0] === producerEpoch ? known[1] : -1
    producers.set(producerId, [producerEpoch, lastSequence, batch.coordinatorEpoch, -1n])
  }
  const lastStableOffset = lowestOpen(highWatermark)
  const isAborted = (batch: ModelBatch): boolean =>
    batch.kind === 'data' &&
    aborted.some(
      each =>
        each.producerId === batch.producerId &&
        batch.baseOffset >= each.firstOffset &&
        batch.lastOffset < each.lastOffset
    )
  const committed = batches.filter(each => each.lastOffset < lastStableOffset && !isAborted(each))
  return { lastStableOffset, aborted, committed: committed.flatMap(each => each.values), producers }
}

/** Reads as a consumer of committed records does (`CompletedFetch` of the Java client), `bytesMax` at a time. */
export async function readCommitted(log: PartitionLog, bytesMax: number): Promise<string[]> {
  const values: string[] = []
  const cursor = new RecordCursor()
  let next = log.logStartOffset
  for (;;) {
    const { errorCode, records, abortedTransactions } = await log.read(next, bytesMax, { isReadCommitted: true })
    if (errorCode !== 0) throw new Error(`read at ${next}: ${errorCode}`)
    if (records.length === 0) return values
    const ahead = abortedTransactions.toSorted((a, b) => Number(a.firstOffset - b.firstOffset))
    const skipped = new Set<bigint>()
    cursor.reset(records)
    while (cursor.nextBatch()) {
      const batch = toModel(cursor)
      for (let first = ahead[0]; first !== undefined && first.firstOffset <= batch.lastOffset; first = ahead[0]) {
        skipped.add(first.producerId)
        ahead.shift()
      }
      if (batch.kind === 'abort') skipped.delete(batch.producerId)
      else if (batch.kind !== 'data' || !skipped.has(batch.producerId)) {
        // A batch that begins below the wanted offset was read before, in whole.
        if (batch.baseOffset >= next) values.push(...batch.values)
      }
      next = batch.lastOffset + 1n
    }
  }
}

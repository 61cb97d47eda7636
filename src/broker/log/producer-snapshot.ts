/**
 * Snapshot of the producer state (`<offset>.snapshot`), in Kafka's format
 * (`ProducerSnapshot`, version 1), which `kafka-dump-log.sh` prints.
 *
 *   file  => version i16 | crc u32 (CRC-32C of all that follows) | count i32 | entry* | earlier*
 *   entry => producer_id i64 | epoch i16 | last_sequence i32 | last_offset i64
 *          | offset_delta i32 | timestamp i64 | coordinator_epoch i32 | transaction_first_offset i64
 *   earlier => producer_id i64 | first_sequence i32 | last_sequence i32 | first_offset i64 | last_offset i64
 *            | timestamp i64
 *
 * Kafka's format has only the last batch of a producer. A client whose requests
 * were in flight when the broker was killed right behind a snapshot would then
 * be told that its retries are out of order, and would have to send records
 * again that are in the log. So the batches before the last stand behind the
 * entries, oldest first: Kafka's own reader ends before them.
 */

import { crc32c } from '../../protocol/index.ts'
import type { ProducerBatch, ProducerEntry } from './producer-state.ts'

const VERSION = 1
const CRC_END = 6
const HEADER_BYTES = 10
const ENTRY_BYTES = 46
const EARLIER_BYTES = 40
const SEQUENCE_COUNT = 0x8000_0000

/** Encodes a snapshot. */
export function encodeProducerSnapshot(entries: Iterable<ProducerEntry>, count: number): Buffer {
  const all = [...entries]
  const earlierCount = all.reduce((sum, { batches }) => sum + Math.max(0, batches.length - 1), 0)
  const buffer = Buffer.alloc(HEADER_BYTES + count * ENTRY_BYTES + earlierCount * EARLIER_BYTES)
  buffer.writeInt16BE(VERSION, 0)
  buffer.writeInt32BE(count, CRC_END)
  let at = HEADER_BYTES
  for (const entry of all) {
    const last = entry.batches.at(-1)
    buffer.writeBigInt64BE(entry.producerId, at)
    buffer.writeInt16BE(entry.producerEpoch, at + 8)
    buffer.writeInt32BE(last?.lastSequence ?? -1, at + 10)
    buffer.writeBigInt64BE(last?.lastOffset ?? -1n, at + 14)
    buffer.writeInt32BE(last === undefined ? 0 : Number(last.lastOffset - last.firstOffset), at + 22)
    buffer.writeBigInt64BE(entry.lastTimestampMs, at + 26)
    buffer.writeInt32BE(entry.coordinatorEpoch, at + 34)
    buffer.writeBigInt64BE(entry.transactionFirstOffset, at + 38)
    at += ENTRY_BYTES
  }
  for (const { producerId, batches } of all) {
    for (const batch of batches.slice(0, -1)) {
      buffer.writeBigInt64BE(producerId, at)
      buffer.writeInt32BE(batch.firstSequence, at + 8)
      buffer.writeInt32BE(batch.lastSequence, at + 12)
      buffer.writeBigInt64BE(batch.firstOffset, at + 16)
      buffer.writeBigInt64BE(batch.lastOffset, at + 24)
      buffer.writeBigInt64BE(batch.timestampMs, at + 32)
      at += EARLIER_BYTES
    }
  }
  buffer.writeUInt32BE(crc32c(buffer, CRC_END), 2)
  return buffer
}

/** Decodes a snapshot; `undefined` if its version, length or checksum is wrong. */
export function decodeProducerSnapshot(buffer: Buffer): ProducerEntry[] | undefined {
  if (buffer.length < HEADER_BYTES || buffer.readInt16BE(0) !== VERSION) return undefined
  const entriesEnd = HEADER_BYTES + buffer.readInt32BE(CRC_END) * ENTRY_BYTES
  const isWhole = entriesEnd >= HEADER_BYTES && entriesEnd <= buffer.length
  if (!isWhole || (buffer.length - entriesEnd) % EARLIER_BYTES !== 0) return undefined
  if (buffer.readUInt32BE(2) !== crc32c(buffer, CRC_END)) return undefined
  const earlier = new Map<bigint, ProducerBatch[]>()
  for (let at = entriesEnd; at < buffer.length; at += EARLIER_BYTES) {
    const producerId = buffer.readBigInt64BE(at)
    const batches = earlier.get(producerId)
    if (batches === undefined) earlier.set(producerId, [decodeEarlier(buffer, at)])
    else batches.push(decodeEarlier(buffer, at))
  }
  const entries: ProducerEntry[] = []
  for (let at = HEADER_BYTES; at < entriesEnd; at += ENTRY_BYTES) {
    const entry = decodeEntry(buffer, at)
    entries.push({ ...entry, batches: [...(earlier.get(entry.producerId) ?? []), ...entry.batches] })
  }
  return entries
}

function decodeEarlier(buffer: Buffer, at: number): ProducerBatch {
  return {
    firstSequence: buffer.readInt32BE(at + 8),
    lastSequence: buffer.readInt32BE(at + 12),
    firstOffset: buffer.readBigInt64BE(at + 16),
    lastOffset: buffer.readBigInt64BE(at + 24),
    timestampMs: buffer.readBigInt64BE(at + 32)
  }
}

function decodeEntry(buffer: Buffer, at: number): ProducerEntry {
  const timestampMs = buffer.readBigInt64BE(at + 26)
  return {
    producerId: buffer.readBigInt64BE(at),
    producerEpoch: buffer.readInt16BE(at + 8),
    batches: decodeLastBatch(buffer, at, timestampMs),
    lastTimestampMs: timestampMs,
    coordinatorEpoch: buffer.readInt32BE(at + 34),
    transactionFirstOffset: buffer.readBigInt64BE(at + 38)
  }
}

function decodeLastBatch(buffer: Buffer, at: number, timestampMs: bigint): ProducerBatch[] {
  const lastSequence = buffer.readInt32BE(at + 10)
  const lastOffset = buffer.readBigInt64BE(at + 14)
  const offsetDelta = buffer.readInt32BE(at + 22)
  if (lastOffset < 0n) return []
  return [
    {
      firstSequence: firstSequenceOf(lastSequence, offsetDelta),
      lastSequence,
      firstOffset: lastOffset - BigInt(offsetDelta),
      lastOffset,
      timestampMs
    }
  ]
}

function firstSequenceOf(lastSequence: number, offsetDelta: number): number {
  // Batches of the group coordinator have no sequences.
  if (lastSequence < 0) return lastSequence
  const first = lastSequence - offsetDelta
  return first < 0 ? first + SEQUENCE_COUNT : first
}

/**
 * Snapshot of the producer state (`<offset>.snapshot`), in Kafka's format
 * (`ProducerSnapshot`, version 1), which `kafka-dump-log.sh` prints.
 *
 *   file  => version i16 | crc u32 (CRC-32C of all that follows) | count i32 | entry*
 *   entry => producer_id i64 | epoch i16 | last_sequence i32 | last_offset i64
 *          | offset_delta i32 | timestamp i64 | coordinator_epoch i32 | transaction_first_offset i64
 *
 * Only the last batch of a producer is in it: after a restart the four before
 * are known only as far as the log behind the snapshot is replayed. A retry of
 * one of those is then out of order, as in Kafka.
 */

import { crc32c } from '../../protocol/index.ts'
import type { ProducerBatch, ProducerEntry } from './producer-state.ts'

const VERSION = 1
const CRC_END = 6
const HEADER_BYTES = 10
const ENTRY_BYTES = 46
const SEQUENCE_COUNT = 0x8000_0000

/** Encodes a snapshot. */
export function encodeProducerSnapshot(entries: Iterable<ProducerEntry>, count: number): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES + count * ENTRY_BYTES)
  buffer.writeInt16BE(VERSION, 0)
  buffer.writeInt32BE(count, CRC_END)
  let at = HEADER_BYTES
  for (const entry of entries) {
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
  buffer.writeUInt32BE(crc32c(buffer, CRC_END), 2)
  return buffer
}

/** Decodes a snapshot; `undefined` if its version, length or checksum is wrong. */
export function decodeProducerSnapshot(buffer: Buffer): ProducerEntry[] | undefined {
  if (buffer.length < HEADER_BYTES || buffer.readInt16BE(0) !== VERSION) return undefined
  const count = buffer.readInt32BE(CRC_END)
  if (count < 0 || buffer.length !== HEADER_BYTES + count * ENTRY_BYTES) return undefined
  if (buffer.readUInt32BE(2) !== crc32c(buffer, CRC_END)) return undefined
  const entries: ProducerEntry[] = []
  for (let at = HEADER_BYTES; at < buffer.length; at += ENTRY_BYTES) entries.push(decodeEntry(buffer, at))
  return entries
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
  if (lastSequence < 0) return []
  const firstSequence = lastSequence - offsetDelta
  return [
    {
      firstSequence: firstSequence < 0 ? firstSequence + SEQUENCE_COUNT : firstSequence,
      lastSequence,
      firstOffset: lastOffset - BigInt(offsetDelta),
      lastOffset,
      timestampMs
    }
  ]
}

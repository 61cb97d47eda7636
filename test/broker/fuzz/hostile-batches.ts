/**
 * Record batches that lie: in their header, in their records, in what their
 * compressed part opens to. The checksum is right in most of them, since a
 * client that lies computes it over its lie.
 */

import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Random, randomInt } from '../../../src/core/index.ts'
import { compress, type CompressionName, crc32c, RecordBatchBuilder } from '../../../src/protocol/index.ts'

/** Where the fields of a record batch lie. Source: Kafka's `DefaultRecordBatch`. */
const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
  records: 61
} as const

const CODECS: readonly CompressionName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const INTEGERS = [0, 1, -1, 2, 3, 100, 1000, 0x7fff, 0x7fff_ffff, -0x8000_0000, 1_000_000]

type Lie = (batch: Buffer, random: Random) => Buffer

function oneOf(random: Random): number {
  return INTEGERS[randomInt(random, INTEGERS.length)] ?? 0
}

/** Writes length and checksum as the rest of the batch demands. */
export function sealed(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - 12, AT.length)
  batch.writeUInt32BE(crc32c(batch, AT.attributes), AT.crc)
  return batch
}

/** A good batch of some records. */
export function goodBatch(random: Random): Buffer {
  const compression = CODECS[randomInt(random, CODECS.length)] ?? 'none'
  const builder = new RecordBatchBuilder({ compression })
  for (let count = 1 + randomInt(random, 5); count > 0; count--) {
    const headers = random.next() < 0.3 ? [{ key: 'h', value: Buffer.from('v') }] : []
    const key = random.next() < 0.5 ? null : Buffer.from(`key-${randomInt(random, 3)}`)
    builder.tryAppend(Date.now(), key, Buffer.from('a value'.repeat(randomInt(random, 10))), headers)
  }
  const isSequenced = random.next() < 0.3
  const producer = { producerId: BigInt(randomInt(random, 5)), producerEpoch: 0, baseSequence: randomInt(random, 3) }
  return Buffer.from(builder.build(isSequenced ? producer : {}))
}

/** Another batch with the same header whose records part is `payload`, compressed by `codec`. */
function withPayload(batch: Buffer, payload: Buffer, codec: number): Buffer {
  const forged = Buffer.concat([batch.subarray(0, AT.records), payload])
  forged.writeInt16BE((forged.readInt16BE(AT.attributes) & ~7) | codec, AT.attributes)
  return forged
}

const lieInHeader: Lie = (batch, random) => {
  const fields = [AT.lastOffsetDelta, AT.count, AT.baseSequence, AT.leaderEpoch] as const
  batch.writeInt32BE(oneOf(random), fields[randomInt(random, fields.length)] ?? AT.count)
  return batch
}

const lieInTime: Lie = (batch, random) => {
  const value = BigInt(oneOf(random)) << BigInt(randomInt(random, 33))
  batch.writeBigInt64BE(BigInt.asIntN(64, value), random.next() < 0.5 ? AT.baseTimestamp : AT.maxTimestamp)
  return batch
}

const lieInProducer: Lie = (batch, random) => {
  batch.writeBigInt64BE(BigInt(oneOf(random)), AT.producerId)
  batch.writeInt16BE((oneOf(random) << 16) >> 16, AT.producerEpoch)
  batch.writeInt32BE(oneOf(random), AT.baseSequence)
  return batch
}

/** Codec, timestamp type, transactional, control, delete horizon, and bits that mean nothing. */
const lieInAttributes: Lie = (batch, random) => {
  batch.writeUInt16BE(batch.readUInt16BE(AT.attributes) ^ (1 << randomInt(random, 16)), AT.attributes)
  return batch
}

const lieInRecords: Lie = (batch, random) => {
  for (let count = 1 + randomInt(random, 3); count > 0 && batch.length > AT.records; count--) {
    batch[AT.records + randomInt(random, batch.length - AT.records)] = randomInt(random, 256)
  }
  return batch
}

const cutRecords: Lie = (batch, random) =>
  Buffer.from(batch.subarray(0, AT.records + randomInt(random, Math.max(1, batch.length - AT.records))))

const noiseAsRecords: Lie = (batch, random) => {
  const payload = Buffer.from(Array.from({ length: randomInt(random, 100) }, () => randomInt(random, 256)))
  return withPayload(batch, payload, randomInt(random, 8))
}

/** Varints that say more than there is, in each place of a record where one stands. */
const lyingRecord: Lie = (batch, random) => {
  const varint = (): Buffer => Buffer.from([...Array.from({ length: randomInt(random, 5) }, () => 0xff), 0x7f])
  const good = Buffer.from([20, 0, 0, 0, 1, 2, 0x61, 2, 0x62, 0])
  const at = randomInt(random, good.length)
  const record = Buffer.concat([good.subarray(0, at), varint(), good.subarray(at + 1)])
  const codec = randomInt(random, 5)
  return withPayload(batch, compress(CODECS[codec] ?? 'none', record), codec)
}

const LIES: readonly Lie[] = [
  lieInHeader,
  lieInHeader,
  lieInTime,
  lieInProducer,
  lieInAttributes,
  lieInRecords,
  cutRecords,
  noiseAsRecords,
  lyingRecord,
  lyingRecord
]

/** A batch that lies; one of twenty has a wrong checksum or length as well. */
export function hostileBatch(random: Random): Buffer {
  const lie = LIES[randomInt(random, LIES.length)]
  const batch = sealed(lie === undefined ? goodBatch(random) : lie(goodBatch(random), random))
  if (random.next() < 0.03) batch.writeInt32BE(oneOf(random), AT.length)
  if (random.next() < 0.03) batch[AT.magic] = randomInt(random, 4)
  return batch
}

/** A batch whose compressed records open to `bytes` zeros: a thousandth of that, or less. */
export function bomb(codec: 'gzip' | 'zstd' | 'lz4' | 'snappy', bytes: number, random: Random): Buffer {
  const zeros = Buffer.alloc(bytes)
  const payload =
    codec === 'gzip' ? gzipSync(zeros) : codec === 'zstd' ? zstdCompressSync(zeros) : compress(codec, zeros)
  return sealed(withPayload(goodBatch(random), payload, CODECS.indexOf(codec)))
}

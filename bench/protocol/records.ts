/**
 * Speed of the parts of the hot path that stand on bytes alone.
 *
 *     npx --no node bench/protocol/records.ts
 *
 * Prints the median and the spread of several samples of each part, for records
 * of about 200 bytes, 500 to a batch: the truck scenario. One process, one thread.
 */

import { arch, cpus, platform } from 'node:os'
import {
  compress,
  COMPRESSION_NAMES,
  crc32c,
  decompress,
  fetchApi,
  ByteReader,
  ByteWriter,
  isBatchCrcValid,
  murmur2,
  RecordBatchBuilder,
  RecordCursor
} from '../../src/protocol/index.ts'
import { crc32cPortable } from '../../src/protocol/crc32c.ts'

const RECORDS_PER_BATCH = 500
const BATCHES = 40
const SAMPLES = 7

const keys = Array.from({ length: RECORDS_PER_BATCH }, (_, index) => Buffer.from(`mt-c${index % 97}`))
const values = Array.from({ length: RECORDS_PER_BATCH }, (_, index) =>
  Buffer.from(
    JSON.stringify({
      truckId: `T-${index % 500}`,
      code: `mt-c${index % 97}`,
      time: 1_700_000_000_000 + index,
      position: { lat: 48 + Math.sin(index) / 10, lon: 11.5 + Math.cos(index) / 10 },
      speedKmh: (index * 37) % 120,
      cargo: 'fresh vegetables',
      isRefrigerated: index % 3 === 0
    })
  )
)

function fill(builder: RecordBatchBuilder): void {
  for (let index = 0; index < RECORDS_PER_BATCH; index++) {
    builder.tryAppend(1_700_000_000_000 + index, keys[index] ?? null, values[index] ?? null)
  }
}

function batchOf(compression: (typeof COMPRESSION_NAMES)[number]): Buffer {
  const builder = new RecordBatchBuilder({ compression })
  fill(builder)
  return builder.build()
}

/** Runs `once` often enough for a stable sample; prints `amount` per second. */
function measure(name: string, [amount, unit]: readonly [amount: number, unit: string], once: () => void): void {
  const rates: number[] = []
  for (let sample = 0; sample <= SAMPLES; sample++) {
    const start = process.hrtime.bigint()
    let runs = 0
    let elapsed = 0n
    while (elapsed < 150_000_000n) {
      once()
      runs++
      elapsed = process.hrtime.bigint() - start
    }
    // The first sample warms up.
    if (sample > 0) rates.push((amount * runs * 1e9) / Number(elapsed))
  }
  rates.sort((a, b) => a - b)
  const format = (rate: number | undefined): string => ((rate ?? 0) / 1e6).toFixed(2).padStart(9)
  const median = rates[Math.floor(rates.length / 2)]
  const spread = `${format(rates[0]).trim()} to ${format(rates.at(-1)).trim()}`
  console.log(`${name.padEnd(34)}${format(median)} million ${unit}/s   (${spread})`)
}

const plain = batchOf('none')
const fetched = Buffer.concat(Array.from({ length: BATCHES }, () => plain))
const recordCount = RECORDS_PER_BATCH * BATCHES

console.log(`${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} CPUs, ${platform()} ${arch()}, Node ${process.version}`)
console.log(`${RECORDS_PER_BATCH} records per batch of ${plain.length} bytes, ${SAMPLES} samples\n`)

let sink = 0

for (const isCrcChecked of [true, false]) {
  const cursor = new RecordCursor({ isCrcChecked })
  measure(`cursor walk, CRC ${isCrcChecked ? 'checked' : 'trusted'}`, [recordCount, 'records'], () => {
    cursor.reset(fetched)
    while (cursor.nextBatch()) while (cursor.nextRecord()) sink += cursor.valueEnd - cursor.valueStart
  })
}
for (const name of COMPRESSION_NAMES) {
  const batch = batchOf(name)
  const cursor = new RecordCursor()
  measure(`cursor walk, ${name}`, [RECORDS_PER_BATCH, 'records'], () => {
    cursor.reset(batch)
    while (cursor.nextBatch()) while (cursor.nextRecord()) sink += cursor.offsetDelta
  })
}
for (const name of COMPRESSION_NAMES) {
  const builder = new RecordBatchBuilder({ compression: name })
  measure(`builder, ${name}`, [RECORDS_PER_BATCH, 'records'], () => {
    builder.reset()
    fill(builder)
    sink += builder.build().length
  })
}
measure('murmur2 of keys', [RECORDS_PER_BATCH, 'keys'], () => {
  for (const key of keys) sink += murmur2(key)
})
measure('CRC-32C', [plain.length, 'bytes'], () => void (sink += crc32c(plain)))
measure('CRC-32C, portable', [plain.length, 'bytes'], () => void (sink += crc32cPortable(plain)))
measure('CRC check of a batch', [1, 'batches'], () => void (sink += isBatchCrcValid(plain, 0) ? 1 : 0))
for (const name of COMPRESSION_NAMES.slice(1)) {
  const packed = compress(name, plain)
  measure(`${name} compress`, [plain.length, 'bytes'], () => void (sink += compress(name, plain).length))
  measure(`${name} decompress`, [plain.length, 'bytes'], () => void (sink += decompress(name, packed).length))
}

const response = {
  responses: Array.from({ length: 2 }, (_, topic) => ({
    topicId: `AAAAAAAAAAAAAAAAAAAAA${topic === 0 ? 'A' : 'Q'}`,
    partitions: Array.from({ length: 12 }, (__, partitionIndex) => ({
      partitionIndex,
      highWatermark: 10n,
      records: plain
    }))
  }))
}
const writer = new ByteWriter()
fetchApi.response.write(writer, response, 17)
const encoded = writer.toBuffer()
measure('Fetch response, encode', [24, 'partitions'], () => {
  const fresh = new ByteWriter()
  fetchApi.response.write(fresh, response, 17)
  sink += fresh.chunks().length
})
measure('Fetch response, decode', [24, 'partitions'], () => {
  sink += fetchApi.response.read(new ByteReader(encoded), 17).responses.length
})
if (sink === 0) console.log('nothing was measured')

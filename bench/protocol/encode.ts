/**
 * What it costs to walk records, check their values and write them into a payload: the kernel beside the reference.
 *
 *     npm run bench:encode
 *
 * 500 truck events of 200 B a payload, in record batches of 70, with offsets, timestamps and keys. Shown is the CPU of
 * this process for one record, the best of seven rounds: what other programs take away is not the code's.
 */

import { PartitionBuffer } from '../../src/dispatcher/partition-buffer.ts'
import { createPayloadEncoder } from '../../src/dispatcher/payload.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'
import { RecordBatchBuilder } from '../../src/protocol/index.ts'

const PAYLOADS = 400
const RECORDS = 500
const BATCH_RECORDS = 70

function chunkOf(recordCount: number): Buffer {
  const batches: Buffer[] = []
  for (let offset = 0; offset < recordCount; offset += BATCH_RECORDS) {
    const builder = new RecordBatchBuilder({ compression: 'none' })
    for (let index = offset; index < Math.min(recordCount, offset + BATCH_RECORDS); index += 1) {
      const value = {
        event_id: `e-${index}`,
        truck_id: `T-${String(index % 5000).padStart(5, '0')}`,
        codigo: 400 + (index % 20),
        ts: 1_700_000_000_000 + index,
        lat: -23.5 - Math.sin(index) / 10,
        lon: -46.6 - Math.cos(index) / 10,
        speed_kmh: index % 110,
        fuel_ratio: (index % 97) / 97,
        door: 'closed'
      }
      builder.tryAppend(1_700_000_000_000 + index, Buffer.from(value.truck_id), Buffer.from(JSON.stringify(value)))
    }
    batches.push(builder.build({ baseOffset: BigInt(offset) }))
  }
  return Buffer.concat(batches)
}

const records = chunkOf(RECORDS * 20)

/** CPU of one record, in microseconds. */
function measure(isKernelUsed: boolean): number {
  const encoder = createPayloadEncoder({
    format: 'json',
    include: ['offsets', 'timestamps', 'keys'],
    limits: { bytesMax: 5_242_880, bodyBytesMax: 104_857_600 },
    origin: { bootstrapServers: '' },
    isKernelUsed
  })
  const table = new RecordTable()
  let recordCount = 0
  const before = process.cpuUsage()
  while (recordCount < PAYLOADS * RECORDS) {
    const buffer = new PartitionBuffer(0n)
    buffer.push({ records, nextOffset: BigInt(RECORDS * 20) }, 0)
    while (!buffer.isEmpty) {
      encoder.begin('trucks', 0, false)
      buffer.fill({ table, encoder, recordsMax: RECORDS })
      encoder.finish(table)
      recordCount += table.count
    }
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / recordCount
}

for (const [name, isKernelUsed] of [
  ['kernel', true],
  ['reference', false]
] as const) {
  const rounds = Array.from({ length: 7 }, () => measure(isKernelUsed))
  console.log(`${name.padEnd(10)} ${Math.min(...rounds).toFixed(3)} µs of CPU a record`)
}

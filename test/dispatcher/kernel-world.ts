/** What the tests of the kernel share: everything that a buffer gives, with the kernel and without it. */

import { messageOf } from '../../src/core/index.ts'
import { PartitionBuffer } from '../../src/dispatcher/partition-buffer.ts'
import { createPayloadEncoder, type PayloadColumn } from '../../src/dispatcher/payload.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'

const isLong = process.env['FUZZ'] === 'long'
const seconds = isLong ? Number(process.env['FUZZ_SECONDS'] ?? 60) : 0.6
/** All columns of a payload. */
export const COLUMNS: readonly PayloadColumn[] = ['offsets', 'timestamps', 'keys', 'headers']
/** How a buffer is read. */
export interface Setting {
  readonly include: readonly PayloadColumn[]
  readonly recordsMax: number
  readonly bytesMax: number
  readonly from: bigint
}

/** Everything that a buffer gives, as text, errors included. */
export function everything(chunk: Buffer, setting: Setting, isKernelUsed: boolean): readonly string[] {
  const { include, recordsMax, bytesMax, from } = setting
  const limits = { bytesMax, bodyBytesMax: bytesMax + 100 }
  const origin = { bootstrapServers: '' }
  const encoder = createPayloadEncoder({ format: 'json', include, limits, origin, isKernelUsed })
  const table = new RecordTable(4)
  const buffer = new PartitionBuffer(from)
  const seen: string[] = []
  buffer.push({ records: chunk, nextOffset: 10_000n }, 0)
  for (let round = 0; round < 500; round += 1) {
    encoder.begin('t', 0, false)
    try {
      const filled = buffer.fill({ table, encoder, recordsMax })
      if (filled === undefined) break
      const { undeliverable, nextOffset } = filled
      const rows = Array.from({ length: table.count }, (_, row) => [
        table.offset(row),
        table.timestampMs(row),
        table.isLogAppendTime(row),
        table.key(row)?.toString('hex'),
        table.value(row)?.toString('hex'),
        table.headers(row).map(({ key, value }) => `${key}=${value?.length}`)
      ])
      seen.push(`${nextOffset} ${JSON.stringify(undeliverable)} ${rows.join(';')} ${encoder.finish(table).toString()}`)
    } catch (error) {
      seen.push(messageOf(error))
      break
    }
  }
  return seen
}

/** Repeats a comparison for the time that there is. */
export function repeat(compare: () => void): number {
  const endMs = performance.now() + seconds * 1000
  let count = 0
  for (; performance.now() < endMs; count += 100) for (let index = 0; index < 100; index += 1) compare()
  return count
}

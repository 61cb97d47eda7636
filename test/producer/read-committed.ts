/** What readers of committed records see, once no transaction is open. */

import { Admin, type Cluster, type FetchedChunk, Fetcher } from '../../src/client/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import type { ReadRecord } from './kafka.ts'

/** Reads until the last stable offset has reached the end of every partition: no transaction is open then. */
export async function readCommitted(cluster: Cluster, topics: readonly string[]): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  for (const topic of topics) {
    const partitions = Array.from({ length: await cluster.partitionCount(topic) }, (_, partition) => partition)
    const ends = await new Admin(cluster).listOffsets(partitions.map(partition => ({ topic, partition, at: 'latest' })))
    for (const { partition } of ends.filter(({ offset }) => offset > 0n)) {
      await new Promise<void>((resolve, reject) => {
        const fetcher = new Fetcher({
          cluster,
          isReadCommitted: true,
          maxWaitMs: 10,
          onRecords: chunk => {
            collect(chunk, records)
            if (chunk.nextOffset >= chunk.highWatermark) void fetcher.close().then(resolve, reject)
          },
          onPartitionError: ({ error }) => reject(error)
        })
        fetcher.add({ topic, partition, offset: 0n })
        fetcher.start()
      })
    }
  }
  return records
}

function collect(chunk: FetchedChunk, records: ReadRecord[]): void {
  const cursor = new RecordCursor()
  cursor.reset(chunk.records)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      records.push({
        partition: chunk.partition,
        offset: cursor.offset(),
        key: cursor.key()?.toString() ?? null,
        value: Buffer.from(cursor.value() ?? Buffer.alloc(0)),
        headers: Object.fromEntries(cursor.headers().map(({ key, value }) => [key, value?.toString() ?? '']))
      })
    }
  }
}

/** The member `n` of each event, in ascending order. */
export function numbersOf(records: readonly ReadRecord[]): number[] {
  return records.map(({ value }) => (JSON.parse(value.toString()) as { n: number }).n).toSorted((a, b) => a - b)
}

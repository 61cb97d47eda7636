/**
 * The positions of sources in a compacted topic: written in the transaction of
 * the events before them, read back by whoever takes the transactional id over.
 *
 *     key   => transactional id, "/", key of the source
 *     value => {"format":"comporta-ingest-state","version":1,"position":…}
 */

import { Admin, type AppendRecord, type Cluster, type FetchedChunk, Fetcher } from '../../client/index.ts'
import { type Clock, messageOf, PipelineError, within } from '../../core/index.ts'
import { RecordCursor } from '../../protocol/index.ts'

const FORMAT = 'comporta-ingest-state'
const VERSION = 1

interface Place {
  readonly id: string
  readonly stateTopic: string
}

/** The record of a position. */
export function positionRecord({ id, stateTopic }: Place, key: string, position: unknown): AppendRecord {
  const value = JSON.stringify({ format: FORMAT, version: VERSION, position })
  return { topic: stateTopic, key: Buffer.from(`${id}/${key}`), value: Buffer.from(value) }
}

/**
 * The committed positions of a transactional id, by source. To be called after its transactions were taken over, so
 * that none of them is open.
 *
 * @param timeoutMs - Longest wait for transactions of others that are open in the topic.
 * @throws PipelineError `ERR_PRODUCER_TRANSACTION` if they cannot be read, or are not positions.
 */
export async function readPositions(
  cluster: Cluster,
  place: Place,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number }
): Promise<Map<string, unknown>> {
  const admin = new Admin(cluster)
  const count = await cluster.partitionCount(place.stateTopic)
  const partitions = Array.from({ length: count }, (_, partition) => ({ topic: place.stateTopic, partition }))
  const [starts, ends] = await Promise.all([
    admin.listOffsets(partitions.map(each => ({ ...each, at: 'earliest' as const }))),
    admin.listOffsets(partitions.map(each => ({ ...each, at: 'latest' as const })))
  ])
  const wrong = [...starts, ...ends].find(each => each.errorCode !== 0)
  if (wrong !== undefined) throw unreadable(place, `its offsets cannot be listed (error ${wrong.errorCode})`)
  const open = new Map(ends.map(end => [end.partition, end.offset]))
  for (const { partition, offset } of starts) if (offset >= (open.get(partition) ?? 0n)) open.delete(partition)
  const positions = new Map<string, unknown>()
  const finished = Promise.withResolvers<true>()
  if (open.size === 0) return positions
  const fetcher = new Fetcher({
    cluster,
    isReadCommitted: true,
    maxWaitMs: 100,
    clock,
    onRecords: chunk => {
      collect(chunk, place, positions)
      chunk.lease?.release()
      if (chunk.nextOffset >= (open.get(chunk.partition) ?? 0n)) open.delete(chunk.partition)
      if (open.size === 0) finished.resolve(true)
    },
    onPartitionError: ({ error, willRetry }) => {
      if (!willRetry) finished.reject(error)
    }
  })
  for (const { partition, offset } of starts) {
    if (open.has(partition)) fetcher.add({ topic: place.stateTopic, partition, offset })
  }
  fetcher.start()
  try {
    const isDone = await within(clock, timeoutMs, finished.promise)
    if (isDone === undefined) throw new Error(`it was not read within ${timeoutMs} ms: a transaction may be open in it`)
  } catch (error) {
    throw unreadable(place, messageOf(error))
  } finally {
    await fetcher.close()
  }
  return positions
}

function collect(chunk: FetchedChunk, place: Place, positions: Map<string, unknown>): void {
  const cursor = new RecordCursor()
  const prefix = `${place.id}/`
  cursor.reset(chunk.records)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      const key = cursor.key()?.toString() ?? ''
      if (cursor.offset() < chunk.fromOffset || !key.startsWith(prefix)) continue
      const value = cursor.value()
      const name = key.slice(prefix.length)
      if (value === null) positions.delete(name)
      else positions.set(name, positionOf(value, place))
    }
  }
}

function positionOf(value: Buffer, place: Place): unknown {
  const document: unknown = JSON.parse(value.toString())
  if (typeof document !== 'object' || document === null || !('format' in document) || !('version' in document)) {
    throw unreadable(place, 'a record of it is no position')
  }
  if (document.format !== FORMAT || document.version !== VERSION) {
    throw unreadable(place, 'a record of it is of another program, or of a later version')
  }
  return 'position' in document ? document.position : undefined
}

function unreadable({ id, stateTopic }: Place, reason: string): PipelineError {
  const message = `the positions of ${id} in the topic ${stateTopic} cannot be read: ${reason}`
  return new PipelineError('ERR_PRODUCER_TRANSACTION', message)
}

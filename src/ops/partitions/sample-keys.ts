/**
 * Reads the last records of each partition of a topic and counts their keys, in bounded memory and time.
 *
 * A sample of the end of the log is what producers write now. A record that some group has not read counts as unread;
 * of a lag that is longer than the sample only its end is seen.
 */

import { type Cluster, Fetcher, type FetchedChunk } from '../../client/index.ts'
import { PipelineError, within } from '../../core/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import type { SampledKey } from './key-movement.ts'

/** What is sampled. */
export interface KeySampleRequest {
  readonly cluster: Cluster
  readonly topic: string
  /** By partition: both ends, and the least that a group has committed; `undefined` = no group. */
  readonly partitions: readonly SampledRange[]
  /** Most records of each partition, from the end. Default 1,000. */
  readonly perPartition?: number
  /** Longest time, in milliseconds: what was read until then is the sample. Default 10,000. */
  readonly timeoutMs?: number
}

/** A partition of a sample. */
export interface SampledRange {
  readonly partition: number
  readonly logStart: bigint
  readonly end: bigint
  readonly committed: bigint | undefined
}

/** What was found. */
export interface KeySample {
  /** The busiest first. */
  readonly keys: readonly SampledKey[]
  readonly records: number
  readonly recordsWithoutKey: number
  /** Mean size of key and value, in bytes; `undefined` without records. */
  readonly recordBytes: number | undefined
  /** Whether all of the sample was read in time, and all keys found room. */
  readonly isComplete: boolean
}

const KEYS_MAX = 200_000

/** Fewer records say nothing of shares. */
const SHARE_RECORDS_MIN = 100

/** Share of the busiest key in a sample, 0 to 1; `undefined` where the sample is too small to tell. */
export function hotKeyShareOf({ keys, records }: KeySample): number | undefined {
  return records < SHARE_RECORDS_MIN ? undefined : (keys[0]?.records ?? 0) / records
}

interface Counted {
  readonly key: Buffer
  records: number
  bytes: number
  unread: number
  readonly partitions: Set<number>
}

/**
 * Samples the keys of a topic.
 *
 * @throws PipelineError `ERR_OPS_REFUSED` if a partition cannot be read.
 */
export async function sampleKeys(request: KeySampleRequest): Promise<KeySample> {
  const { cluster, topic, perPartition = 1000, timeoutMs = 10_000 } = request
  const counter = new KeyCounter(request.partitions)
  const done = Promise.withResolvers<PipelineError | 'done'>()
  const open = new Set<number>()
  const fetcher = new Fetcher({
    cluster,
    onRecords: chunk => {
      counter.count(chunk)
      chunk.lease?.release()
      const end = counter.endOf(chunk.partition)
      if (chunk.nextOffset < end || !open.delete(chunk.partition)) return
      fetcher.remove(topic, chunk.partition)
      if (open.size === 0) done.resolve('done')
    },
    onPartitionError: ({ error, partition, willRetry }) => {
      if (willRetry) return
      const message = `${topic}-${partition} cannot be read: ${error.message}`
      done.resolve(new PipelineError('ERR_OPS_REFUSED', message, { cause: error }))
    }
  })
  for (const { partition, logStart, end } of request.partitions) {
    if (end <= logStart) continue
    const from = end - BigInt(perPartition)
    open.add(partition)
    fetcher.add({ topic, partition, offset: from > logStart ? from : logStart })
  }
  if (open.size === 0) done.resolve('done')
  fetcher.start()
  const how = await within(cluster.clock, timeoutMs, done.promise)
  await fetcher.close()
  if (PipelineError.is(how)) throw how
  return counter.sample(how === 'done')
}

class KeyCounter {
  readonly #ranges: ReadonlyMap<number, SampledRange>
  readonly #keys = new Map<string, Counted>()
  readonly #cursor = new RecordCursor()
  #records = 0
  #withoutKey = 0
  #bytes = 0
  #isFull = false

  constructor(ranges: readonly SampledRange[]) {
    this.#ranges = new Map(ranges.map(range => [range.partition, range]))
  }

  endOf(partition: number): bigint {
    return this.#ranges.get(partition)?.end ?? 0n
  }

  count({ partition, records, fromOffset }: FetchedChunk): void {
    const cursor = this.#cursor
    const range = this.#ranges.get(partition)
    if (range === undefined) return
    cursor.reset(records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        const offset = cursor.baseOffset + BigInt(cursor.offsetDelta)
        if (offset < fromOffset || offset >= range.end) continue
        this.#take(partition, range.committed !== undefined && offset >= range.committed)
      }
    }
  }

  sample(isRead: boolean): KeySample {
    const keys = [...this.#keys.values()]
      .map(({ partitions, ...key }) => ({ ...key, partitions: [...partitions] }))
      .sort((a, b) => b.records - a.records)
    return {
      keys,
      records: this.#records,
      recordsWithoutKey: this.#withoutKey,
      recordBytes: this.#records === 0 ? undefined : this.#bytes / this.#records,
      isComplete: isRead && !this.#isFull
    }
  }

  #take(partition: number, isUnread: boolean): void {
    const { recordBuffer, keyStart, keyEnd, valueStart, valueEnd } = this.#cursor
    const bytes = Math.max(0, keyEnd - keyStart) + Math.max(0, valueEnd - valueStart)
    this.#records += 1
    this.#bytes += bytes
    if (keyStart < 0) {
      this.#withoutKey += 1
      return
    }
    const name = recordBuffer.toString('latin1', keyStart, keyEnd)
    let counted = this.#keys.get(name)
    if (counted === undefined) {
      if (this.#keys.size >= KEYS_MAX) {
        this.#isFull = true
        return
      }
      // Copied: the answer it lies in is used again.
      const key = Buffer.from(recordBuffer.subarray(keyStart, keyEnd))
      counted = { key, records: 0, bytes: 0, unread: 0, partitions: new Set() }
      this.#keys.set(name, counted)
    }
    counted.records += 1
    counted.bytes += bytes
    counted.unread += isUnread ? 1 : 0
    counted.partitions.add(partition)
  }
}

/**
 * The logs of the simulated cluster: record batches as a broker keeps them, with holes between them (compaction,
 * control batches), growth, more partitions, and a start that retention moves.
 */

import type { AppendHeader } from '../../src/client/index.ts'
import { type Random, randomInt } from '../../src/core/index.ts'
import { recordBatch } from '../dispatcher/support.ts'

/** What is special about a record. */
export type RecordKind = 'plain' | 'malformed' | 'rejected' | 'deadLetter' | 'skip' | 'flaky'

/** A record of a log. */
export interface SimRecord {
  readonly offset: number
  readonly key: string | null
  readonly kind: RecordKind
  /** In a retry topic: the offset that it came from. */
  readonly origin?: number
}

interface LogBatch {
  readonly base: number
  /** Where the next batch begins at the earliest. */
  readonly next: number
  readonly bytes: Buffer
}

/** What a log is filled with. */
export interface LogShape {
  readonly keyCount: number
  /** Share of records that are not plain, 0 to 1. */
  readonly oddRatio: number
  /** Share of batches with a hole behind them, 0 to 1. */
  readonly holeRatio: number
  /** Bytes that a value is filled up with. */
  readonly paddingBytes: number
}

const ODD_KINDS: readonly RecordKind[] = ['malformed', 'rejected', 'deadLetter', 'skip', 'flaky', 'flaky']

/** One partition. */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  /** By offset; what is not there is a hole. */
  readonly records = new Map<number, SimRecord>()
  readonly #shape: LogShape
  #batches: LogBatch[] = []
  #start = 0
  #end = 0

  constructor(topic: string, partition: number, shape: LogShape) {
    this.topic = topic
    this.partition = partition
    this.#shape = shape
  }

  get start(): number {
    return this.#start
  }

  /** High watermark. */
  get end(): number {
    return this.#end
  }

  /** Appends one batch, and maybe a hole behind it. @param keys - Default: drawn. */
  append(count: number, random: Random, keys?: readonly string[]): void {
    const base = this.#end
    const { keyCount, oddRatio, holeRatio, paddingBytes } = this.#shape
    const padding = 'x'.repeat(paddingBytes)
    const built = Array.from({ length: count }, (_, index) => {
      const isOdd = random.next() < oddRatio
      const kind = isOdd ? (ODD_KINDS[randomInt(random, ODD_KINDS.length)] ?? 'plain') : 'plain'
      const drawn = random.next() < 0.05 ? null : `k${randomInt(random, keyCount)}`
      const key = keys?.[index] ?? drawn
      this.records.set(base + index, { offset: base + index, key, kind })
      const value = JSON.stringify({ o: base + index, kind, padding })
      return { key, value: kind === 'malformed' ? value.slice(0, -1) : value }
    })
    const hole = random.next() < holeRatio ? 1 + randomInt(random, 5) : 0
    this.#end = base + count + hole
    this.#batches.push({ base, next: this.#end, bytes: recordBatch(BigInt(base), built) })
  }

  /** Appends one record as it was given: of a retry topic. @returns Its offset. */
  appendGiven(given: {
    key: Buffer | null
    value: Buffer | null
    headers: AppendHeader[]
    timestampMs: number
  }): number {
    const base = this.#end
    // Not parsed as JSON: a malformed record may follow its key here.
    const origin = Number(/"o":(\d+)/.exec(given.value?.toString('utf8') ?? '')?.[1] ?? -1)
    this.records.set(base, { offset: base, key: given.key?.toString('utf8') ?? null, kind: 'plain', origin })
    this.#end = base + 1
    this.#batches.push({ base, next: this.#end, bytes: recordBatch(BigInt(base), [given]) })
    return base
  }

  /** Retention: whole batches at the beginning are deleted. @returns The records that are gone. */
  truncate(batchCount: number): SimRecord[] {
    const gone = this.#batches.splice(0, Math.min(batchCount, this.#batches.length - 1))
    const last = gone.at(-1)
    if (last === undefined) return []
    this.#start = last.next
    const deleted: SimRecord[] = []
    for (const [offset, record] of this.records) {
      if (offset >= this.#start) continue
      deleted.push(record)
      this.records.delete(offset)
    }
    return deleted
  }

  /** Whole batches from the one that holds an offset, up to a size; the first always comes. */
  read(offset: number, bytesMax: number): { readonly bytes: Buffer; readonly next: number } {
    const parts: Buffer[] = []
    let size = 0
    let next = offset
    for (const batch of this.#batches) {
      if (batch.next <= offset) continue
      if (parts.length > 0 && size + batch.bytes.length > bytesMax) break
      parts.push(batch.bytes)
      size += batch.bytes.length
      next = batch.next
    }
    return { bytes: parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts), next }
  }
}

/** Topics and their partitions. */
export class ClusterLogs {
  readonly #topics = new Map<string, PartitionLog[]>()

  /** Makes sure that a topic has at least this many partitions. */
  grow(topic: string, partitionCount: number, shape: LogShape): void {
    const partitions = this.#topics.get(topic) ?? []
    while (partitions.length < partitionCount) partitions.push(new PartitionLog(topic, partitions.length, shape))
    this.#topics.set(topic, partitions)
  }

  partitionCount(topic: string): number {
    return this.#topics.get(topic)?.length ?? 0
  }

  find(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.[partition]
  }

  all(topic: string): readonly PartitionLog[] {
    return this.#topics.get(topic) ?? []
  }
}

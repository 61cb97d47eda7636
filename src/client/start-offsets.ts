/**
 * Where newly assigned partitions go on: at the committed offset, or where the reset policy says.
 *
 * Each partition is handed out as soon as its own start is known: one without a
 * leader, or with an open transaction, does not keep the others back.
 *
 * A partition that was added to its topic starts at its beginning even under
 * `latest`: its records were never seen by anybody. It counts as added
 *
 * - if it was not there when this member started, or
 * - if the group has commits of the topic's other partitions, and those say so:
 *   a start that `latest` gave is committed together with how many partitions
 *   there were (`start:6`); without such a text, a partition above the highest
 *   committed one is taken for an added one.
 */

import { backoffMs, PipelineError, sleep } from '../core/index.ts'
import type { Cluster } from './cluster.ts'
import { type CommittedOffset, isOffsetsRetriable } from './group-requests.ts'
import type { AutoOffsetReset, PartitionStart, TopicPartition } from './group-types.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'
import { listOffsetsOnce, type OffsetQuestion } from './list-offsets.ts'
import { partitionKeyOf } from './topic-partition.ts'

/** What decides where to start. */
export interface StartOffsetsOptions {
  readonly cluster: Cluster
  /** Asks for committed offsets. An error of the whole group rejects; one of a partition is in its entry. */
  readonly fetchOffsets: (partitions: readonly TopicPartition[]) => Promise<ReadonlyMap<string, CommittedOffset>>
  readonly autoOffsetReset: AutoOffsetReset
  /** Whether the latest offset is the last stable one. */
  readonly isReadCommitted: boolean
  /** Partition counts when the member started. */
  readonly initialCounts: ReadonlyMap<string, number>
  readonly companions: (partition: TopicPartition) => readonly TopicPartition[]
  /** Told of starts as they are found; each partition once. Awaited. */
  readonly onFound: (starts: readonly StartOffset[]) => Promise<void>
  /** Ends the search. */
  readonly signal: AbortSignal
}

/** A start, and whether it was committed before. */
export interface StartOffset extends PartitionStart {
  readonly isCommitted: boolean
  readonly companions: readonly PartitionStart[]
}

const backoff = { initialMs: 20, maxMs: 1_000 }
const startText = /^start:(\d{1,9})$/

/** The text committed with a start that `latest` gave: how many partitions the topic had. */
export function startMetadata(partitionCount: number): string {
  return `start:${partitionCount}`
}

/**
 * Whether a partition was added to its topic after the group had begun to read it.
 *
 * @param committed - Texts of the group's commits of this topic, by partition.
 */
export function isAddedPartition(partition: number, committed: ReadonlyMap<number, string>): boolean {
  if (committed.size === 0) return false
  const counts = [...committed.values()].flatMap(text => {
    const count = startText.exec(text)?.[1]
    return count === undefined ? [] : [Number(count)]
  })
  if (counts.length > 0) return partition >= Math.max(...counts)
  return partition > Math.max(...committed.keys())
}

/**
 * Finds the starts, retrying what can be retried until all are found or the signal ends it. Resolves in both cases.
 *
 * @throws PipelineError `ERR_CLIENT_OFFSET_OUT_OF_RANGE` if nothing is committed and the policy is `none`, or an error
 *   that cannot be retried.
 */
export async function findStartOffsets(
  partitions: readonly TopicPartition[],
  options: StartOffsetsOptions
): Promise<void> {
  const search = new Search(partitions, options)
  for (let failures = 0; ;) {
    const openCount = search.openCount
    try {
      await search.round()
    } catch (cause) {
      const error = asPipelineError(cause, 'looking for start offsets')
      if (!error.retriable && !options.signal.aborted) throw error
    }
    if (search.openCount === 0 || options.signal.aborted) return
    failures = search.openCount < openCount ? 1 : failures + 1
    await sleep(options.cluster.clock, backoffMs(backoff, failures, options.cluster.random), options.signal)
    if (options.signal.aborted) return
  }
}

interface Wanted {
  readonly at: TopicPartition
  readonly companions: readonly TopicPartition[]
}

class Search {
  readonly #options: StartOffsetsOptions
  #open: Wanted[]
  /** Starts known so far in this round: committed ones, then listed ones. */
  #known = new Map<string, PartitionStart & { readonly isCommitted: boolean }>()

  constructor(partitions: readonly TopicPartition[], options: StartOffsetsOptions) {
    this.#options = options
    this.#open = partitions.map(at => ({ at, companions: options.companions(at) }))
  }

  get openCount(): number {
    return this.#open.length
  }

  async round(): Promise<void> {
    // What was committed may have changed since the last round: a transaction has ended.
    this.#known = new Map()
    const missing = await this.#readCommitted()
    await this.#handOut()
    if (this.#open.length === 0 || this.#options.signal.aborted) return
    await this.#list(missing)
    await this.#handOut()
  }

  /** @returns Partitions for which nothing is committed. */
  async #readCommitted(): Promise<TopicPartition[]> {
    const all = this.#open.flatMap(({ at, companions }) => [at, ...companions])
    const offsets = await this.#options.fetchOffsets(all)
    const missing: TopicPartition[] = []
    for (const { topic, partition } of all) {
      const found = offsets.get(partitionKeyOf({ topic, partition }))
      if (found === undefined) continue
      const { errorCode, offset, metadata } = found
      if (errorCode !== KAFKA.NONE) {
        const error = kafkaError(errorCode, `OffsetFetch of ${topic}-${partition}`)
        if (!error.retriable && !isOffsetsRetriable(errorCode)) throw error
      } else if (offset < 0n) missing.push({ topic, partition })
      else
        this.#known.set(partitionKeyOf({ topic, partition }), { topic, partition, offset, metadata, isCommitted: true })
    }
    return missing
  }

  async #list(missing: readonly TopicPartition[]): Promise<void> {
    const { cluster, signal, isReadCommitted } = this.#options
    const sources = new Set(this.#open.map(({ at }) => partitionKeyOf(at)))
    const committedTexts = await this.#committedTexts(missing.filter(at => sources.has(partitionKeyOf(at))))
    const questions: OffsetQuestion[] = []
    for (const at of missing) {
      if (sources.has(partitionKeyOf(at)))
        questions.push({ ...at, at: this.#resetOf(at, committedTexts.get(at.topic)) })
      // Nobody has written to a companion that does not exist.
      else if (this.#isUnknown(at)) this.#learn(at, 0n)
      else questions.push({ ...at, at: 'earliest' })
    }
    const { found, isComplete } = await listOffsetsOnce(cluster, questions, { signal, isReadCommitted })
    for (const { topic, partition, offset, errorCode } of found) {
      if (errorCode !== KAFKA.NONE) throw kafkaError(errorCode, `ListOffsets of ${topic}-${partition}`)
      this.#learn({ topic, partition }, offset)
    }
    if (!isComplete) await this.#lookForLeaders(questions)
  }

  async #lookForLeaders(questions: readonly TopicPartition[]): Promise<void> {
    const { cluster } = this.#options
    cluster.follow(questions.map(({ topic }) => topic))
    await cluster.refreshMetadata()
  }

  #learn({ topic, partition }: TopicPartition, offset: bigint): void {
    this.#known.set(partitionKeyOf({ topic, partition }), {
      topic,
      partition,
      offset,
      metadata: '',
      isCommitted: false
    })
  }

  #isUnknown({ topic, partition }: TopicPartition): boolean {
    const metadata = this.#options.cluster.cachedTopic(topic)
    if (metadata === undefined) return false
    return metadata.partitions.length === 0
      ? metadata.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION
      : partition >= metadata.partitions.length
  }

  #resetOf(
    { topic, partition }: TopicPartition,
    texts: ReadonlyMap<number, string> | undefined
  ): 'earliest' | 'latest' {
    const { autoOffsetReset, initialCounts } = this.#options
    if (autoOffsetReset === 'none') {
      throw new PipelineError(
        'ERR_CLIENT_OFFSET_OUT_OF_RANGE',
        `the group has no committed offset for ${topic}-${partition} and autoOffsetReset is "none"`
      )
    }
    if (autoOffsetReset === 'earliest' || partition >= (initialCounts.get(topic) ?? 0)) return 'earliest'
    return isAddedPartition(partition, texts ?? new Map()) ? 'earliest' : 'latest'
  }

  /** What the group has committed for the other partitions of the same topics; asked only where it matters. */
  async #committedTexts(missing: readonly TopicPartition[]): Promise<Map<string, Map<number, string>>> {
    const texts = new Map<string, Map<number, string>>()
    const { autoOffsetReset, cluster } = this.#options
    if (autoOffsetReset !== 'latest' || missing.length === 0) return texts
    const topics = [...new Set(missing.map(({ topic }) => topic))]
    const all = topics.flatMap(topic => {
      const count = cluster.cachedTopic(topic)?.partitions.length ?? 0
      return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
    })
    if (all.length === 0) return texts
    const offsets = await this.#options.fetchOffsets(all)
    for (const { topic, partition } of all) {
      const found = offsets.get(partitionKeyOf({ topic, partition }))
      if (found === undefined || found.offset < 0n) continue
      const ofTopic = texts.get(topic) ?? new Map<number, string>()
      texts.set(topic, ofTopic.set(partition, found.metadata))
    }
    return texts
  }

  async #handOut(): Promise<void> {
    const found: StartOffset[] = []
    const open: Wanted[] = []
    for (const wanted of this.#open) {
      const start = this.#known.get(partitionKeyOf(wanted.at))
      const companions = wanted.companions.flatMap(at => this.#known.get(partitionKeyOf(at)) ?? [])
      if (start === undefined || companions.length < wanted.companions.length) open.push(wanted)
      else found.push({ ...start, companions })
    }
    if (found.length === 0 || this.#options.signal.aborted) return
    this.#open = open
    await this.#options.onFound(found)
  }
}

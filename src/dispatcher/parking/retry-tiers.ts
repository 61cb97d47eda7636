/**
 * The retry topics of a dispatcher: they exist, have as many partitions as
 * their origin, and each partition that is assigned gets its station.
 */

import {
  type AssignedPartition,
  type ListedOffset,
  partitionKeyOf,
  type PartitionStart,
  type TopicPartition
} from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { KafkaSide } from '../kafka-side.ts'
import type { LaneSurroundings } from '../lane-surroundings.ts'
import { RetryLane, type RetryFetching } from './retry-lane.ts'
import type { RetryTier, RetryTopics } from './retry-topics.ts'
import type { ParkingSurroundings } from './stage-aside.ts'
import { Station, type StationDescription } from './station.ts'

/** What the retry topics of a dispatcher are made from. */
export interface RetryTiersOptions {
  readonly topics: RetryTopics
  readonly kafka: Pick<KafkaSide, 'listOffsets' | 'metadata' | 'createTopics' | 'createPartitions'>
  readonly mayCreate: boolean
  readonly keysMax: number
  readonly parking: ParkingSurroundings
  /** What the lanes of a topic work with. */
  readonly aroundOf: (topic: string) => LaneSurroundings
  readonly fetching: RetryFetching
}

/** The lanes to be opened for one retry partition. */
export interface TierStart extends PartitionStart {
  readonly tier: RetryTier
  readonly end: bigint
}

/** How long records stay in a retry topic that we create: longer than outages last. */
const RETENTION_MS = 1_209_600_000

/** Retry topics and the stations of the partitions held. */
export class RetryTiers {
  readonly #options: RetryTiersOptions
  readonly #stations = new Map<string, Station>()
  readonly #starts = new Map<string, { readonly start: TierStart; readonly station: Station }>()

  /** Partitions that the retry topics of a topic have at least. */
  readonly #widths = new Map<string, number>()
  #ensuring: Promise<void> = Promise.resolve()

  constructor(options: RetryTiersOptions) {
    this.#options = options
  }

  /** The retry partitions of a partition. */
  companionsOf(at: TopicPartition): TopicPartition[] {
    return this.#options.topics.companionsOf(at)
  }

  /** The station of a partition that is held. */
  station(at: TopicPartition): Station | undefined {
    return this.#stations.get(partitionKeyOf(at))
  }

  /** All stations, in full. */
  describe(): StationDescription[] {
    return [...this.#stations.values()].map(station => station.describe())
  }

  /** Keys that wait, all partitions together. */
  get parkedKeys(): number {
    let count = 0
    for (const station of this.#stations.values()) count += station.book.keyCount
    return count
  }

  /**
   * Makes the station of a partition: where its retry partitions begin and end is looked up. `hold` puts it to use.
   *
   * @returns The station, and where the lanes of its retry partitions start.
   * @throws PipelineError `ERR_DISPATCHER_RETRY_TOPICS` if they are not there and may not be created, and what the
   *   cluster throws.
   */
  async open(origin: AssignedPartition): Promise<{ station: Station; starts: TierStart[] }> {
    const { topics, parking, keysMax } = this.#options
    const tiers = topics.tiersOf(origin.topic)
    // Asking for the ends of a partition that is not there yet takes as long as a request may.
    if (origin.partition >= (this.#widths.get(origin.topic) ?? 0)) await this.ensure([origin.topic])
    const ends = await this.#ends(origin)
    const starts = tiers.map((tier, index): TierStart => {
      const committed = origin.companions?.[index]
      const { earliest, latest } = ends[index] ?? { earliest: 0n, latest: 0n }
      // Behind the end: the topic was deleted and made again, or cut off. What is in it now is not known to be done.
      const isThere = committed !== undefined && committed.offset >= earliest && committed.offset <= latest
      const offset = isThere ? committed.offset : earliest
      const metadata = committed?.offset === offset ? committed.metadata : ''
      return { topic: tier.topic, partition: origin.partition, offset, metadata, tier, end: latest }
    })
    return { station: new Station({ origin, tiers, keysMax, parking }), starts }
  }

  /** The partition is held with this station from now on. */
  hold(station: Station, starts: readonly TierStart[]): void {
    this.#stations.set(partitionKeyOf(station), station)
    for (const start of starts) this.#starts.set(partitionKeyOf(start), { start, station })
  }

  /** The lane of a retry partition whose station is open; `undefined` for any other partition. */
  laneOf(at: TopicPartition, epoch: number): RetryLane | undefined {
    const found = this.#starts.get(partitionKeyOf(at))
    if (found === undefined) return undefined
    const { start, station } = found
    const { aroundOf, fetching } = this.#options
    const around = aroundOf(station.topic)
    return new RetryLane({ tier: start.tier, start, end: start.end, epoch, around, station, fetching })
  }

  /** The origin of a retry partition whose station is open. */
  originOf(at: TopicPartition): TopicPartition | undefined {
    return this.#starts.get(partitionKeyOf(at))?.station
  }

  /** The partition is given back: its station waits for nothing any more. */
  stop(at: TopicPartition): void {
    this.#stations.get(partitionKeyOf(at))?.stop()
  }

  /** All partitions are given back. */
  stopAll(): void {
    for (const station of this.#stations.values()) station.stop()
  }

  /** The partition is gone, and its station with it. */
  close(at: TopicPartition): void {
    this.#stations.get(partitionKeyOf(at))?.stop()
    this.#stations.delete(partitionKeyOf(at))
    for (const companion of this.companionsOf(at)) this.#starts.delete(partitionKeyOf(companion))
  }

  /**
   * Creates the retry topics that are missing, and lets those grow that have fewer partitions than their origin.
   *
   * @throws PipelineError `ERR_DISPATCHER_RETRY_TOPICS` that names the commands, if that is not allowed.
   */
  async ensure(origins: readonly string[]): Promise<void> {
    // One at a time: partitions that come together want the same.
    const turn = this.#ensuring.then(() => this.#ensure(origins))
    this.#ensuring = turn.catch(() => undefined)
    await turn
  }

  async #ensure(origins: readonly string[]): Promise<void> {
    const { topics, kafka, mayCreate } = this.#options
    const names = origins.flatMap(origin => [origin, ...topics.tiersOf(origin).map(tier => tier.topic)])
    const found = new Map((await kafka.metadata(names)).topics.map(topic => [topic.topic, topic]))
    const countOf = (topic: string): number => {
      const metadata = found.get(topic)
      return metadata === undefined || metadata.errorCode !== 0 ? 0 : metadata.partitions.length
    }
    const wanted: WantedTopic[] = []
    for (const origin of origins) {
      const partitionCount = countOf(origin)
      for (const { topic } of topics.tiersOf(origin)) {
        const has = countOf(topic)
        if (has < partitionCount) wanted.push({ topic, partitionCount, has })
      }
    }
    if (wanted.length === 0) for (const origin of origins) this.#widths.set(origin, countOf(origin))
    if (wanted.length === 0 || kafka.createTopics === undefined || kafka.createPartitions === undefined) return
    if (!mayCreate) throw missing(wanted, 'retry.createTopics is off')
    const missingTopics = wanted.filter(({ has }) => has === 0)
    const growing = wanted.filter(({ has }) => has > 0)
    const configs = { 'cleanup.policy': 'delete', 'retention.ms': String(RETENTION_MS) }
    const results = [
      ...(missingTopics.length === 0
        ? []
        : await kafka.createTopics(
            missingTopics.map(({ topic, partitionCount }) => ({ topic, partitionCount, configs }))
          )),
      ...(growing.length === 0 ? [] : await kafka.createPartitions(growing))
    ]
    // Another member may have been first: it wants the same.
    const failed = results.filter(({ errorCode, errorName }) => errorCode !== 0 && !BY_ANOTHER.has(errorName))
    if (failed.length === 0) {
      for (const origin of origins) this.#widths.set(origin, countOf(origin))
      return
    }
    const refused = new Set(failed.map(({ name }) => name))
    const reasons = failed.map(({ name, errorName, errorMessage }) => `${name}: ${errorName} ${errorMessage ?? ''}`)
    const left = wanted.filter(({ topic }) => refused.has(topic))
    throw missing(left, reasons.map(each => each.trimEnd()).join('; '))
  }

  async #ends(origin: AssignedPartition): Promise<{ earliest: bigint; latest: bigint }[]> {
    const companions = this.companionsOf(origin)
    const ask = async (at: 'earliest' | 'latest'): Promise<Map<string, ListedOffset>> => {
      const listed = await this.#options.kafka.listOffsets(companions.map(each => ({ ...each, at })))
      return new Map(listed.map(each => [partitionKeyOf(each), each]))
    }
    const [earliest, latest] = await Promise.all([ask('earliest'), ask('latest')])
    return companions.map(companion => {
      const first = earliest.get(partitionKeyOf(companion))
      const last = latest.get(partitionKeyOf(companion))
      if (first === undefined || last === undefined || first.errorCode !== 0 || last.errorCode !== 0) {
        const name = `${companion.topic}-${companion.partition}`
        const message = `the ends of the retry partition ${name} cannot be read: it may not exist yet`
        throw new PipelineError('ERR_DISPATCHER_RETRY_TOPICS', message, { retriable: true })
      }
      return { earliest: first.offset, latest: last.offset }
    })
  }
}

interface WantedTopic {
  readonly topic: string
  readonly partitionCount: number
  /** Partitions it has. */
  readonly has: number
}

const BY_ANOTHER: ReadonlySet<string> = new Set(['TOPIC_ALREADY_EXISTS', 'INVALID_PARTITIONS'])

function missing(wanted: readonly WantedTopic[], why: string): PipelineError {
  const commands = wanted.map(({ topic, partitionCount, has }) => {
    const verb = has === 0 ? '--create' : '--alter'
    const config = has === 0 ? ` --config retention.ms=${RETENTION_MS}` : ''
    return `kafka-topics.sh --bootstrap-server … ${verb} --topic '${topic}' --partitions ${partitionCount}${config}`
  })
  const message = `retry topics are missing or have too few partitions (${why}). Run:\n${commands.join('\n')}`
  return new PipelineError('ERR_DISPATCHER_RETRY_TOPICS', message)
}

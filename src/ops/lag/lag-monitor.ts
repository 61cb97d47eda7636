/**
 * Looks at the lag of groups, again and again.
 *
 * Each look is one scan. Between looks are kept: the ends of each partition (for
 * rates, and for the age of offsets whose record is not looked at), the commits
 * of each group (for Burrow's verdict), settings of topics, and the age of
 * records at which a group stands still. What a look does not see any more is
 * forgotten with it.
 *
 * The age of the oldest unread record is read from the record itself, for the
 * largest lags first and for `appendTimesMax` places at most; the age of the
 * others is interpolated, and says so.
 *
 * Limits: memory is bounded by partitions and pairs of group and partition, times
 * the window; nothing grows with the number of looks.
 */

import type { Cluster } from '../../client/index.ts'
import { type Clock, invariant } from '../../core/index.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan, ScannedGroup, ScannedPartition } from '../scan/scan-types.ts'
import { BURROW_DEFAULTS, type BurrowRules } from './burrow.ts'
import { groupLagOf } from './group-lag.ts'
import { judge, type JudgedEnds, unreadOf } from './judge.ts'
import { GroupTrack, type PairTrack } from './group-track.ts'
import type { GroupLag, LagFlag, LagReport, PartitionLag } from './lag-types.ts'
import { OffsetMap } from './offset-map.ts'
import { type OldestQuestion, type OldestRecord, readOldest } from './oldest-record.ts'
import { readPairs, type ReadPair } from './read-pairs.ts'
import { type LedPartition, TopicSettings } from './topic-settings.ts'
import { type Arrivals, TopicTrack } from './topic-track.ts'

/** Options of `LagMonitor`. */
export interface LagMonitorOptions {
  readonly cluster: Cluster
  /** Default: that of the cluster client. */
  readonly clock?: Clock
  /** Only these groups. Default: all consumer groups. */
  readonly groups?: readonly string[]
  /** Only these topics. Default: all that the groups read. */
  readonly topics?: readonly string[]
  /** Looks that rates and verdicts rest on. 2 to 1_000. Default 10. Source: Burrow `intervals`. */
  readonly windowSize?: number
  /** Whether the groups read committed records only: lag then ends at the last stable offset. Default `false`. */
  readonly isReadCommitted?: boolean
  /** Share of a full window of looks without which all are OK, 0 to 1. Default 0.5. Source: `minimum-complete`. */
  readonly minimumComplete?: number
  /** Lag that is nothing to speak of, in records. Default 0. Source: Burrow `allowed-lag`. */
  readonly allowedLag?: number
  /** Commits closer than this count as one, in milliseconds. Default 0. Source: Burrow `min-distance`. */
  readonly minDistanceMs?: number
  /** Time without a commit after which a group is not judged, in milliseconds. Default 7 d. Source: `expire-group`. */
  readonly expireGroupMs?: number
  /** Most records whose time is read in one look. 0 = all ages are interpolated. Default 500. */
  readonly appendTimesMax?: number
  /**
   * Age at which a transaction counts as hanging, in milliseconds. Default 900_000.
   * Source: Kafka `transaction.max.timeout.ms`.
   */
  readonly hangingTransactionMs?: number
  /** Whether retention is looked at, which needs DESCRIBE_CONFIGS on the topics. Default `true`. */
  readonly withRetention?: boolean
  /** See `ScanRequest`. Default 5_000. */
  readonly patienceMs?: number
}

const windowSizeDefault = 10
const expireGroupMsDefault = 604_800_000
const hangingTransactionMsDefault = 900_000

/** A look and what it rests on. */
export interface LagLook {
  readonly report: LagReport
  readonly scan: ClusterScan
}

/** A pair, as a look found it. */
interface Seen {
  readonly pair: ReadPair
  readonly track: PairTrack
  readonly topic: TopicTrack
  readonly partition: ScannedPartition | undefined
  readonly ends: JudgedEnds | undefined
  readonly question: PairQuestion | undefined
}

/** Where the oldest unread record of a pair is, and how many follow. */
interface PairQuestion extends OldestQuestion {
  readonly lag: number
}

/** See the module. */
export class LagMonitor {
  readonly #options: LagMonitorOptions
  readonly #clock: Clock
  readonly #rules: BurrowRules
  readonly #windowSize: number
  readonly #topics = new Map<string, TopicTrack>()
  readonly #groups = new Map<string, GroupTrack>()
  readonly #settings: TopicSettings
  /** Times of the last looks, oldest first. */
  #lookTimesMs: number[] = []
  /** See `JudgeQuestion`. */
  readonly #leadsMs = new Map<number, number>()
  /** What was found at places where somebody still stands. */
  #oldest = new OffsetMap<OldestRecord>()

  constructor(options: LagMonitorOptions) {
    this.#options = options
    this.#clock = options.clock ?? options.cluster.clock
    this.#windowSize = options.windowSize ?? windowSizeDefault
    invariant(this.#windowSize >= 2 && this.#windowSize <= 1_000, 'windowSize is 2 to 1000')
    this.#rules = {
      intervals: this.#windowSize,
      minimumComplete: options.minimumComplete ?? 0.5,
      allowedLag: options.allowedLag ?? BURROW_DEFAULTS.allowedLag
    }
    this.#settings = new TopicSettings(options.cluster)
  }

  /**
   * One look: a scan, and what is worked out from it and the looks before.
   *
   * @throws PipelineError of the connection if no broker answers; whatever else fails is marked in the report.
   */
  async look(signal?: AbortSignal): Promise<LagReport> {
    const { report } = await this.lookAndScan(signal)
    return report
  }

  /**
   * One look, and the scan that it rests on: for those who want to know of topics that nobody reads, and of members.
   *
   * @throws PipelineError of the connection if no broker answers; whatever else fails is marked in the report.
   */
  async lookAndScan(signal?: AbortSignal): Promise<LagLook> {
    const startedMs = this.#clock.monotonicMs()
    const scan = await this.#scan(signal)
    this.#remember(scan)
    const seen = scan.groups.map(group => ({ group, pairs: this.#see(scan, group) }))
    const pairs = seen.flatMap(each => each.pairs)
    await Promise.all([this.#readOldest(pairs, signal), this.#readSettings(pairs)])
    const groups = seen.map(each => this.#judgeGroup(scan, each))
    const { problem } = this.#settings
    const report: LagReport = {
      clusterId: scan.clusterId,
      takenAtMs: scan.takenAtMs,
      durationMs: this.#clock.monotonicMs() - startedMs,
      groups,
      problems: problem === undefined ? scan.problems : [...scan.problems, problem],
      ...(scan.problems.length > 0 ? { isPartial: true as const } : {})
    }
    return { report, scan }
  }

  /**
   * What was appended to the partitions of a topic over the window, by number: the same numbers that the rates of
   * groups rest on. Empty for a topic that was not looked at.
   */
  arrivalsOf(topic: string): readonly Arrivals[] {
    return this.#topics.get(topic)?.arrivals(this.#lookTimesMs[0] ?? 0) ?? []
  }

  /**
   * Forgets all looks: the next one begins a new window. For those who did not look for a long time, and want rates of
   * now and not of the pause. What topics say of retention is kept.
   */
  beginAnew(): void {
    this.#forget()
  }

  #scan(signal: AbortSignal | undefined): Promise<ClusterScan> {
    const { cluster, groups, topics, isReadCommitted, patienceMs } = this.#options
    return scanCluster(cluster, {
      ...(groups === undefined ? {} : { groups }),
      ...(topics === undefined ? {} : { topics }),
      ...(isReadCommitted === undefined ? {} : { isReadCommitted }),
      ...(patienceMs === undefined ? {} : { patienceMs }),
      ...(signal === undefined ? {} : { signal })
    })
  }

  /** Takes note of the ends of all partitions, and forgets what is gone. */
  #remember({ topics, groups, problems, takenAtMs, committedAtMs = takenAtMs }: ClusterScan): void {
    // A clock that was set back: nothing that was timed before can be held against what is timed now.
    if (takenAtMs < (this.#lookTimesMs.at(-1) ?? 0)) this.#forget()
    this.#lookTimesMs.push(takenAtMs)
    this.#leadsMs.set(takenAtMs, takenAtMs - committedAtMs)
    if (this.#lookTimesMs.length > this.#windowSize) this.#leadsMs.delete(this.#lookTimesMs.shift() ?? 0)
    const isReadCommitted = this.#options.isReadCommitted === true
    for (const [topic, scanned] of topics) {
      const track = this.#topics.get(topic) ?? new TopicTrack()
      this.#topics.set(topic, track)
      if (track.isAnew(scanned.topicId)) {
        this.#oldest.delete(topic)
        for (const group of this.#groups.values()) group.forgetTopic(topic)
      }
      for (const partition of scanned.partitions) track.add(partition, takenAtMs, isReadCommitted)
    }
    for (const topic of this.#topics.keys()) if (!topics.has(topic)) this.#topics.delete(topic)
    // While a broker does not tell its groups, they are not gone.
    if (problems.length > 0) return
    const ids = new Set(groups.map(({ groupId }) => groupId))
    for (const groupId of this.#groups.keys()) if (!ids.has(groupId)) this.#groups.delete(groupId)
  }

  #forget(): void {
    this.#lookTimesMs = []
    this.#leadsMs.clear()
    this.#topics.clear()
    this.#groups.clear()
  }

  #see(scan: ClusterScan, group: ScannedGroup): Seen[] {
    const groupTrack = this.#groups.get(group.groupId) ?? new GroupTrack(this.#windowSize)
    this.#groups.set(group.groupId, groupTrack)
    const pairs = readPairs(scan, group, this.#options.topics)
    const seen = pairs.map(pair => {
      const topic = this.#topics.get(pair.topic) ?? new TopicTrack()
      const partition = scan.topics.get(pair.topic)?.partitions[pair.partition]
      const ends = topic.endsOf(pair.partition)
      const question = this.#questionOf(scan, { pair, partition, ends })
      return { pair, track: groupTrack.of(pair), topic, partition, ends, question }
    })
    if (group.problem === undefined) groupTrack.retain(pairs)
    return seen
  }

  /** Where the oldest unread record is; `undefined` if nothing is unread, or nobody can be asked. */
  #questionOf(
    scan: ClusterScan,
    { pair, partition, ends }: Pick<Seen, 'pair' | 'partition' | 'ends'>
  ): PairQuestion | undefined {
    if (ends === undefined || partition === undefined || partition.problem !== undefined) return undefined
    const { from, lag } = unreadOf(pair.committed, ends)
    if (lag === 0n) return undefined
    const topicId = scan.topics.get(pair.topic)?.topicId ?? ''
    const { topic, partition: number } = pair
    const { leaderId } = partition
    return { topic, topicId, partition: number, leaderId, offset: from, endOffset: ends.endOffset, lag: Number(lag) }
  }

  /** Asks for the times of records: of the largest lags, and of what holds back readers of committed records. */
  async #readOldest(pairs: readonly Seen[], signal: AbortSignal | undefined): Promise<void> {
    const { cluster, appendTimesMax = 500, patienceMs = 5_000 } = this.#options
    const known = new OffsetMap<OldestRecord>()
    const open: PairQuestion[] = []
    const wanted = new OffsetMap<true>()
    const want = (question: PairQuestion): void => {
      if (wanted.get(question) !== undefined) return
      wanted.set(question, true)
      const before = this.#oldest.get(question)
      if (before?.kind === 'record') known.set(question, before)
      else open.push(question)
    }
    for (const { question } of pairs) if (question !== undefined) want(question)
    for (const question of this.#heldQuestions(pairs)) want(question)
    // A lag of a few offsets may be none at all, and that is to be known, too.
    const asked = mostAndLeast(open, appendTimesMax)
    const patience = { timeoutMs: patienceMs, ...(signal === undefined ? {} : { signal }) }
    await readOldest(cluster, asked, { ...patience, onFound: (question, found) => known.set(question, found) })
    this.#oldest = known
  }

  #heldQuestions(pairs: readonly Seen[]): PairQuestion[] {
    if (this.#options.isReadCommitted !== true) return []
    return pairs.flatMap(({ pair, partition, ends, question }) => {
      if (ends === undefined || partition === undefined || ends.heldBackRecords === 0n) return []
      const { topic, partition: number } = pair
      const topicId = question?.topicId ?? this.#topics.get(topic)?.topicId ?? ''
      const range = { offset: ends.endOffset, endOffset: ends.endOffset + ends.heldBackRecords }
      const lag = Number(ends.heldBackRecords)
      return [{ topic, topicId, partition: number, leaderId: partition.leaderId, ...range, lag }]
    })
  }

  async #readSettings(pairs: readonly Seen[]): Promise<void> {
    if (this.#options.withRetention === false) return
    // Many groups read one partition, of which a scan has one object.
    const unread = new Map<ScannedPartition, LedPartition>()
    for (const { question, partition: scanned, ends } of pairs) {
      if (question === undefined || ends === undefined || scanned === undefined || unread.has(scanned)) continue
      const { topic, partition, leaderId } = question
      const offsetCount = Number(ends.endOffset + ends.heldBackRecords - ends.logStartOffset)
      unread.set(scanned, { topic, partition, leaderId, offsetCount })
    }
    await this.#settings.look([...unread.values()])
  }

  #judgeGroup({ takenAtMs }: ClusterScan, { group, pairs }: { group: ScannedGroup; pairs: readonly Seen[] }): GroupLag {
    const track = this.#groups.get(group.groupId)
    const partitions = pairs.map(each => this.#judgePair(each, takenAtMs))
    const lastMs = pairs.reduce((last, { track: { movedAtMs } }) => Math.max(last, movedAtMs), track?.movedAtMs ?? 0)
    if (track !== undefined) track.movedAtMs = lastMs
    const isExpired = takenAtMs - lastMs > (this.#options.expireGroupMs ?? expireGroupMsDefault)
    const facts = {
      groupId: group.groupId,
      state: group.state,
      memberCount: group.members?.length ?? 0,
      problem: group.problem
    }
    return groupLagOf(facts, isExpired ? partitions.map(each => ({ ...each, status: 'NONE' as const })) : partitions)
  }

  #judgePair({ pair, track, topic, partition, ends, question }: Seen, nowMs: number): PartitionLag {
    const { committed } = pair
    const oldest = question === undefined ? undefined : this.#oldest.get(question)
    const lag = ends === undefined || oldest?.kind === 'nothing' ? 0n : unreadOf(committed, ends).lag
    const isPersistent = track.isSame(committed, lag) && lag > 0n
    track.see({ pair, lag, isKnown: ends !== undefined, nowMs, minDistanceMs: this.#options.minDistanceMs ?? 0 })
    const flags: LagFlag[] = [...pair.flags]
    if (partition !== undefined && partition.problem !== undefined) flags.push('offline')
    if (this.#isHanging({ pair, topic, ends }, nowMs)) flags.push('hangingTransaction')
    if (isPersistent) flags.push('persistent')
    return judge({
      topic: pair.topic,
      partition: pair.partition,
      ends,
      committed,
      commits: track.commits,
      history: topic.historyOf(pair.partition),
      lookCount: track.lookCount,
      sinceMs: this.#lookTimesMs[0] ?? nowMs,
      nowMs,
      leadsMs: this.#leadsMs,
      oldest,
      settings: this.#settings.settingsOf(pair.topic),
      recordBytes: this.#settings.recordBytesOf(pair),
      owner: pair.owner,
      flags,
      rules: this.#rules
    })
  }

  /** Whether a transaction is open for too long: by the age of its first record, or by how long we have watched it. */
  #isHanging({ pair, topic, ends }: Pick<Seen, 'pair' | 'topic' | 'ends'>, nowMs: number): boolean {
    if (ends === undefined || ends.heldBackRecords === 0n) return false
    const limitMs = this.#options.hangingTransactionMs ?? hangingTransactionMsDefault
    const first = this.#oldest.get({ ...pair, offset: ends.endOffset })
    const sinceMs = first?.kind === 'record' && first.timestampMs > 0 ? first.timestampMs : nowMs
    return nowMs - Math.min(sinceMs, topic.heldSinceMs(pair.partition) ?? nowMs) >= limitMs
  }
}

/** Of many, those with the largest lags, and for a tenth those with the smallest; without sorting objects. */
function mostAndLeast<T extends { readonly lag: number }>(items: readonly T[], max: number): readonly T[] {
  if (items.length <= max) return items
  if (max === 0) return []
  let mostLeft = Math.ceil(max * 0.9)
  let leastLeft = max - mostLeft
  const lags = Float64Array.from(items, ({ lag }) => lag).sort()
  const large = lags[lags.length - mostLeft] ?? 0
  const small = leastLeft === 0 ? -1 : (lags[leastLeft - 1] ?? 0)
  // Of those at a bound, the first come; all that are beyond it come in any case.
  mostLeft -= countAbove(lags, large)
  leastLeft -= countBelow(lags, small)
  return items.filter(({ lag }) => {
    if (lag > large || lag < small) return true
    if (lag === large && mostLeft > 0) return mostLeft-- > 0
    return lag === small && leastLeft-- > 0
  })
}

function countAbove(sorted: Float64Array, bound: number): number {
  return sorted.length - 1 - sorted.lastIndexOf(bound)
}

function countBelow(sorted: Float64Array, bound: number): number {
  return Math.max(0, sorted.indexOf(bound))
}

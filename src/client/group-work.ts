/**
 * What a member holds, whatever protocol it speaks: taking partitions over,
 * giving them back, losing them, committing them.
 *
 * Invariants: a partition is handed to the listener once per *holding*, and is
 * given back or lost before it is handed out again; a commit counts only for
 * the holding it was made for, however often the partition comes back while it
 * is retried: otherwise a late commit would set the next holding's offset back.
 */

import { backoffMs, type Clock, messageOf, PipelineError, type Random, sleep, within } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { CommittedOffset, GroupRequests, MemberIdentity } from './group-requests.ts'
import type { MemberMeter } from './member-meter.ts'
import type {
  AssignedPartition,
  GroupMemberOptions,
  OffsetToCommit,
  PartitionStart,
  TopicPartition
} from './group-types.ts'
import { asPipelineError, KAFKA, throwKafkaError } from './kafka-error.ts'
import { findStartOffsets, startMetadata, type StartOffset } from './start-offsets.ts'
import { partitionKeyOf } from './topic-partition.ts'

/** Share of the rebalance timeout that `revoked` may take: the rest is for joining. */
const revokeRatio = 0.9
const commitBackoff = { initialMs: 20, maxMs: 500 }

/** What the protocol's side of a member provides. */
export interface GroupWorkOptions {
  readonly member: GroupMemberOptions
  readonly requests: GroupRequests
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly rebalanceTimeoutMs: number
  /** Counts what happens. Default: nobody does. */
  readonly meter?: MemberMeter | undefined
  /** Who the member is at the moment. */
  readonly identity: () => MemberIdentity
  /** Who asks for committed offsets; `undefined` in the classic protocol, which does not say. */
  readonly reader: () => MemberIdentity | undefined
  /** What a refusal means to the membership: acts on it, and says whether the request may be tried again. */
  readonly refused: (code: number, what: string, identity: MemberIdentity) => Promise<PipelineError>
}

/** From taking a partition over to giving it back. The object stands for itself: another one is another holding. */
interface Holding extends TopicPartition {
  readonly companionKeys: readonly string[]
  /** The listener knows of it. */
  isHandedOut: boolean
}

interface Claim {
  readonly offset: OffsetToCommit
  readonly holding: Holding
}

/** Holds partitions for a member. */
export class GroupWork {
  readonly #options: GroupWorkOptions
  readonly #held = new Map<string, Holding>()
  /** The holding that a companion goes with. */
  readonly #companions = new Map<string, Holding>()
  /** Ends what was begun for the current membership when it is lost. */
  #membership = new AbortController()
  #initialCounts: ReadonlyMap<string, number> | undefined
  /** `assigned` is called once at a time. */
  #handing: Promise<void> = Promise.resolve()

  constructor(options: GroupWorkOptions) {
    this.#options = options
  }

  /** Partitions that are held at the moment, those being given back included. */
  held(): TopicPartition[] {
    return [...this.#held.values()].map(({ topic, partition }) => ({ topic, partition }))
  }

  /** How many partitions are held. */
  get count(): number {
    return this.#held.size
  }

  isHeld(partition: TopicPartition): boolean {
    return this.#held.has(partitionKeyOf(partition))
  }

  /** Ends when the current membership is lost. */
  get membership(): AbortSignal {
    return this.#membership.signal
  }

  /** Remembers how many partitions there were when the member started: what comes later was added. Once. */
  noteCounts(counts: ReadonlyMap<string, number>): void {
    this.#initialCounts ??= counts
  }

  /** Whether `noteCounts` was called. */
  get hasCounts(): boolean {
    return this.#initialCounts !== undefined
  }

  /**
   * Finds where the partitions go on and hands each to the listener as soon as that is known. Resolves when all are
   * handed out, or the signal or the loss of the membership has ended it: then those not handed out are not held.
   *
   * @throws PipelineError of `findStartOffsets`, and `ERR_CLIENT_LISTENER_FAILED`.
   */
  async takeOver(added: readonly TopicPartition[], ended: AbortSignal): Promise<void> {
    const { member } = this.#options
    const { cluster, autoOffsetReset = 'earliest', isReadCommitted = false, companions = () => [] } = member
    const signal = AbortSignal.any([ended, this.#membership.signal])
    await findStartOffsets(added, {
      cluster,
      autoOffsetReset,
      isReadCommitted,
      companions,
      fetchOffsets: partitions => this.#fetchOffsets(partitions),
      initialCounts: this.#initialCounts ?? new Map(),
      signal,
      onFound: starts => this.#handOut(starts, signal)
    })
  }

  /** Has the listener drain partitions, for as long as the rebalance timeout allows. Never rejects. */
  async giveBack(partitions: readonly TopicPartition[]): Promise<void> {
    const holdings = partitions.flatMap(partition => this.#held.get(partitionKeyOf(partition)) ?? [])
    const known = holdings.filter(({ isHandedOut }) => isHandedOut)
    // Whoever was not told of a partition has nothing to drain.
    for (const holding of holdings) if (!holding.isHandedOut) this.#drop(holding)
    if (known.length > 0) {
      const timeoutMs = this.#options.rebalanceTimeoutMs * revokeRatio
      const isDone = await within(this.#options.clock, timeoutMs, this.#callRevoked(known))
      if (isDone === undefined) {
        this.#options.logger.warn({ timeoutMs }, 'revoked did not finish in time: going on without it')
      }
    }
    for (const holding of known) this.#drop(holding)
  }

  /** The group has gone on without this member: everything is lost, and what was begun for it ends. */
  lose(): void {
    this.#membership.abort()
    this.#membership = new AbortController()
    const lost = [...this.#held.values()].filter(({ isHandedOut }) => isHandedOut)
    this.#held.clear()
    this.#companions.clear()
    if (lost.length === 0) return
    this.#options.logger.warn({ partitions: lost.length }, 'partitions were lost to the group')
    try {
      this.#options.member.listener.lost(lost.map(({ topic, partition }) => ({ topic, partition })))
    } catch (error) {
      this.#options.logger.error({ reason: messageOf(error) }, 'the listener failed in lost')
    }
  }

  /** See `GroupMember.commitOffsets`. */
  async commitOffsets(offsets: readonly OffsetToCommit[], ended?: AbortSignal): Promise<void> {
    const { clock, random, member } = this.#options
    const deadlineMs = clock.monotonicMs() + member.cluster.requestTimeoutMs
    const membership = this.#membership.signal
    const signal = ended === undefined ? membership : AbortSignal.any([membership, ended])
    let open = offsets.map(offset => ({ offset, holding: this.#holdingOf(offset) }))
    for (let failures = 1; open.length > 0; failures++) {
      if (signal.aborted) throw this.#stale('the membership that an offset belongs to is lost')
      for (const { offset, holding } of open) this.#check(offset, holding)
      const failure = await this.#tryCommit(open)
      if (failure === undefined) return
      if (!failure.error.retriable || clock.monotonicMs() >= deadlineMs) throw failure.error
      open = failure.open
      await sleep(clock, backoffMs(commitBackoff, failures, random), signal)
    }
  }

  async #fetchOffsets(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>> {
    const { requests, reader, refused, member } = this.#options
    const identity = reader()
    const { errorCode, offsets } = await requests.fetchOffsets(partitions, identity)
    if (errorCode === KAFKA.NONE) return offsets
    const what = `OffsetFetch of group ${member.groupId}`
    if (identity !== undefined) throw await refused(errorCode, what, identity)
    throwKafkaError(errorCode, what)
    return offsets
  }

  async #handOut(starts: readonly StartOffset[], signal: AbortSignal): Promise<void> {
    // One listener call at a time, in the order in which the starts were found.
    const before = this.#handing
    const done = Promise.withResolvers<void>()
    this.#handing = done.promise
    await before
    try {
      if (!signal.aborted) await this.#hold(starts, signal)
    } finally {
      done.resolve()
    }
  }

  async #hold(starts: readonly StartOffset[], signal: AbortSignal): Promise<void> {
    const holdings = starts.map(start => ({ start, holding: this.#begin(start) }))
    const first = holdings.filter(({ start }) => !start.isCommitted).map(({ start }) => start)
    if (this.#options.member.autoOffsetReset === 'latest') await this.#pinStarts(first, signal)
    const current = holdings.filter(({ holding }) => this.#held.get(partitionKeyOf(holding)) === holding)
    if (signal.aborted) {
      for (const { holding } of current) this.#drop(holding)
      return
    }
    for (const { holding } of current) holding.isHandedOut = true
    if (current.length === 0) return
    try {
      await this.#options.member.listener.assigned(current.map(({ start }) => this.#assigned(start)))
    } catch (cause) {
      throw new PipelineError(
        'ERR_CLIENT_LISTENER_FAILED',
        `the group listener failed in assigned: ${messageOf(cause)}`,
        { cause }
      )
    }
  }

  #begin({ topic, partition, companions }: StartOffset): Holding {
    const holding = { topic, partition, companionKeys: companions.map(partitionKeyOf), isHandedOut: false }
    this.#held.set(partitionKeyOf(holding), holding)
    for (const key of holding.companionKeys) this.#companions.set(key, holding)
    return holding
  }

  #drop(holding: Holding): void {
    if (this.#held.get(partitionKeyOf(holding)) === holding) this.#held.delete(partitionKeyOf(holding))
    for (const key of holding.companionKeys) {
      if (this.#companions.get(key) === holding) this.#companions.delete(key)
    }
  }

  #assigned(start: StartOffset): AssignedPartition {
    const plain = ({ topic, partition, offset, metadata }: PartitionStart): PartitionStart => ({
      topic,
      partition,
      offset,
      metadata
    })
    if (this.#options.member.companions === undefined) return plain(start)
    return { ...plain(start), companions: start.companions.map(plain) }
  }

  /** Commits where "latest" was: a crash before the first commit must not skip what comes between. */
  async #pinStarts(starts: readonly StartOffset[], ended: AbortSignal): Promise<void> {
    const { cluster } = this.#options.member
    const offsets = starts.map(({ topic, partition, offset }) => {
      const count = cluster.cachedTopic(topic)?.partitions.length ?? partition + 1
      return { topic, partition, offset, metadata: startMetadata(count) }
    })
    try {
      await this.commitOffsets(offsets, ended)
    } catch (error) {
      this.#options.logger.warn({ reason: messageOf(error) }, 'committing the start offsets failed')
    }
  }

  async #callRevoked(holdings: readonly Holding[]): Promise<true> {
    try {
      const { member, meter } = this.#options
      const partitions = holdings.map(({ topic, partition }) => ({ topic, partition }))
      const drain = (): Promise<void> => member.listener.revoked(partitions)
      await (meter === undefined ? drain() : meter.revoke(drain))
    } catch (error) {
      this.#options.logger.error({ reason: messageOf(error) }, 'the listener failed in revoked')
    }
    return true
  }

  /** The holding that an offset is committed for. */
  #holdingOf(offset: TopicPartition): Holding {
    const key = partitionKeyOf(offset)
    const holding = this.#held.get(key) ?? this.#companions.get(key)
    if (holding === undefined) throw this.#notHeld(offset)
    return holding
  }

  #check(offset: TopicPartition, holding: Holding): void {
    const isHeld = this.#held.get(partitionKeyOf(holding)) === holding && this.#options.identity().generation >= 0
    if (!isHeld) throw this.#notHeld(offset)
  }

  #notHeld({ topic, partition }: TopicPartition): PipelineError {
    return this.#stale(`${topic}-${partition} is not held by this member, or not any more`)
  }

  #stale(reason: string): PipelineError {
    const { groupId } = this.#options.member
    return new PipelineError('ERR_CLIENT_GENERATION_STALE', `group ${groupId}: ${reason}: it was not committed`)
  }

  #measured(run: () => Promise<ReadonlyMap<OffsetToCommit, number>>): Promise<ReadonlyMap<OffsetToCommit, number>> {
    const { meter } = this.#options
    const refusal = (codes: ReadonlyMap<OffsetToCommit, number>): string | undefined => {
      const code = [...codes.values()].find(each => each !== KAFKA.NONE)
      return code === undefined ? undefined : `KAFKA_${code}`
    }
    return meter === undefined ? run() : meter.commit(run, refusal)
  }

  /** One attempt to commit. @returns What is still open and why, `undefined` if all is committed. */
  async #tryCommit(claims: readonly Claim[]): Promise<{ error: PipelineError; open: Claim[] } | undefined> {
    const identity = this.#options.identity()
    let codes: ReadonlyMap<OffsetToCommit, number>
    try {
      const offsets = claims.map(({ offset }) => offset)
      codes = await this.#measured(() => this.#options.requests.commitOffsets(identity, offsets))
    } catch (error) {
      return { error: asPipelineError(error, 'OffsetCommit'), open: [...claims] }
    }
    const open = claims.filter(({ offset }) => codes.get(offset) !== KAFKA.NONE)
    const [first] = open
    if (first === undefined) return undefined
    const { topic, partition } = first.offset
    const what = `OffsetCommit of ${topic}-${partition} in group ${this.#options.member.groupId}`
    const code = codes.get(first.offset) ?? KAFKA.UNKNOWN_SERVER_ERROR
    return { error: await this.#options.refused(code, what, identity), open }
  }
}

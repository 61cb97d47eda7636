/**
 * This instance's share of limits that all instances have together.
 *
 * A coordinator topic has N partitions and no records. The instances are the
 * members of one group on it: whoever owns k of the partitions has k/N of the
 * rate. Kafka's group protocol does the sharing, cooperatively: a partition is
 * given up, and the share made smaller, before another member gets it.
 *
 * Invariants: the shares of all instances never add up to more than 1. A share
 * ends a session timeout after the last heartbeat that was answered was sent,
 * because from then on the coordinator may give the partitions to others; the
 * limits look at that time themselves, so that an instance that was stopped and
 * goes on (SIGSTOP, a sleeping machine) does not go on with an old share. A
 * killed instance leaves its share to others after the session timeout.
 *
 * Limits: instances beyond N have nothing. The number of partitions is read at
 * the start: do not change it while instances run. The fallback share, if not 0,
 * is each instance's own: it comes on top of what others have.
 */

import { type Cluster, GroupMember, type TopicPartition } from '../../client/index.ts'
import type { Clock, PipelineError, Random, Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RateConfig } from '../options.ts'
import type { RateGate } from './rate-gate.ts'

/** `producer.rate.shared` with `type: topic`. */
export type TopicShareConfig = Extract<NonNullable<RateConfig['shared']>, { type: 'topic' }>

/** How often it is looked whether a lease has ended or come back, in milliseconds. */
const LOOK_MS = 250
/** Shortest time between warnings that there is no share, in milliseconds. */
const WARN_MS = 60_000

/** What a share keeper needs. */
export interface ShareKeeperOptions {
  readonly cluster: Cluster
  readonly config: TopicShareConfig
  readonly gate: RateGate
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Keeps the gate's share equal to what this instance owns. */
export class ShareKeeper {
  readonly #options: ShareKeeperOptions
  readonly #member: GroupMember
  readonly #owned = new Set<number>()
  #partitionCount = 0
  #startedMs = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #warnedMs = Number.NEGATIVE_INFINITY
  #closing: Promise<void> | undefined

  constructor(options: ShareKeeperOptions) {
    const { cluster, config, clock, random, logger } = options
    this.#options = options
    const add = (partitions: readonly TopicPartition[]): void => {
      for (const { partition } of partitions) this.#owned.add(partition)
      this.#look()
    }
    const remove = (partitions: readonly TopicPartition[]): void => {
      for (const { partition } of partitions) this.#owned.delete(partition)
      this.#look()
    }
    this.#member = new GroupMember({
      cluster,
      groupId: config.group,
      topics: [config.topic],
      // The classic protocol, because there the member chooses its session timeout, and only by that its share can end.
      groupProtocol: 'classic',
      assignors: ['cooperative-sticky'],
      sessionTimeoutMs: config.sessionTimeoutMs,
      heartbeatIntervalMs: Math.min(1000, Math.floor(config.sessionTimeoutMs / 10)),
      // A member that does not come back to a rebalance loses its partitions after this: later than its lease ends.
      rebalanceTimeoutMs: 2 * config.sessionTimeoutMs,
      clock,
      random,
      logger,
      listener: {
        assigned: add,
        revoked: async partitions => remove(partitions),
        lost: remove,
        failed: error => this.#failed(error)
      }
    })
  }

  /** Share that this instance has now, 0 to 1. */
  get share(): number {
    const isLeased = this.#options.clock.monotonicMs() < this.#endsAtMs()
    return isLeased ? this.#owned.size / Math.max(1, this.#partitionCount) : this.#options.config.fallbackShare
  }

  /** Joins the group in the background; until it has partitions the share is 0. */
  async start(): Promise<void> {
    const { cluster, config, gate, clock } = this.#options
    this.#partitionCount = await cluster.partitionCount(config.topic)
    this.#startedMs = clock.monotonicMs()
    gate.setLease({ endsAtMs: () => this.#endsAtMs(), fallbackShare: config.fallbackShare })
    gate.setShare(0)
    this.#timer = clock.every(LOOK_MS, () => this.#look()).unref()
    this.#member.start()
  }

  /** Gives the share back to the others. Idempotent. */
  close(): Promise<void> {
    this.#timer?.cancel()
    this.#closing ??= this.#member.close({ reason: 'the producer ends' })
    return this.#closing
  }

  #endsAtMs(): number {
    return Math.max(this.#startedMs, this.#member.seenMs) + this.#options.config.sessionTimeoutMs
  }

  #look(): void {
    const { gate, logger, clock } = this.#options
    const { share } = this
    if (share !== gate.share) {
      logger.info({ share, before: gate.share }, 'this instance has another share of the rate')
      gate.setShare(share)
    } else gate.look()
    if (share > 0 || this.#member.state !== 'stable' || clock.monotonicMs() - this.#warnedMs < WARN_MS) return
    this.#warnedMs = clock.monotonicMs()
    const fields = { partitions: this.#partitionCount }
    logger.warn(fields, 'this instance has no share of the rate: there are more instances than partitions')
  }

  #failed(error: PipelineError): void {
    this.#owned.clear()
    this.#options.logger.error({ code: error.code, error: error.message }, 'the rate is not shared any more')
    this.#look()
  }
}

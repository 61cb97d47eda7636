/**
 * A member of a consumer group, in whichever protocol the cluster and the group allow.
 *
 * `auto` asks the coordinator: where the consumer protocol (KIP-848) is in
 * production (ConsumerGroupHeartbeat since version 1, feature `group.version`
 * since level 1), the member joins by it, which makes a classic group of
 * compatible members a consumer group; a group that refuses is joined by the
 * classic protocol, and so is any group if a setting asks for what only that
 * protocol can do. See classic-member.ts and consumer-member.ts for the two.
 */

import { backoffMs, type Clock, PipelineError, type Random, sleep } from '../core/index.ts'
import { apiVersionsApi, consumerGroupHeartbeatApi } from '../protocol/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { ASSIGNORS_DEFAULT, ClassicMember } from './classic-member.ts'
import { ConsumerMember } from './consumer-member.ts'
import type {
  CloseOptions,
  GroupMemberOptions,
  GroupMemberState,
  GroupProtocol,
  OffsetToCommit,
  RetireOptions,
  TopicPartition
} from './group-types.ts'
import { asPipelineError } from './kafka-error.ts'
import { MemberMeter } from './member-meter.ts'
import type { Membership, MembershipOptions } from './membership.ts'
import type { GroupMetadata } from './transaction-types.ts'

const backoff = { initialMs: 100, maxMs: 1_000 }
const sessionTimeoutDefaultMs = 45_000
const heartbeatIntervalDefaultMs = 1_000
const rebalanceTimeoutDefaultMs = 300_000
const retireTimeoutDefaultMs = 10_000
/** Version of ApiVersions that tells features. */
const featuresVersion = 3
/** First version of ConsumerGroupHeartbeat that is not a preview. */
const heartbeatVersionMin = 1

/** One member of a consumer group. */
export class GroupMember {
  readonly #options: GroupMemberOptions
  readonly #meter: MemberMeter
  readonly #parts: MembershipOptions
  readonly #stopping = new AbortController()
  #membership: Membership | undefined
  #choosing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID`. */
  constructor(options: GroupMemberOptions) {
    const { cluster, groupId } = options
    const { sessionTimeoutMs = sessionTimeoutDefaultMs, heartbeatIntervalMs = heartbeatIntervalDefaultMs } = options
    checkOptions(options, sessionTimeoutMs, heartbeatIntervalMs)
    const clock: Clock = options.clock ?? cluster.clock
    const random: Random = options.random ?? cluster.random
    const logger: Logger = (options.logger ?? cluster.logger).child({ groupId })
    this.#options = options
    this.#meter = new MemberMeter({
      client: cluster,
      groupId,
      clock,
      heldCount: () => this.heldPartitions().length,
      seenMs: () => this.seenMs
    })
    this.#parts = {
      member: options,
      clock,
      random,
      logger,
      sessionTimeoutMs,
      heartbeatIntervalMs,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? rebalanceTimeoutDefaultMs,
      meter: this.#meter
    }
  }

  /** Member id; empty before the first join. */
  get memberId(): string {
    return this.#membership?.identity.memberId ?? ''
  }

  /** Current generation, in the consumer protocol the member epoch; -1 outside of the group. */
  get generation(): number {
    return this.#membership?.identity.generation ?? -1
  }

  /** What the member is doing. */
  get state(): GroupMemberState {
    if (this.#membership !== undefined && this.#membership.state !== 'idle') return this.#membership.state
    if (this.#closing !== undefined) return 'closed'
    return this.#choosing === undefined ? 'idle' : 'joining'
  }

  /**
   * When the last request was sent that the coordinator has answered as to a member, in monotonic milliseconds; minus
   * infinity before the first. Until a session timeout after that, what is held is not another member's.
   */
  get seenMs(): number {
    return this.#membership?.seenMs ?? Number.NEGATIVE_INFINITY
  }

  /** Protocol that the member speaks; `undefined` before it is chosen. */
  get protocol(): Exclude<GroupProtocol, 'auto'> | undefined {
    return this.#membership?.protocol
  }

  /** Classic: the assignor that the group chose last. Consumer: `serverAssignor`. Empty if not known. */
  get assignor(): string {
    return this.#membership?.assignor ?? ''
  }

  /** Who the member is to its group, for commits in transactions. Read it anew for each of them. */
  groupMetadata(): GroupMetadata {
    const { groupId, groupInstanceId } = this.#options
    return { groupId, memberId: this.memberId, generation: this.generation, groupInstanceId }
  }

  /** Partitions that are held at the moment, those being given back included. */
  heldPartitions(): TopicPartition[] {
    return this.#membership?.work.held() ?? []
  }

  /** Joins the group in the background; the listener tells what happens. Idempotent. */
  start(): void {
    if (this.#choosing !== undefined || this.#stopping.signal.aborted) return
    const { groupProtocol = 'auto' } = this.#options
    if (groupProtocol === 'auto') this.#choosing = this.#choose()
    else {
      this.#choosing = Promise.resolve()
      this.#join(groupProtocol)
    }
  }

  /**
   * Commits offsets of held partitions and their companions, fenced by member id and generation, for the holding that
   * the partition has when this is called. Waits out a rebalance, for one request timeout at most.
   *
   * @throws PipelineError `ERR_CLIENT_GENERATION_STALE` if a partition or the membership is gone,
   *   `ERR_CLIENT_REBALANCE_IN_PROGRESS` if the group did not take it in time, `ERR_CLIENT_KAFKA` for other answers, or
   *   what the connection threw.
   */
  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    if (this.#membership === undefined) {
      const { groupId } = this.#options
      throw new PipelineError('ERR_CLIENT_GENERATION_STALE', `not a member of group ${groupId} yet: nothing is held`)
    }
    await this.#membership.work.commitOffsets(offsets)
  }

  /**
   * Prepares to close without a pause for the partitions: the group plans without this member while it still works;
   * what others take over is given back through `revoked`. Resolves when nothing is held any more, when there is
   * nobody or no way to prepare (alone, eager, static), or when the time is over. `close` must follow.
   */
  async retire({ timeoutMs = retireTimeoutDefaultMs }: RetireOptions = {}): Promise<void> {
    if (this.#closing === undefined) await this.#membership?.retire({ timeoutMs })
  }

  /** Gives all partitions back through `revoked`, then leaves; a static member keeps its place. Idempotent. */
  close({ reason = 'the member is closing' }: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(reason)
    return this.#closing
  }

  async #close(reason: string): Promise<void> {
    // Whoever is still choosing the protocol looks at this before it joins: there is nothing to wait for.
    this.#stopping.abort()
    await this.#membership?.close(reason)
    this.#meter.close()
  }

  async #choose(): Promise<void> {
    const { clock, random, logger } = this.#parts
    const reason = classicReason(this.#options)
    if (reason !== undefined) {
      logger.info({ reason }, 'the group is joined by the classic protocol')
      this.#join('classic')
      return
    }
    for (let failures = 1; !this.#stopping.signal.aborted; failures++) {
      try {
        const hasConsumer = await this.#hasConsumerProtocol()
        if (!this.#stopping.signal.aborted) this.#join(hasConsumer ? 'consumer' : 'classic')
        return
      } catch (cause) {
        const error = asPipelineError(cause, 'choosing the group protocol')
        if (this.#stopping.signal.aborted) return
        if (!error.retriable) {
          // The classic protocol says it again, and to the listener.
          this.#join('classic')
          return
        }
        logger.warn({ reason: error.message, failures }, 'the coordinator cannot be asked, trying again')
        await sleep(clock, backoffMs(backoff, failures, random), this.#stopping.signal)
      }
    }
  }

  async #hasConsumerProtocol(): Promise<boolean> {
    const { cluster, groupId } = this.#options
    // Whoever closes does not wait for a cluster that cannot be reached.
    const { signal } = this.#stopping
    const connection = await cluster.connectionTo({ to: { coordinator: 'group', key: groupId }, signal })
    const message = { clientSoftwareName: 'comporta', clientSoftwareVersion: '0' }
    if (connection.versionOf(apiVersionsApi) < featuresVersion) return false
    const answer = await connection.send(apiVersionsApi, message, { signal })
    const heartbeat = answer.apiKeys.find(({ apiKey }) => apiKey === consumerGroupHeartbeatApi.key)
    const feature = answer.finalizedFeatures.find(({ name }) => name === 'group.version')
    return (heartbeat?.maxVersion ?? -1) >= heartbeatVersionMin && (feature?.maxVersionLevel ?? 0) >= 1
  }

  #join(protocol: Exclude<GroupProtocol, 'auto'>): void {
    this.#membership = protocol === 'consumer' ? this.#consumerMember() : new ClassicMember(this.#parts)
    this.#membership.start()
  }

  #consumerMember(): ConsumerMember {
    if (this.#options.groupProtocol === 'consumer') return new ConsumerMember(this.#parts)
    return new ConsumerMember({
      ...this.#parts,
      onUnsupported: error => {
        if (this.#stopping.signal.aborted) return
        this.#parts.logger.warn({ reason: error.message }, 'the group does not take the consumer protocol: classic')
        this.#join('classic')
      }
    })
  }
}

/** Why only the classic protocol does what was asked for, if so. */
function classicReason({ sessionTimeoutMs, assignors }: GroupMemberOptions): string | undefined {
  if (sessionTimeoutMs !== undefined && sessionTimeoutMs !== sessionTimeoutDefaultMs) {
    return `sessionTimeoutMs is ${sessionTimeoutMs}: by the consumer protocol the broker decides`
  }
  if (assignors !== undefined && assignors.join() !== ASSIGNORS_DEFAULT.join()) {
    return `assignors are ${assignors.join(', ')}: by the consumer protocol the broker assigns`
  }
  return undefined
}

function checkOptions(options: GroupMemberOptions, sessionTimeoutMs: number, heartbeatIntervalMs: number): void {
  const invalid = (reason: string): PipelineError => new PipelineError('ERR_CLIENT_OPTIONS_INVALID', reason)
  if (options.groupId === '') throw invalid('groupId must not be empty')
  if (options.topics.length === 0) throw invalid('topics needs at least one topic')
  if (options.assignors?.length === 0) throw invalid('assignors needs at least one assignor')
  if (options.groupInstanceId === '') throw invalid('groupInstanceId must not be empty')
  if (heartbeatIntervalMs >= sessionTimeoutMs) {
    throw invalid(
      `heartbeatIntervalMs (${heartbeatIntervalMs}) must be less than sessionTimeoutMs (${sessionTimeoutMs})`
    )
  }
}

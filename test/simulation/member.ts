/**
 * A member of the simulated group: keeps the contract of the client's `GroupMember` towards its listener, and
 * talks to the coordinator over the simulated network.
 */

import type { AssignedPartition, OffsetToCommit, TopicPartition } from '../../src/client/index.ts'
import { PipelineError, sleep, within } from '../../src/core/index.ts'
import type { MemberLike, MemberOptions } from '../../src/dispatcher/kafka-side.ts'
import { type Coordinator, kafkaAnswer } from './coordinator.ts'
import type { ClusterLogs } from './logs.ts'
import { type Network, REQUEST_TIMEOUT_MS } from './network.ts'
import type { SimProcess } from './process.ts'

/** How a member's hold on a partition ended. */
export type TenureEnd = 'clean' | 'dirty' | 'lost'

/** Told what the member hands to its listener: what the ledger judges by. */
export interface MemberObserver {
  assigned(partition: TopicPartition, offset: number): void
  ended(partition: TopicPartition, how: TenureEnd): void
}

/** What a member is made of. */
export interface SimMemberOptions {
  readonly process: SimProcess
  readonly network: Network
  readonly coordinator: Coordinator
  readonly logs: ClusterLogs
  readonly protocol: 'consumer' | 'classic'
  readonly member: MemberOptions
  readonly observer: MemberObserver
}

const RETRY_MS = 100

/** `topic-partition`. */
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

function partitionOf(name: string): TopicPartition {
  const at = name.lastIndexOf('-')
  return { topic: name.slice(0, at), partition: Number(name.slice(at + 1)) }
}

function isCode(error: unknown, code: Parameters<typeof kafkaAnswer>[0]): boolean {
  return PipelineError.is(error) && error.kafkaCode === kafkaAnswer(code).kafkaCode
}

function isFencing(error: unknown): boolean {
  return isCode(error, 'UNKNOWN_MEMBER_ID') || isCode(error, 'ILLEGAL_GENERATION')
}

/** A member on the simulated network. */
export class SimMember implements MemberLike {
  readonly #options: SimMemberOptions
  readonly #held = new Map<string, TopicPartition>()
  readonly #stopping = new AbortController()
  #membership = new AbortController()
  /** Partitions that are being taken over: others may not have them either. */
  #taking: readonly string[] = []
  #id = ''
  #epoch = -1
  #sequence = 0
  /** Answers to heartbeats up to this one are out of date. */
  #staleUpTo = 0
  #state: MemberLike['state'] = 'idle'
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #beating: Promise<void> | undefined
  /** What the coordinator says this member may hold; taken up by the loop. */
  #wanted: readonly string[] | undefined
  #mustJoin = true
  #wake: () => void = () => undefined

  constructor(options: SimMemberOptions) {
    this.#options = options
  }

  get memberId(): string {
    return this.#id
  }

  get generation(): number {
    return this.#epoch
  }

  get state(): MemberLike['state'] {
    return this.#state
  }

  heldPartitions(): TopicPartition[] {
    return [...this.#held.values()]
  }

  start(): void {
    if (this.#running !== undefined) return
    const { process, member } = this.#options
    this.#state = 'joining'
    process.clock.every(member.heartbeatIntervalMs ?? 500, () => this.#beatSoon())
    this.#beatSoon()
    this.#running = this.#run()
  }

  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    const { process, network, coordinator } = this.#options
    const deadlineMs = process.clock.monotonicMs() + REQUEST_TIMEOUT_MS
    const { signal } = this.#membership
    for (;;) {
      for (const offset of offsets) {
        if (signal.aborted || !this.#mayCommit(offset) || this.#epoch < 0) throw stale()
      }
      const identity = { memberId: this.#id, epoch: this.#epoch }
      const entries = offsets.map(({ topic, partition, offset, metadata = '' }) => {
        return { partition: nameOf({ topic, partition }), offset: Number(offset), metadata }
      })
      try {
        await network.call(process, () => coordinator.commit(identity, entries))
        return
      } catch (error) {
        const hasMoved = identity.memberId !== this.#id || identity.epoch !== this.#epoch || this.#state === 'joining'
        if (isFencing(error) && !hasMoved) {
          this.#fence()
          throw stale()
        }
        const isRetriable = isFencing(error) || (PipelineError.is(error) && error.retriable)
        if (!isRetriable || process.clock.monotonicMs() >= deadlineMs) throw error
        await sleep(process.clock, RETRY_MS, signal)
      }
    }
  }

  /** A retry partition goes with its origin, which has the same number. */
  #mayCommit(at: TopicPartition): boolean {
    const { companions = () => [] } = this.#options.member
    for (const held of this.#held.values()) {
      if (nameOf(held) === nameOf(at) || companions(held).some(each => nameOf(each) === nameOf(at))) return true
    }
    return false
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { process, network, coordinator } = this.#options
    this.#stopping.abort()
    this.#wake()
    await this.#running
    this.#state = 'closing'
    await this.#giveBack(this.heldPartitions())
    this.#state = 'closed'
    const id = this.#id
    if (id === '') return
    await network.call(process, () => coordinator.leave(id)).catch(() => undefined)
  }

  /** Takes over and gives back, one after the other, as the coordinator says. */
  async #run(): Promise<void> {
    const { protocol } = this.#options
    while (!this.#stopping.signal.aborted) {
      if (protocol === 'classic' && this.#mustJoin) await this.#join()
      const wanted = this.#wanted
      this.#wanted = undefined
      if (wanted !== undefined) await this.#reconcile(new Set(wanted))
      else if (!this.#stopping.signal.aborted && !(protocol === 'classic' && this.#mustJoin)) {
        await new Promise<void>(resolve => (this.#wake = resolve))
      }
    }
  }

  async #reconcile(wanted: ReadonlySet<string>): Promise<void> {
    const { protocol } = this.#options
    const { signal } = this.#membership
    const gone = this.heldPartitions().filter(partition => !wanted.has(nameOf(partition)))
    const added = [...wanted].filter(name => !this.#held.has(name)).map(partitionOf)
    this.#taking = added.map(nameOf)
    if (added.length > 0) await this.#takeOver(added, signal)
    this.#taking = []
    if (signal.aborted || this.#stopping.signal.aborted || gone.length === 0) return
    this.#state = 'revoking'
    await this.#giveBack(gone)
    // Heartbeats sent before say that these partitions are held: their answers may count on it.
    this.#staleUpTo = this.#sequence
    if (protocol === 'consumer') this.#wanted = undefined
    this.#state = 'stable'
    this.#mustJoin = true
    this.#beatSoon()
  }

  async #takeOver(added: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    const { process, network, coordinator, logs, member, observer } = this.#options
    let starts: AssignedPartition[] | undefined
    const startOf = ({ topic, partition }: TopicPartition): AssignedPartition => {
      const found = coordinator.committed.get(nameOf({ topic, partition }))
      const offset = BigInt(found?.offset ?? logs.find(topic, partition)?.start ?? 0)
      return { topic, partition, offset, metadata: found?.metadata ?? '' }
    }
    while (starts === undefined) {
      if (signal.aborted || this.#stopping.signal.aborted) return
      try {
        starts = await network.call(process, () =>
          added.map(partition => {
            const { companions } = member
            if (companions === undefined) return startOf(partition)
            return { ...startOf(partition), companions: companions(partition).map(startOf) }
          })
        )
      } catch {
        await sleep(process.clock, RETRY_MS, signal)
      }
    }
    if (signal.aborted || this.#stopping.signal.aborted) return
    for (const { topic, partition, offset } of starts) {
      this.#held.set(nameOf({ topic, partition }), { topic, partition })
      observer.assigned({ topic, partition }, Number(offset))
    }
    await member.listener.assigned(starts)
  }

  async #giveBack(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return
    const { process, member, observer } = this.#options
    const timeoutMs = (member.rebalanceTimeoutMs ?? 5000) * 0.9
    const isDone = await within(
      process.clock,
      timeoutMs,
      member.listener.revoked(partitions).then(() => true)
    )
    for (const partition of partitions) {
      if (!this.#held.delete(nameOf(partition))) continue
      observer.ended(partition, isDone === true ? 'clean' : 'dirty')
    }
  }

  #fence(): void {
    this.#membership.abort()
    this.#membership = new AbortController()
    this.#id = ''
    this.#epoch = -1
    this.#sequence = 0
    this.#staleUpTo = 0
    this.#wanted = undefined
    this.#mustJoin = true
    if (!this.#stopping.signal.aborted) this.#state = 'joining'
    const lost = this.heldPartitions()
    this.#held.clear()
    for (const partition of lost) this.#options.observer.ended(partition, 'lost')
    if (lost.length > 0) this.#options.member.listener.lost(lost)
    this.#wake()
    this.#beatSoon()
  }

  #beatSoon(): void {
    const hasLeft = this.#state === 'closed' || (this.#stopping.signal.aborted && this.#id === '')
    if (hasLeft || this.#beating !== undefined) return
    this.#beating = this.#beat().finally(() => (this.#beating = undefined))
  }

  async #beat(): Promise<void> {
    const { process, network, coordinator, protocol } = this.#options
    const { signal } = this.#membership
    const identity = { id: this.#id, epoch: this.#epoch }
    try {
      if (protocol === 'classic') {
        if (this.#epoch < 0 || this.#state === 'joining') return
        await network.call(process, () => coordinator.classicBeat(identity.id, identity.epoch))
        return
      }
      this.#sequence += 1
      const request = {
        memberId: this.#id,
        epoch: this.#epoch,
        sequence: this.#sequence,
        holds: [...this.#held.keys(), ...this.#taking]
      }
      const answer = await network.call(process, () => coordinator.beat(request))
      if (signal.aborted || this.#state === 'closed') return
      this.#id = answer.memberId
      this.#epoch = answer.epoch
      if (this.#state === 'joining') this.#state = 'stable'
      if (request.sequence <= this.#staleUpTo) return
      this.#wanted = answer.assigned
      this.#wake()
    } catch (error) {
      if (signal.aborted || this.#state === 'closed') return
      // A round has closed since this heartbeat was sent: it says nothing about now.
      if (protocol === 'classic' && identity.epoch !== this.#epoch) return
      if (isCode(error, 'REBALANCE_IN_PROGRESS')) {
        this.#mustJoin = true
        this.#wake()
      } else if (isFencing(error) && !(protocol === 'classic' && this.#state === 'joining')) this.#fence()
    }
  }

  async #join(): Promise<void> {
    const { process, network, coordinator, member } = this.#options
    const before = this.#state
    this.#mustJoin = false
    this.#state = 'joining'
    const request = { memberId: this.#id, epoch: this.#epoch, holds: [...this.#held.keys()] }
    const timeoutMs = (member.rebalanceTimeoutMs ?? 5000) + REQUEST_TIMEOUT_MS
    try {
      const answer = await Promise.race([
        network.call(process, () => coordinator.join(request), timeoutMs),
        new Promise<undefined>(resolve => {
          this.#stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true })
        })
      ])
      if (answer === undefined) {
        this.#state = before
        return
      }
      this.#id = answer.id
      this.#epoch = answer.epoch
      this.#state = 'stable'
      this.#wanted = answer.assigned
    } catch (error) {
      this.#state = 'stable'
      if (isFencing(error)) this.#fence()
      this.#mustJoin = true
      await sleep(process.clock, RETRY_MS, this.#stopping.signal)
    }
  }
}

function stale(): PipelineError {
  return new PipelineError('ERR_CLIENT_GENERATION_STALE', 'the membership or a partition is gone')
}

/**
 * Decides which partitions are fetched: the bound on memory.
 *
 * A partition rests when its own buffer is full, when all buffers together are,
 * when its target is down, or when an operator says so. It is fetched again once its buffer is half empty
 * and the others have room, or once it has nothing left. Pausing is local: heartbeats and membership go on.
 *
 * Invariant: a partition that rests because the target is down has something
 * buffered. Only a batch can find out that the target is back, so if partitions
 * rested with empty buffers (those that came in a rebalance during the outage
 * would), nobody would ask the target again.
 *
 * An operator's pause belongs to the partition and not to its assignment: it
 * holds again when the partition comes back to this member.
 *
 * When a pause comes, each partition may have been asked for once more, and a
 * partition that has nothing goes on in any case. So room for one answer of
 * every partition is kept free, up to half of the limit: buffers stay within it
 * as long as all these answers fit into that half. With more partitions what is
 * held is at most half of the limit and one answer of each.
 *
 * A partition that rests gets nothing more, so it must not wait for a batch to
 * fill: bytes are given back only with the last record of a fetched chunk, and
 * all would wait for one another until the batches are old enough. `onPause`
 * tells it.
 */

import type { TopicPartition } from '../client/index.ts'

/** The part of the client's `Fetcher` that the intake steers. */
export interface IntakeFetcher {
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
}

/** A partition whose intake is steered. */
export interface IntakeLane extends TopicPartition {
  readonly bufferedBytes: number
  /** The partition rests from now on. */
  onPause(): void
}

/** Limits of the intake, in bytes. */
export interface IntakeLimits {
  /** Most bytes buffered, all partitions together. */
  readonly bytesMax: number
  /** Most bytes of one answer for one partition; room is kept free for them. Default 0. */
  readonly answerBytesMax?: number
  /** Bytes that each partition may hold at least, whatever the number of partitions. */
  readonly laneBytesMin: number
}

/** Why a partition rests. */
export type PauseReason = 'operator' | 'targetDown' | 'partitionBuffer' | 'buffer'

/** An intake as JSON can hold it. */
export interface IntakeDescription {
  readonly bufferedBytes: number
  readonly bytesMax: number
  /** Most bytes of one partition, with as many as there are now. */
  readonly partitionBytesMax: number
  readonly paused: readonly { readonly topic: string; readonly partition: number; readonly reason: PauseReason }[]
}

/** Steers the fetcher so that buffers stay within their limit. */
export class Intake<L extends IntakeLane> {
  readonly #fetcher: IntakeFetcher
  readonly #limits: IntakeLimits
  readonly #lanes = new Set<L>()
  readonly #paused = new Map<L, PauseReason>()
  readonly #heldKeys = new Set<string>()
  readonly #routeOf: (lane: L) => string
  readonly #downRoutes = new Set<string>()
  #heldBytes = new Map<L, number>()
  #totalBytes = 0

  /** @param routeOf - Name of the way that a partition's records go. Default: all go the same. */
  constructor(fetcher: IntakeFetcher, limits: IntakeLimits, routeOf: (lane: L) => string = () => '') {
    this.#fetcher = fetcher
    this.#limits = limits
    this.#routeOf = routeOf
  }

  /** Bytes buffered, all partitions together. */
  get totalBytes(): number {
    return this.#totalBytes
  }

  /** How many partitions rest. */
  get pausedCount(): number {
    return this.#paused.size
  }

  /** Whether a partition rests. */
  isPaused(lane: L): boolean {
    return this.#paused.has(lane)
  }

  /** Why a partition rests; `undefined` if it does not. */
  reasonOf(lane: L): PauseReason | undefined {
    return this.#paused.get(lane)
  }

  /** Whether an operator has paused a partition, be it here or not. */
  isHeld({ topic, partition }: TopicPartition): boolean {
    return this.#heldKeys.has(`${topic}-${partition}`)
  }

  /** Begins to steer a partition that is being fetched. */
  add(lane: L): void {
    this.#lanes.add(lane)
    this.#heldBytes.set(lane, 0)
    if (this.isHeld(lane)) this.#pause(lane, 'operator')
  }

  /** An operator pauses a partition, here or for when it comes. Idempotent. */
  hold({ topic, partition }: TopicPartition): void {
    this.#heldKeys.add(`${topic}-${partition}`)
    for (const lane of this.#lanes) if (this.isHeld(lane)) this.#pause(lane, 'operator')
  }

  /** Ends `hold`. Idempotent. */
  unhold({ topic, partition }: TopicPartition): void {
    this.#heldKeys.delete(`${topic}-${partition}`)
    for (const [lane, reason] of this.#paused) {
      if (reason !== 'operator' || this.isHeld(lane)) continue
      // Whatever else there is to rest for is found out as for any other.
      this.#resume(lane)
      this.changed(lane)
    }
  }

  /** Ends to steer a partition. The fetcher is left as it is. */
  remove(lane: L): void {
    this.#lanes.delete(lane)
    this.#paused.delete(lane)
    this.#totalBytes -= this.#heldBytes.get(lane) ?? 0
    this.#heldBytes.delete(lane)
    this.#resumeSome()
  }

  /** A partition's buffer has grown or shrunk. */
  changed(lane: L): void {
    if (!this.#lanes.has(lane)) return
    const bytes = lane.bufferedBytes
    this.#totalBytes += bytes - (this.#heldBytes.get(lane) ?? 0)
    this.#heldBytes.set(lane, bytes)
    const reason = this.#reasonToRest(lane, bytes)
    if (reason === undefined) this.#resumeSome()
    else this.#pause(lane, reason)
  }

  /** A target went down or came back: its partitions rest as soon as they have something, or go on. */
  setTargetDown(isDown: boolean, route = ''): void {
    if (isDown) this.#downRoutes.add(route)
    else this.#downRoutes.delete(route)
    if (!isDown) return this.#resumeSome()
    for (const lane of this.#lanes) {
      if (lane.bufferedBytes > 0 && this.#routeOf(lane) === route) this.#pause(lane, 'targetDown')
    }
  }

  /** What rests and why. */
  describe(): IntakeDescription {
    return {
      bufferedBytes: this.#totalBytes,
      bytesMax: this.#limits.bytesMax,
      partitionBytesMax: Math.floor(this.#laneBytesMax()),
      paused: [...this.#paused].map(([{ topic, partition }, reason]) => ({ topic, partition, reason }))
    }
  }

  #reasonToRest(lane: L, bytes: number): PauseReason | undefined {
    if (bytes >= this.#laneBytesMax()) return 'partitionBuffer'
    if (bytes === 0) return undefined
    if (this.#totalBytes >= this.#bytesMax()) return 'buffer'
    return this.#downRoutes.size > 0 && this.#downRoutes.has(this.#routeOf(lane)) ? 'targetDown' : undefined
  }

  /** The limit, less what may be on its way. */
  #bytesMax(): number {
    const { bytesMax, answerBytesMax = 0 } = this.#limits
    return bytesMax - Math.min(bytesMax / 2, answerBytesMax * this.#lanes.size)
  }

  #laneBytesMax(): number {
    return Math.max(this.#limits.laneBytesMin, this.#bytesMax() / Math.max(2, this.#lanes.size))
  }

  #pause(lane: L, reason: PauseReason): void {
    const known = this.#paused.get(lane)
    if (known === undefined) this.#fetcher.pause(lane.topic, lane.partition)
    // An operator's word stands over all others; of the others the first is as good as any.
    if (known === undefined || reason === 'operator') this.#paused.set(lane, reason)
    if (known === undefined) lane.onPause()
  }

  #resume(lane: L): void {
    this.#paused.delete(lane)
    this.#fetcher.resume(lane.topic, lane.partition)
  }

  #resumeSome(): void {
    if (this.#paused.size === 0) return
    const hasRoom = this.#totalBytes <= this.#bytesMax() * 0.75
    const lowBytes = hasRoom ? this.#laneBytesMax() / 2 : 0
    for (const [lane, reason] of this.#paused) {
      if (reason === 'operator') continue
      // One that has nothing always goes on: the others may stand still for long (what they send goes to a service that
      // is down) and must not stop it. It rests again with the first records.
      const isDown = this.#downRoutes.size > 0 && this.#downRoutes.has(this.#routeOf(lane))
      if (lane.bufferedBytes <= (isDown ? 0 : lowBytes)) this.#resume(lane)
    }
  }
}

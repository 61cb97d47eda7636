/**
 * Decides which partitions are fetched: the bound on memory.
 *
 * A partition rests when its own buffer is full, when all buffers together are,
 * or when the target is down. It is fetched again once its buffer is half empty
 * and the others have room, or once it has nothing left. Pausing is local: heartbeats and membership go on.
 *
 * Invariant: a partition that rests because the target is down has something
 * buffered. Only a batch can find out that the target is back, so if partitions
 * rested with empty buffers (those that came in a rebalance during the outage
 * would), nobody would ask the target again.
 *
 * What is held beyond the limit is at most what was asked for already when the
 * pause came: one answer per broker.
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
  /** Bytes that each partition may hold at least, whatever the number of partitions. */
  readonly laneBytesMin: number
}

/** Steers the fetcher so that buffers stay within their limit. */
export class Intake<L extends IntakeLane> {
  readonly #fetcher: IntakeFetcher
  readonly #limits: IntakeLimits
  readonly #lanes = new Set<L>()
  readonly #paused = new Set<L>()
  #heldBytes = new Map<L, number>()
  #totalBytes = 0
  #isTargetDown = false

  constructor(fetcher: IntakeFetcher, limits: IntakeLimits) {
    this.#fetcher = fetcher
    this.#limits = limits
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

  /** Begins to steer a partition that is being fetched. */
  add(lane: L): void {
    this.#lanes.add(lane)
    this.#heldBytes.set(lane, 0)
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
    const isAllTaken = this.#isTargetDown || this.#totalBytes >= this.#limits.bytesMax
    if (bytes >= this.#laneBytesMax() || (isAllTaken && bytes > 0)) this.#pause(lane)
    else this.#resumeSome()
  }

  /** The target went down or came back: partitions rest as soon as they have something, or go on. */
  setTargetDown(isDown: boolean): void {
    this.#isTargetDown = isDown
    if (!isDown) this.#resumeSome()
    else for (const lane of this.#lanes) if (lane.bufferedBytes > 0) this.#pause(lane)
  }

  #laneBytesMax(): number {
    return Math.max(this.#limits.laneBytesMin, this.#limits.bytesMax / Math.max(2, this.#lanes.size))
  }

  #pause(lane: L): void {
    if (this.#paused.has(lane)) return
    this.#paused.add(lane)
    this.#fetcher.pause(lane.topic, lane.partition)
    lane.onPause()
  }

  #resumeSome(): void {
    if (this.#paused.size === 0) return
    // One that has nothing always goes on: the others may stand still for long (what they send goes to a service that
    // is down) and must not stop it. It rests again with the first records.
    const hasRoom = !this.#isTargetDown && this.#totalBytes <= this.#limits.bytesMax * 0.75
    const lowBytes = hasRoom ? this.#laneBytesMax() / 2 : 0
    for (const lane of this.#paused) {
      if (lane.bufferedBytes > lowBytes) continue
      this.#paused.delete(lane)
      this.#fetcher.resume(lane.topic, lane.partition)
    }
  }
}

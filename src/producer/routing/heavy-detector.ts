/**
 * Finds heavy hitters of topics, tells of them, and moves them where that is wanted.
 *
 * Per topic one sketch. At the end of each window the values are heavy whose share
 * is certain to be large: (count - error) / total, so that the sketch's error never
 * makes a light value heavy. Then all counts are halved: what happened n windows ago
 * counts 1 / 2^n.
 *
 * A value moves only at a safe point, at which no record is unacknowledged: what
 * lies in the light topic was all acknowledged before the first record goes to the
 * heavy one. Whoever hands over records asks `wantsSafePoint` and says `safePoint`.
 * It does not move back: that would need a safe point in every consumer.
 *
 * Pure: no clock. Limits: `counters` values per topic, `movedMax` moved ones.
 */

import type { SplitTopics } from './heavy-split.ts'
import { type CountedValue, SpaceSaving } from './space-saving.ts'

/** A value that makes up much of a topic. */
export interface HeavyValue {
  readonly value: string
  /** Its part of the topic's events, from 0 to 1; too high by at most `errorShare`. */
  readonly share: number
  readonly errorShare: number
  /** Whether its events go to the heavy topic of a split. */
  readonly isMoved: boolean
}

/** What a detector knows of a topic. */
export interface HeavyReport {
  readonly topic: string
  /** What is counted: the name of a field, or `undefined` for the record's key. */
  readonly field: string | undefined
  /** Events that the counts stand for: those of this window, half of those of the one before, and so on. */
  readonly eventCount: number
  /** Values that are heavy now, heaviest first. */
  readonly heavy: readonly HeavyValue[]
}

/** A value became heavy, or stopped being so, or was moved. Without the value: keys stay out of logs. */
export interface HeavyChange {
  readonly topic: string
  readonly heavyCount: number
  /** Share of the heaviest, from 0 to 1. */
  readonly largestShare: number
  /** How many values were marked to be moved. */
  readonly movingCount: number
}

/** Settings of a detector. See `producer.route.detector`. */
export interface HeavyDetectorOptions {
  readonly mode: 'report' | 'move'
  readonly share: number
  readonly counters: number
  readonly windowMs: number
  readonly eventsMin: number
  readonly movedMax: number
}

/** The watch over one topic. */
export class HeavyWatch {
  readonly topic: string
  readonly field: string | undefined
  readonly #options: HeavyDetectorOptions
  readonly #sketch: SpaceSaving
  readonly #split: SplitTopics | undefined
  /** Heavy at the end of the last window. */
  #heavy: ReadonlySet<string> = new Set()
  #moving = new Set<string>()
  #movedCount = 0

  constructor(
    place: { topic: string; field: string | undefined; split: SplitTopics | undefined },
    options: HeavyDetectorOptions
  ) {
    this.topic = place.topic
    this.field = place.field
    this.#split = place.split
    this.#options = options
    this.#sketch = new SpaceSaving(options.counters)
  }

  /** Values wait to be moved. */
  get isMoving(): boolean {
    return this.#moving.size > 0
  }

  /** Counts an event. */
  add(text: string): void {
    this.#sketch.add(text)
  }

  /** Ends a window. Returns what has changed, if anything. */
  endWindow(): HeavyChange | undefined {
    const found = this.#found()
    const heavy = new Set(found.map(({ value }) => value))
    const isSame = heavy.size === this.#heavy.size && [...heavy].every(value => this.#heavy.has(value))
    this.#heavy = heavy
    const movingCount = this.#markMoving(found)
    const total = this.#sketch.total
    this.#sketch.scale(0.5)
    if (isSame && movingCount === 0) return undefined
    return {
      topic: this.topic,
      heavyCount: heavy.size,
      largestShare: total === 0 ? 0 : (found[0]?.count ?? 0) / total,
      movingCount
    }
  }

  /** Nothing is unacknowledged: what was marked moves now. */
  safePoint(): void {
    for (const value of this.#moving) this.#split?.heavyValues.add(value)
    this.#movedCount += this.#moving.size
    this.#moving = new Set()
  }

  /** There was no safe point: what was marked is looked at anew at the end of the next window. */
  postpone(): void {
    this.#moving = new Set()
  }

  report(): HeavyReport {
    const { total } = this.#sketch
    const heavy = this.#found().map(({ value, count, error }) => ({
      value,
      share: count / total,
      errorShare: error / total,
      isMoved: this.#split?.heavyValues.has(value) ?? false
    }))
    return { topic: this.topic, field: this.field, eventCount: Math.round(total), heavy }
  }

  #found(): CountedValue[] {
    const { share, eventsMin } = this.#options
    const { total } = this.#sketch
    if (total < eventsMin) return []
    return this.#sketch.top().filter(({ count, error }) => count - error >= share * total)
  }

  #markMoving(found: readonly CountedValue[]): number {
    const split = this.#split
    if (this.#options.mode !== 'move' || split === undefined) return 0
    const before = this.#moving.size
    for (const { value } of found) {
      if (this.#movedCount + this.#moving.size >= this.#options.movedMax) break
      if (!split.heavyValues.has(value)) this.#moving.add(value)
    }
    return this.#moving.size - before
  }
}

/** The watches of a producer and their common window. */
export class HeavyDetector {
  readonly watches: readonly HeavyWatch[]
  readonly #windowMs: number
  #endsAtMs: number | undefined

  constructor(watches: readonly HeavyWatch[], windowMs: number) {
    this.watches = watches
    this.#windowMs = windowMs
  }

  /** Whether values wait for a moment at which no record is unacknowledged. */
  get wantsSafePoint(): boolean {
    return this.watches.some(watch => watch.isMoving)
  }

  /** The time has come to this. Returns what has changed if a window ended; more than one are as one. */
  tick(nowMs: number): readonly HeavyChange[] {
    this.#endsAtMs ??= nowMs + this.#windowMs
    if (nowMs < this.#endsAtMs) return []
    this.#endsAtMs = nowMs + this.#windowMs
    return this.watches.flatMap(watch => watch.endWindow() ?? [])
  }

  /** No record is unacknowledged now. */
  safePoint(): void {
    for (const watch of this.watches) watch.safePoint()
  }

  /** There was no such moment in time. */
  postpone(): void {
    for (const watch of this.watches) watch.postpone()
  }

  report(): readonly HeavyReport[] {
    return this.watches.map(watch => watch.report())
  }
}

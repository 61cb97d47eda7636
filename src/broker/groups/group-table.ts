/**
 * The groups of the broker, and what their runtimes share: one entry and one
 * timer per group, the time, and turns.
 *
 * A group is of one type at a time; a conversion puts another state machine into
 * the entry. Decisions that wait for the disk before they count take a turn
 * (`exclusive`): while one is under way, nothing else is decided for the group.
 *
 * Limits: a group that holds nothing leaves no trace.
 */

import type { Clock, Timer } from '../../core/index.ts'
import { ClassicGroup } from './classic-group.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { GroupSettings, StoredGroup } from './group-types.ts'
import type { OffsetStore } from './offset-store.ts'

/** One group. */
export interface GroupEntry {
  readonly groupId: string
  group: ClassicGroup | ConsumerGroup
  /** The generation that was written last, of a classic group. */
  stored: StoredGroup | undefined
  timer: Timer | undefined
  timerMs: number
}

/** What the table needs. */
export interface GroupTableOptions {
  readonly settings: GroupSettings
  readonly offsets: OffsetStore
  readonly clock: Clock
  /** Called when a deadline of a group has come. */
  readonly onDeadline: (entry: GroupEntry) => void
}

/** All groups by id. */
export class GroupTable {
  readonly #options: GroupTableOptions
  readonly #entries = new Map<string, GroupEntry>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #startMs: number
  readonly #startMonotonicMs: number
  #isClosed = false

  constructor(options: GroupTableOptions) {
    this.#options = options
    this.#startMs = options.clock.now()
    this.#startMonotonicMs = options.clock.monotonicMs()
  }

  /** How many groups there are. */
  get size(): number {
    return this.#entries.size
  }

  /** Whether the broker is stopping. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** All groups. The list is a copy: groups may go while it is walked. */
  list(): GroupEntry[] {
    return [...this.#entries.values()].filter(({ group }) => group.state !== 'Dead')
  }

  /** A group, if it is known. */
  find(groupId: string): GroupEntry | undefined {
    const entry = this.#entries.get(groupId)
    return entry === undefined || entry.group.state === 'Dead' ? undefined : entry
  }

  /** A group; one that is not known becomes an empty classic one. */
  get(groupId: string): GroupEntry {
    return this.find(groupId) ?? this.put(groupId, this.newClassic(groupId))
  }

  /** A classic group without anything. */
  newClassic(groupId: string): ClassicGroup {
    return new ClassicGroup(groupId, this.#options.settings, this.nowMs())
  }

  /** Makes a state machine that of a group. */
  put(groupId: string, group: ClassicGroup | ConsumerGroup): GroupEntry {
    const known = this.#entries.get(groupId)
    if (known !== undefined && known.group.state !== 'Dead') {
      known.group = group
      known.stored = undefined
      return known
    }
    const entry: GroupEntry = { groupId, group, stored: undefined, timer: undefined, timerMs: 0 }
    this.#entries.set(groupId, entry)
    return entry
  }

  /** Forgets a group. */
  drop(entry: GroupEntry): void {
    entry.timer?.cancel()
    entry.timer = undefined
    if (this.#entries.get(entry.groupId) === entry) this.#entries.delete(entry.groupId)
  }

  /** Forgets a group that never held anything, however many ids a client tries. */
  dropIfBlank(entry: GroupEntry): void {
    const { group, groupId } = entry
    if (group.type === 'classic' && group.isUnused && group.generation === 0 && !this.#options.offsets.has(groupId)) {
      this.drop(entry)
    }
  }

  /** Keeps one timer per group at its next deadline; later deadlines are found when it fires. */
  arm(entry: GroupEntry): void {
    const nextMs = entry.group.nextDeadlineMs()
    if (this.#isClosed || nextMs === undefined || (entry.timer !== undefined && entry.timerMs <= nextMs)) return
    entry.timer?.cancel()
    entry.timerMs = nextMs
    const onTime = (): void => {
      entry.timer = undefined
      this.#options.onDeadline(entry)
    }
    entry.timer = this.#options.clock.after(Math.max(0, nextMs - this.nowMs()), onTime).unref()
  }

  /** Whether a decision about a group waits for the disk. */
  isBusy(groupId: string): boolean {
    return this.#turns.has(groupId)
  }

  /** Resolves when no decision about a group waits for the disk; another may have begun when the caller goes on. */
  async idle(groupId: string): Promise<void> {
    for (let turn = this.#turns.get(groupId); turn !== undefined; turn = this.#turns.get(groupId)) await turn
  }

  /** Runs one decision about a group after those before it, in the order of the calls. */
  async exclusive<T>(groupId: string, decide: () => Promise<T>): Promise<T> {
    // Queued in the same step as it is looked up: between the two, no one else may find the turn free.
    const before = this.#turns.get(groupId)
    const deciding = before === undefined ? decide() : before.then(decide)
    // Whoever waits for the turn does not care how it ends; the caller does.
    const turn = deciding.then(
      () => undefined,
      () => undefined
    )
    this.#turns.set(groupId, turn)
    try {
      return await deciding
    } finally {
      if (this.#turns.get(groupId) === turn) this.#turns.delete(groupId)
    }
  }

  /** Stops all timers. */
  close(): void {
    this.#isClosed = true
    for (const entry of this.#entries.values()) entry.timer?.cancel()
  }

  /** Epoch milliseconds that never jump: a corrected wall clock must not end every session at once. */
  nowMs(): number {
    return Math.floor(this.#startMs + this.#options.clock.monotonicMs() - this.#startMonotonicMs)
  }
}

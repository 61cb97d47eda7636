/**
 * What a store keeps about 4,096 neighbouring offsets of one partition: one item, changed as a whole.
 *
 * - **done**: sets of records that are done, in layers by the time until which that is remembered. There are about
 *   nine: times are rounded up to an eighth of the time to live, so a record is remembered for that time at least and
 *   an eighth longer at most, however slowly its block fills up.
 * - **leases**: who is at which records, since when and until when, by the clock of whoever took the lease.
 * - **targets**: of records that come again, which targets have had them.
 *
 * Pure: no I/O, no clock. A block is read from a text, changed, and written as a text; whoever stores it compares the
 * version and starts again with the newer text if another writer was first.
 *
 * Invariants: no record is in two leases. Only the owner of a record's lease marks it as done; an owner whose lease
 * another has taken changes nothing of that record. A lease that has ended stays until its records are taken or done,
 * so that an owner that is merely late may still say what it did.
 *
 * Clocks. A lease that was written at a time that has not come yet on the reader's clock belongs to a writer whose
 * clock is ahead. It cannot last longer than its own length from now on, so the reader writes it anew by its own
 * clock: a clock that is days ahead holds records for one lease, not for days.
 */

import { IndexSet } from './index-set.ts'

/** Offsets in one block: eight batches of 500 change the same item, and its worst set is 683 characters. */
export const BLOCK_OFFSETS = 4_096
/** Most leases in a block. Further claims wait: so many at once in one stretch of a partition is a loop gone wild. */
const LEASES_MAX = 64
/** Most groups of records with the same targets done; the oldest are forgotten, and those targets get them again. */
const TARGET_GROUPS_MAX = 64
/** Layers of done records per time to live. */
const LAYERS = 8
/** How long a claim waits that found no room for its lease. */
const NO_ROOM_MS = 1_000

interface Layer {
  readonly untilMs: number
  readonly records: IndexSet
}

interface Lease {
  readonly owner: string
  readonly atMs: number
  readonly untilMs: number
  readonly records: IndexSet
}

interface TargetGroup {
  readonly untilMs: number
  readonly targets: readonly string[]
  readonly records: IndexSet
}

/** A claim on records of one block. */
export interface BlockClaim {
  /** Names one invocation for good. */
  readonly owner: string
  readonly nowMs: number
  /** When the invocation has ended for sure. */
  readonly untilMs: number
  /** Differences between clocks up to this many milliseconds are nothing unusual. */
  readonly graceMs: number
  /** Whether an owner is known to have ended, whatever its lease says. */
  readonly hasEnded: (owner: string) => boolean
}

/** What became of a claim. */
export interface BlockGrant {
  readonly granted: IndexSet
  readonly done: IndexSet
  /** Records that another owner is at, and for how long yet in milliseconds. */
  readonly held: ReadonlyMap<number, number>
  /** Whether the block was changed and must be stored before the claim counts. */
  readonly isChanged: boolean
}

/** What an owner says about its records at the end. */
export interface BlockResult {
  readonly owner: string
  readonly nowMs: number
  readonly ttlMs: number
  readonly done: IndexSet
  /** Targets that need not get a record again, by record; only of records that come again. */
  readonly targets: ReadonlyMap<number, readonly string[]>
}

/** The state of one block. */
export class Block {
  #layers: Layer[] = []
  #leases: Lease[] = []
  #groups: TargetGroup[] = []

  /** When nothing of it matters any more, in epoch milliseconds. */
  get expiresMs(): number {
    let latest = 0
    for (const { untilMs } of [...this.#layers, ...this.#leases, ...this.#groups]) latest = Math.max(latest, untilMs)
    return latest
  }

  /** Records that are done and not yet forgotten. */
  doneAt(nowMs: number): IndexSet {
    const done = new IndexSet(BLOCK_OFFSETS)
    for (const layer of this.#layers) if (layer.untilMs > nowMs) done.addAll(layer.records)
    return done
  }

  /** Targets that have had a record which comes again. */
  targetsOf(index: number, nowMs: number): readonly string[] {
    return this.#groups.find(group => group.untilMs > nowMs && group.records.has(index))?.targets ?? []
  }

  /** Claims records: those that are neither done nor held by another are the claimer's now. */
  claim(wanted: IndexSet, claim: BlockClaim): BlockGrant {
    const { owner, nowMs, untilMs } = claim
    this.#forget(nowMs)
    const granted = wanted.copy()
    const done = this.doneAt(nowMs)
    done.keepAll(wanted)
    granted.deleteAll(done)
    const held = new Map<number, number>()
    const isRetimed = this.#holdBack(granted, held, claim)
    // What is claimed again by the same owner was claimed by an attempt whose answer was lost.
    if (!granted.isEmpty()) {
      this.#take(granted)
      if (this.#leases.length >= LEASES_MAX) this.#dropEnded(claim)
      if (this.#leases.length >= LEASES_MAX) {
        for (const index of granted) held.set(index, NO_ROOM_MS)
        return { granted: new IndexSet(BLOCK_OFFSETS), done, held, isChanged: isRetimed }
      }
      this.#leases.push({ owner, atMs: nowMs, untilMs, records: granted })
    }
    return { granted, done, held, isChanged: isRetimed || !granted.isEmpty() }
  }

  /**
   * Ends the owner's lease: what is done is remembered as done, the rest is free.
   *
   * @returns Records that were to be done but whose lease another has taken; they are left as they are.
   */
  finish({ owner, nowMs, ttlMs, done, targets }: BlockResult): IndexSet {
    this.#forget(nowMs)
    const mine = new IndexSet(BLOCK_OFFSETS)
    for (const lease of this.#leases) if (lease.owner === owner) mine.addAll(lease.records)
    this.#leases = this.#leases.filter(lease => lease.owner !== owner)
    const lost = done.copy()
    lost.deleteAll(mine)
    // Done already: the same finish came through before, and only its answer was lost.
    lost.deleteAll(this.doneAt(nowMs))
    const finished = done.copy()
    finished.keepAll(mine)
    for (const group of this.#groups) group.records.deleteAll(mine)
    if (!finished.isEmpty()) this.#addLayer(doneUntil(nowMs, ttlMs), finished)
    for (const [index, names] of targets) {
      if (mine.has(index) && !finished.has(index) && names.length > 0) this.#addTargets(index, names, nowMs + ttlMs)
    }
    this.#groups = this.#groups.filter(group => !group.records.isEmpty()).slice(-TARGET_GROUPS_MAX)
    return lost
  }

  /** Takes out of `granted` what others hold. Answers whether a lease of a clock ahead was written anew. */
  #holdBack(granted: IndexSet, held: Map<number, number>, claim: BlockClaim): boolean {
    let isRetimed = false
    this.#leases = this.#leases.map(given => {
      if (given.owner === claim.owner || claim.hasEnded(given.owner) || !given.records.intersects(granted)) return given
      const lease = retimed(given, claim)
      if (lease !== given) isRetimed = true
      if (lease.untilMs <= claim.nowMs) return lease
      const overlap = lease.records.copy()
      overlap.keepAll(granted)
      for (const index of overlap) held.set(index, lease.untilMs - claim.nowMs)
      granted.deleteAll(overlap)
      return lease
    })
    return isRetimed
  }

  /** Takes records out of all leases they are in. */
  #take(records: IndexSet): void {
    for (const lease of this.#leases) lease.records.deleteAll(records)
    this.#leases = this.#leases.filter(lease => !lease.records.isEmpty())
  }

  #dropEnded({ nowMs, hasEnded }: BlockClaim): void {
    this.#leases = this.#leases.filter(lease => lease.untilMs > nowMs && !hasEnded(lease.owner))
  }

  #forget(nowMs: number): void {
    this.#layers = this.#layers.filter(layer => layer.untilMs > nowMs)
    this.#groups = this.#groups.filter(group => group.untilMs > nowMs)
  }

  #addLayer(untilMs: number, records: IndexSet): void {
    for (const layer of this.#layers) if (layer.untilMs !== untilMs) layer.records.deleteAll(records)
    const known = this.#layers.find(layer => layer.untilMs === untilMs)
    if (known === undefined) this.#layers.push({ untilMs, records: records.copy() })
    else known.records.addAll(records)
    this.#layers = this.#layers.filter(layer => !layer.records.isEmpty())
  }

  #addTargets(index: number, names: readonly string[], untilMs: number): void {
    const targets = names.toSorted()
    const known = this.#groups.find(
      group => group.untilMs === untilMs && group.targets.join('\n') === targets.join('\n')
    )
    if (known !== undefined) {
      known.records.add(index)
      return
    }
    const records = new IndexSet(BLOCK_OFFSETS)
    records.add(index)
    this.#groups.push({ untilMs, targets, records })
  }

  /** Its text in a store. */
  toText(): string {
    return JSON.stringify({
      d: this.#layers.map(({ untilMs, records }) => [untilMs, records.toText()]),
      ...(this.#leases.length === 0
        ? {}
        : { l: this.#leases.map(({ owner, atMs, untilMs, records }) => [owner, atMs, untilMs, records.toText()]) }),
      ...(this.#groups.length === 0
        ? {}
        : { t: this.#groups.map(({ untilMs, targets, records }) => [untilMs, targets, records.toText()]) })
    })
  }

  /** Reads what `toText` wrote; `undefined` if it is something else. */
  static fromText(text: string): Block | undefined {
    let given: unknown
    try {
      given = JSON.parse(text)
    } catch {
      return undefined
    }
    if (typeof given !== 'object' || given === null) return undefined
    const { d = [], l = [], t = [] } = given as { d?: unknown; l?: unknown; t?: unknown }
    const layers = readRows(d, readLayer)
    const leases = readRows(l, readLease)
    const groups = readRows(t, readGroup)
    if (layers === undefined || leases === undefined || groups === undefined) return undefined
    const block = new Block()
    block.#layers = layers
    block.#leases = leases
    block.#groups = groups
    return block
  }
}

/** A lease by the reader's clock, if its writer's clock is ahead by more than clocks usually are. */
export function retimed<L extends { readonly atMs: number; readonly untilMs: number }>(
  lease: L,
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number }
): L {
  if (lease.atMs <= nowMs + graceMs) return lease
  return { ...lease, atMs: nowMs, untilMs: nowMs + (lease.untilMs - lease.atMs) }
}

/** Until when a record that is done now is remembered: rounded up, so that a block has few layers. */
function doneUntil(nowMs: number, ttlMs: number): number {
  const step = Math.max(1, Math.floor(ttlMs / LAYERS))
  return Math.ceil((nowMs + ttlMs) / step) * step
}

function readRows<R>(given: unknown, read: (row: readonly unknown[]) => R | undefined): R[] | undefined {
  if (!Array.isArray(given)) return undefined
  const rows: R[] = []
  for (const each of given) {
    const row: R | undefined = Array.isArray(each) ? read(each) : undefined
    if (row === undefined) return undefined
    rows.push(row)
  }
  return rows
}

function readSet(text: unknown): IndexSet | undefined {
  return typeof text === 'string' ? IndexSet.fromText(text, BLOCK_OFFSETS) : undefined
}

function readLayer([untilMs, text]: readonly unknown[]): Layer | undefined {
  const records = readSet(text)
  return typeof untilMs === 'number' && records !== undefined ? { untilMs, records } : undefined
}

function readLease([owner, atMs, untilMs, text]: readonly unknown[]): Lease | undefined {
  const records = readSet(text)
  if (typeof owner !== 'string' || typeof atMs !== 'number' || typeof untilMs !== 'number') return undefined
  return records === undefined ? undefined : { owner, atMs, untilMs, records }
}

function readGroup([untilMs, targets, text]: readonly unknown[]): TargetGroup | undefined {
  const records = readSet(text)
  if (typeof untilMs !== 'number' || !Array.isArray(targets) || records === undefined) return undefined
  const names = targets.filter(name => typeof name === 'string')
  return names.length === targets.length ? { untilMs, targets: names, records } : undefined
}

/**
 * Which keys of one partition wait in retry topics, and where.
 *
 * A record goes through stages: 0 is the topic itself, 1, 2, … are the tiers
 * of its retry topics. The rule that keeps the order of keys: a record may be
 * sent from a stage only if no unfinished record of its key is in a later one;
 * else it follows into the lowest later stage that holds its key. So records of
 * a key stand in ascending order, the oldest in the latest stage.
 *
 * The book also knows what was moved on before a crash without the move having
 * been committed where the record came from: such a record is read again there,
 * and its copy is in a later stage already (`isMoved`).
 *
 * Pure: no I/O, no clock. Memory: one entry per waiting key, at most `keysMax`
 * of them from new work (what is found in the topics at the start is let in),
 * and one number per uncommitted move, at most `MOVES_MAX`; beyond that a crash
 * repeats records instead of recognizing them.
 */

import { createHash } from 'node:crypto'

import { invariant } from '../../core/index.ts'

/** Longest key that is kept as it is, in bytes; of longer ones their hash is kept. */
const KEY_BYTES_MAX = 64
/** Most uncommitted moves that are remembered per stage. */
const MOVES_MAX = 200_000

/** The name of a key in the book. `undefined` for records without a key: they wait for nobody. */
export function keyNameOf(key: Buffer | null): string | undefined {
  if (key === null) return undefined
  if (key.length <= KEY_BYTES_MAX) return key.toString('latin1')
  return `#${createHash('sha256').update(key).digest('hex')}`
}

/** Limits of a book. */
export interface StationBookOptions {
  /** Tiers of retry topics. At least 1. */
  readonly tierCount: number
  /** Most keys that new work may bring in. */
  readonly keysMax: number
}

interface Move {
  readonly timestampMs: number
}

/** Keys of one partition that wait, by stage. */
export class StationBook {
  readonly #tierCount: number
  readonly #keysMax: number
  /** Unfinished records of a key by stage; index 0 is never used. */
  readonly #keys = new Map<string, Int32Array>()
  /** By the stage that a record was moved from: its offset there. */
  readonly #moves: Map<bigint, Move>[]
  readonly #lastMove: bigint[]
  #moveCount = 0
  #roomWaits: (() => void)[] = []

  constructor({ tierCount, keysMax }: StationBookOptions) {
    invariant(tierCount >= 1, 'a book is kept only where there are retry topics')
    this.#tierCount = tierCount
    this.#keysMax = keysMax
    this.#moves = Array.from({ length: tierCount + 1 }, () => new Map<bigint, Move>())
    this.#lastMove = Array.from({ length: tierCount + 1 }, () => -1n)
  }

  /** Keys that wait. */
  get keyCount(): number {
    return this.#keys.size
  }

  /** Whether no key waits and no move is remembered: nothing needs to be asked of a record. */
  get isIdle(): boolean {
    return this.#keys.size === 0 && this.#moveCount === 0
  }

  /** Whether new keys have to wait until others are done. */
  get isFull(): boolean {
    return this.#keys.size >= this.#keysMax
  }

  /** The last stage: records that fail there are put aside for good. */
  get lastStage(): number {
    return this.#tierCount
  }

  /** The stage that a record must follow its key to, or `undefined` if it may be sent. */
  followStage(name: string | undefined, stage: number): number | undefined {
    if (name === undefined) return undefined
    const counts = this.#keys.get(name)
    if (counts === undefined) return undefined
    for (let later = stage + 1; later <= this.#tierCount; later += 1) if ((counts[later] ?? 0) > 0) return later
    return undefined
  }

  /** Whether a key waits at all. */
  holds(name: string): boolean {
    return this.#keys.has(name)
  }

  /** A record of a key is about to go into a stage. Before it is appended there: nobody may overtake it meanwhile. */
  enter(name: string | undefined, stage: number): void {
    invariant(stage >= 1 && stage <= this.#tierCount, `there is no stage ${stage}`)
    if (name === undefined) return
    let counts = this.#keys.get(name)
    if (counts === undefined) {
      counts = new Int32Array(this.#tierCount + 1)
      this.#keys.set(name, counts)
    }
    counts[stage] = (counts[stage] ?? 0) + 1
  }

  /** A record of a key has left a stage: delivered, put aside for good, or safe in a later stage. */
  leave(name: string | undefined, stage: number): void {
    if (name === undefined) return
    const counts = this.#keys.get(name)
    const count = counts?.[stage] ?? 0
    // A copy that nobody counted: appended by a member that had lost the partition before.
    if (counts === undefined || count === 0) return
    counts[stage] = count - 1
    if (counts.some(each => each > 0)) return
    this.#keys.delete(name)
    if (!this.isFull) for (const wake of this.#roomWaits.splice(0)) wake()
  }

  /** Calls back once when a key has gone; at once if there is room. */
  onRoom(wake: () => void): void {
    if (this.isFull) this.#roomWaits.push(wake)
    else wake()
  }

  /** A record found in a later stage says that it was moved there from this one. */
  moved(stage: number, offset: bigint, timestampMs: number): void {
    const moves = this.#moves[stage]
    if (moves === undefined || moves.size >= MOVES_MAX || moves.has(offset)) return
    moves.set(offset, { timestampMs })
    this.#moveCount += 1
    if (offset > (this.#lastMove[stage] ?? -1n)) this.#lastMove[stage] = offset
  }

  /**
   * Whether the record at an offset of a stage is in a later one already. Its timestamp tells it from the record of
   * another topic of the same name.
   */
  isMoved(stage: number, offset: bigint, timestampMs: number): boolean {
    return this.#moves[stage]?.get(offset)?.timestampMs === timestampMs
  }

  /** Nothing below this offset of a stage is read again: its moves need not be remembered. */
  committed(stage: number, offset: bigint): void {
    const moves = this.#moves[stage]
    if (moves === undefined || moves.size === 0 || offset <= (this.#lastMove[stage] ?? -1n)) return
    this.#moveCount -= moves.size
    moves.clear()
  }
}

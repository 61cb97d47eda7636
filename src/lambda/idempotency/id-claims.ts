/**
 * Claims on records by business ids: one pointer per id, and one document for the end of the claim.
 *
 * A pointer says which claim the id belongs to; it is written if there is none, or if its claim has ended without
 * having done it. What became of the ids is in the claim's outcome (see `outcome.ts`), so the end of a claim on 500 ids
 * is one write.
 *
 * An id whose claim has not ended is held until its lease has. Then whoever wants it first closes the old claim, by
 * writing its outcome, and takes the ids over after that: a late owner finds its claim closed and marks nothing.
 */

import { hash } from 'node:crypto'

import { retimed } from './block.ts'
import {
  ask,
  type ClaimRuntime,
  forAll,
  type Invocation,
  stepAside,
  timeToClaim,
  timeToFinish
} from './claim-runtime.ts'
import { IndexSet } from './index-set.ts'
import { emptyOutcome, type Outcome, outcomeText, readOutcome } from './outcome.ts'
import { type Document, type Pointer, type PointerWrite, storeError } from './store.ts'

/** Rounds in which ids may change hands between looking and taking. */
const ROUNDS_MAX = 8
/** Room for the ids that one invocation may name; more are an event that AWS does not send. */
export { CLAIM_IDS_MAX } from './outcome.ts'
/** How long an id is held of which nobody knows how long another needs it. */
const UNCLEAR_MS = 200

/** What became of the claim on one id. */
export type IdState =
  | { readonly kind: 'claimed'; readonly targetsDone: readonly string[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'held'; readonly forMs: number }

interface Pending {
  readonly index: number
  replaces: string | undefined
  targetsDone: readonly string[]
}

/**
 * The key of a business id: bounded whatever the id is, and no id can be read from it. Halves of surrogate pairs are
 * written as escapes: as UTF-8 they would all be the same.
 */
export function idKey(namespace: string, id: string): string {
  return `${namespace}|i|${hash('sha256', id.isWellFormed() ? id : JSON.stringify(id), 'base64url')}`
}

/** Claims business ids. */
export class IdClaims {
  readonly #runtime: ClaimRuntime

  constructor(runtime: ClaimRuntime) {
    this.#runtime = runtime
  }

  /** Claims ids by their keys; every key once. Answers one state per key. */
  async claim(keys: readonly string[], invocation: Invocation): Promise<IdState[]> {
    const states = new Map<number, IdState>()
    let pending: Pending[] = keys.map((_, index) => ({ index, replaces: undefined, targetsDone: [] }))
    for (let round = 1; pending.length > 0 && round <= ROUNDS_MAX; round += 1) {
      await stepAside(this.#runtime, round - 1)
      const found = await this.#point(keys, pending, invocation)
      for (const { index, targetsDone } of pending) states.set(index, { kind: 'claimed', targetsDone })
      pending = await this.#settle(pending, found, { invocation, states, keys })
    }
    for (const { index } of pending) states.set(index, { kind: 'held', forMs: UNCLEAR_MS })
    return keys.map((_, index) => states.get(index) ?? { kind: 'held', forMs: UNCLEAR_MS })
  }

  /**
   * Ends a claim: what is done stays done, the rest is free.
   *
   * @returns Whether it could: `false` if another has closed the claim after its lease had ended.
   */
  async finish(outcome: Outcome, invocation: Invocation): Promise<boolean> {
    const { settings, clock } = this.#runtime
    const text = outcomeText(outcome)
    const expiresMs = Math.max(clock.now(), invocation.untilMs) + settings.ttlMs
    const current = await this.#writeOutcome(
      invocation.owner,
      { text, expiresMs },
      timeToFinish(this.#runtime, invocation)
    )
    return current === undefined || current.text === text
  }

  async #point(
    keys: readonly string[],
    pending: readonly Pending[],
    { owner, untilMs, deadlineMs }: Invocation
  ): Promise<(Pointer | undefined)[]> {
    const { clock, settings } = this.#runtime
    const writes = pending.map(({ index, replaces, targetsDone }): PointerWrite => {
      const times = { atMs: clock.now(), untilMs, expiresMs: untilMs + settings.ttlMs }
      const targets = targetsDone.length === 0 ? {} : { targets: targetsDone }
      return { key: keys[index] ?? '', pointer: { owner, index, ...times, ...targets }, replaces }
    })
    const timeLeft = (): number => deadlineMs - clock.now()
    const found = await ask(this.#runtime, timeLeft, (store, limits) => store.point(writes, limits))
    // One's own pointer was written by an attempt whose answer was lost.
    return found.map(pointer => (pointer?.owner === owner ? undefined : pointer))
  }

  /** Finds out what the ids that were not free are. Answers those to be taken over. */
  async #settle(
    pending: readonly Pending[],
    found: readonly (Pointer | undefined)[],
    round: {
      readonly invocation: Invocation
      readonly states: Map<number, IdState>
      readonly keys: readonly string[]
    }
  ): Promise<Pending[]> {
    const taken = new Map<string, { readonly each: Pending; readonly pointer: Pointer }[]>()
    for (const [position, pointer] of found.entries()) {
      const each = pending[position]
      if (each === undefined || pointer === undefined) continue
      const list = taken.get(pointer.owner) ?? []
      list.push({ each, pointer })
      taken.set(pointer.owner, list)
    }
    const next: Pending[] = []
    await forAll([...taken], async ([owner, list]) => {
      const outcome = await this.#outcomeOf(
        owner,
        list.map(({ pointer }) => pointer),
        round.invocation
      )
      for (const { each, pointer } of list) {
        if (outcome === undefined) {
          const { untilMs } = await this.#heldPointer(round.keys[each.index] ?? '', pointer, round.invocation)
          round.states.set(each.index, { kind: 'held', forMs: Math.max(1, untilMs - this.#runtime.clock.now()) })
        } else if (outcome.done.has(pointer.index)) round.states.set(each.index, { kind: 'done' })
        else {
          const targetsDone = outcome.targets.get(pointer.index) ?? pointer.targets ?? []
          next.push({ index: each.index, replaces: owner, targetsDone })
        }
      }
    })
    return next
  }

  /** What became of another claim; `undefined` while it is under way. */
  async #outcomeOf(owner: string, pointers: readonly Pointer[], invocation: Invocation): Promise<Outcome | undefined> {
    const { clock, settings, hasEnded } = this.#runtime
    const timeLeft = timeToClaim(this.#runtime, invocation)
    const key = this.#outcomeKey(owner)
    const present = await ask(this.#runtime, timeLeft, (store, limits) => store.read(key, limits))
    if (present !== undefined) return parse(present, key)
    const nowMs = clock.now()
    const isOver = pointers.every(pointer => retimed(pointer, { nowMs, graceMs: settings.graceMs }).untilMs <= nowMs)
    if (!isOver && !hasEnded(owner)) return undefined
    const expiresMs = Math.max(nowMs, ...pointers.map(pointer => pointer.expiresMs))
    const closing = { text: outcomeText(emptyOutcome()), expiresMs }
    const current = await this.#writeOutcome(owner, closing, timeLeft)
    return current === undefined ? emptyOutcome() : parse(current, key)
  }

  /** A pointer that is held; one of a clock ahead is written anew by the own clock. */
  async #heldPointer(key: string, pointer: Pointer, invocation: Invocation): Promise<Pointer> {
    const { clock, settings } = this.#runtime
    const own = retimed(pointer, { nowMs: clock.now(), graceMs: settings.graceMs })
    if (own === pointer) return pointer
    const timeLeft = timeToClaim(this.#runtime, invocation)
    const write = { key, pointer: own, replaces: pointer.owner }
    await ask(this.#runtime, timeLeft, (store, limits) => store.point([write], limits))
    return own
  }

  /** Writes the outcome of a claim if there is none. Answers the one that is there, if another was first. */
  async #writeOutcome(
    owner: string,
    { text, expiresMs }: { readonly text: string; readonly expiresMs: number },
    timeLeft: () => number
  ): Promise<Document | undefined> {
    const version = this.#runtime.newName()
    const swap = { key: this.#outcomeKey(owner), expected: undefined, version, text, expiresMs }
    const result = await ask(this.#runtime, timeLeft, (store, limits) => store.swap(swap, limits))
    return result.kind === 'ok' || result.current?.version === version ? undefined : result.current
  }

  #outcomeKey(owner: string): string {
    return `${this.#runtime.settings.namespace}|b|${owner}`
  }
}

function parse(document: Document, key: string): Outcome {
  const outcome = readOutcome(document.text)
  if (outcome === undefined) {
    throw storeError(
      'unreadable',
      `the item ${key} was written by something else, or by a newer version; remove it, or use another namespace`
    )
  }
  return outcome
}

/** Outcome of a claim on so many ids, from those of them that are worth a word. */
export function outcomeOf(
  count: number,
  results: Iterable<readonly [index: number, isDone: boolean, targets: readonly string[]]>
): Outcome {
  const done = new IndexSet(Math.max(1, count))
  const targets = new Map<number, readonly string[]>()
  for (const [index, isDone, names] of results) {
    if (isDone) done.add(index)
    else targets.set(index, names)
  }
  return { done, targets }
}

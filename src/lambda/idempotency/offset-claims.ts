/**
 * Claims on records by their offsets: one document per block of 4,096 offsets, changed by comparing its version.
 *
 * A batch is in one block or in two, so claiming and finishing it is two small writes, or four. The last texts are
 * remembered: a warm function claims the next batch of its partition in one request. What is remembered decides
 * nothing by itself: it is either confirmed by the comparison, or read anew.
 */

import { Block, BLOCK_OFFSETS, type BlockGrant } from './block.ts'
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
import { type Document, storeError } from './store.ts'

/** Comparisons that may fail before a claim gives up. */
const SWAPS_MAX = 20
/** Texts that are remembered; one is some hundred bytes. */
const REMEMBERED_MAX = 512

/** Offsets that an invocation is about in one block. */
export interface BlockPart {
  readonly key: string
  readonly wanted: IndexSet
  /** Whether the records before the block's first belong to the same batch, or there are none. */
  readonly isFromStart: boolean
}

/** A part that was claimed. */
export interface ClaimedPart {
  readonly key: string
  readonly grant: BlockGrant
  readonly block: Block
}

/** Results of one part. */
export interface PartResult {
  readonly key: string
  readonly done: IndexSet
  readonly targets: ReadonlyMap<number, readonly string[]>
}

/** Splits offsets into the parts of their blocks. */
export class BlockParts {
  /** In the order in which they were met; records name them by their position. */
  readonly parts: BlockPart[] = []
  readonly #namespace: string
  readonly #positions = new Map<string, number>()

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /**
   * Position of a block's part, which is made if there is none.
   *
   * @param isFromStart - Whether what comes before this block belongs to the same batch, or there is nothing before.
   */
  position(
    { topic, partition }: { readonly topic: string; readonly partition: number },
    number: number,
    isFromStart: boolean
  ): number {
    const key = `${this.#namespace}|o|${topic}|${partition}|${number}`
    const known = this.#positions.get(key)
    if (known !== undefined) return known
    this.#positions.set(key, this.parts.length)
    return this.parts.push({ key, wanted: new IndexSet(BLOCK_OFFSETS), isFromStart }) - 1
  }
}

/** Claims blocks of offsets. */
export class OffsetClaims {
  readonly #runtime: ClaimRuntime
  readonly #remembered = new Map<string, Document>()

  constructor(runtime: ClaimRuntime) {
    this.#runtime = runtime
  }

  /** Claims all parts; `claimed` has what was claimed, at the positions of the parts, even if it rejects. */
  async claim(parts: readonly BlockPart[], invocation: Invocation, claimed: ClaimedPart[]): Promise<void> {
    await forAll([...parts.keys()], async position => {
      const part = parts[position]
      if (part !== undefined) claimed[position] = await this.#claimPart(part, invocation)
    })
  }

  /**
   * Ends the claim on all parts.
   *
   * @returns How many records were to be marked as done but belong to another by now.
   */
  async finish(results: readonly PartResult[], invocation: Invocation): Promise<number> {
    let lost = 0
    await forAll(results, async result => {
      for (const _ of await this.#finishPart(result, invocation)) lost += 1
    })
    return lost
  }

  async #claimPart({ key, wanted, isFromStart }: BlockPart, invocation: Invocation): Promise<ClaimedPart> {
    const { clock, settings, hasEnded } = this.#runtime
    const timeLeft = timeToClaim(this.#runtime, invocation)
    let known = this.#remembered.get(key)
    // A block that the batch comes into from below is most likely new: it is made without looking for it.
    let isFresh = false
    if (known === undefined && !isFromStart) {
      known = await this.#read(key, timeLeft)
      isFresh = true
    }
    for (let attempt = 1; attempt <= SWAPS_MAX; attempt += 1) {
      const block = blockOf(known, key)
      const { owner, untilMs } = invocation
      const nowMs = clock.now()
      const grant = block.claim(wanted, { owner, nowMs, untilMs, graceMs: settings.graceMs, hasEnded })
      if (!grant.isChanged) {
        if (isFresh) return { key, grant, block }
        known = await this.#read(key, timeLeft)
        isFresh = true
        continue
      }
      const current = await this.#swap({ key, known, block }, timeLeft)
      if (current === 'ok') return { key, grant, block }
      known = current.document
      isFresh = true
      await stepAside(this.#runtime, attempt)
    }
    throw contended(key)
  }

  async #finishPart({ key, done, targets }: PartResult, invocation: Invocation): Promise<IndexSet> {
    const { clock, settings } = this.#runtime
    const timeLeft = timeToFinish(this.#runtime, invocation)
    let known = this.#remembered.get(key) ?? (await this.#read(key, timeLeft))
    for (let attempt = 1; attempt <= SWAPS_MAX; attempt += 1) {
      const block = blockOf(known, key)
      const lost = block.finish({ owner: invocation.owner, nowMs: clock.now(), ttlMs: settings.ttlMs, done, targets })
      const current = await this.#swap({ key, known, block }, timeLeft)
      if (current === 'ok') return lost
      known = current.document
      await stepAside(this.#runtime, attempt)
    }
    throw contended(key)
  }

  async #read(key: string, timeLeft: () => number): Promise<Document | undefined> {
    return ask(this.#runtime, timeLeft, (store, limits) => store.read(key, limits))
  }

  /** Stores a block if the known version is still the last. */
  async #swap(
    { key, known, block }: { readonly key: string; readonly known: Document | undefined; readonly block: Block },
    timeLeft: () => number
  ): Promise<'ok' | { readonly document: Document | undefined }> {
    const text = block.toText()
    const version = this.#runtime.newName()
    const swap = { key, expected: known?.version, version, text, expiresMs: block.expiresMs }
    // What was remembered is worth nothing until the answer is there.
    this.#remembered.delete(key)
    const result = await ask(this.#runtime, timeLeft, (store, limits) => store.swap(swap, limits))
    // The same version in a conflict is this very change, made by an attempt whose answer was lost.
    if (result.kind === 'conflict' && result.current?.version !== version) return { document: result.current }
    this.#remembered.set(key, { version, text })
    if (this.#remembered.size > REMEMBERED_MAX) {
      const oldest = this.#remembered.keys().next()
      if (oldest.done !== true) this.#remembered.delete(oldest.value)
    }
    return 'ok'
  }
}

function blockOf(known: Document | undefined, key: string): Block {
  const block = known === undefined ? new Block() : Block.fromText(known.text)
  if (block === undefined) {
    throw storeError(
      'unreadable',
      `the item ${key} was written by something else, or by a newer version; remove it, or use another namespace`
    )
  }
  return block
}

function contended(key: string): Error {
  return storeError('contended', `too many invocations change ${key} at the same time`)
}

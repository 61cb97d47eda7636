/**
 * The guard of batches: claims by offset and by business id behind one interface.
 *
 * A batch is claimed before its records are delivered and finished after the targets have answered. If a part of it
 * cannot be claimed, what was claimed is given back and the whole batch is refused: it comes again, nothing is lost.
 *
 * A claim has the name of this guard in it. A guard runs in one environment, so a claim of its own that is not open
 * any more has ended, whatever its lease says: after a handler that threw, the next attempt in the same environment
 * does not wait.
 */

import { randomBytes } from 'node:crypto'

import {
  type Clock,
  isRetriable,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom
} from '../../core/index.ts'
import type { BatchGuard, GuardedBatch, GuardedPartition, GuardedResult, RecordState } from './batch-guard.ts'
import {
  asStoreError,
  type ClaimRuntime,
  type ClaimSettings,
  type Invocation,
  INVOCATION_MS_MAX
} from './claim-runtime.ts'
import { CLAIM_IDS_MAX, IdClaims, idKey, type IdState, outcomeOf } from './id-claims.ts'
import { IndexSet } from './index-set.ts'
import { BlockParts, type ClaimedPart, OffsetClaims, type PartResult } from './offset-claims.ts'
import { BLOCK_OFFSETS } from './block.ts'
import { claimSettings, type IdempotencySettings } from './settings.ts'
import { type ClaimStore, storeError } from './store.ts'

/** What a guard needs from its surroundings. */
export interface GuardDependencies {
  readonly clock?: Clock
  readonly random?: Random
  /** Variables of the process: the function's name, AWS's region and endpoints. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** A store of one's own, in place of the one that the settings name. */
  readonly store?: ClaimStore
  /** Told of the capacity units that requests to DynamoDB consumed. Default: they are not asked for. */
  readonly onCapacity?: (kind: 'read' | 'write', units: number) => void
}

/**
 * Makes a guard. The store is opened at the first batch.
 *
 * @throws PipelineError `ERR_LAMBDA_IDEMPOTENCY_OPTIONS_INVALID` with every problem of the settings.
 */
export function createBatchGuard(settings: IdempotencySettings, dependencies: GuardDependencies = {}): BatchGuard {
  return new Guard(settings, dependencies)
}

class Guard implements BatchGuard {
  readonly #settings: IdempotencySettings
  readonly #claims: ClaimSettings
  readonly #dependencies: GuardDependencies
  readonly #name = randomBytes(9).toString('base64url')
  readonly #open = new Set<string>()
  #names = 0
  #opened: Promise<Opened> | undefined

  constructor(settings: IdempotencySettings, dependencies: GuardDependencies) {
    this.#settings = settings
    this.#dependencies = dependencies
    this.#claims = claimSettings(settings, dependencies.environment ?? {})
  }

  async begin(partitions: readonly GuardedPartition[], deadlineMs: number): Promise<GuardedBatch> {
    const { runtime, offsets, ids } = await this.#opening()
    const nowMs = runtime.clock.now()
    const owner = runtime.newName()
    // Nothing runs longer than Lambda lets it; a deadline beyond is one of a clock that jumped.
    const endMs = Math.min(Math.max(deadlineMs, nowMs), nowMs + INVOCATION_MS_MAX)
    const invocation = { owner, deadlineMs: endMs, untilMs: endMs + this.#claims.graceMs }
    const batch = new Batch(partitions, { runtime, offsets, ids, invocation, ended: () => this.#open.delete(owner) })
    this.#open.add(owner)
    await batch.claim()
    return batch
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    if (opened === undefined) return
    // A store that could not be opened has told so to whoever began a batch.
    await opened.then(({ runtime }) => runtime.store.close()).catch(() => undefined)
  }

  #opening(): Promise<Opened> {
    this.#opened ??= this.#openStore().catch((error: unknown) => {
      // The next batch tries again.
      this.#opened = undefined
      throw asStoreError(error)
    })
    return this.#opened
  }

  async #openStore(): Promise<Opened> {
    const { clock = systemClock, random = systemRandom } = this.#dependencies
    const runtime: ClaimRuntime = {
      settings: this.#claims,
      store: this.#dependencies.store ?? (await this.#openPatiently(clock)),
      clock,
      random,
      newName: () => `${this.#name}.${(this.#names++).toString(36)}`,
      hasEnded: owner => owner.startsWith(`${this.#name}.`) && !this.#open.has(owner)
    }
    return { runtime, offsets: new OffsetClaims(runtime), ids: new IdClaims(runtime) }
  }

  /** Several processes that open a new SQLite file at once are in each other's way for a moment. */
  async #openPatiently(clock: Clock): Promise<ClaimStore> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await openStore(this.#settings, this.#dependencies)
      } catch (error) {
        if (attempt === OPENINGS_MAX || !isRetriable(error)) throw error
        await sleep(clock, 50 * attempt)
      }
    }
  }
}

const OPENINGS_MAX = 5

/** Each store is loaded when it is asked for, and not before. */
async function openStore(settings: IdempotencySettings, dependencies: GuardDependencies): Promise<ClaimStore> {
  const { store } = settings
  switch (store.type) {
    case 'memory':
      return new (await import('./memory-store.ts')).MemoryStore(store)
    case 'sqlite':
      return new (await import('./sqlite-store.ts')).SqliteStore(store)
    case 'dynamoDb':
      return new (await import('./dynamo-db-store.ts')).DynamoDbStore(store, dependencies)
  }
}

interface Opened {
  readonly runtime: ClaimRuntime
  readonly offsets: OffsetClaims
  readonly ids: IdClaims
}

interface BatchDependencies extends Opened {
  readonly invocation: Invocation
  /** Says that the claim is not open any more. */
  readonly ended: () => void
}

const NO_TARGETS: ReadonlySet<string> = new Set()
const [CLAIMED, DONE, HELD] = [0, 1, 2] as const
const STATES = ['claimed', 'done', 'held'] as const satisfies readonly RecordState[]
/** In place of a block, of records that are known by an id. */
const BY_ID = -1

/** The records of one partition: numbers side by side, because there is one for every record of every batch. */
interface Records {
  readonly count: number
  /** Position of the block's part, or `BY_ID`. */
  readonly parts: Int32Array
  /** Place in the block, or number of the id. */
  readonly places: Int32Array
  /** Whether it repeats another record of the batch. */
  readonly repeats: Uint8Array
  /** Filled in when the claim is through. */
  readonly states: Uint8Array
}

class Batch implements GuardedBatch {
  readonly #dependencies: BatchDependencies
  readonly #partitions: readonly Records[]
  readonly #parts: BlockParts
  readonly #idNumbers = new Map<string, number>()
  readonly #claimed: ClaimedPart[] = []
  #idStates: readonly IdState[] = []
  readonly #nowMs: number

  constructor(partitions: readonly GuardedPartition[], dependencies: BatchDependencies) {
    this.#dependencies = dependencies
    const { settings, clock } = dependencies.runtime
    this.#nowMs = clock.now()
    this.#parts = new BlockParts(settings.namespace)
    this.#partitions = partitions.map(partition => this.#recordsOf(partition, settings.namespace))
  }

  /** Claims everything, or gives back what it got and rejects. */
  async claim(): Promise<void> {
    const { offsets, ids, invocation, ended } = this.#dependencies
    try {
      if (this.#idNumbers.size > CLAIM_IDS_MAX) {
        throw storeError('unavailable', `more than ${CLAIM_IDS_MAX} business ids in one batch`)
      }
      const results = await Promise.allSettled([
        offsets.claim(this.#parts.parts, invocation, this.#claimed),
        ids.claim([...this.#idNumbers.keys()], invocation)
      ])
      const [ofOffsets, ofIds] = results
      if (ofIds.status === 'fulfilled') this.#idStates = ofIds.value
      for (const records of this.#partitions) this.#fillStates(records)
      if (ofOffsets.status === 'rejected') throw ofOffsets.reason
      if (ofIds.status === 'rejected') throw ofIds.reason
    } catch (error) {
      // Best effort: what cannot be given back ends with its lease.
      const asBefore = (partition: number, index: number): GuardedResult => {
        return { isDone: false, targetsDone: [...this.targetsDone(partition, index)] }
      }
      await Promise.allSettled(this.#endings(asBefore))
      ended()
      throw asStoreError(error)
    }
  }

  state(partition: number, index: number): RecordState {
    const records = this.#partitions[partition]
    const state = records?.states[index] ?? HELD
    // The first of its kind in this batch stands for it.
    return state === CLAIMED && records?.repeats[index] === 1 ? 'done' : (STATES[state] ?? 'held')
  }

  heldForMs(partition: number, index: number): number {
    const records = this.#partitions[partition]
    const place = records?.places[index] ?? -1
    const part = records?.parts[index] ?? BY_ID
    if (part !== BY_ID) return this.#claimed[part]?.grant.held.get(place) ?? 0
    const state = this.#idStates[place]
    return state?.kind === 'held' ? state.forMs : 0
  }

  targetsDone(partition: number, index: number): ReadonlySet<string> {
    const records = this.#partitions[partition]
    if (records === undefined || records.states[index] !== CLAIMED || records.repeats[index] === 1) return NO_TARGETS
    const place = records.places[index] ?? -1
    const part = records.parts[index] ?? BY_ID
    const names = part === BY_ID ? this.#targetsOfId(place) : this.#claimed[part]?.block.targetsOf(place, this.#nowMs)
    return names === undefined || names.length === 0 ? NO_TARGETS : new Set(names)
  }

  async finish(resultOf: (partition: number, index: number) => GuardedResult): Promise<void> {
    let lost = 0
    try {
      for (const ending of await Promise.allSettled(this.#endings(resultOf))) {
        if (ending.status === 'rejected') throw asStoreError(ending.reason)
        lost += ending.value
      }
    } finally {
      this.#dependencies.ended()
    }
    if (lost > 0) {
      const message =
        `${lost} records were done after their claim had ended and another had taken them: ` +
        'they are delivered again'
      throw new PipelineError('ERR_LAMBDA_IDEMPOTENCY_LEASE_LOST', message, { fields: { count: lost } })
    }
  }

  #recordsOf(partition: GuardedPartition, namespace: string): Records {
    const { offsets, ids } = partition
    const count = offsets.length
    const [parts, places] = [new Int32Array(count), new Int32Array(count)]
    const [repeats, states] = [new Uint8Array(count), new Uint8Array(count)]
    let block = Number.NaN
    let part = BY_ID
    for (let index = 0; index < count; index += 1) {
      const id = ids?.[index] ?? ''
      // An empty one is the lack of one: records that have it are not the same.
      if (id !== '') {
        const key = idKey(namespace, id)
        const known = this.#idNumbers.get(key)
        parts[index] = BY_ID
        places[index] = known ?? this.#idNumbers.size
        if (known === undefined) this.#idNumbers.set(key, this.#idNumbers.size)
        else repeats[index] = 1
        continue
      }
      const offset = offsets[index] ?? 0
      const number = Math.floor(offset / BLOCK_OFFSETS)
      const place = offset - number * BLOCK_OFFSETS
      if (number !== block) {
        part = this.#parts.position(partition, number, index > 0 || place === 0)
        block = number
      }
      const wanted = this.#parts.parts[part]?.wanted
      parts[index] = part
      places[index] = place
      if (wanted?.has(place) === true) repeats[index] = 1
      wanted?.add(place)
    }
    return { count, parts, places, repeats, states }
  }

  #fillStates({ count, parts, places, states }: Records): void {
    for (let index = 0; index < count; index += 1) {
      const part = parts[index] ?? BY_ID
      const place = places[index] ?? -1
      const grant = this.#claimed[part]?.grant
      if (part === BY_ID) states[index] = STATES.indexOf(this.#idStates[place]?.kind ?? 'held')
      else if (grant?.granted.has(place) === true) states[index] = CLAIMED
      else states[index] = grant?.done.has(place) === true ? DONE : HELD
    }
  }

  #targetsOfId(number: number): readonly string[] {
    const state = this.#idStates[number]
    return state?.kind === 'claimed' ? state.targetsDone : []
  }

  /** The writes that end the claim; each answers how many records were done for another by then. */
  #endings(resultOf: (partition: number, index: number) => GuardedResult): Promise<number>[] {
    const { offsets, ids, invocation } = this.#dependencies
    const results: (PartResult & { readonly targets: Map<number, readonly string[]> })[] = []
    const ofIds: [number, boolean, readonly string[]][] = []
    let idCount = 0
    for (const [partition, { count, parts, places, repeats, states }] of this.#partitions.entries()) {
      for (let index = 0; index < count; index += 1) {
        if (states[index] !== CLAIMED || repeats[index] === 1) continue
        const { isDone, targetsDone } = resultOf(partition, index)
        const part = parts[index] ?? BY_ID
        const place = places[index] ?? 0
        if (part === BY_ID) {
          const isWorthAWord = isDone || targetsDone.length > 0 || this.#targetsOfId(place).length > 0
          if (isWorthAWord) ofIds.push([place, isDone, targetsDone])
          idCount += 1
          continue
        }
        const result = (results[part] ??= this.#emptyResult(part))
        if (isDone) result.done.add(place)
        else result.targets.set(place, targetsDone)
      }
    }
    // A part of which nothing was granted is a hole in the list.
    const ofOffsets = results.filter(result => result !== undefined)
    const endings = ofOffsets.length === 0 ? [] : [offsets.finish(ofOffsets, invocation)]
    if (this.#isIdClaimToEnd(idCount)) {
      const doneCount = ofIds.filter(([, isDone]) => isDone).length
      const outcome = outcomeOf(this.#idNumbers.size, ofIds)
      endings.push(ids.finish(outcome, invocation).then(isOurs => (isOurs ? 0 : doneCount)))
    }
    return endings
  }

  #emptyResult(part: number): PartResult & { readonly targets: Map<number, readonly string[]> } {
    return { key: this.#parts.parts[part]?.key ?? '', done: new IndexSet(BLOCK_OFFSETS), targets: new Map() }
  }

  /** A claim of which nothing was granted has nothing to end; of one that failed nobody knows what was written. */
  #isIdClaimToEnd(grantedCount: number): boolean {
    return grantedCount > 0 || (this.#idNumbers.size > 0 && this.#idStates.length === 0)
  }
}

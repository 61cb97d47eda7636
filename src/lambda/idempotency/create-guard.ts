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

import { type Clock, PipelineError, type Random, systemClock, systemRandom } from '../../core/index.ts'
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
      store: this.#dependencies.store ?? (await openStore(this.#settings, this.#dependencies)),
      clock,
      random,
      newName: () => `${this.#name}.${(this.#names++).toString(36)}`,
      hasEnded: owner => owner.startsWith(`${this.#name}.`) && !this.#open.has(owner)
    }
    return { runtime, offsets: new OffsetClaims(runtime), ids: new IdClaims(runtime) }
  }
}

/** Each store is loaded when it is asked for, and not before. */
async function openStore(settings: IdempotencySettings, dependencies: GuardDependencies): Promise<ClaimStore> {
  const { store, timeoutMs } = settings
  switch (store.type) {
    case 'memory':
      return new (await import('./memory-store.ts')).MemoryStore(store)
    case 'sqlite':
      return new (await import('./sqlite-store.ts')).SqliteStore(store)
    case 'dynamoDb': {
      const { DynamoDbStore } = await import('./dynamo-db-store.ts')
      return new DynamoDbStore(store, { ...dependencies, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
    }
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

/** A record: known by an id, or by its place in a block; or a repetition of another of the same batch. */
type Place =
  | { readonly kind: 'id'; readonly index: number; readonly isRepeated: boolean }
  | { readonly kind: 'offset'; readonly key: string; readonly index: number; readonly isRepeated: boolean }

const NO_TARGETS: ReadonlySet<string> = new Set()

class Batch implements GuardedBatch {
  readonly #dependencies: BatchDependencies
  readonly #places: Place[][] = []
  readonly #parts: BlockParts
  readonly #idKeys = new Map<string, number>()
  readonly #claimed = new Map<string, ClaimedPart>()
  #idStates: readonly IdState[] = []
  readonly #nowMs: number

  constructor(partitions: readonly GuardedPartition[], dependencies: BatchDependencies) {
    this.#dependencies = dependencies
    const { settings, clock } = dependencies.runtime
    this.#nowMs = clock.now()
    this.#parts = new BlockParts(settings.namespace)
    for (const partition of partitions) this.#places.push(this.#placesOf(partition, settings.namespace))
  }

  /** Claims everything, or gives back what it got and rejects. */
  async claim(): Promise<void> {
    const { offsets, ids, invocation, ended } = this.#dependencies
    try {
      if (this.#idKeys.size > CLAIM_IDS_MAX)
        throw storeError('unavailable', `more than ${CLAIM_IDS_MAX} business ids in one batch`)
      const results = await Promise.allSettled([
        offsets.claim(this.#parts.parts.values(), invocation, this.#claimed),
        ids.claim([...this.#idKeys.keys()], invocation)
      ])
      const [ofOffsets, ofIds] = results
      if (ofOffsets.status === 'rejected') throw ofOffsets.reason
      if (ofIds.status === 'rejected') throw ofIds.reason
      this.#idStates = ofIds.value
    } catch (error) {
      // Best effort: what cannot be given back ends with its lease.
      await Promise.allSettled(this.#endings(() => NOTHING_DONE))
      ended()
      throw asStoreError(error)
    }
  }

  state(partition: number, index: number): RecordState {
    const place = this.#places[partition]?.[index]
    if (place === undefined) return 'held'
    const state = this.#stateOf(place)
    // The first of its kind in this batch stands for it.
    return place.isRepeated && state === 'claimed' ? 'done' : state
  }

  heldForMs(partition: number, index: number): number {
    const place = this.#places[partition]?.[index]
    if (place === undefined) return 0
    if (place.kind === 'offset') return this.#claimed.get(place.key)?.grant.held.get(place.index) ?? 0
    const state = this.#idStates[place.index]
    return state?.kind === 'held' ? state.forMs : 0
  }

  targetsDone(partition: number, index: number): ReadonlySet<string> {
    const place = this.#places[partition]?.[index]
    if (place === undefined || place.isRepeated) return NO_TARGETS
    const names = this.#targetsOf(place)
    return names.length === 0 ? NO_TARGETS : new Set(names)
  }

  async finish(resultOf: (partition: number, index: number) => GuardedResult): Promise<void> {
    const { ended } = this.#dependencies
    const endings = await Promise.allSettled(this.#endings(resultOf))
    ended()
    let lost = 0
    for (const ending of endings) {
      if (ending.status === 'rejected') throw asStoreError(ending.reason)
      lost += ending.value
    }
    if (lost > 0) {
      const message = `${lost} records were done after their claim had ended and another had taken them: they are delivered again`
      throw new PipelineError('ERR_LAMBDA_IDEMPOTENCY_LEASE_LOST', message, { fields: { count: lost } })
    }
  }

  #placesOf(partition: GuardedPartition, namespace: string): Place[] {
    const { offsets, ids } = partition
    return offsets.map((offset, position): Place => {
      const id = ids?.[position] ?? null
      if (id === null) return { kind: 'offset', ...this.#parts.add(partition, offset, position === 0) }
      const key = idKey(namespace, id)
      const known = this.#idKeys.get(key)
      if (known !== undefined) return { kind: 'id', index: known, isRepeated: true }
      this.#idKeys.set(key, this.#idKeys.size)
      return { kind: 'id', index: this.#idKeys.size - 1, isRepeated: false }
    })
  }

  #stateOf(place: Place): RecordState {
    if (place.kind === 'id') return this.#idStates[place.index]?.kind ?? 'held'
    const grant = this.#claimed.get(place.key)?.grant
    if (grant === undefined) return 'held'
    if (grant.granted.has(place.index)) return 'claimed'
    return grant.done.has(place.index) ? 'done' : 'held'
  }

  #targetsOf(place: Place): readonly string[] {
    if (place.kind === 'offset') return this.#claimed.get(place.key)?.block.targetsOf(place.index, this.#nowMs) ?? []
    const state = this.#idStates[place.index]
    return state?.kind === 'claimed' ? state.targetsDone : []
  }

  /** The writes that end the claim; each answers how many records were done for another by then. */
  #endings(resultOf: (partition: number, index: number) => GuardedResult): Promise<number>[] {
    const { offsets, ids, invocation } = this.#dependencies
    const parts = new Map<string, PartResult & { readonly targets: Map<number, readonly string[]> }>()
    const ofIds: [number, boolean, readonly string[]][] = []
    for (const [partition, places] of this.#places.entries()) {
      for (const [index, place] of places.entries()) {
        if (place.isRepeated || this.#stateOf(place) !== 'claimed') continue
        const { isDone, targetsDone } = resultOf(partition, index)
        if (place.kind === 'id') {
          ofIds.push([place.index, isDone, targetsDone])
          continue
        }
        let part = parts.get(place.key)
        if (part === undefined) {
          part = { key: place.key, done: new IndexSet(BLOCK_OFFSETS), targets: new Map() }
          parts.set(place.key, part)
        }
        if (isDone) part.done.add(place.index)
        else part.targets.set(place.index, targetsDone)
      }
    }
    const endings = parts.size === 0 ? [] : [offsets.finish([...parts.values()], invocation)]
    if (this.#isIdClaimToEnd(ofIds.length)) {
      const doneCount = ofIds.filter(([, isDone]) => isDone).length
      endings.push(ids.finish(outcomeOf(this.#idKeys.size, ofIds), invocation).then(isOurs => (isOurs ? 0 : doneCount)))
    }
    return endings
  }

  /** A claim of which nothing was granted has nothing to end; of one that failed nobody knows what was written. */
  #isIdClaimToEnd(grantedCount: number): boolean {
    return grantedCount > 0 || (this.#idKeys.size > 0 && this.#idStates.length === 0)
  }
}

const NOTHING_DONE: GuardedResult = { isDone: false, targetsDone: [] }

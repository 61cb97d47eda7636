/**
 * A small world around lanes: logs of records, a target with moods, a group that takes partitions away, and a
 * ledger that knows what happened to every record. Virtual clock, one seed.
 */

import assert from 'node:assert/strict'

import type { FetchedChunk } from '../../src/client/index.ts'
import {
  decodeFinished,
  METADATA_LENGTH_MAX,
  type Random,
  randomInt,
  SeededRandom,
  VirtualClock
} from '../../src/core/index.ts'
import { DeadLetterAside, type DeadLetterWriter } from '../../src/dispatcher/dead-letters.ts'
import { KeyedLane } from '../../src/dispatcher/keyed-lane.ts'
import type { AnyLane, LaneSurroundings, LaneView } from '../../src/dispatcher/lane-surroundings.ts'
import { Lane } from '../../src/dispatcher/lane.ts'
import { Meters } from '../../src/dispatcher/meters.ts'
import { SlotQueue } from '../../src/dispatcher/slots.ts'
import { WorkspacePool } from '../../src/dispatcher/workspace.ts'
import type { RecordFailure, Target, TargetBatch, TargetOutcome } from '../../src/targets/index.ts'
import { noopMeter, silentLogger } from '../../src/telemetry/index.ts'
import { chunkOf } from './support.ts'

/** How the world is set up. */
export interface WorldOptions {
  readonly seed: number
  readonly partitionCount?: number
  readonly recordCount?: number
  readonly recordsMax?: number
  readonly concurrency?: number
  readonly attemptsMax?: number
  /** Default `partition`. */
  readonly order?: 'partition' | 'key' | 'none'
  /** Batches of one partition under way, for orders other than `partition`. */
  readonly batchesMax?: number
  /** Different keys of a partition. */
  readonly keyCount?: number
  readonly target?: Partial<Target>
}

interface Payload {
  readonly partition: number
  readonly messages: readonly { readonly id: number; readonly poison?: string }[]
  readonly offsets: readonly number[]
  readonly keys: readonly string[]
}

/** What became of a record. */
export interface Fate {
  deliveries: number
  deadLetters: number
  skips: number
}

/** Records, lanes, target, group and ledger. */
export class World {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly options: Required<Omit<WorldOptions, 'target'>>
  readonly around: LaneSurroundings
  readonly lanes = new Map<number, AnyLane>()
  readonly committed: bigint[] = []
  /** Text that is committed with each offset. */
  readonly metadata: string[] = []
  /** By partition and offset. */
  readonly fates: Fate[][] = []
  /** Keys by partition and offset. */
  readonly keys: string[][] = []
  readonly problems: string[] = []
  /** Offsets of the first deliveries of each key, in order. */
  readonly firstDeliveries = new Map<string, number[]>()
  /** Batches at the target, per partition, and the most of them seen at once. */
  readonly atTarget = new Map<number, number>()
  /** Keys at the target, by partition and key. */
  readonly keysAtTarget = new Map<string, number>()
  atTargetMax = 0
  /** What the target does; default: takes everything after a moment. */
  mood: (payload: Payload, batch: TargetBatch) => TargetOutcome | Promise<TargetOutcome> = () => ({ kind: 'ok' })
  /** Longest time an invocation takes, in milliseconds. */
  latencyMaxMs = 50
  isDeadLetterTopicDown = false
  /** Chunks whose memory has not been given back. */
  lentCount = 0
  /** Whether partitions rest: nothing more comes. */
  isPaused = false
  #fed: number[] = []

  constructor(options: WorldOptions) {
    this.random = new SeededRandom(options.seed)
    this.options = {
      seed: options.seed,
      partitionCount: options.partitionCount ?? 3,
      recordCount: options.recordCount ?? 200,
      recordsMax: options.recordsMax ?? 10,
      concurrency: options.concurrency ?? 2,
      attemptsMax: options.attemptsMax ?? 3,
      order: options.order ?? 'partition',
      batchesMax: options.batchesMax ?? 3,
      keyCount: options.keyCount ?? 4
    }
    const limits = { bytesMax: 100_000, bodyBytesMax: 100_000 }
    const payload = { format: 'json', include: ['offsets', 'keys'], limits, origin: { bootstrapServers: '' } } as const
    const meters = new Meters(noopMeter, 'g')
    this.around = {
      groupId: 'g',
      target: {
        name: 'fake',
        bodyBytesMax: 100_000,
        timeoutMs: 1000,
        invoke: this.#invoke,
        close: async () => {},
        ...options.target
      },
      batch: { recordsMax: this.options.recordsMax, bytesMax: 100_000, ageMs: 20 },
      retry: {
        attemptsMax: this.options.attemptsMax,
        backoff: { initialMs: 10, maxMs: 500 },
        order: this.options.order === 'partition' ? 'partition' : 'key'
      },
      slots: new SlotQueue({
        concurrency: this.options.concurrency,
        breaker: { failuresMax: 5, openMs: 200 },
        clock: this.clock,
        onBreaker: () => undefined
      }),
      workspaces: new WorkspacePool(payload, this.options.concurrency),
      aside: new DeadLetterAside({
        groupId: 'g',
        deadLetters: { write: this.#writeDeadLetters },
        meters,
        clock: this.clock
      }),
      health: { answeredSentMs: Number.NEGATIVE_INFINITY },
      meters,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      isPaused: () => this.isPaused,
      onMoved: lane => this.commit(lane),
      onTaken: () => undefined,
      onUnreadable: (_lane, error) => this.problems.push(`unreadable: ${String(error)}`),
      onFatal: (_lane, error) => this.problems.push(`fatal: ${String(error)}`)
    }
    for (let partition = 0; partition < this.options.partitionCount; partition += 1) {
      this.committed.push(0n)
      this.metadata.push('')
      this.#fed.push(0)
      this.fates.push(
        Array.from({ length: this.options.recordCount }, () => ({ deliveries: 0, deadLetters: 0, skips: 0 }))
      )
      this.keys.push(
        Array.from({ length: this.options.recordCount }, () => `k${randomInt(this.random, this.options.keyCount)}`)
      )
    }
  }

  /** Assigns a partition: a new lane from the committed offset. */
  assign(partition: number): void {
    const offset = this.committed[partition] ?? 0n
    const { order, batchesMax } = this.options
    const metadata = this.metadata[partition] ?? ''
    const options = { topic: 't', partition, offset, metadata, epoch: 0, around: this.around }
    const lane = order === 'partition' ? new Lane(options) : new KeyedLane({ ...options, order, batchesMax })
    this.lanes.set(partition, lane)
    this.#fed[partition] = Number(offset)
  }

  /** Hands the next records of a partition to its lane. */
  feed(partition: number, poison: (offset: number) => string | undefined = () => undefined): void {
    const from = this.#fed[partition] ?? 0
    const count = Math.min(1 + randomInt(this.random, 25), this.options.recordCount - from)
    if (count <= 0) return
    const records = Array.from({ length: count }, (_, index) => {
      const kind = poison(from + index)
      const value = kind === 'malformed' ? '{"id":' : JSON.stringify({ id: from + index, poison: kind })
      return { key: this.keys[partition]?.[from + index] ?? '', value }
    })
    this.lanes.get(partition)?.push(this.#lent(chunkOf(BigInt(from), records, { topic: 't', partition })))
    this.#fed[partition] = from + count
  }

  /** The offset that the next chunk of a partition begins with. */
  fed(partition: number): number {
    return this.#fed[partition] ?? 0
  }

  /** A chunk in lent memory, which is written over once nobody holds it: whoever still reads it reads nonsense. */
  #lent(chunk: FetchedChunk): FetchedChunk {
    const records = Buffer.allocUnsafeSlow(chunk.records.length)
    chunk.records.copy(records)
    let holders = 1
    this.lentCount += 1
    const retain = (): void => {
      assert.ok(holders > 0, 'memory is held that was given back')
      holders += 1
    }
    const release = (): void => {
      holders -= 1
      assert.ok(holders >= 0, 'memory is given back twice')
      if (holders > 0) return
      records.fill(0xff)
      this.lentCount -= 1
    }
    return { ...chunk, records, lease: { retain, release } }
  }

  /** Takes a partition back in good order. */
  async revoke(partition: number): Promise<void> {
    const lane = this.lanes.get(partition)
    if (lane === undefined) return
    lane.stop()
    for (let waited = 0; lane.state !== 'ended' && waited < 5000; waited += 10) await this.clock.advance(10)
    if (lane.state !== 'ended') lane.abort()
    this.lanes.delete(partition)
  }

  /** The process dies or the partition is lost: nothing that comes later counts. */
  lose(partition: number): void {
    this.lanes.get(partition)?.abort()
    this.lanes.delete(partition)
  }

  /** Checks a commit against the ledger. */
  commit(lane: LaneView): void {
    const { partition, committable } = lane
    if (this.lanes.get(partition) !== lane) {
      this.problems.push(`a lane that is gone moves the offset of partition ${partition}`)
      return
    }
    const before = this.committed[partition] ?? 0n
    if (committable < before) this.problems.push(`partition ${partition} moves back from ${before} to ${committable}`)
    for (let offset = Number(before); offset < Number(committable); offset += 1) {
      if (!this.hasLeft(partition, offset)) this.problems.push(`${partition}@${offset} is committed, but was lost`)
    }
    this.committed[partition] = committable
    const text = lane.commitMetadata()
    if (text.length > METADATA_LENGTH_MAX) this.problems.push(`metadata of ${text.length} characters`)
    const finished = decodeFinished(committable, text)
    for (let index = 0; index < finished.length; index += 2) {
      for (let delta = finished[index] ?? 0; delta < (finished[index + 1] ?? 0); delta += 1) {
        const offset = Number(committable) + delta
        if (!this.hasLeft(partition, offset)) this.problems.push(`${partition}@${offset} counts as finished`)
      }
    }
    this.metadata[partition] = text
  }

  hasLeft(partition: number, offset: number): boolean {
    const { deliveries, deadLetters, skips } = this.fate(partition, offset)
    return deliveries + deadLetters + skips > 0
  }

  fate(partition: number, offset: number): Fate {
    const fate = this.fates[partition]?.[offset]
    assert.ok(fate !== undefined, `there is no record ${partition}@${offset}`)
    return fate
  }

  /** Whether every partition is committed to its end. */
  get isDone(): boolean {
    return this.committed.every(offset => offset === BigInt(this.options.recordCount))
  }

  /** Asserts that nothing went wrong and that each key was first delivered in order. */
  assertSound(): void {
    assert.deepEqual(this.problems, [])
    if (this.options.order === 'none') return
    for (const [key, offsets] of this.firstDeliveries) {
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
        `order of ${key}`
      )
    }
  }

  /** Deliveries beyond the first, over all records. */
  get duplicateCount(): number {
    return this.fates.flat().reduce((sum, { deliveries }) => sum + Math.max(0, deliveries - 1), 0)
  }

  /** Records that were put aside. */
  get deadLetterCount(): number {
    return this.fates.flat().filter(({ deadLetters }) => deadLetters > 0).length
  }

  readonly #invoke = async (batch: TargetBatch): Promise<TargetOutcome> => {
    const payload = JSON.parse(batch.body.toString()) as Payload
    const { partition } = payload
    const running = (this.atTarget.get(partition) ?? 0) + 1
    this.atTarget.set(partition, running)
    this.#enter(payload, running)
    this.atTargetMax = Math.max(
      this.atTargetMax,
      [...this.atTarget.values()].reduce((sum, each) => sum + each, 0)
    )
    const delayMs = randomInt(this.random, this.latencyMaxMs + 1)
    await new Promise<void>(resolve => this.clock.after(delayMs, resolve))
    const outcome = await this.mood(payload, batch)
    this.atTarget.set(partition, (this.atTarget.get(partition) ?? 1) - 1)
    this.#exit(payload)
    this.#record(payload, outcome)
    return outcome
  }

  #enter({ partition, offsets, keys }: Payload, running: number): void {
    const { order, batchesMax } = this.options
    if (running > (order === 'partition' ? 1 : batchesMax)) {
      this.problems.push(`${running} batches of partition ${partition} at once`)
    }
    for (const key of new Set(keys)) {
      const name = `${partition}/${key}`
      const count = (this.keysAtTarget.get(name) ?? 0) + 1
      this.keysAtTarget.set(name, count)
      if (count > 1 && order !== 'none') this.problems.push(`two batches with ${name}, ${offsets.join()}`)
    }
  }

  #exit({ partition, keys }: Payload): void {
    for (const key of new Set(keys)) {
      const name = `${partition}/${key}`
      this.keysAtTarget.set(name, (this.keysAtTarget.get(name) ?? 1) - 1)
    }
  }

  /** What the target really did with a batch. */
  #record(payload: Payload, outcome: TargetOutcome): void {
    if (outcome.kind === 'rejected' || outcome.kind === 'unavailable') return
    const failed = new Map<number, RecordFailure>()
    if (outcome.kind === 'partial') for (const failure of outcome.failures) failed.set(Number(failure.offset), failure)
    for (const offset of payload.offsets) {
      if (outcome.kind === 'partial' && outcome.resumeFrom !== undefined && offset >= outcome.resumeFrom) continue
      const fate = this.fate(payload.partition, offset)
      const failure = failed.get(offset)
      if (failure?.action === 'skip') fate.skips += 1
      if (failure !== undefined) continue
      fate.deliveries += 1
      if (fate.deliveries > 1) continue
      const key = `${payload.partition}/${this.keys[payload.partition]?.[offset]}`
      const order = this.firstDeliveries.get(key) ?? []
      order.push(offset)
      this.firstDeliveries.set(key, order)
    }
  }

  readonly #writeDeadLetters: DeadLetterWriter['write'] = async (records, signal) => {
    do {
      await new Promise<void>(resolve => this.clock.after(5, resolve))
      if (signal.aborted) return false
    } while (this.isDeadLetterTopicDown)
    for (const { headers = [] } of records) {
      const text = (name: string): string => headers.find(({ key }) => key === name)?.value?.toString() ?? ''
      this.fate(Number(text('comporta-origin-partition')), Number(text('comporta-origin-offset'))).deadLetters += 1
    }
    return true
  }
}

/** Fails records as their poison says, and names all later records of the same key with them, as a target must. */
export function poisonedReply(payload: Payload): TargetOutcome {
  if (payload.messages.some(({ poison }) => poison === 'throw')) {
    return { kind: 'rejected', reason: 'threw', errorClass: 'TypeError' }
  }
  const failures: RecordFailure[] = []
  const failedKeys = new Set<string>()
  for (const [index, { poison }] of payload.messages.entries()) {
    const offset = BigInt(payload.offsets[index] ?? -1)
    const key = payload.keys[index] ?? ''
    if (poison === 'retry' || failedKeys.has(key)) {
      failedKeys.add(key)
      failures.push({ offset, action: 'retry', reason: 'later' })
    } else if (poison === 'deadLetter' || poison === 'skip') {
      failures.push({ offset, action: poison, reason: 'verdict' })
    }
  }
  return failures.length === 0 ? { kind: 'ok' } : { kind: 'partial', failures }
}

/**
 * All of one partition's retries while a member holds it: the book of keys that
 * wait, the lanes of its retry partitions, and what its own lane asks and does.
 */

import type { AssignedPartition } from '../../client/index.ts'
import type { AsideWriter } from '../aside-writer.ts'
import type { BatchContext, LaneSurroundings, LaneView, RowSift, SiftVerdict } from '../lane-surroundings.ts'
import { layOut } from '../record-place.ts'
import { RecordTable } from '../record-table.ts'
import { joinSifts } from '../sift.ts'
import type { RetryEntry } from './retry-buffer.ts'
import type { StationOfLane } from './retry-lane.ts'
import type { RetryTier } from './retry-topics.ts'
import { type ParkingSurroundings, type PastOf, StageAside } from './stage-aside.ts'
import { keyNameOf, StationBook } from './station-book.ts'

/** What a station is made from. */
export interface StationOptions {
  readonly origin: AssignedPartition
  readonly tiers: readonly RetryTier[]
  readonly keysMax: number
  readonly parking: ParkingSurroundings & { readonly writer: Pick<AsideWriter, 'write'> }
}

/** A station as JSON can hold it. */
export interface StationDescription {
  readonly topic: string
  readonly partition: number
  /** Keys that wait. */
  readonly parkedKeys: number
  readonly parkedKeysMax: number
  /** Batches that wait because no more keys may wait: their partition takes no new work. */
  readonly waitingForRoom: number
}

/** The retries of one partition. */
export class Station implements StationOfLane {
  readonly topic: string
  readonly partition: number
  readonly book: StationBook
  readonly keepsKeyOrder: boolean
  /** Resolves once all keys are known that wait. */
  readonly ready: Promise<void>
  readonly #options: StationOptions
  readonly #stopping = new AbortController()
  #unscannedCount: number
  #waitingForRoom = 0
  #becomeReady: () => void = () => undefined

  constructor(options: StationOptions) {
    const { origin, tiers, keysMax, parking } = options
    this.topic = origin.topic
    this.partition = origin.partition
    this.#options = options
    this.book = new StationBook({ tierCount: tiers.length, keysMax })
    this.keepsKeyOrder = parking.keepsKeyOrder
    this.#unscannedCount = tiers.length
    this.ready = new Promise(resolve => (this.#becomeReady = resolve))
  }

  /** A retry lane knows all keys that wait in its partition. */
  scanned(): void {
    this.#unscannedCount -= 1
    if (this.#unscannedCount === 0) this.#becomeReady()
  }

  /** The partition is given back: nothing waits for room any more. Idempotent. */
  stop(): void {
    this.#stopping.abort()
    this.#becomeReady()
  }

  /** Whether the partition is being given back. */
  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Stage of a topic: 0 for the origin, `undefined` if it is none of ours. */
  stageOf(topic: string): number | undefined {
    if (topic === this.topic) return 0
    return this.#options.tiers.find(tier => tier.topic === topic)?.stage
  }

  /** Where rows of a stage go that leave it undelivered. */
  asideOf(stage: number, pastOf?: PastOf): StageAside {
    const { tiers, parking } = this.#options
    const stageTopic = tiers[stage - 1]?.topic ?? this.topic
    const options = {
      around: parking,
      book: this.book,
      tiers,
      stage,
      stageTopic,
      stopping: this.#stopping.signal,
      onFull: (isFull: boolean) => this.#onFull(isFull)
    }
    return new StageAside(options, pastOf)
  }

  /** What the partition's own lane works with. */
  surroundings(around: LaneSurroundings): LaneSurroundings {
    const { book } = this
    const asking = joinSifts([around.sift, { sift: (table, row) => this.#sift(table, row) }])
    const onMoved = (lane: LaneView): void => {
      book.committed(0, lane.committable)
      around.onMoved(lane)
    }
    const order = this.keepsKeyOrder ? ('key' as const) : (around.retry.order ?? 'partition')
    return {
      ...around,
      retry: { ...around.retry, order },
      aside: this.asideOf(0),
      onMoved,
      // Nothing is asked of any record while no key waits.
      get sift(): RowSift | undefined {
        return book.isIdle ? around.sift : asking
      }
    }
  }

  /** Puts records that no dispatcher has put into a retry topic into the dead letter topic. */
  async putForeign(entries: readonly RetryEntry[], tier: RetryTier, signal: AbortSignal): Promise<boolean> {
    const table = new RecordTable(entries.length)
    table.reset(entries[0]?.offset ?? 0n)
    for (const { key, value, headers, offset, timestampMs } of entries) {
      const place = layOut({ key, value, headers })
      const whole = { ...place, recordEnd: place.recordBuffer.length, timestampMs }
      table.add(whole, Number(offset - table.baseOffset), false)
    }
    const settlement = { withdraw: () => [], leave: () => undefined }
    const { partition } = this
    const batch: BatchContext = { topic: tier.topic, partition, table, firstFailureMs: undefined, settlement }
    const reason = 'a record without the headers that a dispatcher gives it lay in a retry topic'
    const rows = entries.map((_, row) => ({ row, errorClass: 'ForeignRecord', reason, attempts: 0 }))
    const { deadLetters, logger } = this.#options.parking
    logger.error({ topic: tier.topic, partition, records: entries.length }, reason)
    return await deadLetters.putSince(batch, rows, { signal, firstFailureMs: () => undefined })
  }

  /** How full the book is. */
  describe(): StationDescription {
    return {
      topic: this.topic,
      partition: this.partition,
      parkedKeys: this.book.keyCount,
      parkedKeysMax: this.#options.keysMax,
      waitingForRoom: this.#waitingForRoom
    }
  }

  #sift(table: RecordTable, row: number): SiftVerdict {
    if (this.book.isMoved(0, table.offset(row), table.timestampMs(row))) return 'drop'
    if (!this.keepsKeyOrder || this.book.keyCount === 0) return 'deliver'
    return this.book.followStage(keyNameOf(table.key(row)), 0) === undefined ? 'deliver' : 'park'
  }

  #onFull(isFull: boolean): void {
    this.#waitingForRoom += isFull ? 1 : -1
    if (!isFull || this.#waitingForRoom > 1) return
    const { logger } = this.#options.parking
    const fields = { topic: this.topic, partition: this.partition, keys: this.book.keyCount }
    logger.warn(
      fields,
      'as many keys wait in retry topics as may: their partition takes no new work until some are done'
    )
  }
}

/**
 * The bound on what is under way: records and bytes, of all partitions and of each.
 *
 * A batch is let in if there is room for the largest batch there may be, and
 * that room is reserved until its payload is encoded; then what it really has is
 * kept until all its records have left. So the bounds hold exactly, also while
 * batches wait for a retry. A batch that is already under way needs no more
 * leave of this kind: if it did, batches could wait for one another for ever.
 *
 * Pure. What is under way is counted without limits too, so a limit that is set
 * while the dispatcher runs holds from the next batch on.
 */

/** Limits of what is under way. Those that are not set do not hold. */
export interface InFlightLimits {
  readonly recordsMax?: number | undefined
  readonly bytesMax?: number | undefined
  /** Of each partition. */
  readonly partitionRecordsMax?: number | undefined
  /** Of each partition. */
  readonly partitionBytesMax?: number | undefined
}

/** The largest batch that may be begun. */
export interface LargestBatch {
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Room that a batch holds. */
export interface InFlightHold {
  /** What the batch has, now that it is known. Only the first call counts. */
  charge(records: number, bytes: number): void
  /** Gives the room back. Idempotent. */
  end(): void
}

interface Amount {
  records: number
  bytes: number
}

/** What is under way as JSON can hold it. */
export interface InFlightDescription {
  readonly records: number
  readonly bytes: number
  readonly recordsMax: number | null
  readonly bytesMax: number | null
  readonly partitionRecordsMax: number | null
  readonly partitionBytesMax: number | null
}

/** Keeps count of what is under way. */
export class InFlightBudget {
  #limits: InFlightLimits
  readonly #largest: LargestBatch
  readonly #all: Amount = { records: 0, bytes: 0 }
  readonly #byPartition = new Map<string, Amount>()

  /** @param largest - Read anew for each batch: it may change. */
  constructor(limits: InFlightLimits, largest: LargestBatch) {
    this.#limits = limits
    this.#largest = largest
  }

  /** Changes the limits; what is under way already stays. */
  configure(limits: InFlightLimits): void {
    this.#limits = limits
  }

  /** Whether a batch of this partition may be begun. */
  hasRoom(partitionKey: string): boolean {
    const { recordsMax, bytesMax, partitionRecordsMax, partitionBytesMax } = this.#limits
    if (!fits(this.#all, this.#largest, { records: recordsMax, bytes: bytesMax })) return false
    if (partitionRecordsMax === undefined && partitionBytesMax === undefined) return true
    const held = this.#byPartition.get(partitionKey)
    const limits = { records: partitionRecordsMax, bytes: partitionBytesMax }
    return held === undefined || fits(held, this.#largest, limits)
  }

  /** Reserves room for a batch of this partition. */
  hold(partitionKey: string): InFlightHold {
    const room = { records: this.#largest.recordsMax, bytes: this.#largest.bytesMax }
    this.#add(partitionKey, room.records, room.bytes)
    let isCharged = false
    let isEnded = false
    return {
      charge: (records, bytes) => {
        if (isCharged || isEnded) return
        isCharged = true
        this.#add(partitionKey, records - room.records, bytes - room.bytes)
        room.records = records
        room.bytes = bytes
      },
      end: () => {
        if (isEnded) return
        isEnded = true
        this.#add(partitionKey, -room.records, -room.bytes)
      }
    }
  }

  /** What is under way, and the limits. */
  describe(): InFlightDescription {
    const { recordsMax, bytesMax, partitionRecordsMax, partitionBytesMax } = this.#limits
    return {
      ...this.#all,
      recordsMax: recordsMax ?? null,
      bytesMax: bytesMax ?? null,
      partitionRecordsMax: partitionRecordsMax ?? null,
      partitionBytesMax: partitionBytesMax ?? null
    }
  }

  #add(partitionKey: string, records: number, bytes: number): void {
    this.#all.records += records
    this.#all.bytes += bytes
    const held = this.#byPartition.get(partitionKey) ?? { records: 0, bytes: 0 }
    held.records += records
    held.bytes += bytes
    if (held.records === 0 && held.bytes === 0) this.#byPartition.delete(partitionKey)
    else this.#byPartition.set(partitionKey, held)
  }
}

/** With nothing under way there is always room, or a batch larger than the limit would never go. */
function fits(
  held: Amount,
  next: LargestBatch,
  limits: { records: number | undefined; bytes: number | undefined }
): boolean {
  if (held.records === 0 && held.bytes === 0) return true
  if (limits.records !== undefined && held.records + next.recordsMax > limits.records) return false
  return limits.bytes === undefined || held.bytes + next.bytesMax <= limits.bytes
}

/**
 * The records of one partition in an event, whichever event it was. All lists have one entry per record, in the order
 * of the event, which is the order of the log.
 *
 * Only the offsets are read at once. Everything else is decoded when it is first asked for, and what was decoded is
 * kept: a function that looks at three records of five hundred pays for three.
 */

/** A header of a record. */
export interface RecordHeader {
  readonly name: string
  readonly value: Buffer | null
}

/** The records of one partition. */
export interface EventPartition {
  /** `topic-partition`, as the event has it and AWS's answer must. */
  readonly name: string
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  /** Epoch milliseconds; `undefined` if the event has none. */
  readonly timestamps: readonly number[] | undefined
  /**
   * Keys as texts that tell them apart (`base64:…` for one that is not UTF-8), `null` for a record without one;
   * `undefined` if the event has none.
   */
  readonly keys: readonly (string | null)[] | undefined
  /** Parsed values; `undefined` for a record with a problem. */
  readonly messages: readonly unknown[]
  /** JSON text of each message; filled in when it is first needed. */
  readonly texts: (string | undefined)[]
  /** Why the value of a record is not one JSON value, by its index. */
  readonly problems: ReadonlyMap<number, string>
  /** Whose time the timestamp is; `undefined` if the event does not say. */
  timestampType(index: number): 'CREATE_TIME' | 'LOG_APPEND_TIME' | undefined
  /** Bytes of the key; `null` for a record without one, `undefined` if they cannot be read. */
  keyBytes(index: number): Buffer | null | undefined
  /** Bytes of the value; `null` for a tombstone, `undefined` if they cannot be read. */
  valueBytes(index: number): Buffer | null | undefined
  /** Headers in order, repeated names included; `undefined` if they cannot be read. */
  headers(index: number): readonly RecordHeader[] | undefined
  /** The record as it stands in AWS's event, for what is not here; `undefined` for Comporta's payload. */
  source(index: number): Readonly<Record<string, unknown>> | undefined
}

/** The JSON text of one message, or `undefined` if it cannot be written: reading has no limit of depth, writing has. */
export function textOf(partition: EventPartition, index: number): string | undefined {
  const messages = partition.messages
  const known = partition.texts[index]
  if (known !== undefined) return known
  try {
    const text = JSON.stringify(messages[index]) ?? 'null'
    partition.texts[index] = text
    return text
  } catch {
    return undefined
  }
}

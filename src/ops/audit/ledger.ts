/**
 * The ledger: what happened to every event, in fixed-size binary entries.
 *
 * Each process of a verified run appends to a file of its own, so nothing is
 * shared while the run goes on; the audit reads all files at the end. An entry
 * is 24 bytes, little endian:
 *
 *   u8 kind, u8 producer index, u16 detail, u32 event number,
 *   u32 key index, u32 key sequence, f64 time (epoch milliseconds)
 *
 * `detail` of a produced event is what is expected of it (see `EXPECTATION`), of
 * a delivered one the index of the service that got it. A file cut in the middle
 * of an entry by a kill is read up to its last whole entry.
 */

import { appendFileSync, closeSync, openSync, readSync } from 'node:fs'

/** Size of one entry. */
export const LEDGER_ENTRY_BYTES = 24

/**
 * What an entry says. `acknowledged` repeats the `produced` entry of an event that Kafka has said it holds.
 * `deadLettered`: the event is in a dead letter topic; `detail` is 1 if a reason stands there, 0 if not.
 */
export const LEDGER_KIND = { produced: 1, delivered: 2, acknowledged: 3, deadLettered: 4 } as const

/** `detail` of a produced entry: bits 0 to 11 are the services it must reach; these say it must not reach any. */
export const EXPECTATION = { malformed: 0x8000, poison: 0x4000 } as const

/** Services that an audit can tell apart. */
export const SERVICES_MAX = 12

/** One entry, as read. */
export interface LedgerEntry {
  readonly kind: number
  readonly producer: number
  readonly detail: number
  readonly event: number
  readonly key: number
  readonly keySequence: number
  readonly timeMs: number
}

const bufferEntries = 4096

/** Appends entries to one ledger file. `flush` hands them to the system, so a kill after it loses none. */
export class LedgerWriter {
  readonly #file: number
  readonly #buffer = Buffer.alloc(LEDGER_ENTRY_BYTES * bufferEntries)
  #used = 0
  #isClosed = false

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  append(entry: LedgerEntry): void {
    if (this.#used === this.#buffer.length) this.flush()
    const at = this.#used
    this.#buffer.writeUInt8(entry.kind, at)
    this.#buffer.writeUInt8(entry.producer, at + 1)
    this.#buffer.writeUInt16LE(entry.detail, at + 2)
    this.#buffer.writeUInt32LE(entry.event, at + 4)
    this.#buffer.writeUInt32LE(entry.key, at + 8)
    this.#buffer.writeUInt32LE(entry.keySequence, at + 12)
    this.#buffer.writeDoubleLE(entry.timeMs, at + 16)
    this.#used += LEDGER_ENTRY_BYTES
  }

  flush(): void {
    if (this.#used === 0) return
    appendFileSync(this.#file, this.#buffer.subarray(0, this.#used))
    this.#used = 0
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.flush()
    closeSync(this.#file)
  }
}

/** Entries that are read at once, so that a ledger of any length is judged in constant memory. */
const readEntries = 65_536

/** Calls back with every whole entry of a ledger file, in the order they were written. */
export function readLedger(path: string, onEntry: (entry: LedgerEntry) => void): void {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(readEntries * LEDGER_ENTRY_BYTES)
    for (let filled = 0; ;) {
      const count = readSync(file, bytes, filled, bytes.length - filled, null)
      if (count === 0) return
      filled += count
      const end = filled - (filled % LEDGER_ENTRY_BYTES)
      for (let at = 0; at < end; at += LEDGER_ENTRY_BYTES) onEntry(entryAt(bytes, at))
      bytes.copyWithin(0, end, filled)
      filled -= end
    }
  } finally {
    closeSync(file)
  }
}

function entryAt(bytes: Buffer, at: number): LedgerEntry {
  return {
    kind: bytes.readUInt8(at),
    producer: bytes.readUInt8(at + 1),
    detail: bytes.readUInt16LE(at + 2),
    event: bytes.readUInt32LE(at + 4),
    key: bytes.readUInt32LE(at + 8),
    keySequence: bytes.readUInt32LE(at + 12),
    timeMs: bytes.readDoubleLE(at + 16)
  }
}

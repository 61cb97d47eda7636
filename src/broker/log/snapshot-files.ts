/**
 * The `.snapshot` files of a partition: written at roll, flush and close, found
 * again at recovery, and removed when newer ones make them useless.
 *
 * They are put in place whole. One that the machine lost part of has a wrong
 * checksum: it is removed and the one before it is taken.
 *
 * A roll and a flush go on beside each other and may both come to write the
 * snapshot of the same offset. They share one `SnapshotFiles`, which writes one
 * file at a time: two would write, and rename, the same temporary file.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { offsetFileName, parseOffsetFileName, SNAPSHOT_SUFFIX } from './file-names.ts'
import { decodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerEntry } from './producer-state.ts'
import { readIfPresent } from './small-files.ts'

/** Snapshots that belong to no segment and are kept: the latest may be torn by a crash. */
const STRAY_COUNT_KEPT = 2

/** A snapshot that was read. */
export interface LoadedSnapshot {
  /** The state is that after all records below this offset. */
  readonly offset: bigint
  readonly entries: ProducerEntry[]
}

/** Snapshot files of one folder; an open log has exactly one of these. */
export class SnapshotFiles {
  readonly #folder: string
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
  }

  /**
   * Writes one snapshot, after those asked for before; durable when it resolves. One that is there already stays whole
   * until then: it may be the only one, and the batches that it speaks of may be gone.
   */
  write(offset: bigint, content: Buffer): Promise<void> {
    const written = this.#lastWrite.then(() => this.#replace(offset, content))
    // The next one is written whatever became of this one; the caller has the error.
    this.#lastWrite = written.catch(() => undefined)
    return written
  }

  /**
   * The latest sound snapshot of a log from `from` to `to`. Removed are damaged ones, and those that lie below the
   * log or above its end: they speak of batches that are not there.
   */
  async loadLatest(log: { from: bigint; to: bigint; end: bigint }): Promise<LoadedSnapshot | undefined> {
    let latest: LoadedSnapshot | undefined
    for (const offset of (await this.offsets()).toReversed()) {
      const isInLog = offset >= log.from && offset <= log.end
      if (isInLog && (latest !== undefined || offset > log.to)) continue
      const content = isInLog ? await readIfPresent(this.#path(offset)) : undefined
      const entries = content === undefined ? undefined : decodeProducerSnapshot(content)
      if (entries === undefined) await fs.rm(this.#path(offset), { force: true })
      else latest = { offset, entries }
    }
    return latest
  }

  /** Removes all. */
  async clear(): Promise<void> {
    for (const offset of await this.offsets()) await fs.rm(this.#path(offset), { force: true })
  }

  /** Removes snapshots below the log, and all but the latest two that are at no segment's base offset. */
  async prune(baseOffsets: readonly bigint[]): Promise<void> {
    const bases = new Set(baseOffsets)
    const first = baseOffsets[0] ?? 0n
    const offsets = await this.offsets()
    const strays = offsets.filter(offset => !bases.has(offset))
    const old = new Set([...strays.slice(0, -STRAY_COUNT_KEPT), ...offsets.filter(offset => offset < first)])
    for (const offset of old) await fs.rm(this.#path(offset), { force: true })
  }

  /** Offsets of all snapshots, ascending. */
  async offsets(): Promise<bigint[]> {
    const names = (await fs.readdir(this.#folder)).map(parseOffsetFileName)
    const offsets = names.flatMap(name => (name?.suffix === SNAPSHOT_SUFFIX ? [name.offset] : []))
    return offsets.toSorted((a, b) => (a < b ? -1 : 1))
  }

  async #replace(offset: bigint, content: Buffer): Promise<void> {
    // What a crash leaves of it is removed with the other temporary files of the folder, see `log-recovery.ts`.
    const temporary = `${this.#path(offset)}.tmp`
    const handle = await fs.open(temporary, 'w')
    try {
      await handle.writeFile(content)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, this.#path(offset))
  }

  #path(offset: bigint): string {
    return path.join(this.#folder, offsetFileName(offset, SNAPSHOT_SUFFIX))
  }
}

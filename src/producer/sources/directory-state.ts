/**
 * What a directory source knows about the files of its folder.
 *
 * A file is known by its name. Under the same name another inode is another file;
 * the same one that has grown goes on where it stopped. Files that are gone are
 * forgotten, so that the state has no more entries than the folder has files.
 */

import { type FileIdentity, readPoint, type ResumePoint } from './resume-point.ts'

/** One file of the folder. */
export interface FileEntry {
  /** Where reading goes on; `undefined` = nothing of it is safe. */
  readonly point: ResumePoint | undefined
  /** Size of the file when it was read to its end and all of it was safe; `undefined` = it was not. */
  readonly doneBytes: number | undefined
}

/** The files by their names, as they are written to disk. */
export interface DirectoryState {
  readonly files: Readonly<Record<string, FileEntry>>
}

/** What the folder says of a file. */
export interface FoundFile {
  readonly name: string
  readonly file: FileIdentity
  readonly bytes: number
  /** When it was last written, in milliseconds since 1970. */
  readonly modifiedMs: number
}

/** What is to be done with a file. */
export type FileVerdict =
  | { readonly kind: 'read'; readonly point: ResumePoint | undefined }
  /** All of it is safe; it may be moved or deleted. */
  | { readonly kind: 'done' }
  /** It may still be written. */
  | { readonly kind: 'growing' }
  /** It was read, and is shorter now. */
  | { readonly kind: 'cut' }

/** Which files are complete, read and done. Pure. */
export class DirectoryFiles {
  readonly #settleMs: number
  readonly #entries = new Map<string, FileEntry>()
  /** Size of files that are not done, and since when. */
  readonly #seen = new Map<string, { bytes: number; modifiedMs: number; sinceMs: number }>()

  /** @param settleMs - A file that has not changed for so long is complete. */
  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  /** Number of files that are known. */
  get count(): number {
    return this.#entries.size
  }

  /**
   * Takes the state of an earlier run.
   *
   * @returns `false` if it is none.
   */
  load(state: unknown): boolean {
    if (typeof state !== 'object' || state === null || !('files' in state)) return false
    const { files } = state
    if (typeof files !== 'object' || files === null) return false
    for (const [name, value] of Object.entries(files)) {
      const entry = readEntry(value)
      if (entry === undefined) return false
      this.#entries.set(name, entry)
    }
    return true
  }

  /** The state to write. */
  save(): DirectoryState {
    return { files: Object.fromEntries(this.#entries) }
  }

  /** Looks at a file that is there. `times` has this machine's clocks: since its start, and since 1970. */
  judge(found: FoundFile, times: { readonly monotonicMs: number; readonly nowMs: number }): FileVerdict {
    const { name, bytes } = found
    const known = this.#entries.get(name)
    const isSame = known?.point === undefined || isSameFile(known.point.file, found.file)
    if (!isSame) this.#entries.delete(name)
    const entry = isSame ? known : undefined
    if (entry?.doneBytes === bytes) return { kind: 'done' }
    if (entry?.doneBytes !== undefined && bytes < entry.doneBytes) return { kind: 'cut' }
    if (!this.#isSettled(found, times)) return { kind: 'growing' }
    return { kind: 'read', point: entry?.point }
  }

  /** Events of a file are safe up to the point. */
  reached(name: string, point: ResumePoint): void {
    this.#entries.set(name, { point, doneBytes: undefined })
  }

  /** All events of a file are safe; it had that many bytes. An empty one has no point of its own. */
  done(name: string, bytes: number, point: ResumePoint): void {
    this.#seen.delete(name)
    this.#entries.set(name, { point: this.#entries.get(name)?.point ?? point, doneBytes: bytes })
  }

  /** Forgets the files that are no longer there. Returns whether there were any. */
  keepOnly(names: ReadonlySet<string>): boolean {
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#seen.delete(name)
    let isChanged = false
    for (const name of this.#entries.keys()) {
      if (names.has(name)) continue
      this.#entries.delete(name)
      isChanged = true
    }
    return isChanged
  }

  /** Forgets a file that was moved or deleted. */
  forget(name: string): void {
    this.#entries.delete(name)
    this.#seen.delete(name)
  }

  #isSettled(found: FoundFile, times: { readonly monotonicMs: number; readonly nowMs: number }): boolean {
    if (this.#settleMs === 0) return true
    const { name, bytes, modifiedMs } = found
    const seen = this.#seen.get(name)
    if (seen === undefined || seen.bytes !== bytes || seen.modifiedMs !== modifiedMs) {
      this.#seen.set(name, { bytes, modifiedMs, sinceMs: times.monotonicMs })
      // One that lay there before this source came need not be waited for.
      return times.nowMs - modifiedMs >= this.#settleMs
    }
    return times.monotonicMs - seen.sinceMs >= this.#settleMs || times.nowMs - modifiedMs >= this.#settleMs
  }
}

function isSameFile(a: FileIdentity | undefined, b: FileIdentity): boolean {
  return a?.device === b.device && a.inode === b.inode
}

function readEntry(value: unknown): FileEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { point, doneBytes } = value as { point?: unknown; doneBytes?: unknown }
  const read = point === undefined ? undefined : readPoint(point)
  if (point !== undefined && read?.file === undefined) return undefined
  if (doneBytes !== undefined && (typeof doneBytes !== 'number' || !Number.isSafeInteger(doneBytes))) return undefined
  return { point: read, doneBytes }
}

/**
 * The files that a log file leaves behind when it is rotated: which of them are
 * there, in which order they were written, and which one was being read.
 *
 * Order is by the time of the last write; of files written at the same time the
 * one with the higher number is older (`app.log.2` before `app.log.1`). The file
 * itself is the newest.
 */

import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { readPart } from './file-input.ts'
import { nameMatcher } from './name-pattern.ts'
import { checkPoint, digestOf, type FileIdentity, type ResumePoint } from './resume-point.ts'

/** A file of the log. */
export interface LogFile {
  readonly path: string
  readonly file: FileIdentity
  /** When it was last written, in milliseconds since 1970. */
  readonly modifiedMs: number
  /** Whether it has the name of the log, and not that of a rotated file. */
  readonly isCurrent: boolean
}

/** A file that was read to its end. */
export interface FinishedFile {
  readonly file: FileIdentity
  readonly head: ResumePoint['head']
}

/** Files that cannot be read as lines. */
const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|zip)$/

/** A rotation that takes longer than so many lists is seen half way. */
const LIST_ATTEMPTS_MAX = 20

/** The files of one log. */
export class LogFiles {
  readonly #path: string
  readonly #matches: (name: string) => boolean

  /** @param rotated - Names of rotated files. Default `NAME.*` and `NAME-*`. */
  constructor(path: string, rotated?: string) {
    const name = basename(path)
    this.#path = path
    const matches =
      rotated === undefined
        ? (other: string): boolean => other.startsWith(`${name}.`) || other.startsWith(`${name}-`)
        : nameMatcher(rotated)
    this.#matches = other => other !== name && !COMPRESSED.test(other) && matches(other)
  }

  /**
   * All files that are there, oldest first. Names and files cannot be read in one
   * step, and a rotation renames several: only two lists that agree are believed.
   */
  async list(): Promise<LogFile[]> {
    let last = await this.#list()
    for (let attempt = 0; attempt < LIST_ATTEMPTS_MAX; attempt += 1) {
      const again = await this.#list()
      if (isSameList(last, again)) return again
      last = again
    }
    return last
  }

  async #list(): Promise<LogFile[]> {
    const folder = dirname(this.#path)
    const names = (await readdir(folder)).filter(name => this.#matches(name))
    const rotated = await Promise.all(names.map(name => this.#look(join(folder, name))))
    const found = rotated.filter(file => file !== undefined).toSorted(byAge)
    const current = await this.#look(this.#path)
    // A rotated file may be a hard link to the current one.
    return current === undefined ? found : [...found.filter(each => !isSameFile(each.file, current.file)), current]
  }

  /** The file that has the name of the log now. */
  async current(): Promise<LogFile | undefined> {
    return await this.#look(this.#path)
  }

  async #look(path: string): Promise<LogFile | undefined> {
    try {
      const entry = await stat(path, { bigint: true })
      if (!entry.isFile()) return undefined
      return {
        path,
        file: { device: String(entry.dev), inode: String(entry.ino) },
        modifiedMs: Number(entry.mtimeNs) / 1_000_000,
        isCurrent: path === this.#path
      }
    } catch {
      return undefined // gone, or being renamed: the next look finds it again
    }
  }
}

/** Whether two files are one. */
export function isSameFile(a: FileIdentity | undefined, b: FileIdentity): boolean {
  return a?.device === b.device && a.inode === b.inode
}

function isSameList(a: readonly LogFile[], b: readonly LogFile[]): boolean {
  return a.length === b.length && a.every(({ path, file }, at) => path === b[at]?.path && isSameFile(file, b[at].file))
}

/** Opens a file that was listed, if it still has its name; `undefined` if another one has it, or none. */
export async function openListed({ path, file }: LogFile): Promise<FileHandle | undefined> {
  try {
    const handle = await open(path)
    const { dev, ino } = await handle.stat({ bigint: true })
    if (isSameFile(file, { device: String(dev), inode: String(ino) })) return handle
    await handle.close()
    return undefined
  } catch {
    return undefined // gone, or not to be read: it is listed again, and reported where it is read
  }
}

function byAge(a: LogFile, b: LogFile): number {
  return a.modifiedMs - b.modifiedMs || numberOf(b.path) - numberOf(a.path) || (a.path < b.path ? -1 : 1)
}

function numberOf(path: string): number {
  return Number(/(\d{1,9})$/.exec(path)?.[1] ?? 0)
}

/** Which of the files is the one of a point: first by inode, then by its bytes. `skipBytes` = where it goes on. */
export async function findByPoint(
  files: readonly LogFile[],
  point: ResumePoint
): Promise<{ readonly found: LogFile; readonly skipBytes: number } | undefined> {
  const sameInode = files.filter(each => isSameFile(point.file, each.file))
  const others = point.bytes === 0 ? [] : files.filter(each => !isSameFile(point.file, each.file))
  for (const found of [...sameInode, ...others]) {
    const check = await checkFile(found, point)
    if (check !== undefined) return { found, skipBytes: check }
  }
  return undefined
}

async function checkFile(listed: LogFile, point: ResumePoint): Promise<number | undefined> {
  const handle = await openListed(listed)
  try {
    if (handle === undefined) return undefined
    const check = await checkPoint(point, (position, bytes) => readPart(handle, position, bytes))
    return check.kind === 'same' ? check.skipBytes : undefined
  } finally {
    await handle?.close()
  }
}

/** Whether a file was read to its end before. Its inode may have been used again: then it begins with other bytes. */
export async function isFinished(candidate: LogFile, finished: readonly FinishedFile[]): Promise<boolean> {
  const known = finished.filter(each => isSameFile(each.file, candidate.file))
  if (known.length === 0) return false
  const handle = await openListed(candidate)
  try {
    for (const { head } of known) {
      if (handle !== undefined && digestOf(await readPart(handle, 0, head.bytes)).sha256 === head.sha256) return true
    }
    return false
  } finally {
    await handle?.close()
  }
}

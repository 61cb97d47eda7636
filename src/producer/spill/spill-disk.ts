/**
 * The disk of a spill, as a value that is passed.
 *
 * Positional reads and writes on file descriptors, and the few operations on a
 * folder that have to be durable in a known order. Tests give a disk that fails,
 * writes short, or loses what was never synced; everything else runs on
 * `systemSpillDisk`.
 */

import fs from 'node:fs'

/** What a spill needs of a disk. Every method rejects with Node's system error (`code`: ENOSPC, EIO, …). */
export interface SpillDisk {
  /** Makes a folder and those above it where they do not exist. */
  makeFolder(path: string): Promise<void>
  /** Names of the files in a folder, in no order. */
  list(path: string): Promise<string[]>
  /** Opens a file for reading and writing; creates it if there is none and `mayCreate` is set. */
  open(path: string, mayCreate: boolean): Promise<number>
  close(fd: number): Promise<void>
  sizeOf(fd: number): Promise<number>
  /** Reads at most `buffer.length` bytes; resolves with how many, 0 at the end of the file. */
  read(fd: number, buffer: Buffer, position: number): Promise<number>
  /** Writes at most all of `buffer`; resolves with how many bytes. */
  write(fd: number, buffer: Buffer, position: number): Promise<number>
  truncate(fd: number, sizeBytes: number): Promise<void>
  /** Makes everything written to a file durable (fdatasync). */
  sync(fd: number): Promise<void>
  /** Makes what was created, renamed and removed in a folder durable (fsync of the folder). */
  syncFolder(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** A second name for a file; a copy where the file system has no links. */
  link(from: string, to: string): Promise<void>
  /** Removes a file; one that is not there counts as removed. */
  remove(path: string): Promise<void>
}

/** The machine's disk. */
export const systemSpillDisk: SpillDisk = {
  makeFolder: async path => {
    await fs.promises.mkdir(path, { recursive: true })
  },
  list: path => fs.promises.readdir(path),
  open: (path, mayCreate) =>
    new Promise((resolve, reject) => {
      const flags = fs.constants.O_RDWR | (mayCreate ? fs.constants.O_CREAT : 0)
      fs.open(path, flags, 0o600, (error, fd) => (error === null ? resolve(fd) : reject(error)))
    }),
  close: fd => settle(done => fs.close(fd, done)),
  sizeOf: fd =>
    new Promise((resolve, reject) => {
      fs.fstat(fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)))
    }),
  read: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      fs.read(fd, buffer, 0, buffer.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error)
      )
    }),
  write: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      fs.write(fd, buffer, 0, buffer.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error)
      )
    }),
  truncate: (fd, sizeBytes) => settle(done => fs.ftruncate(fd, sizeBytes, done)),
  sync: fd => settle(done => fs.fdatasync(fd, done)),
  syncFolder: async path => {
    const folder = await fs.promises.open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  link: async (from, to) => {
    try {
      await fs.promises.link(from, to)
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return // set aside before
      await fs.promises.copyFile(from, to)
    }
  },
  remove: path => fs.promises.rm(path, { force: true })
}

function settle(start: (done: (error: NodeJS.ErrnoException | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
  })
}

/** Writes all of a buffer; a short write is continued until it is complete or fails. */
export async function writeAll(
  disk: SpillDisk,
  at: { readonly fd: number; position: number },
  buffer: Buffer
): Promise<void> {
  let done = 0
  while (done < buffer.length) {
    const count = await disk.write(at.fd, buffer.subarray(done), at.position + done)
    if (count <= 0) throw Object.assign(new Error('the disk takes no byte'), { code: 'EIO' })
    done += count
  }
}

/** Reads until `buffer` is full or the file ends; resolves with how many bytes were read. */
export async function readAll(
  disk: SpillDisk,
  at: { readonly fd: number; position: number },
  buffer: Buffer
): Promise<number> {
  let done = 0
  while (done < buffer.length) {
    const count = await disk.read(at.fd, buffer.subarray(done), at.position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** System error code of a caught value (`ENOSPC`, …), or an empty string. */
export function systemErrorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free space, or move producer.spill.dir to a larger disk',
  EDQUOT: 'the disk quota is used up: raise it, or move producer.spill.dir',
  EROFS: 'the disk is read-only: look for errors of the disk, and mount it writable again',
  EACCES: 'the folder may not be written: give the user of this process the right to',
  EPERM: 'the folder may not be written: give the user of this process the right to',
  EMFILE: 'this process has too many open files: raise its limit (ulimit -n)',
  ENFILE: 'the machine has too many open files: raise its limit'
}

/** What to do about an error of the disk, as a sentence without its end. */
export function diskRemedy(error: unknown): string {
  return REMEDIES[systemErrorCode(error)] ?? 'look for errors of the disk'
}

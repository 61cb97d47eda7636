/**
 * The disk, as a value that is passed: positional reads and writes on file
 * descriptors. Tests and simulation give a disk that fails; everything else
 * runs on `systemDisk`.
 */

import fs from 'node:fs'

/** What the log needs of a disk. Every method rejects with Node's system error (`code`: ENOSPC, EIO, …). */
export interface Disk {
  /** Opens a file for reading and writing; creates it if there is none and `mayCreate` is set. */
  open(path: string, mayCreate: boolean): Promise<number>
  close(fd: number): Promise<void>
  /** Reads at most `buffer.length` bytes; resolves with how many, 0 at the end of the file. */
  read(fd: number, buffer: Buffer, position: number): Promise<number>
  /** Writes at most all bytes of `buffers`; resolves with how many. */
  write(fd: number, buffers: Buffer[], position: number): Promise<number>
  truncate(fd: number, sizeBytes: number): Promise<void>
  /** Makes everything written durable (fdatasync). */
  sync(fd: number): Promise<void>
}

// Callbacks instead of FileHandle: no finalizer, no promise of Node's own per call on the append path.
/** The machine's disk. */
export const systemDisk: Disk = {
  open: (path, mayCreate) =>
    new Promise((resolve, reject) => {
      const flags = fs.constants.O_RDWR | (mayCreate ? fs.constants.O_CREAT : 0)
      fs.open(path, flags, 0o644, (error, fd) => (error === null ? resolve(fd) : reject(error)))
    }),
  close: fd => settle(done => fs.close(fd, done)),
  read: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      fs.read(fd, buffer, 0, buffer.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error)
      )
    }),
  write: (fd, buffers, position) =>
    new Promise((resolve, reject) => {
      fs.writev(fd, buffers, position, (error, count) => (error === null ? resolve(count) : reject(error)))
    }),
  truncate: (fd, sizeBytes) => settle(done => fs.ftruncate(fd, sizeBytes, done)),
  sync: fd => settle(done => fs.fdatasync(fd, done))
}

function settle(start: (done: (error: NodeJS.ErrnoException | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
  })
}

/** An open file of a disk. */
export class OpenFile {
  readonly #disk: Disk
  readonly #fd: number

  constructor(disk: Disk, fd: number) {
    this.#disk = disk
    this.#fd = fd
  }

  /** Writes all bytes of all buffers; a short write is continued until it is complete or fails. */
  async write(buffers: Buffer[], position: number): Promise<void> {
    let rest = buffers
    let at = position
    while (rest.length > 0) {
      const count = await this.#disk.write(this.#fd, rest, at)
      at += count
      rest = dropBytes(rest, count)
    }
  }

  /** Reads until `buffer` is full or the file ends; resolves with how many bytes were read. */
  async read(buffer: Buffer, position: number): Promise<number> {
    let done = 0
    while (done < buffer.length) {
      const count = await this.#disk.read(this.#fd, done === 0 ? buffer : buffer.subarray(done), position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#disk.truncate(this.#fd, sizeBytes)
  }

  /** Makes everything written durable. */
  sync(): Promise<void> {
    return this.#disk.sync(this.#fd)
  }

  close(): Promise<void> {
    return this.#disk.close(this.#fd)
  }
}

function dropBytes(buffers: Buffer[], count: number): Buffer[] {
  let dropped = 0
  let index = 0
  for (const buffer of buffers) {
    if (dropped + buffer.length > count) break
    dropped += buffer.length
    index += 1
  }
  const rest = buffers.slice(index)
  const first = rest[0]
  if (first !== undefined && dropped < count) rest[0] = first.subarray(count - dropped)
  return rest
}

/** System error code of a caught value (`ENOSPC`, …), or an empty string. */
export function systemErrorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** Whether a caught value is what the operating system said, and not Node about a wrong argument. */
export function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && systemErrorCode(error) !== ''
}

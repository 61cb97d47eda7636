/**
 * Open files, bounded: a file is opened on first use and the one that was idle
 * longest is closed when there are too many. Files in use are never closed, so
 * the count may pass the limit while more than `openMax` are in use at once.
 */

import { type Disk, OpenFile, systemDisk } from './disk.ts'

/** Limits of a pool. */
export interface FilePoolOptions {
  /** Most open files while fewer are in use. Integer, at least 1. Default 512. */
  readonly openMax?: number
  /** Default: the machine's disk. */
  readonly disk?: Disk
}

interface PooledFile {
  readonly path: string
  readonly open: Promise<OpenFile>
  useCount: number
  isForgotten: boolean
}

/** File descriptors by path. */
export class FilePool {
  readonly #disk: Disk
  readonly #openMax: number
  // Kept in order of last use: a Map iterates in insertion order, and a use inserts anew.
  readonly #files = new Map<string, PooledFile>()
  readonly #closing = new Set<Promise<void>>()

  constructor(options: FilePoolOptions = {}) {
    this.#openMax = options.openMax ?? 512
    this.#disk = options.disk ?? systemDisk
  }

  /** How many files are open. */
  get openCount(): number {
    return this.#files.size
  }

  /**
   * Runs `work` with the file open; it must not be kept. Rejects with ENOENT
   * if there is no such file: a reader that comes late must not bring a removed file back.
   */
  use<T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
    return this.#run(this.#acquire(path, false), work)
  }

  /** Makes sure that the file exists. */
  create(path: string): Promise<void> {
    return this.#run(this.#acquire(path, true), () => Promise.resolve())
  }

  async #run<T>(file: PooledFile, work: (file: OpenFile) => Promise<T>): Promise<T> {
    try {
      return await work(await file.open)
    } catch (error) {
      await this.#dropIfNotOpen(file)
      throw error
    } finally {
      this.#release(file)
    }
  }

  /** Closes a file as soon as nobody uses it: before it is renamed or removed. */
  forget(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    file.isForgotten = true
    if (file.useCount === 0) this.#close(file)
  }

  /** Closes every file. Those in use close when their work ends. */
  async close(): Promise<void> {
    for (const path of Array.from(this.#files.keys())) this.forget(path)
    await Promise.all(this.#closing)
  }

  async #open(path: string, mayCreate: boolean): Promise<OpenFile> {
    return new OpenFile(this.#disk, await this.#disk.open(path, mayCreate))
  }

  /** A file that could not be opened must not stay: the next use tries again. */
  async #dropIfNotOpen(file: PooledFile): Promise<void> {
    try {
      await file.open
    } catch {
      if (this.#files.get(file.path) === file) this.#files.delete(file.path)
    }
  }

  #acquire(path: string, mayCreate: boolean): PooledFile {
    let file = this.#files.get(path)
    if (file === undefined) file = { path, open: this.#open(path, mayCreate), useCount: 0, isForgotten: false }
    else this.#files.delete(path)
    this.#files.set(path, file)
    file.useCount += 1
    if (this.#files.size > this.#openMax) this.#closeIdle()
    return file
  }

  #release(file: PooledFile): void {
    file.useCount -= 1
    if (file.useCount > 0) return
    if (file.isForgotten) this.#close(file)
    else if (this.#files.size > this.#openMax) this.#closeIdle()
  }

  #closeIdle(): void {
    for (const file of this.#files.values()) {
      if (this.#files.size <= this.#openMax) return
      if (file.useCount === 0) this.forget(file.path)
    }
  }

  #close(file: PooledFile): void {
    // A failed open has nothing to close, and its error has reached the caller of `use`.
    const closing = file.open.then(open => open.close()).catch(() => undefined)
    this.#closing.add(closing)
    void closing.finally(() => this.#closing.delete(closing))
  }
}

/**
 * A disk in memory that fails as disks do: full, broken, short writes, and
 * crashes at any operation, with or without loss of what was never synced.
 */

import path from 'node:path'

import type { Random } from '../../../src/core/index.ts'
import type { SpillDisk } from '../../../src/producer/spill/spill-disk.ts'

/** The process ended here: every later operation ends the same way. */
export class Crash extends Error {}

interface File {
  bytes: Buffer
  /** What a power failure leaves for certain. */
  durable: Buffer
}

/** An error as Node gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test wants it`), { code, errno: -1 })
}

/** Decides per operation whether it fails. */
export type Trouble = (operation: string, file: string) => Error | undefined

export class FakeDisk implements SpillDisk {
  /** Operations so far that change something. */
  operationCount = 0
  /** Ends the process at that operation; a write is done in part. */
  crashAt = Infinity
  trouble: Trouble = () => undefined
  /** Most bytes that all files may have together. */
  bytesMax = Infinity
  /** Whether writes are now and then short. */
  isShort = false
  readonly #random: Random
  #names = new Map<string, File>()
  #durableNames = new Map<string, File>()
  readonly #open = new Map<number, { file: File; name: string }>()
  #nextFd = 3

  constructor(random: Random) {
    this.#random = random
  }

  /** The next process finds what a kill leaves (all that was written) or what a power failure leaves. */
  restart(loss: 'kill' | 'power'): void {
    this.crashAt = Infinity
    this.#open.clear()
    if (loss === 'power') this.#losePower()
    for (const file of this.#names.values()) file.durable = file.bytes
    this.#durableNames = new Map(this.#names)
  }

  /** Bytes of a file, for tests that damage it. */
  bytesOf(name: string): Buffer {
    return this.#names.get(name)?.bytes ?? Buffer.alloc(0)
  }

  names(): string[] {
    return [...this.#names.keys()].toSorted()
  }

  drop(name: string): void {
    this.#names.delete(name)
    this.#durableNames.delete(name)
  }

  makeFolder(): Promise<void> {
    return Promise.resolve()
  }

  list(folder: string): Promise<string[]> {
    return Promise.resolve(this.names().flatMap(name => (path.dirname(name) === folder ? path.basename(name) : [])))
  }

  async open(name: string, mayCreate: boolean): Promise<number> {
    let file = this.#names.get(name)
    if (file === undefined) {
      if (!mayCreate) throw systemError('ENOENT')
      await this.#operation('create', name)
      file = { bytes: Buffer.alloc(0), durable: Buffer.alloc(0) }
      this.#names.set(name, file)
    }
    const fd = this.#nextFd++
    this.#open.set(fd, { file, name })
    return fd
  }

  close(fd: number): Promise<void> {
    this.#open.delete(fd)
    return Promise.resolve()
  }

  sizeOf(fd: number): Promise<number> {
    return Promise.resolve(this.#of(fd).file.bytes.length)
  }

  async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    const { file, name } = this.#of(fd)
    const error = this.trouble('read', name)
    if (error !== undefined) throw error
    await Promise.resolve()
    return file.bytes.copy(buffer, 0, position)
  }

  async write(fd: number, buffer: Buffer, position: number): Promise<number> {
    const { file, name } = this.#of(fd)
    const isLast = this.operationCount + 1 >= this.crashAt
    const isShort = isLast || (this.isShort && this.#random.next() < 0.3)
    let length = isShort ? Math.floor(this.#random.next() * buffer.length) : buffer.length
    const others = [...this.#names.values()].reduce((sum, each) => sum + (each === file ? 0 : each.bytes.length), 0)
    length = Math.min(length, Math.max(0, this.bytesMax - others - position))
    if (!isLast) {
      await this.#operation('write', name)
      if (length === 0 && buffer.length > 0 && !isShort) throw systemError('ENOSPC')
      length = Math.max(1, length)
    }
    const bytes = Buffer.alloc(Math.max(file.bytes.length, position + length))
    file.bytes.copy(bytes)
    buffer.copy(bytes, position, 0, length)
    file.bytes = bytes
    if (isLast) await this.#operation('write', name)
    return length
  }

  async truncate(fd: number, sizeBytes: number): Promise<void> {
    const { file, name } = this.#of(fd)
    await this.#operation('truncate', name)
    const bytes = Buffer.alloc(sizeBytes)
    file.bytes.copy(bytes)
    file.bytes = bytes
  }

  async sync(fd: number): Promise<void> {
    const { file, name } = this.#of(fd)
    await this.#operation('sync', name)
    file.durable = file.bytes
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#operation('syncFolder', folder)
    this.#durableNames = new Map(this.#names)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operation('rename', from)
    const file = this.#names.get(from)
    if (file === undefined) throw systemError('ENOENT')
    this.#names.set(to, file)
    this.#names.delete(from)
  }

  async link(from: string, to: string): Promise<void> {
    await this.#operation('link', from)
    const file = this.#names.get(from)
    if (file !== undefined) this.#names.set(to, file)
  }

  async remove(name: string): Promise<void> {
    await this.#operation('remove', name)
    this.#names.delete(name)
  }

  async #operation(operation: string, name: string): Promise<void> {
    this.operationCount += 1
    if (this.operationCount >= this.crashAt) throw new Crash(`crashed at ${operation} ${name}`)
    const error = this.trouble(operation, name)
    if (error !== undefined) throw error
    await Promise.resolve()
  }

  #of(fd: number): { file: File; name: string } {
    const open = this.#open.get(fd)
    if (open === undefined) throw systemError('EBADF')
    return open
  }

  /** Names and bytes that were never synced are there or not, or half; zeros stand where bytes never came. */
  #losePower(): void {
    const names = new Map(this.#durableNames)
    for (const name of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
      if (this.#names.get(name) === this.#durableNames.get(name) || this.#random.next() < 0.5) continue
      const file = this.#names.get(name)
      if (file === undefined) names.delete(name)
      else names.set(name, file)
    }
    for (const file of new Set(names.values())) file.bytes = this.#halfSynced(file)
    this.#names = names
  }

  #halfSynced({ bytes, durable }: File): Buffer {
    if (bytes === durable || this.#random.next() < 0.3) return durable
    const kept = Math.floor(this.#random.next() * (Math.max(0, bytes.length - durable.length) + 1))
    const left = Buffer.alloc(Math.max(durable.length, durable.length + kept))
    bytes.copy(left)
    // An append-only file keeps what was synced, unless it was cut since.
    if (this.#random.next() < 0.5 && bytes.length >= durable.length) left.fill(0, durable.length)
    if (bytes.length < durable.length) durable.copy(left)
    return left
  }
}

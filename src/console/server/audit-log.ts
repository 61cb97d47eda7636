/**
 * The audit log: one JSON object a line, on disk before the caller goes on.
 *
 * Lines that wait are written together and synced once (group commit). A file above `bytesMax` is renamed to `….1`,
 * that to `….2` and so on; the oldest of `filesMax` goes. A line that was cut by a crash is closed by the next start
 * and left out when the log is read. Files are readable by their owner only.
 *
 * Limits: `WAITING_MAX` lines wait at once; a text is cut at `TEXT_MAX` characters.
 */

import { type FileHandle, mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import type { AuditEntry } from '../api/session.ts'
import type { AuditLog } from './server-types.ts'

/** What an audit log is made from. */
export interface AuditLogOptions {
  readonly file: string
  readonly bytesMax: number
  readonly filesMax: number
  readonly clock: Clock
}

/** An audit log that is open. */
export interface OpenAuditLog extends AuditLog {
  /** Writes what waits, and closes the file. */
  close(): Promise<void>
}

const WAITING_MAX = 10_000
const TEXT_MAX = 2000

/**
 * Opens the log, and makes its folder.
 *
 * @throws PipelineError `ERR_CONSOLE_AUDIT` if it cannot be written.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<OpenAuditLog> {
  const log = new FileLog(options)
  await log.open()
  return {
    append: entry => log.append(entry),
    read: async (offset, limit) => await log.read(offset, limit),
    close: async () => await log.close()
  }
}

interface Waiting {
  readonly line: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class FileLog {
  readonly #options: AuditLogOptions
  /** Lines of each file, the current one first. */
  readonly #lineCounts: number[] = []
  #waiting: Waiting[] = []
  #handle: FileHandle | undefined
  #sizeBytes = 0
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(options: AuditLogOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    try {
      await mkdir(dirname(this.#options.file), { recursive: true, mode: 0o700 })
      for (let index = 0; index < this.#options.filesMax; index += 1) {
        const entries = await this.#entriesOf(index)
        if (entries === undefined) break
        this.#lineCounts.push(entries.length)
      }
      if (this.#lineCounts.length === 0) this.#lineCounts.push(0)
      await this.#openFile()
    } catch (error) {
      throw failure(error)
    }
  }

  async append(entry: Omit<AuditEntry, 'atMs'>): Promise<void> {
    if (this.#isClosed) throw failure('it is closed')
    if (this.#waiting.length >= WAITING_MAX) throw failure('the disk does not keep up')
    const whole: AuditEntry = { atMs: this.#options.clock.now(), ...entry, ...cut(entry) }
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ line: `${lineOf(whole)}\n`, resolve, reject })
    })
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
    })
    await done
  }

  async read(offset: number, limit: number): Promise<{ rows: readonly AuditEntry[]; total: number }> {
    const rows: AuditEntry[] = []
    let skipped = 0
    try {
      for (const [index, count] of this.#lineCounts.entries()) {
        const isBefore = skipped + count <= offset
        if (isBefore) skipped += count
        if (isBefore || rows.length >= limit) continue
        const entries = ((await this.#entriesOf(index)) ?? []).toReversed()
        const from = Math.max(0, offset - skipped)
        rows.push(...entries.slice(from, from + limit - rows.length))
        skipped += count
      }
    } catch (error) {
      throw failure(error)
    }
    return { rows, total: this.#lineCounts.reduce((sum, count) => sum + count, 0) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#writing
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#write(batch.map(({ line }) => line).join(''))
        this.#lineCounts[0] = (this.#lineCounts[0] ?? 0) + batch.length
        for (const { resolve } of batch) resolve()
      } catch (error) {
        const problem = failure(error)
        for (const { reject } of batch) reject(problem)
      }
    }
  }

  async #write(text: string): Promise<void> {
    const bytes = Buffer.from(text)
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#options.bytesMax) await this.#rotate()
    const handle = this.#handle ?? (await this.#openFile())
    await handle.appendFile(bytes)
    await handle.datasync()
    this.#sizeBytes += bytes.length
  }

  async #rotate(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
    for (let index = this.#options.filesMax - 1; index > 0; index -= 1) {
      await rename(this.#pathOf(index - 1), this.#pathOf(index)).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    }
    this.#lineCounts.unshift(0)
    this.#lineCounts.length = Math.min(this.#lineCounts.length, this.#options.filesMax)
    if (this.#options.filesMax === 1) await (await open(this.#options.file, 'w', 0o600)).close()
    await this.#openFile()
  }

  async #openFile(): Promise<FileHandle> {
    const handle = await open(this.#options.file, 'a+', 0o600)
    this.#handle = handle
    const { size } = await stat(this.#options.file)
    this.#sizeBytes = size
    if (size === 0) return handle
    const last = Buffer.alloc(1)
    await handle.read(last, 0, 1, size - 1)
    // A crash has cut the last line: what comes next must not continue it.
    if (last.toString() !== '\n') await handle.appendFile('\n')
    return handle
  }

  #pathOf(index: number): string {
    return index === 0 ? this.#options.file : `${this.#options.file}.${index}`
  }

  async #entriesOf(index: number): Promise<AuditEntry[] | undefined> {
    try {
      const text = await readFile(this.#pathOf(index), 'utf8')
      return text.split('\n').flatMap(readEntry)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}

/** A line that a crash has cut is left out. */
function readEntry(line: string): AuditEntry[] {
  try {
    const entry: unknown = JSON.parse(line)
    // Boundary: lines that are JSON were written by `append`.
    return typeof entry === 'object' && entry !== null && 'atMs' in entry ? [entry as AuditEntry] : []
  } catch {
    return [] // a line that was cut
  }
}

// JSON leaves characters as they are that a terminal obeys (U+009B), or that turn text around.
const unseen = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** Harmless to whoever looks at the file. */
function lineOf(entry: AuditEntry): string {
  return JSON.stringify(entry).replace(unseen, char =>
    Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
  )
}

/** Names and details come from browsers. */
function cut({ user, subject, detail }: Omit<AuditEntry, 'atMs'>): Pick<AuditEntry, 'user' | 'subject' | 'detail'> {
  return { user: user.slice(0, 256), subject: subject.slice(0, TEXT_MAX), detail: detail.slice(0, TEXT_MAX) }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function failure(error: unknown): PipelineError {
  const message = `the audit log cannot be used: ${messageOf(error)}`
  return new PipelineError('ERR_CONSOLE_AUDIT', message, { retriable: true, cause: error })
}

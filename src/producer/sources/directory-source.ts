/**
 * A folder whose files are read as they come, in the order of their names, one
 * after the other; each exactly once as far as its state knows.
 *
 * The folder is listed at an interval, which is the truth; what the system says
 * about changes only makes the next listing come sooner. Files are read when they
 * are complete: renamed into the folder (`settleMs: 0`) or unchanged for `settleMs`.
 * A file is moved or deleted only when all its events are safe, and only if it is
 * still the file that was read. Symbolic links, folders and all that is no regular
 * file are left alone.
 *
 * A file that cannot be read is reported once and tried again at every listing;
 * the others go on. Failed events send the source back to its safe position.
 */

import { constants, watch } from 'node:fs'
import { lstat, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'

import {
  type BackoffOptions,
  type Clock,
  Doorbell,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom
} from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Intake } from '../intake.ts'
import { fileErrorCode } from '../lock-file.ts'
import { attemptUntilStopped } from './attempts.ts'
import { DirectoryFiles, type FoundFile } from './directory-state.ts'
import { openFile } from './file-input.ts'
import { readInput } from './input-reader.ts'
import { nameMatcher } from './name-pattern.ts'
import { OpenChunks } from './open-chunks.ts'
import { pointOf, type ResumePoint } from './resume-point.ts'
import type { Source, SourceProgress } from './source.ts'
import { StateFile, type StateFileOptions, stateInvalid } from './source-state.ts'

/** Options of `DirectorySource`. */
export interface DirectorySourceOptions {
  /** The folder. It must be there when the source starts. */
  readonly path: string
  /** Names of files: `*`, `?`, `{a,b}`. Default `*.{ndjson,jsonl,ndjson.gz,jsonl.gz}`. */
  readonly pattern?: string
  /** `json`: a line is an event; `text`: a line becomes an object with `message`. Default `json`. */
  readonly format?: 'json' | 'text'
  /** What becomes of a file when all its events are safe. Default `keep`. */
  readonly whenSafe?: 'keep' | 'move' | 'delete'
  /** Folder for `whenSafe: 'move'`, on the same file system. */
  readonly moveTo?: string | undefined
  /** A file is complete when it has not changed for so long, in milliseconds. Default 2_000. */
  readonly settleMs?: number
  /** How often the folder is listed, in milliseconds. Default 1_000. */
  readonly scanIntervalMs?: number
  /** Where the source goes on after a restart. Default: it reads all files again that are there. */
  readonly state?: StateFileOptions | undefined
  /** Waits after failed events, before they are read again. Default 1 s, doubling up to 30 s. */
  readonly retry?: BackoffOptions
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** Files that are read and not yet safe: bounds what a kill repeats, and the files that are open. */
const UNSAFE_FILES_MAX = 64
/** Files of one listing that are looked at together. */
const STAT_COUNT = 32
/** Names of a folder that are looked at. */
const NAMES_MAX = 100_000
/** Listing takes at most one part in so many of the time. */
const SCAN_PAUSE_FACTOR = 10
/** What changes at once is listed once. */
const HINT_PAUSE_MS = 10
const NO_BYTES = Buffer.alloc(0)

/** Longest wait until a file that has a problem is tried again. */
const PROBLEM_PAUSE_MAX_MS = 60_000

/** Why a file cannot be dealt with. */
interface Problem {
  readonly reason: string
  readonly failureCount: number
  readonly retryAtMs: number
}

/** One attempt: from the safe position until a stop or a failure. */
interface Attempt {
  readonly intake: Intake
  readonly chunks: OpenChunks
  readonly stop: AbortSignal
  /** Files that were read to their end, or are being read, and are not finished. */
  readonly unsafe: Set<string>
  /** Moves and deletions, one after the other. */
  finishing: Promise<void>
  bytes: number
}

/** Reads the files of a folder. Runs once. */
export class DirectorySource implements Source {
  readonly name: string
  readonly #options: DirectorySourceOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #matches: (name: string) => boolean
  readonly #files: DirectoryFiles
  readonly #bell: Doorbell
  /** What was said about a file, so that it is said once, and when it is tried again. */
  readonly #problems = new Map<string, Problem>()
  #state: StateFile | undefined
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0
  #retryCount = 0
  #chunks = new OpenChunks()
  #pauseMs = 0

  constructor(options: DirectorySourceOptions) {
    this.name = `directory:${basename(options.path)}`
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#matches = nameMatcher(options.pattern ?? '*.{ndjson,jsonl,ndjson.gz,jsonl.gz}')
    this.#files = new DirectoryFiles(options.settleMs ?? 2000)
    this.#bell = new Doorbell(this.#clock)
  }

  /** Files that cannot be read, moved or deleted now, with the reason. */
  get problems(): ReadonlyMap<string, string> {
    return new Map([...this.#problems].map(([name, { reason }]) => [name, reason]))
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    await this.#checkFolders()
    const { state, random = systemRandom } = this.#options
    if (state !== undefined) await this.#openState(state)
    const ring = (): void => this.#bell.ring()
    signal.addEventListener('abort', ring)
    const stopWatching = this.#watch()
    try {
      await attemptUntilStopped({
        name: this.name,
        signal,
        clock: this.#clock,
        random,
        retry: this.#options.retry,
        logger: this.#logger,
        attempt: () => this.#attempt(intake, signal),
        onRetry: () => (this.#retryCount += 1)
      })
    } catch (error) {
      await this.#state?.close().catch(() => undefined) // what ended the source says more
      throw error
    } finally {
      signal.removeEventListener('abort', ring)
      stopWatching()
    }
    await this.#state?.close()
  }

  progress(): SourceProgress {
    return {
      eventCount: this.#eventCount,
      readBytes: this.#readBytes,
      safeBytes: this.#safeBytes + this.#chunks.safeBytes,
      retryCount: this.#retryCount,
      problemCount: this.#problems.size
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #checkFolders(): Promise<void> {
    const { path, whenSafe = 'keep', moveTo } = this.#options
    try {
      const folder = await stat(path)
      if (!folder.isDirectory()) throw new Error(`${path} is no folder`)
      if (whenSafe !== 'move') return
      if (moveTo === undefined) throw new Error('moveTo names no folder')
      const target = await stat(moveTo)
      if (!target.isDirectory()) throw new Error(`${moveTo} is no folder`)
      if (target.dev !== folder.dev)
        throw new Error(`${moveTo} is on another file system: nothing can be renamed to it`)
      if (target.ino === folder.ino) throw new Error(`${moveTo} is the folder itself`)
    } catch (error) {
      const message = `cannot read ${this.name}: ${messageOf(error)}`
      throw new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message, { cause: error })
    }
  }

  async #openState(options: StateFileOptions): Promise<void> {
    const state = await StateFile.open({ ...options, kind: 'directory', clock: this.#clock, logger: this.#logger })
    if (state.saved !== undefined && !this.#files.load(state.saved)) {
      await state.close()
      throw stateInvalid(state.path, 'it has no files')
    }
    if (this.#files.count > 0) this.#logger.info({ source: this.name, files: this.#files.count }, 'knows these files')
    this.#state = state
  }

  /** A hint only: where the system does not tell, the next listing finds what is new. */
  #watch(): () => void {
    try {
      const watcher = watch(this.#options.path, { persistent: false }, () => this.#bell.ring())
      watcher.on('error', () => undefined)
      return () => watcher.close()
    } catch {
      return () => undefined
    }
  }

  async #attempt(intake: Intake, signal: AbortSignal): Promise<void> {
    const chunks = new OpenChunks()
    this.#safeBytes += this.#chunks.safeBytes
    this.#chunks = chunks
    const stop = AbortSignal.any([signal, chunks.failedSignal])
    const ring = (): void => this.#bell.ring()
    chunks.failedSignal.addEventListener('abort', ring)
    const attempt: Attempt = { intake, chunks, stop, unsafe: new Set(), finishing: Promise.resolve(), bytes: 0 }
    try {
      while (!stop.aborted) {
        const startMs = this.#clock.monotonicMs()
        await this.#scan(attempt)
        this.#pauseMs = (this.#clock.monotonicMs() - startMs) * SCAN_PAUSE_FACTOR
        if (stop.aborted) break
        await this.#bell.wait(Math.max(this.#options.scanIntervalMs ?? 1000, this.#pauseMs))
        await sleep(this.#clock, HINT_PAUSE_MS, stop)
      }
    } finally {
      chunks.failedSignal.removeEventListener('abort', ring)
      try {
        await chunks.end()
      } finally {
        await attempt.finishing
      }
    }
  }

  /** Lists the folder and reads what is complete. */
  async #scan(attempt: Attempt): Promise<void> {
    const { path } = this.#options
    let names: string[]
    try {
      const entries = await readdir(path, { withFileTypes: true })
      names = entries.filter(entry => entry.isFile() && this.#matches(entry.name)).map(entry => entry.name)
      this.#problems.delete('.')
    } catch (error) {
      this.#report('.', messageOf(error))
      return
    }
    names = names.toSorted().slice(0, NAMES_MAX)
    const there = new Set(names)
    for (const name of this.#problems.keys()) if (!there.has(name) && name !== '.') this.#problems.delete(name)
    if (this.#files.keepOnly(there)) this.#save()
    for (let at = 0; at < names.length && !attempt.stop.aborted; at += STAT_COUNT) {
      const found = await Promise.all(names.slice(at, at + STAT_COUNT).map(name => this.#look(name)))
      for (const file of found) {
        if (file === undefined || attempt.stop.aborted || attempt.unsafe.has(file.name)) continue
        await this.#deal(file, attempt)
      }
    }
  }

  async #look(name: string): Promise<FoundFile | undefined> {
    try {
      const entry = await lstat(join(this.#options.path, name), { bigint: true })
      if (!entry.isFile()) return undefined
      return {
        name,
        file: { device: String(entry.dev), inode: String(entry.ino) },
        bytes: Number(entry.size),
        modifiedMs: Number(entry.mtimeMs)
      }
    } catch (error) {
      if (fileErrorCode(error) !== 'ENOENT') this.#report(name, messageOf(error))
      return undefined
    }
  }

  async #deal(found: FoundFile, attempt: Attempt): Promise<void> {
    const times = { monotonicMs: this.#clock.monotonicMs(), nowMs: this.#clock.now() }
    const verdict = this.#files.judge(found, times)
    switch (verdict.kind) {
      case 'growing':
        return
      case 'cut':
        this.#report(found.name, 'it was published and is shorter now: it is left alone')
        return
      case 'done':
        if (this.#isResting(found.name)) return
        // Its events are safe; it is still there because it is kept, or could not be moved or deleted.
        if ((this.#options.whenSafe ?? 'keep') !== 'keep') await this.#finish(found)
        return
      case 'read':
        if (this.#isResting(found.name)) return
        while (attempt.unsafe.size >= UNSAFE_FILES_MAX && !attempt.stop.aborted) {
          await sleep(this.#clock, HINT_PAUSE_MS, attempt.stop)
        }
        if (!attempt.stop.aborted) await this.#readFile(found, verdict.point, attempt)
    }
  }

  async #readFile(found: FoundFile, point: ResumePoint | undefined, attempt: Attempt): Promise<void> {
    const { name } = found
    const path = join(this.#options.path, name)
    const { chunks } = attempt
    const base = attempt.bytes - (point?.bytes ?? 0)
    let position = 0
    attempt.unsafe.add(name)
    try {
      // Never follows a link that has taken the file's place, nor waits for the writer of a pipe.
      const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      const { input, check } = await openFile(handle, { path, point })
      try {
        const end =
          check?.kind === 'other'
            ? check
            : await readInput({
                opened: input,
                point,
                name: `file:${name}`,
                text: this.#options.format === 'text' ? { file: path, host: hostname() } : undefined,
                intake: attempt.intake,
                chunks,
                offsetBytes: base,
                stop: attempt.stop,
                onRead: (eventCount, bytes) => {
                  this.#eventCount += eventCount
                  this.#readBytes += Math.max(0, bytes - Math.max(position, point?.bytes ?? 0))
                  position = bytes
                },
                onSafe: safe => {
                  this.#files.reached(name, safe())
                  this.#save()
                }
              })
        attempt.bytes = base + Math.max(position, point?.bytes ?? 0)
        if (end.kind === 'other') throw new Error(`it was published in part, and has changed: ${end.reason}`)
        if (end.kind === 'ended') this.#finishWhenSafe(found, attempt)
        this.#problems.delete(name)
      } finally {
        input.stream.destroy()
      }
    } catch (error) {
      attempt.bytes = Math.max(attempt.bytes, base + position)
      // What was handed over before must be safe or not before it is read again.
      chunks.reach(attempt.bytes, () => attempt.unsafe.delete(name))
      if (fileErrorCode(error) !== 'ENOENT') this.#report(name, messageOf(error))
    }
  }

  #finishWhenSafe(found: FoundFile, attempt: Attempt): void {
    attempt.chunks.reach(attempt.bytes, () => {
      const { name, file, bytes } = found
      this.#files.done(name, bytes, pointOf({ bytes: 0, lines: 0, tail: NO_BYTES }, NO_BYTES, file))
      this.#save()
      attempt.finishing = attempt.finishing.then(() => this.#finish(found)).finally(() => attempt.unsafe.delete(name))
    })
  }

  /** Moves or deletes a file that is safe, if it is still the one that was read. Never rejects. */
  async #finish(found: FoundFile): Promise<void> {
    const { whenSafe = 'keep', moveTo = '' } = this.#options
    if (whenSafe === 'keep') return
    const { name, file, bytes } = found
    const path = join(this.#options.path, name)
    try {
      const now = await lstat(path, { bigint: true })
      // Another one has its name now, or it has grown: it is read first.
      if (String(now.ino) !== file.inode || String(now.dev) !== file.device || Number(now.size) !== bytes) return
      if (whenSafe === 'delete') await unlink(path)
      else await rename(path, await freeName(moveTo, name))
      this.#files.forget(name)
      this.#problems.delete(name)
      this.#save()
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return
      this.#report(
        name,
        `it is published and could not be ${whenSafe === 'move' ? 'moved' : 'deleted'}: ${messageOf(error)}`
      )
    }
  }

  #save(): void {
    this.#state?.set(() => this.#files.save())
  }

  #report(name: string, reason: string): void {
    const known = this.#problems.get(name)
    const isNew = known?.reason !== reason
    const failureCount = isNew ? 1 : known.failureCount + 1
    const waitMs = Math.min(PROBLEM_PAUSE_MAX_MS, (this.#options.scanIntervalMs ?? 1000) * 2 ** (failureCount - 1))
    this.#problems.set(name, { reason, failureCount, retryAtMs: this.#clock.monotonicMs() + waitMs })
    if (isNew) this.#logger.warn({ source: this.name, file: name, reason }, 'a file has a problem; the others go on')
  }

  /** Whether a file that has a problem is not tried again yet. */
  #isResting(name: string): boolean {
    return (this.#problems.get(name)?.retryAtMs ?? 0) > this.#clock.monotonicMs()
  }
}

/** A path for the file in the folder: its name, or, if that is taken, its name with a number. */
async function freeName(folder: string, name: string): Promise<string> {
  for (let number = 0; ; number += 1) {
    const path = join(folder, number === 0 ? name : `${name}.${number}`)
    try {
      await lstat(path)
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return path
      throw error
    }
  }
}

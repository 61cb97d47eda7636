/**
 * A log file that grows and is rotated, read line by line as it grows.
 *
 *   renamed and created anew   the old file is read to its end and until it has not grown for
 *                              `graceMs`, then the files that came after it, then the new one
 *   copied and truncated       the copy is found by its bytes and read from the position on,
 *                              then the file from its start
 *   truncated                  the file is read from its start; what was not read is gone
 *
 * A line is published when its newline is there. After a restart the file that was
 * being read is found by its inode, or by its bytes, whatever its name is now, and
 * finished first. Files are polled: what the system says about changes only makes
 * the next look come sooner. Failed events, and a file that cannot be read for a
 * while, send the source back to its safe position.
 *
 * Invariant: lines of one file are handed over in their order, and those of a file
 * before those of its successors.
 */

import { watch } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname } from 'node:path'

import {
  type BackoffOptions,
  type Clock,
  Doorbell,
  messageOf,
  PipelineError,
  type Random,
  systemClock,
  systemRandom
} from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Intake } from '../intake.ts'
import { attemptUntilStopped, isRetriedFailure } from './attempts.ts'
import { readPart } from './file-input.ts'
import { type FollowedState, readFollowedState } from './follow-state.ts'
import { FollowedFile } from './followed-file.ts'
import type { FedLines } from './line-feed.ts'
import { OpenChunks } from './open-chunks.ts'
import {
  findByPoint,
  type FinishedFile,
  isFinished,
  isSameFile,
  type LogFile,
  LogFiles,
  openListed
} from './rotated-files.ts'
import type { Source, SourceProgress } from './source.ts'
import { StateFile, type StateFileOptions, stateInvalid } from './source-state.ts'

/** Options of `FollowSource`. */
export interface FollowSourceOptions {
  /** The file. It need not be there yet. */
  readonly path: string
  /** Where to begin in a file that is there at the first start. Default `start`. */
  readonly from?: 'start' | 'end'
  /** `json`: a line is an event; `text`: a line becomes an object with `message`. Default `json`. */
  readonly format?: 'json' | 'text'
  /** Names of rotated files in the same folder. Default `NAME.*` and `NAME-*`. */
  readonly rotated?: string | undefined
  /** How often the file is looked at, in milliseconds. Default 250. */
  readonly pollMs?: number
  /** A file that was rotated away is finished when it has not grown for so long, in milliseconds. Default 5_000. */
  readonly graceMs?: number
  /** Where the source goes on after a restart. Default: it begins anew. */
  readonly state?: StateFileOptions | undefined
  /** Waits after failed events, before they are read again. Default 1 s, doubling up to 30 s. */
  readonly retry?: BackoffOptions
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** Files that were read to their end and are remembered. */
const FINISHED_MAX = 32
/** Bytes that are searched at once for the beginning of a last line. */
const SEARCH_BYTES = 65_536

/** From the safe position until a stop or a failure. */
interface Attempt {
  readonly intake: Intake
  readonly chunks: OpenChunks
  readonly stop: AbortSignal
  /** Bytes of the files that were read before the one that is being read. */
  baseBytes: number
  /** Read to their end, newest last. */
  finished: readonly FinishedFile[]
}

/** What follows a look at a file. */
type Step = { readonly kind: 'wait' | 'again' } | { readonly kind: 'next'; readonly file: FollowedFile }

/** Follows one log file. Runs once. */
export class FollowSource implements Source {
  readonly name: string
  readonly #options: FollowSourceOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #files: LogFiles
  readonly #bell: Doorbell
  #state: StateFile | undefined
  /** Everything before it is safe. `undefined` = nothing was read. */
  #safe: FollowedState | undefined
  #chunks = new OpenChunks()
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0
  #retryCount = 0
  #isFirst = true
  /** When the file that is being read last grew, on the monotonic clock. */
  #grownAtMs = 0

  constructor(options: FollowSourceOptions) {
    this.name = `follow:${basename(options.path)}`
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#files = new LogFiles(options.path, options.rotated)
    this.#bell = new Doorbell(this.#clock)
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    await this.#openState()
    const ring = (): void => this.#bell.ring()
    signal.addEventListener('abort', ring)
    const stopWatching = this.#watch()
    try {
      await attemptUntilStopped({
        name: this.name,
        signal,
        clock: this.#clock,
        random: this.#options.random ?? systemRandom,
        retry: this.#options.retry,
        logger: this.#logger,
        isRetried: error => isRetriedFailure(error) || !PipelineError.is(error),
        attempt: () => this.#attempt(intake, signal),
        onRetry: () => (this.#retryCount += 1)
      })
    } catch (error) {
      await this.#state?.close().catch(() => undefined) // what ended the source says more
      if (PipelineError.is(error)) throw error
      const message = `cannot read ${this.name}: ${messageOf(error)}`
      throw new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message, { cause: error })
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
      retryCount: this.#retryCount
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #openState(): Promise<void> {
    const { state: options } = this.#options
    if (options === undefined) return
    const state = await StateFile.open({ ...options, kind: 'follow', clock: this.#clock, logger: this.#logger })
    if (state.saved !== undefined) {
      this.#safe = readFollowedState(state.saved)
      if (this.#safe === undefined) {
        await state.close()
        throw stateInvalid(state.path, 'it has no position')
      }
    }
    this.#state = state
  }

  /** A hint only. The folder is watched: the file itself may be renamed or missing. */
  #watch(): () => void {
    const name = basename(this.#options.path)
    try {
      const watcher = watch(dirname(this.#options.path), { persistent: false }, (_event, changed) => {
        if (changed === null || changed === name) this.#bell.ring()
      })
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
    const attempt: Attempt = { intake, chunks, stop, baseBytes: 0, finished: this.#safe?.finished ?? [] }
    const ring = (): void => this.#bell.ring()
    chunks.failedSignal.addEventListener('abort', ring)
    let file: FollowedFile | undefined
    try {
      file = await this.#begin(attempt)
      while (file !== undefined && !stop.aborted) {
        const step = await this.#advance(file, attempt)
        if (step.kind === 'next') {
          attempt.baseBytes += file.readBytes
          await file.close()
          ;({ file } = step)
        } else if (step.kind === 'wait') {
          await this.#wait(stop)
        }
      }
    } catch (error) {
      await chunks.end() // a failed event says more than the reading it ended
      throw error
    } finally {
      chunks.failedSignal.removeEventListener('abort', ring)
      await file?.close()
    }
    await chunks.end()
  }

  async #wait(stop: AbortSignal): Promise<void> {
    if (!stop.aborted) await this.#bell.wait(this.#options.pollMs ?? 250)
  }

  /** The file to read first, at the place where to go on. `undefined` = stopped before there was one. */
  async #begin(attempt: Attempt): Promise<FollowedFile | undefined> {
    for (let isWaiting = false; !attempt.stop.aborted; isWaiting = true) {
      const file = this.#safe === undefined ? await this.#firstFile(attempt) : await this.#goOn(this.#safe, attempt)
      if (file !== undefined) return file
      if (!isWaiting) this.#logger.info({ source: this.name, path: this.#options.path }, 'waits for the file')
      this.#isFirst = false // a file that comes later is read from its start
      await this.#wait(attempt.stop)
    }
    return undefined
  }

  async #firstFile(attempt: Attempt): Promise<FollowedFile | undefined> {
    const current = await this.#files.current()
    if (current === undefined) return undefined
    const isAtEnd = this.#isFirst && this.#options.from === 'end'
    const file = await this.#open(current, attempt, isAtEnd ? await lastLine(current) : undefined)
    if (file === undefined) return undefined
    // On disk before anything is published: killed now and rotated, this file would not be looked for at the restart.
    this.#reached({ point: file.point, modifiedMs: file.modifiedMs, finished: [] })
    try {
      await this.#state?.flush()
    } catch (error) {
      await file.close()
      throw error
    }
    return file
  }

  /** Finds the file that was being read, whatever its name is now. */
  async #goOn(safe: FollowedState, attempt: Attempt): Promise<FollowedFile | undefined> {
    const files = await this.#files.list()
    const place = await findByPoint(files, safe.point)
    if (place !== undefined) {
      const { found, skipBytes } = place
      this.#logger.info({ source: this.name, path: found.path, bytes: skipBytes }, 'goes on where it stopped')
      return await this.#open(found, attempt, { bytes: skipBytes, lines: safe.point.lines })
    }
    const next = await this.#next(files, safe, attempt)
    const file = next === undefined ? undefined : await this.#open(next, attempt)
    if (file !== undefined) {
      this.#logger.warn(
        { source: this.name, bytes: safe.point.bytes, path: file.path },
        'the file that was being read is gone: what it had behind that position is not published'
      )
    }
    return file
  }

  /** `undefined` if another file has its name by now. */
  async #open(
    log: LogFile,
    attempt: Attempt,
    from?: { readonly bytes: number; readonly lines: number }
  ): Promise<FollowedFile | undefined> {
    const { format, path } = this.#options
    this.#grownAtMs = this.#clock.monotonicMs()
    return await FollowedFile.open({
      log,
      ...(from === undefined ? {} : { from }),
      recordBytesMax: attempt.intake.recordBytesMax,
      text: format === 'text' ? { file: path, host: hostname() } : undefined
    })
  }

  /** Reads what there is, and says what comes then. */
  async #advance(file: FollowedFile, attempt: Attempt): Promise<Step> {
    const look = await file.look()
    if (look.kind === 'cut') return await this.#afterCut(file, attempt)
    if (look.kind === 'same') return await this.#atEnd(file, attempt)
    while (!attempt.stop.aborted) {
      const read = await file.read()
      if (read.kind === 'cut') return await this.#afterCut(file, attempt)
      if (read.kind === 'end') break
      this.#grownAtMs = this.#clock.monotonicMs()
      await this.#hand(read.lines, file, attempt)
    }
    return { kind: 'again' }
  }

  /** All of the file was read: it goes on with the next one, if the file was rotated away and is finished. */
  async #atEnd(file: FollowedFile, attempt: Attempt): Promise<Step> {
    const current = await this.#files.current()
    if (current === undefined || isSameFile(current.file, file.file)) return { kind: 'wait' }
    const { graceMs = 5000 } = this.#options
    const idleMs = this.#clock.monotonicMs() - this.#grownAtMs
    // One that was rotated away before this source started need not be waited for.
    if (idleMs < graceMs && this.#clock.now() - file.modifiedMs < graceMs) return { kind: 'wait' }
    return await this.#goToNext(file, attempt)
  }

  async #goToNext(file: FollowedFile, attempt: Attempt): Promise<Step> {
    const safe = { point: file.point, modifiedMs: file.modifiedMs, finished: attempt.finished }
    const next = await this.#next(await this.#files.list(), safe, attempt)
    if (next === undefined) return { kind: 'wait' }
    const opened = await this.#open(next, attempt)
    if (opened === undefined) return { kind: 'again' }
    await this.#hand(file.end(), file, attempt)
    this.#remember(file, attempt)
    this.#logger.info({ source: this.name, path: next.path }, 'goes on with the next file')
    return { kind: 'next', file: opened }
  }

  /** The file that was written after the one of a state. */
  async #next(files: readonly LogFile[], after: FollowedState, attempt: Attempt): Promise<LogFile | undefined> {
    for (const each of files) {
      if (isSameFile(after.point.file, each.file) && !each.isCurrent) continue
      if (each.isCurrent) return each
      if (each.modifiedMs < Math.floor(after.modifiedMs) || (await isFinished(each, attempt.finished))) continue
      return each
    }
    return undefined
  }

  /** The file is shorter than what was read of it, or holds other bytes. */
  async #afterCut(file: FollowedFile, attempt: Attempt): Promise<Step> {
    const rotated = (await this.#files.list()).filter(each => !each.isCurrent).toReversed()
    for (const each of rotated) {
      if (isSameFile(each.file, file.file) || !(await file.isCopiedTo(each))) continue
      const { bytes, lines } = file.point
      const copy = await this.#open(each, attempt, { bytes, lines })
      if (copy === undefined) return { kind: 'again' }
      this.#grownAtMs = Number.NEGATIVE_INFINITY // a copy is complete before the file is cut
      this.#logger.info({ source: this.name, copy: each.path }, 'the file was truncated; its copy is read first')
      return { kind: 'next', file: copy }
    }
    const next = await this.#files.current()
    const opened = next === undefined ? undefined : await this.#open(next, attempt)
    if (opened === undefined) return { kind: 'wait' }
    this.#logger.warn({ source: this.name }, 'the file was truncated; what was not read of it is not published')
    await this.#hand(file.end(), file, attempt)
    return { kind: 'next', file: opened }
  }

  #remember(file: FollowedFile, attempt: Attempt): void {
    if (file.point.bytes === 0) return // its beginning would be that of every file
    attempt.finished = [...attempt.finished, { file: file.file, head: file.headDigest() }].slice(-FINISHED_MAX)
  }

  async #hand(lines: FedLines | undefined, file: FollowedFile, attempt: Attempt): Promise<void> {
    this.#readBytes = this.#safeBytes + attempt.baseBytes + file.readBytes
    if (lines === undefined) return
    const { chunk, mark } = lines
    const { finished } = attempt
    const onSafe = (): void => this.#reached({ point: file.pointOf(mark), modifiedMs: file.modifiedMs, finished })
    const position = attempt.baseBytes + mark.bytes - file.fromBytes
    if (chunk === undefined) {
      attempt.chunks.reach(position, onSafe)
      return
    }
    this.#eventCount += chunk.count
    await attempt.chunks.follow(position, attempt.intake.submit(chunk, { source: this.name }), { onSafe })
  }

  #reached(safe: FollowedState): void {
    this.#safe = safe
    this.#state?.set(() => safe)
  }
}

/** The beginning of the last line of a file that has no end, or its end: where following at the end begins. */
async function lastLine(log: LogFile): Promise<{ readonly bytes: number; readonly lines: number }> {
  const handle = await openListed(log)
  try {
    const { size = 0 } = (await handle?.stat()) ?? {}
    for (let end = size; end > 0 && handle !== undefined; end -= SEARCH_BYTES) {
      const start = Math.max(0, end - SEARCH_BYTES)
      const newline = (await readPart(handle, start, end - start)).lastIndexOf(0x0a)
      if (newline >= 0) return { bytes: start + newline + 1, lines: 0 }
    }
    return { bytes: 0, lines: 0 }
  } finally {
    await handle?.close()
  }
}

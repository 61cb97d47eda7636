/**
 * The file in which a source keeps how far it is.
 *
 *   {"format":"comporta-source-state","version":1,"kind":"file","state":{…}}
 *
 * Written to a temporary file, synced, renamed into place, and the folder synced:
 * whoever kills this process or the machine finds the old state or the new one,
 * whole. At most once per interval, and at the end; a state that takes long to
 * write is written the less often. A lock beside it (`<file>.lock`) keeps a
 * second source from using it.
 *
 * Invariant: the state never says more than what is safe, because sources only
 * set positions whose events are. A write that fails is tried again at the next
 * interval and harms nothing but the restart; only the last one is an error.
 */

import fs from 'node:fs/promises'
import { dirname } from 'node:path'

import { type Clock, messageOf, PipelineError, systemClock, type Timer } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { fileErrorCode, lockFile } from '../lock-file.ts'

/** Where a source keeps its state. */
export interface StateFileOptions {
  /** Path of the file. Its folder must exist. */
  readonly file: string
  /** The state is written at most this often, in milliseconds. Default 1_000. */
  readonly intervalMs?: number
  /** Forgets what is there: the source begins anew. Default false. */
  readonly isRestart?: boolean
}

/** What a state file is made of. */
export interface StateFileParts extends StateFileOptions {
  /** What kind of source it belongs to; a file of another kind is refused. */
  readonly kind: string
  readonly clock?: Clock
  readonly logger?: Logger
}

const FORMAT = 'comporta-source-state'
const VERSION = 1
/** Writing takes at most one part in so many of the time. */
const PAUSE_FACTOR = 20

/** The state of one source on disk. */
export class StateFile {
  readonly path: string
  /** The state that was there at the start; `undefined` if there was none. */
  readonly saved: unknown
  readonly #kind: string
  readonly #intervalMs: number
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #release: () => Promise<void>
  #state: (() => unknown) | undefined
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #pauseMs = 0
  #isClosed = false

  private constructor(parts: StateFileParts, saved: unknown, release: () => Promise<void>) {
    this.path = parts.file
    this.saved = saved
    this.#kind = parts.kind
    this.#intervalMs = parts.intervalMs ?? 1000
    this.#clock = parts.clock ?? systemClock
    this.#logger = parts.logger ?? silentLogger
    this.#release = release
  }

  /**
   * Takes the file for one source and reads it.
   *
   * @throws PipelineError `ERR_PRODUCER_STATE_LOCKED` if another source uses it,
   *   `ERR_PRODUCER_STATE_INVALID` if it holds something else,
   *   `ERR_PRODUCER_STATE_FAILED` if it cannot be read, or nothing can be written beside it.
   */
  static async open(parts: StateFileParts): Promise<StateFile> {
    let release: () => Promise<void>
    try {
      const locking = await lockFile(`${parts.file}.lock`)
      if (locking.kind === 'busy') throw locked(parts.file, locking.holder)
      ;({ release } = locking)
    } catch (error) {
      if (PipelineError.is(error)) throw error
      throw failed(parts.file, 'its folder cannot be written to', error)
    }
    try {
      // Removed at once: a kill before the first write must not bring the old position back.
      if (parts.isRestart === true) await fs.rm(parts.file, { force: true })
      const saved = await readState(parts)
      return new StateFile(parts, saved, release)
    } catch (error) {
      await release()
      throw error
    }
  }

  /**
   * There is a newer state, to be written when its time has come.
   *
   * @param state - Makes the state, as JSON takes it; called when it is written.
   */
  set(state: () => unknown): void {
    this.#state = state
    if (this.#timer !== undefined || this.#writing !== undefined || this.#isClosed) return
    this.#timer = this.#clock.after(Math.max(this.#intervalMs, this.#pauseMs), () => this.#writeLater()).unref()
  }

  /**
   * Writes the newest state now, if there is one that was not written.
   *
   * @throws PipelineError `ERR_PRODUCER_STATE_FAILED` if it cannot be written.
   */
  async flush(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#writing?.catch(() => undefined) // whatever it could not write is written now
    if (this.#state !== undefined) await this.#write()
  }

  /**
   * Writes the newest state and gives the file back. Idempotent.
   *
   * @throws PipelineError `ERR_PRODUCER_STATE_FAILED` if it cannot be written.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      await this.flush()
    } finally {
      await this.#release()
    }
  }

  #writeLater(): void {
    this.#timer = undefined
    this.#writing = this.#write()
      .catch((error: unknown) => {
        this.#logger.warn({ file: this.path, error: messageOf(error) }, 'the position of a source was not written')
      })
      .finally(() => {
        this.#writing = undefined
        const state = this.#state
        if (state !== undefined) this.set(state)
      })
  }

  async #write(): Promise<void> {
    const make = this.#state
    if (make === undefined) return
    this.#state = undefined
    const startMs = this.#clock.monotonicMs()
    try {
      const text = JSON.stringify({ format: FORMAT, version: VERSION, kind: this.#kind, state: make() })
      await writeAtomically(this.path, `${text}\n`)
    } catch (error) {
      this.#state ??= make // tried again, unless there is a newer one
      throw failed(this.path, 'it cannot be written', error)
    } finally {
      this.#pauseMs = (this.#clock.monotonicMs() - startMs) * PAUSE_FACTOR
    }
  }
}

/** Puts a text in the place of a file, so that after a crash there is the old one or the new one. */
async function writeAtomically(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`
  const handle = await fs.open(fresh, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(fresh, file)
  const folder = await fs.open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function readState(parts: StateFileParts): Promise<unknown> {
  let text: string
  try {
    // A pipe would never end, a device has no end.
    if (!(await fs.stat(parts.file)).isFile()) throw stateInvalid(parts.file, 'it is no regular file')
    text = await fs.readFile(parts.file, 'utf8')
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return undefined
    if (PipelineError.is(error)) throw error
    throw failed(parts.file, 'it cannot be read', error)
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    throw stateInvalid(parts.file, 'it is not JSON')
  }
  if (typeof document !== 'object' || document === null || !('format' in document) || document.format !== FORMAT) {
    throw stateInvalid(parts.file, 'it is no state of a source')
  }
  const { kind, version, state } = document as { kind?: unknown; version?: unknown; state?: unknown }
  if (version !== VERSION) throw stateInvalid(parts.file, `its version is ${String(version)}, known is ${VERSION}`)
  if (kind !== parts.kind) {
    throw stateInvalid(parts.file, `it belongs to a source of type ${String(kind)}, not ${parts.kind}`)
  }
  return state
}

/** A state that is no state of the source it was given to. */
export function stateInvalid(file: string, reason: string): PipelineError {
  const message = `the state file ${file} cannot be used: ${reason}; name another file, or remove it to begin anew`
  return new PipelineError('ERR_PRODUCER_STATE_INVALID', message, { fields: { file } })
}

function failed(file: string, what: string, cause: unknown): PipelineError {
  const message = `the state file ${file}: ${what}: ${messageOf(cause)}`
  return new PipelineError('ERR_PRODUCER_STATE_FAILED', message, { cause, fields: { file } })
}

function locked(file: string, holder: string): PipelineError {
  const message = `the state file ${file} is in use by ${holder}: every source needs a state file of its own`
  return new PipelineError('ERR_PRODUCER_STATE_LOCKED', message, { fields: { file } })
}

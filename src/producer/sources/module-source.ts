/**
 * Sources that users write: a module exports `createSource(options, context)`,
 * which returns a `Source` or a promise of one.
 *
 * What the module does wrong is said in words: a module that cannot be imported,
 * an export that is no function, a source without its methods, a call that throws
 * or never ends. A source that does not end when it is told to is given up, so
 * that it cannot keep the process alive; what it had handed over is settled.
 */

import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { type Clock, messageOf, PipelineError, systemClock, within } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Intake } from '../intake.ts'
import type { Source, SourceProgress } from './source.ts'

/** What `createSource` is told besides its options. */
export interface SourceContext {
  readonly clock: Clock
  readonly logger: Logger
}

/** The function that a module of a source exports. */
export type CreateSource = (
  options: Readonly<Record<string, unknown>>,
  context: SourceContext
) => Source | Promise<Source>

/** Which module, and with what. */
export interface ModuleSourceOptions {
  /** Path of the module; a relative one counts from `baseDir`. */
  readonly file: string
  /** Default: the folder that the process runs in. */
  readonly baseDir?: string
  /** What `createSource` is called with. Default: an empty object. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Longest time for `createSource`, and for `close`, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number
  readonly clock?: Clock
  readonly logger?: Logger
}

const TIMEOUT_MS = 10_000
const METHODS = ['run', 'progress', 'close'] as const
const NOTHING: SourceProgress = { eventCount: 0, readBytes: 0, safeBytes: 0 }

/**
 * Imports a module and has it make its source.
 *
 * @throws PipelineError `ERR_PRODUCER_SOURCE_INVALID` with what is wrong with it.
 */
export async function moduleSource(options: ModuleSourceOptions): Promise<Source> {
  const { file, baseDir = '.', clock = systemClock, logger = silentLogger } = options
  const path = isAbsolute(file) ? file : resolve(baseDir, file)
  const create = await importCreate(path)
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  let made: { readonly source: unknown } | undefined
  try {
    const making = Promise.resolve(create(options.options ?? {}, { clock, logger })).then(source => ({ source }))
    made = await within(clock, timeoutMs, making)
  } catch (error) {
    throw invalid(path, `createSource failed: ${messageOf(error)}`, error)
  }
  if (made === undefined) throw invalid(path, `createSource gave no source within ${timeoutMs} ms`)
  return new GuardedSource(checked(path, made.source), { path, clock, logger, timeoutMs })
}

async function importCreate(path: string): Promise<CreateSource> {
  let exports: Record<string, unknown>
  try {
    exports = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    throw invalid(path, `it cannot be imported: ${messageOf(error)}`, error)
  }
  const { createSource } = exports
  // That it is a function is all that can be known before it is called.
  if (typeof createSource === 'function') return createSource as CreateSource
  const names = Object.keys(exports)
  const found = names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`
  throw invalid(path, `it has no exported function "createSource": ${found}`)
}

function checked(path: string, source: unknown): Source {
  if (typeof source !== 'object' || source === null) throw invalid(path, 'createSource returned no object')
  const { name, ...members } = {
    name: 'name' in source ? source.name : undefined,
    run: 'run' in source ? source.run : undefined,
    progress: 'progress' in source ? source.progress : undefined,
    close: 'close' in source ? source.close : undefined
  }
  if (typeof name !== 'string' || name === '') throw invalid(path, 'its source has no name: `name` is a text')
  for (const method of METHODS) {
    if (typeof members[method] !== 'function') throw invalid(path, `its source has no method "${method}"`)
  }
  // Its members were looked at above; what they return is checked where they are called.
  return source as Source
}

function invalid(path: string, reason: string, cause?: unknown): PipelineError {
  const message = `the source module ${path}: ${reason}`
  return new PipelineError('ERR_PRODUCER_SOURCE_INVALID', message, cause === undefined ? {} : { cause })
}

interface Guard {
  readonly path: string
  readonly clock: Clock
  readonly logger: Logger
  readonly timeoutMs: number
}

/** A source that cannot harm the producer: its errors have a name, and it can be given up. */
class GuardedSource implements Source {
  readonly name: string
  readonly #source: Source
  readonly #guard: Guard
  readonly #givenUp = Promise.withResolvers<'givenUp'>()
  #lastProgress = NOTHING
  #isRunning = false
  #closing: Promise<void> | undefined

  constructor(source: Source, guard: Guard) {
    this.name = source.name
    this.#source = source
    this.#guard = guard
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    this.#isRunning = true
    try {
      const ended = await Promise.race([this.#run(intake, signal), this.#givenUp.promise])
      if (ended === 'givenUp') throw this.#failed('it did not end when it was told to')
    } finally {
      this.#isRunning = false
    }
  }

  progress(): SourceProgress {
    try {
      const progress: unknown = this.#source.progress()
      if (isProgress(progress)) this.#lastProgress = progress
    } catch (error) {
      this.#guard.logger.debug({ source: this.name, error: messageOf(error) }, 'a source cannot say how far it is')
    }
    return this.#lastProgress
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #run(intake: Intake, signal: AbortSignal): Promise<void> {
    try {
      await this.#source.run(intake, signal)
    } catch (error) {
      if (PipelineError.is(error)) throw error
      throw this.#failed(messageOf(error), error)
    }
  }

  async #close(): Promise<void> {
    const { clock, logger, timeoutMs } = this.#guard
    try {
      const closing = Promise.resolve(this.#source.close()).then(() => true)
      if ((await within(clock, timeoutMs, closing)) === undefined) {
        logger.warn({ source: this.name, timeoutMs }, 'a source did not close in time; it is given up')
      }
    } catch (error) {
      logger.warn({ source: this.name, error: messageOf(error) }, 'a source could not be closed')
    }
    // The producer closes sources after their time to stop: one that still runs never ends by itself.
    if (this.#isRunning) await within(clock, GIVE_UP_MS, this.#givenUp.promise)
    this.#givenUp.resolve('givenUp')
  }

  #failed(reason: string, cause?: unknown): PipelineError {
    const message = `the source ${this.name} (${this.#guard.path}) failed: ${reason}`
    return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message, cause === undefined ? {} : { cause })
  }
}

/** Time for `run` to end behind `close`. */
const GIVE_UP_MS = 100

function isProgress(value: unknown): value is SourceProgress {
  if (typeof value !== 'object' || value === null) return false
  const { eventCount, readBytes, safeBytes } = value as { [K in keyof SourceProgress]?: unknown }
  return [eventCount, readBytes, safeBytes].every(count => typeof count === 'number')
}

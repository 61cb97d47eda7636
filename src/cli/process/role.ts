/**
 * A role: one long-running part of a pipeline (broker, producer, dispatcher,
 * Lambda runtime), run either alone by its own command or as a child process.
 *
 * Alone, the first SIGINT or SIGTERM drains it and the second ends it at once.
 * As a child it obeys its parent's messages and ignores SIGINT, which a terminal
 * sends to parent and children alike; when the parent is gone, it drains.
 */

import { messageOf, systemClock, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { EXIT, exitCodeOf } from '../exit-codes.ts'
import type { FromRole, RoleStatus, ToRole } from './messages.ts'
import { onFirstSignal } from './signals.ts'

/** What became of what was in flight when a role was drained. */
export interface DrainOutcome {
  /** Whether all of it was finished and is safe: nothing of it will be done again. */
  readonly isComplete: boolean
}

/** A role that runs. */
export interface RunningRole {
  /** What others need to know of it: addresses. */
  readonly info: Readonly<Record<string, string>>
  /** Current numbers, counted from the start. */
  status(): RoleStatus
  /** Resolves when the role has nothing left to do by itself; absent if it runs until told to stop. */
  readonly finished?: Promise<void>
  /**
   * Whether nothing is left of the role once `finished` rejects, so that its process ends and may be started again.
   * Default no: a producer with one failed source serves the others.
   */
  readonly isEndedByFailure?: boolean
  /** Writes out what is buffered for the audit. */
  flush?(): void
  /**
   * Takes options as it was started with, of which some may have changed.
   *
   * @returns Settings that differ now.
   * @throws PipelineError if some cannot change while it runs; none has then.
   */
  configure?(options: never): readonly string[]
  /** Finishes what is in flight, then stops. What says nothing of its outcome was complete. */
  drain(deadlineMs: number): Promise<DrainOutcome | void>
}

/** Starts a role from options that came with the command line or from a parent. */
export type RoleStarter = (options: never, logger: Logger) => Promise<RunningRole>

/** How a role begins: what its logger is made from. */
export type RoleStart = Extract<ToRole, { kind: 'start' }>

const statusEveryMs = 250
/** Time for the last commit, for leaving the group and for closing what a role holds, in milliseconds. */
const DRAIN_MARGIN_MS = 5000

/** Runs a role in this process under the parent's orders; returns when it has stopped. */
export async function runAsChild(
  loaders: Readonly<Record<string, () => Promise<RoleStarter>>>,
  createRoleLogger: (start: RoleStart) => Logger
): Promise<number> {
  process.on('SIGINT', () => undefined)
  process.on('SIGHUP', () => undefined) // the parent reads the file again
  const start = await nextMessage('start')
  const logger = createRoleLogger(start)
  try {
    const starter = await loaders[start.role]?.()
    if (starter === undefined) throw new Error(`no role is called ${start.role}`)
    // The parent is this same package: it builds the options with the starter's own type.
    const role = await starter(start.options as never, logger)
    tell({ kind: 'ready', info: role.info })
    return (await serveParent(role, logger)) ? EXIT.ok : EXIT.incomplete
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'the role failed')
    tell({ kind: 'failed', message: messageOf(error), exitCode: exitCodeOf(error) })
    return exitCodeOf(error)
  }
}

/** Whether the role had finished everything when it was stopped. */
async function serveParent(role: RunningRole, logger: Logger): Promise<boolean> {
  const report = systemClock.every(statusEveryMs, () => tell({ kind: 'status', status: role.status() }))
  const failure = Promise.withResolvers<{ readonly error: unknown }>()
  void role.finished?.then(
    () => {
      tell({ kind: 'status', status: role.status() })
      tell({ kind: 'finished' })
    },
    (error: unknown) => {
      if (role.isEndedByFailure === true) failure.resolve({ error })
      else tell({ kind: 'failed', message: messageOf(error), exitCode: exitCodeOf(error) })
    }
  )
  process.on('message', (message: ToRole) => {
    if (message.kind === 'configure') tell(configured(role, message.options))
    if (message.kind !== 'flush') return
    role.flush?.()
    tell({ kind: 'flushed' })
  })
  const reason = await Promise.race([
    failure.promise,
    nextMessage('drain').then(message => message.deadlineMs),
    parentGone().then(() => 10_000),
    new Promise<number>(resolve => process.once('SIGTERM', () => resolve(30_000)))
  ])
  const isFailed = typeof reason === 'object'
  const isComplete = await drainWithin(role, isFailed ? 0 : reason, logger)
  report.cancel()
  tell({ kind: 'status', status: role.status() })
  if (isFailed) throw reason.error
  return isComplete
}

/** Also if it went while the role was starting: nobody else will ever stop this process. */
async function parentGone(): Promise<void> {
  if (process.connected) await new Promise<void>(resolve => process.once('disconnect', () => resolve()))
}

function configured(role: RunningRole, options: unknown): FromRole {
  try {
    // The parent is this same package: it builds the options with the starter's own type.
    return { kind: 'configured', settings: role.configure?.(options as never) ?? [] }
  } catch (error) {
    return { kind: 'configured', settings: [], problem: messageOf(error) }
  }
}

/** Whether the role has finished everything. */
async function drainWithin(role: RunningRole, deadlineMs: number, logger: Logger): Promise<boolean> {
  const isComplete = await within(
    systemClock,
    deadlineMs + DRAIN_MARGIN_MS,
    role.drain(deadlineMs).then(outcome => outcome?.isComplete ?? true)
  )
  if (isComplete === undefined) {
    logger.warn({ deadlineMs }, 'not drained in time; stopping anyway, uncommitted work is redone')
  }
  return isComplete === true
}

function nextMessage<K extends ToRole['kind']>(kind: K): Promise<Extract<ToRole, { kind: K }>> {
  return new Promise(resolve => {
    const onMessage = (message: ToRole): void => {
      if (message.kind !== kind) return
      process.off('message', onMessage)
      // `kind` tells the members of the union apart.
      resolve(message as Extract<ToRole, { kind: K }>)
    }
    process.on('message', onMessage)
  })
}

function tell(message: FromRole): void {
  if (process.connected) process.send?.(message, () => undefined)
}

/**
 * Runs a role alone in this process until it finishes or a signal stops it.
 *
 * @returns The exit code.
 * @throws What ended the role, once everything that it holds is closed.
 */
export async function runAlone(role: RunningRole, logger: Logger, deadlineMs: number): Promise<number> {
  const { isComplete } = await runToEnd(role, logger, deadlineMs)
  return isComplete ? EXIT.ok : EXIT.incomplete
}

/** As `runAlone`; tells also whether the role came to its own end, or a signal came first. */
export async function runToEnd(
  role: RunningRole,
  logger: Logger,
  deadlineMs: number
): Promise<DrainOutcome & { readonly endedBy: 'finished' | 'signal' }> {
  const stop = Promise.withResolvers<'signal'>()
  onFirstSignal(logger, () => stop.resolve('signal'), { deadlineMs })
  const finished = role.finished?.then(() => 'finished' as const)
  const ended = finished === undefined ? stop.promise : Promise.race([finished, stop.promise])
  // A role that failed is closed like any other: its connections would keep this process alive.
  const end = await ended.then(
    endedBy => ({ endedBy }),
    (error: unknown) => ({ error })
  )
  const isComplete = await drainWithin(role, deadlineMs, logger)
  if ('error' in end) throw end.error
  return { isComplete, endedBy: end.endedBy }
}

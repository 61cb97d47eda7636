/**
 * The desk on which changes lie between their plan and their end.
 *
 * A plan belongs to the session that made it, is good for ten minutes and
 * applied once. Of one subject (a group, a topic, a partition) one change runs at a
 * time: whoever comes second is told who is at it. Every step is in the audit
 * log; the beginning of a change is there before anything is changed.
 *
 * Limits: 20 plans of a session (the oldest go), 500 in all, 200 changes that are over,
 * 10 that run, 4 that are being planned, for a minute at most.
 */

import { randomUUID } from 'node:crypto'

import { messageOf, PipelineError, printableText, within } from '../../core/index.ts'
import { applyChange, type ChangeResult, type PauseControl, planTakeBack, takeBackProblem } from '../../ops/index.ts'
import type { ApplyRequest, ChangeProgress, ChangeRequest, PlannedChange, UndoRequest } from '../api/changes.ts'
import { needRight } from '../server/rights.ts'
import type { Caller, ConsoleContext } from '../server/server-types.ts'
import { subjectsOfPlan, subjectsOfRecord, subjectsOfRequest } from './change-subjects.ts'
import { consoleWords } from './console-words.ts'
import { essenceOf, HeldChange, type HeldParts, subjectOf } from './held-change.ts'
import { pauseControl } from './pause-control.ts'
import { type AskedChange, planChange } from './plan-change.ts'

/** Longest time between a plan and its application, in milliseconds. */
export const PLAN_MS = 600_000
const PLANNING_MS_MAX = 60_000
/** How long a console that closes waits for the steps under way: what takes longer is left to the undo. */
const SETTLE_MS = 4000
const PLANNING_MAX = 4
const RUNNING_MAX = 10
const SESSION_PLANS_MAX = 20
const PLANS_MAX = 500
const OVER_MAX = 200

/** See the module. */
export class ChangeDesk {
  readonly #context: ConsoleContext
  readonly #pauses: PauseControl
  /** By id, the oldest first. */
  readonly #held = new Map<string, HeldChange>()
  readonly #running = new Set<Promise<void>>()
  #planning = 0

  constructor(context: ConsoleContext) {
    this.#context = context
    this.#pauses = pauseControl(context)
    context.closing.addEventListener('abort', () => {
      for (const held of this.#held.values()) held.stop.abort()
    })
  }

  /**
   * Plans a change.
   *
   * @throws PipelineError `ERR_CONSOLE_FORBIDDEN`, `ERR_CONSOLE_BUSY`, and those of `planChange`.
   */
  async plan(request: ChangeRequest, caller: Caller): Promise<PlannedChange> {
    needRight(caller, subjectsOfRequest(request))
    const held = await this.#planned({ kind: request.kind, caller }, async signal => {
      const asked = await planChange(request, { context: this.#context, pauses: this.#pauses, caller, signal })
      const subjects = subjectsOfPlan(request, asked.change)
      needRight(caller, subjects)
      return { ...asked, subjects }
    })
    return held.planned()
  }

  /**
   * Plans the way back of a change on disk.
   *
   * @throws PipelineError `ERR_CONSOLE_BLOCKED` if there is none, `ERR_OPS_NOT_FOUND`, and those of the handler.
   */
  async undo({ undoId, force = false }: UndoRequest, caller: Caller): Promise<PlannedChange> {
    const { cluster, admin, pipeline, clock, undo } = this.#context
    const record = await undo.read(undoId)
    const problem = takeBackProblem(record, { clusterId: cluster.clusterId, isForced: force })
    if (problem !== undefined) throw new PipelineError('ERR_CONSOLE_BLOCKED', consoleWords(problem))
    const subjects = subjectsOfRecord(record)
    needRight(caller, subjects)
    const pauses = this.#pauses
    const held = await this.#planned({ kind: 'undo', caller, undoes: record }, async signal => ({
      change: await planTakeBack(record, { cluster, admin, pipeline, clock, pauses, signal }),
      subjects,
      steps: []
    }))
    return held.planned()
  }

  async #planned(
    about: Pick<HeldParts, 'kind' | 'undoes'> & { readonly caller: Caller },
    make: (signal: AbortSignal) => Promise<AskedChange & Pick<HeldParts, 'subjects'>>
  ): Promise<HeldChange> {
    const { caller, ...rest } = about
    if (this.#planning >= PLANNING_MAX) throw busy('other changes are being planned just now: try again in a moment')
    const { clock, closing } = this.#context
    const limit = new AbortController()
    const timer = clock.after(PLANNING_MS_MAX, () => limit.abort())
    this.#planning += 1
    try {
      const signal = AbortSignal.any([closing, limit.signal])
      const asked = await make(signal)
      // What was ended early would be a plan of a part that looks like one of the whole.
      if (signal.aborted) throw busy('planning takes too long: choose less at once')
      const held = new HeldChange({
        id: randomUUID(),
        sessionId: caller.sessionId,
        user: caller.user,
        expiresAtMs: clock.now() + PLAN_MS,
        ...rest,
        ...asked
      })
      this.#keep(held)
      await this.#note('change.plan', held)
      return held
    } finally {
      timer.cancel()
      this.#planning -= 1
    }
  }

  #keep(held: HeldChange): void {
    const { sessionId, id } = held.parts
    const plans = [...this.#held.values()].filter(each => each.state === 'planned')
    const own = plans.filter(each => each.parts.sessionId === sessionId)
    const over = [...this.#held.values()].filter(each => each.isOver)
    const now = this.#context.clock.now()
    const gone = [
      ...plans.filter(({ parts }) => parts.expiresAtMs <= now),
      ...own.slice(0, Math.max(0, own.length + 1 - SESSION_PLANS_MAX)),
      ...plans.slice(0, Math.max(0, plans.length + 1 - PLANS_MAX)),
      ...over.slice(0, Math.max(0, over.length + 1 - OVER_MAX))
    ]
    for (const { parts } of gone) this.#held.delete(parts.id)
    this.#held.set(id, held)
  }

  /**
   * Begins a change that was planned; how far it is tells `progress`.
   *
   * @throws PipelineError `ERR_CONSOLE_PLAN` if there is no such plan (any more), `ERR_CONSOLE_CONFIRM` for another
   *   word, `ERR_CONSOLE_BLOCKED`, `ERR_CONSOLE_BUSY`, `ERR_CONSOLE_STALE` if the plan would be another by now.
   */
  async apply(request: ApplyRequest, caller: Caller): Promise<ChangeProgress> {
    const held = this.#own(request.id, caller)
    needRight(caller, held.parts.subjects)
    this.#check(held, request)
    this.#needFree(held)
    held.state = 'running'
    held.startedAtMs = this.#context.clock.now()
    try {
      await this.#lookAgain(held)
      await this.#note('change.apply', held)
    } catch (error) {
      // Nothing was changed. A plan that has become another one is of no use, either.
      held.state = 'planned'
      held.startedAtMs = null
      if (PipelineError.is(error) && error.code === 'ERR_CONSOLE_STALE') this.#held.delete(held.parts.id)
      throw error
    }
    const running = this.#run(held).finally(() => this.#running.delete(running))
    this.#running.add(running)
    return held.progress()
  }

  #own(id: string, { sessionId }: Caller): HeldChange {
    const held = this.#held.get(id)
    // Whether it is somebody else's is not told.
    if (held === undefined || held.parts.sessionId !== sessionId) {
      throw new PipelineError('ERR_CONSOLE_PLAN', 'there is no such plan (any more): plan it again')
    }
    return held
  }

  #check(held: HeldChange, { confirm, force }: ApplyRequest): void {
    const { plan } = held.change
    if (held.state !== 'planned') throw new PipelineError('ERR_CONSOLE_PLAN', 'this plan has been applied already')
    if (held.parts.expiresAtMs <= this.#context.clock.now()) {
      this.#held.delete(held.parts.id)
      throw new PipelineError('ERR_CONSOLE_PLAN', `this plan is older than ${PLAN_MS / 60_000} minutes: plan it again`)
    }
    if (plan.blockers.length > 0) throw new PipelineError('ERR_CONSOLE_BLOCKED', consoleWords(plan.blockers[0] ?? ''))
    if ((plan.conflicts ?? []).length > 0 && force !== true) {
      const why = 'the state is not the one that the change left behind: look at it, and say that it is to be put back'
      throw new PipelineError('ERR_CONSOLE_BLOCKED', why)
    }
    if (confirm !== plan.confirmWord && confirm !== printableText(plan.confirmWord)) {
      const word = printableText(plan.confirmWord)
      throw new PipelineError('ERR_CONSOLE_CONFIRM', `to confirm, type exactly: ${word}`)
    }
  }

  #needFree(held: HeldChange): void {
    const running = [...this.#held.values()].filter(({ state }) => state === 'running')
    const { undoes } = held.parts
    const other = running.find(
      each => each.subject === held.subject || (undoes !== undefined && each.parts.undoes?.id === undoes.id)
    )
    if (other !== undefined) {
      const who = printableText(other.parts.user)
      throw busy(`${who} is changing ${printableText(other.subject)} just now: wait until that is over, and plan again`)
    }
    if (running.length >= RUNNING_MAX) throw busy(`${RUNNING_MAX} changes are running: wait until one of them is over`)
  }

  /** For kinds that do not look again by themselves. */
  async #lookAgain(held: HeldChange): Promise<void> {
    const { again } = held.parts
    if (again === undefined) return
    const change = await again()
    if (essenceOf(change.plan) !== essenceOf(held.change.plan)) {
      throw new PipelineError('ERR_CONSOLE_STALE', 'what it is about has changed since the plan: plan it again')
    }
    held.change = change
  }

  async #run(held: HeldChange): Promise<void> {
    const { clock, cluster, undo, logger } = this.#context
    const { undoes, user } = held.parts
    let isFailed = false
    try {
      if (held.change.plan.effects.length === 0) {
        // All is as it was before: somebody has put it back, or it was never done.
        if (undoes !== undefined) await undo.update(undoes, { state: 'undone' })
        this.#end(held, { isComplete: true, summary: held.change.plan.summary, failures: [] })
      } else {
        const { result } = await applyChange(held.change, {
          store: undo,
          clusterId: undoes === undefined ? cluster.clusterId : undoes.clusterId,
          by: user,
          signal: held.stop.signal,
          onProgress: text => held.say(text),
          onStep: step => held.begin(step),
          onSaved: record => {
            held.undoId = record.id
          },
          ...(undoes === undefined ? {} : { undoes })
        })
        this.#end(held, result)
      }
    } catch (error) {
      isFailed = true
      this.#end(held, { isComplete: false, summary: 'It ended with an error.', failures: [messageOf(error)] })
      logger.warn({ kind: held.parts.kind, error: messageOf(error) }, 'a change has failed')
    }
    held.endedAtMs = clock.now()
    await this.#note('change.end', held, isFailed || held.state !== 'done' ? 'failed' : 'ok').catch(
      (error: unknown) => {
        logger.error({ error: messageOf(error) }, 'the end of a change is not in the audit log')
      }
    )
  }

  #end(held: HeldChange, { isComplete, summary, failures }: ChangeResult): void {
    held.result = summary
    held.failures = failures
    held.state = isComplete ? 'done' : held.stop.signal.aborted ? 'stopped' : 'failed'
  }

  /**
   * Ends a running change between two of its steps. Whoever may make the change may, whoever began it.
   *
   * @throws PipelineError `ERR_CONSOLE_NOT_FOUND`.
   */
  async stop(id: string, caller: Caller): Promise<ChangeProgress> {
    const held = this.#begun(id)
    needRight(caller, held.parts.subjects)
    held.stop.abort()
    const { kind, change } = held.parts
    const entry = { user: caller.user, role: caller.role, action: 'change.stop', outcome: 'ok' } as const
    const subject = printableText(subjectOf(change.plan))
    await this.#context.audit.append({ ...entry, subject, detail: kind, undoId: held.undoId })
    return held.progress()
  }

  /** Resolves when what ran has come to the end of its step and is written down; when the console closes. */
  async settled(): Promise<void> {
    await within(this.#context.clock, SETTLE_MS, Promise.all(this.#running))
  }

  #begun(id: string): HeldChange {
    const held = this.#held.get(id)
    if (held !== undefined && held.state !== 'planned') return held
    throw new PipelineError('ERR_CONSOLE_NOT_FOUND', 'no such change has been applied here lately')
  }

  /** How far a change is. @throws PipelineError `ERR_CONSOLE_NOT_FOUND`. */
  progress(id: string): ChangeProgress {
    return this.#begun(id).progress()
  }

  /** The running change that has written an undo record. */
  runningWith(undoId: string): HeldChange | undefined {
    return [...this.#held.values()].find(held => held.state === 'running' && held.undoId === undoId)
  }

  async #note(action: string, held: HeldChange, outcome: 'ok' | 'failed' = 'ok'): Promise<void> {
    const { kind, user, undoes } = held.parts
    const { plan } = held.change
    const said = held.result ?? plan.summary
    const about = undoes === undefined ? kind : `takes back ${undoes.id}`
    const failures = held.failures.length === 0 ? '' : ` ${held.failures.join('; ')}`
    await this.#context.audit.append({
      user,
      role: 'operator',
      action,
      subject: printableText(subjectOf(plan)),
      outcome,
      detail: consoleWords(`${about}: ${said}${failures}`).slice(0, 2000),
      undoId: held.undoId
    })
  }
}

function busy(message: string): PipelineError {
  return new PipelineError('ERR_CONSOLE_BUSY', message, { retriable: true })
}

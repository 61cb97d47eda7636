/** One change on the desk: from its plan to its end, and as the pages see it. */

import { printableText } from '../../core/index.ts'
import type { Change, ChangeEffect, ChangePlan, UndoRecord } from '../../ops/index.ts'
import type { ChangeProgress, PlannedChange } from '../api/changes.ts'
import type { ChangeSubject } from '../server/rights.ts'
import { consoleWords } from './console-words.ts'

/** Effects that a page shows, and lines of progress that are kept. */
const EFFECTS_MAX = 200
const PROGRESS_MAX = 100

/** What a change on the desk is made of. */
export interface HeldParts {
  readonly id: string
  readonly sessionId: string
  readonly user: string
  /** A `ChangeKind`, or `undo`. */
  readonly kind: string
  readonly change: Change
  /** What a right is needed for. */
  readonly subjects: ChangeSubject
  readonly steps: readonly string[]
  /** Makes the same plan once more. */
  readonly again?: () => Promise<Change>
  /** The change that this one takes back. */
  readonly undoes?: UndoRecord
  readonly expiresAtMs: number
}

/** A change, planned, running or over. */
export class HeldChange {
  readonly parts: HeldParts
  readonly stop = new AbortController()
  change: Change
  state: ChangeProgress['state'] = 'planned'
  undoId: string | null = null
  startedAtMs: number | null = null
  endedAtMs: number | null = null
  result: string | null = null
  failures: readonly string[] = []
  #progress: string[] = []
  #step: string | undefined

  constructor(parts: HeldParts) {
    this.parts = parts
    this.change = parts.change
    this.#step = parts.steps.find(step => step !== 'need' && step !== 'count')
  }

  get isOver(): boolean {
    return this.state !== 'planned' && this.state !== 'running'
  }

  /** A line of progress. */
  say(text: string): void {
    this.#progress.push(consoleWords(text))
    if (this.#progress.length > PROGRESS_MAX) this.#progress = this.#progress.slice(-PROGRESS_MAX)
  }

  /** A step has begun. */
  begin(step: string): void {
    if (this.parts.steps.includes(step)) this.#step = step
  }

  /** As it is shown while it runs, and afterwards. */
  progress(): ChangeProgress {
    const { id, kind, user } = this.parts
    const { plan } = this.change
    return {
      id,
      state: this.state,
      kind,
      user,
      summary: consoleWords(plan.summary),
      startedAtMs: this.startedAtMs,
      endedAtMs: this.endedAtMs,
      progress: this.#progress,
      steps: this.#steps(),
      result: this.result === null ? null : consoleWords(this.result),
      failures: this.failures.map(consoleWords),
      undoId: this.undoId,
      noUndoReason: noUndoReason(plan)
    }
  }

  #steps(): ChangeProgress['steps'] {
    const { steps } = this.parts
    const at = this.#step === undefined ? -1 : steps.indexOf(this.#step)
    return steps.map((name, index) => {
      if (this.state === 'done' || index < at) return { name, state: 'done' }
      if (index > at || this.state === 'planned') return { name, state: 'waiting' }
      return { name, state: this.state === 'running' ? 'running' : 'failed' }
    })
  }

  /** As it is shown before it is confirmed. */
  planned(): PlannedChange {
    const { id, kind, steps, expiresAtMs } = this.parts
    const { plan } = this.change
    return {
      id,
      expiresAtMs,
      kind,
      confirmWord: printableText(plan.confirmWord),
      summary: consoleWords(plan.summary),
      effects: plan.effects.slice(0, EFFECTS_MAX).map(effectOf),
      effectCount: plan.effects.length,
      steps,
      warnings: plan.warnings.map(consoleWords),
      blockers: plan.blockers.map(consoleWords),
      conflicts: (plan.conflicts ?? []).slice(0, EFFECTS_MAX).map(consoleWords),
      noUndoReason: noUndoReason(plan)
    }
  }

  /** What nobody else may change at the same time. */
  get subject(): string {
    return subjectOf(this.change.plan)
  }
}

function effectOf({ what, before, after, records, seconds, note }: ChangeEffect): PlannedChange['effects'][number] {
  return {
    what: printableText(what),
    before: printableText(before),
    after: printableText(after),
    records: records?.toString() ?? null,
    seconds: seconds ?? null,
    note: consoleWords(note ?? '')
  }
}

function noUndoReason({ undo }: ChangePlan): string | null {
  return undo.kind === 'possible' ? null : consoleWords(undo.reason)
}

/** What a change is about: a group, a topic, a partition. */
export function subjectOf({ kind, confirmWord }: Pick<ChangePlan, 'kind' | 'confirmWord'>): string {
  if (kind === 'offsets' || kind === 'replay' || kind === 'group-members') return `group ${confirmWord}`
  return kind === 'partition-pause' ? `partition ${confirmWord}` : `topic ${confirmWord}`
}

/** What a plan does, without numbers that change by themselves all the time. */
export function essenceOf({ kind, effects, blockers, confirmWord, undo }: ChangePlan): string {
  // Records come and go in a topic that is to be deleted: that it is another topic is what matters.
  const isCounted = kind === 'topics-delete'
  const lines = effects.map(({ what, before, after }) => (isCounted ? [what, after] : [what, before, after]))
  return JSON.stringify([kind, confirmWord, undo.kind, lines, blockers])
}

/**
 * A change before, while and after it is made: what it will do, a word to be typed, how far it is, what came of it,
 * and the way back. Sentences of plans are the server's, in English.
 */

import './plan.css'

import type { VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'

import type { ChangeRequest, PlannedChange, UndoRequest } from '../../../api/changes.ts'
import { postJson } from '../../base/api.ts'
import { say, t } from '../../base/words.ts'
import { toast } from '../../base/toasts.ts'
import { Button } from '../button.tsx'
import { Dialog } from '../dialog.tsx'
import { ProblemBox, Skeleton } from '../feedback.tsx'
import { Check, Field } from '../field.tsx'
import { showDialog } from './dialog-host.tsx'
import { PlanEffects, PlanNotes } from './plan-effects.tsx'
import { ProgressView, ResultView } from './plan-progress.tsx'
import { createPlanState, type PlanPhase, type PlanState } from './plan-state.ts'

/** What may be said of a dialog. */
export interface OpenPlanOptions {
  /** Called when the change is over, however it ended. */
  readonly onDone?: () => void
}

/** Plans a change and shows it, to be confirmed. */
export function openPlan(request: ChangeRequest, { onDone = () => undefined }: OpenPlanOptions = {}): void {
  const ask = async (): Promise<PlannedChange> => await postJson<PlannedChange>('/api/changes/plan', request)
  const title = say(`changes.kind.${request.kind}`)
  showDialog(close => <PlanDialog title={title} ask={ask} onDone={onDone} onClose={close} />)
}

/** Plans the way back of a change and shows it, to be confirmed. */
export function openUndo(undo: UndoRequest, { onDone = () => undefined }: OpenPlanOptions = {}): void {
  const ask = async (): Promise<PlannedChange> => await postJson<PlannedChange>('/api/changes/undo', undo)
  showDialog(close => <PlanDialog title={t('changes.kind.undo')} ask={ask} onDone={onDone} onClose={close} />)
}

interface PlanDialogOptions {
  readonly title: string
  readonly ask: () => Promise<PlannedChange>
  readonly onDone: () => void
  readonly onClose: () => void
}

function PlanDialog({ title, ask, onDone, onClose }: PlanDialogOptions): VNode {
  const state = useMemo(() => createPlanState(ask, onDone), [])
  const [confirm, setConfirm] = useState('')
  const [isForced, setForced] = useState(false)
  useEffect(() => void state.plan(), [])
  const phase = state.phase.value
  const close = (): void => {
    state.leave()
    if (phase.is === 'running') toast('warn', t('plan.goesOn'))
    onClose()
  }
  const form: ConfirmOptions = { state, confirm, isForced, onConfirm: setConfirm, onForced: setForced }
  return (
    <Dialog title={title} isWide onClose={close} actions={<Actions {...form} phase={phase} onClose={close} />}>
      <Content {...form} phase={phase} />
    </Dialog>
  )
}

interface ConfirmOptions {
  readonly state: PlanState
  readonly confirm: string
  readonly isForced: boolean
  readonly onConfirm: (text: string) => void
  readonly onForced: (isForced: boolean) => void
}

function Content(options: ConfirmOptions & { readonly phase: PlanPhase }): VNode {
  const { phase } = options
  switch (phase.is) {
    case 'planning':
      return (
        <div class="plan-waits" role="status">
          <p>{t('plan.planning')}</p>
          <Skeleton height={120} />
        </div>
      )
    case 'refused':
      return <ProblemBox problem={phase.problem} />
    case 'planned':
      return <Planned {...options} phase={phase} />
    case 'running':
      return <ProgressView progress={phase.progress} />
    case 'over':
      return <ResultView progress={phase.progress} />
  }
}

function Planned(options: ConfirmOptions & { readonly phase: Extract<PlanPhase, { is: 'planned' }> }): VNode {
  const { phase, state, confirm, isForced } = options
  const { plan, problem } = phase
  const form = useRef<HTMLFormElement>(null)
  // It comes when the dialog is open already, so the browser does not give it the focus by itself.
  useEffect(() => form.current?.querySelector('input')?.focus(), [plan.id])
  const isOpen = plan.blockers.length === 0
  return (
    <div class="plan">
      {problem === undefined ? null : <ProblemBox problem={problem} />}
      <p class="plan-summary" lang="en">
        {plan.summary}
      </p>
      <PlanEffects plan={plan} />
      <PlanNotes plan={plan} />
      {plan.conflicts.length > 0 && isOpen ? (
        <Check label={t('plan.force')} isChecked={isForced} onValue={options.onForced} />
      ) : null}
      {isOpen ? (
        <form
          ref={form}
          class="plan-confirm"
          onSubmit={event => {
            event.preventDefault()
            if (isConfirmed(options)) void state.apply(confirm, isForced)
          }}
        >
          <Field
            label={t('plan.confirm', { word: plan.confirmWord })}
            help={plan.noUndoReason === null ? t('plan.canUndo') : t('plan.noUndo')}
            value={confirm}
            isMono
            isFirst
            onValue={options.onConfirm}
          />
        </form>
      ) : null}
    </div>
  )
}

function isConfirmed({ state, confirm, isForced }: ConfirmOptions): boolean {
  const phase = state.phase.value
  if (phase.is !== 'planned' || phase.isBusy === true || phase.plan.blockers.length > 0) return false
  return confirm === phase.plan.confirmWord && (phase.plan.conflicts.length === 0 || isForced)
}

function Actions(options: ConfirmOptions & { readonly phase: PlanPhase; readonly onClose: () => void }): VNode {
  const { phase, state, confirm, isForced, onClose } = options
  const again = (
    <Button
      icon="refresh"
      onPress={() => {
        options.onConfirm('')
        void state.plan()
      }}
    >
      {t('plan.again')}
    </Button>
  )
  const leave = <Button onPress={onClose}>{phase.is === 'over' ? t('plan.close') : t('plan.cancel')}</Button>
  if (phase.is === 'planning') return leave
  if (phase.is === 'refused') return actions(leave, again)
  if (phase.is === 'running') {
    const stop = (
      <Button kind="danger" icon="pause" onPress={() => void state.stop()}>
        {t('plan.stop')}
      </Button>
    )
    return actions(<Button onPress={onClose}>{t('plan.leave')}</Button>, stop)
  }
  if (phase.is === 'over') {
    const { undoId, noUndoReason } = phase.progress
    if (undoId === null || noUndoReason !== null) return leave
    const undo = (
      <Button
        icon="undo"
        onPress={() => {
          onClose()
          openUndo({ undoId })
        }}
      >
        {t('plan.undo')}
      </Button>
    )
    return actions(undo, leave)
  }
  const isFinal = phase.plan.noUndoReason !== null
  const go = (
    <Button
      kind={isFinal ? 'danger' : 'main'}
      isDisabled={!isConfirmed(options)}
      isBusy={phase.isBusy === true}
      onPress={() => void state.apply(confirm, isForced)}
    >
      {t('plan.apply')}
    </Button>
  )
  return actions(leave, again, phase.plan.blockers.length > 0 ? null : go)
}

function actions(...buttons: readonly (VNode | null)[]): VNode {
  return <>{buttons}</>
}

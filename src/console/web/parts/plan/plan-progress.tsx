/** How far a change is, and what came of it. */

import type { VNode } from 'preact'

import type { ChangeProgress } from '../../../api/changes.ts'
import type { HealthLevel } from '../../../api/common.ts'
import { say, t, type WordKey } from '../../base/words.ts'
import { Health } from '../health.tsx'
import { Icon } from '../icon.tsx'
import { Notes } from './plan-effects.tsx'

/** While it runs: the last line is read out. */
export function ProgressView({ progress }: { readonly progress: ChangeProgress }): VNode {
  return (
    <div class="plan">
      <p class="plan-summary" lang="en">
        {progress.summary}
      </p>
      <Steps progress={progress} />
      <div class="plan-now" role="status">
        <progress class="plan-bar" aria-label={t('plan.running')} />
        <p lang={progress.progress.length === 0 ? undefined : 'en'}>{progress.progress.at(-1) ?? t('plan.running')}</p>
      </div>
      <Lines progress={progress} />
    </div>
  )
}

const outcomes: Readonly<Record<ChangeProgress['state'], { readonly level: HealthLevel; readonly word: WordKey }>> = {
  planned: { level: 'idle', word: 'plan.state.planned' },
  running: { level: 'unknown', word: 'plan.state.lost' },
  done: { level: 'good', word: 'plan.state.done' },
  failed: { level: 'bad', word: 'plan.state.failed' },
  stopped: { level: 'warn', word: 'plan.state.stopped' }
}

/** Afterwards. */
export function ResultView({ progress }: { readonly progress: ChangeProgress }): VNode {
  const { level, word } = outcomes[progress.state]
  return (
    <div class="plan">
      <div class="plan-result" role="status">
        <Health level={level} word={t(word)} />
        <p class="plan-summary" lang="en">
          {progress.result ?? progress.summary}
        </p>
      </div>
      <Steps progress={progress} />
      <Notes title="plan.failures" level="bad" texts={progress.failures} />
      <Lines progress={progress} />
    </div>
  )
}

type StepState = ChangeProgress['steps'][number]['state']

function StepSign({ state }: { readonly state: StepState }): VNode {
  const word = t(`plan.stepState.${state}`)
  if (state === 'done' || state === 'failed') return <Health level={state === 'done' ? 'good' : 'bad'} word={word} />
  return (
    <span class={`state-sign state-sign-${state}`}>
      <Icon name={state === 'running' ? 'play' : 'clock'} size={16} />
      {word}
    </span>
  )
}

function Steps({ progress }: { readonly progress: ChangeProgress }): VNode | null {
  const { steps } = progress
  if (steps.length === 0) return null
  return (
    <ol class="plan-steps" aria-label={t('plan.steps')}>
      {steps.map(({ name, state }) => (
        <li key={name} class={`plan-step plan-step-${state}`} aria-current={state === 'running' ? 'step' : undefined}>
          <StepSign state={state} />
          <span>{say(`plan.step.${name}`)}</span>
        </li>
      ))}
    </ol>
  )
}

function Lines({ progress }: { readonly progress: ChangeProgress }): VNode | null {
  const { progress: lines } = progress
  if (lines.length < 2) return null
  return (
    <details class="plan-lines">
      <summary>{t('plan.lines', { count: lines.length })}</summary>
      <pre lang="en">{lines.join('\n')}</pre>
    </details>
  )
}

/** What would happen: sliders, and a model of the pipeline that answers while they move. */

import './simulate.css'

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { SimulateAnswer, SimulateRequest } from '../../../api/insight.ts'
import { type ApiProblem, asProblem, postJson } from '../../base/api.ts'
import { compact, count, percent, rate, seconds } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { useUniqueId } from '../../base/unique-id.ts'
import { say, t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { LineChart } from '../../parts/line-chart.tsx'
import { Page } from '../../parts/page.tsx'
import { type Slider, SLIDERS, stepOf, STEPS, valueAt } from './sliders.ts'

/** Time that a slider rests before the model is asked, in milliseconds. */
const REST_MS = 150

/** See the module. */
export default function SimulatePage(): VNode {
  const { request, answer, problem, change, reset } = useModel()
  return (
    <Page
      title={t('simulate.title')}
      actions={
        <Button icon="undo" onPress={reset}>
          {t('simulate.reset')}
        </Button>
      }
    >
      <div class="stack">
        <p class="soft">{t('simulate.help')}</p>
        {problem === undefined ? null : <ProblemBox problem={problem} isKept={answer !== undefined} />}
        <div class="simulate">
          <Card title={t('simulate.sliders')}>
            {request === undefined ? (
              <Skeleton height={320} />
            ) : (
              SLIDERS.map(slider => (
                <SliderField key={slider.name} slider={slider} value={request[slider.name]} change={change} />
              ))
            )}
          </Card>
          {answer === undefined ? <Skeleton height={480} /> : <Result answer={answer} />}
        </div>
      </div>
    </Page>
  )
}

interface Model {
  readonly request: SimulateRequest | undefined
  readonly answer: SimulateAnswer | undefined
  readonly problem: ApiProblem | undefined
  readonly change: (part: Partial<SimulateRequest>) => void
  readonly reset: () => void
}

/** Asks again when the sliders have rested; an answer that was overtaken is dropped. */
function useModel(): Model {
  const [request, setRequest] = useState<SimulateRequest | undefined>(undefined)
  const [answer, setAnswer] = useState<SimulateAnswer | undefined>(undefined)
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined)
  const now = useLive<SimulateRequest>('/api/simulate')
  const reset = (): void => setRequest(now.value)
  // The sliders begin where the pipeline is, and stay where the reader puts them.
  useEffect(() => setRequest(set => set ?? now.value), [now.value])
  useEffect(() => {
    if (request === undefined) return undefined
    const overtaken = new AbortController()
    const timer = setTimeout(() => {
      postJson<SimulateAnswer>('/api/simulate', request, overtaken.signal).then(
        said => {
          setAnswer(said)
          setProblem(undefined)
        },
        (error: unknown) => {
          if (!overtaken.signal.aborted) setProblem(asProblem(error))
        }
      )
    }, REST_MS)
    return () => {
      clearTimeout(timer)
      overtaken.abort()
    }
  }, [request])
  const change = (part: Partial<SimulateRequest>): void =>
    setRequest(now => (now === undefined ? now : { ...now, ...part }))
  return { request, answer, problem: problem ?? now.problem, change, reset }
}

function SliderField(options: {
  readonly slider: Slider
  readonly value: number
  readonly change: (part: Partial<SimulateRequest>) => void
}): VNode {
  const { slider, value, change } = options
  const id = useUniqueId()
  const text = valueText(slider, value)
  return (
    <div class="slider">
      <label for={id}>{t(`simulate.${slider.name}`)}</label>
      <output for={id}>{text}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        value={stepOf(slider, value)}
        aria-valuetext={text}
        onInput={event => change({ [slider.name]: valueAt(slider, Number(event.currentTarget.value)) })}
      />
    </div>
  )
}

function valueText({ unit }: Slider, value: number): string {
  if (unit === 'ms') return seconds(value / 1000)
  return unit === 'seconds' ? seconds(value) : count(Math.round(value))
}

function Result({ answer }: { readonly answer: SimulateAnswer }): VNode {
  return (
    <Card title={t('simulate.result')}>
      <dl class="simulate-figures">
        <Figure name={t('simulate.capacity')} value={rate(answer.capacityPerSecond)} />
        <Figure name={t('simulate.utilisation')} value={percent(answer.utilisation)} />
        <Figure name={t('simulate.peakLag')} value={compact(Math.round(answer.peakLag))} />
        <Figure name={t('simulate.peakSeconds')} value={seconds(answer.peakLagSeconds)} />
        <Figure name={t('simulate.drain')} value={drainText(answer)} />
      </dl>
      <div class="simulate-said" role="status">
        {answer.summary.map(({ key, values }) => (
          <p key={key}>{say(key, rounded(values))}</p>
        ))}
      </div>
      <Charts answer={answer} />
      <p class="soft">{t('simulate.took', { time: seconds(answer.tookMs / 1000) })}</p>
    </Card>
  )
}

function Figure({ name, value }: { readonly name: string; readonly value: string }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function drainText({ drainSeconds, request }: SimulateAnswer): string {
  if (drainSeconds === null) return t('simulate.never')
  return request.outageSeconds === 0 ? '–' : seconds(drainSeconds)
}

/** A model has no fractions of records to tell. */
function rounded(values: Readonly<Record<string, string | number>>): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'number' ? Math.round(value) : value])
  )
}

function Charts({ answer }: { readonly answer: SimulateAnswer }): VNode {
  return (
    <>
      <h3>{t('simulate.lag')}</h3>
      <LineChart
        label={t('simulate.lag')}
        times={answer.timesS}
        lines={[{ name: t('simulate.lag'), values: answer.lag }]}
        format={value => compact(Math.round(value))}
        formatX={seconds}
        height={200}
      />
      <h3>{t('simulate.rates')}</h3>
      <LineChart
        label={t('simulate.rates')}
        times={answer.timesS}
        lines={[
          { name: t('simulate.arrival'), values: answer.arrival, colour: 1 },
          { name: t('simulate.service'), values: answer.service, colour: 2 }
        ]}
        format={rate}
        formatX={seconds}
        height={160}
      />
    </>
  )
}

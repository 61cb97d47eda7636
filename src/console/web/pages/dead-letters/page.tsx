/** Dead letters: why they are there, by class; redriven one by one, as chosen, or all that fit. */

import '../../parts/records/records.css'

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { DeadLetterRow, DeadLetters } from '../../../api/records.ts'
import { type ApiProblem, asProblem, getJson } from '../../base/api.ts'
import { count } from '../../base/format.ts'
import { useQuery } from '../../base/router.ts'
import { canChange } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { FreshnessStamp, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Field, Select } from '../../parts/field.tsx'
import { Page } from '../../parts/page.tsx'
import { openPlan } from '../../parts/plan/index.ts'
import { shapeOf } from '../../parts/records/shapes.ts'
import { LettersTable } from './letters-table.tsx'
import { openRedriveForm } from './redrive-form.tsx'

const defaults = { topic: '', class: '', origin: '', find: '', shape: 'auto' }
const LIMIT = 500

/** See the module. */
export default function DeadLettersPage(): VNode {
  const [query, setQuery] = useQuery(defaults)
  const [turn, setTurn] = useState(0)
  const { answer, problem, isReading } = useLetters(query, turn)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => setChosen(new Set()), [answer?.topic, query.class, query.origin, query.find])
  const again = (): void => setTurn(turn + 1)
  const refresh = (
    <Button icon="refresh" isBusy={isReading} onPress={again}>
      {t('letters.refresh')}
    </Button>
  )
  return (
    <Page
      title={t('letters.title')}
      aside={answer === undefined ? null : <FreshnessStamp freshness={answer.freshness} />}
      actions={refresh}
    >
      {problem === undefined ? null : <ProblemBox problem={problem} isKept={answer !== undefined} onRetry={again} />}
      {answer === undefined ? (
        problem === undefined ? (
          <Skeleton height={240} />
        ) : null
      ) : (
        <>
          <Card>
            <Filters query={query} answer={answer} onQuery={setQuery} />
          </Card>
          <Card isFlush>
            <Actions query={query} answer={answer} chosen={chosen} onDone={again} />
            <LettersTable
              letters={answer.letters.rows}
              topic={answer.topic}
              chosen={chosen}
              onChosen={setChosen}
              shape={shapeOf(query.shape)}
              onShape={shape => setQuery({ shape })}
              onRedrive={letter => redriveSome(answer.topic, [letter], again)}
            />
          </Card>
        </>
      )}
    </Page>
  )
}

type Query = typeof defaults

function useLetters(
  query: Query,
  turn: number
): {
  readonly answer: DeadLetters | undefined
  readonly problem: ApiProblem | undefined
  readonly isReading: boolean
} {
  const [answer, setAnswer] = useState<DeadLetters | undefined>(undefined)
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined)
  const [isReading, setReading] = useState(false)
  const given = Object.entries(query).filter(([, value]) => value !== '')
  const address = new URLSearchParams({ ...Object.fromEntries(given), limit: String(LIMIT) }).toString()
  useEffect(() => {
    const cancel = new AbortController()
    setReading(true)
    getJson<DeadLetters>(`/api/dead-letters?${address}`, cancel.signal)
      .then(
        found => {
          setAnswer(found)
          setProblem(undefined)
        },
        (error: unknown) => {
          if (!cancel.signal.aborted) setProblem(asProblem(error))
        }
      )
      .finally(() => setReading(false))
    return () => cancel.abort()
  }, [address, turn])
  return { answer, problem, isReading }
}

function Filters(options: {
  readonly query: Query
  readonly answer: DeadLetters
  readonly onQuery: (change: Partial<Query>) => void
}): VNode {
  const { query, answer, onQuery } = options
  const [find, setFind] = useState(query.find)
  const topics = [...new Set([...answer.topics, answer.topic])]
  const total = answer.classes.reduce((sum, each) => sum + each.count, 0)
  return (
    <form
      class="stack"
      onSubmit={event => {
        event.preventDefault()
        onQuery({ find })
      }}
    >
      <div class="records-form">
        <Select
          label={t('letters.topic')}
          value={answer.topic}
          choices={topics.map(value => ({ value, text: value }))}
          onValue={topic => onQuery({ topic, class: '', origin: '' })}
        />
        <Select
          label={t('letters.origin')}
          value={query.origin}
          choices={[
            { value: '', text: t('letters.allOrigins') },
            ...answer.origins.map(each => ({ value: each.topic, text: `${each.topic} (${count(each.count)})` }))
          ]}
          onValue={origin => onQuery({ origin })}
        />
        <Field
          label={t('records.find')}
          type="search"
          placeholder={t('letters.find.hint')}
          value={find}
          onValue={setFind}
        />
        <Button type="submit" icon="search">
          {t('records.search')}
        </Button>
      </div>
      <div class="letter-classes" role="group" aria-label={t('letters.classes')}>
        <Button isPressed={query.class === ''} onPress={() => onQuery({ class: '' })}>
          {t('letters.all')} <span class="soft">{count(total)}</span>
        </Button>
        {answer.classes.map(each => (
          <Button
            key={each.class}
            isPressed={query.class === each.class}
            onPress={() => onQuery({ class: each.class })}
          >
            {each.class === '' ? t('letters.noClass') : each.class} <span class="soft">{count(each.count)}</span>
          </Button>
        ))}
      </div>
    </form>
  )
}

function Actions(options: {
  readonly query: Query
  readonly answer: DeadLetters
  readonly chosen: ReadonlySet<string>
  readonly onDone: () => void
}): VNode {
  const { query, answer, chosen, onDone } = options
  const { letters, looked, isComplete, topic } = answer
  const some = letters.rows.filter(row => chosen.has(letterKey(row)))
  const isAllowed = canChange.value
  const why = isAllowed ? {} : { title: t('letters.viewer') }
  const filter = {
    ...(query.class === '' ? {} : { class: query.class }),
    ...(query.origin === '' ? {} : { originTopic: query.origin })
  }
  return (
    <div class="records-state">
      <span>{t('letters.found', { count: letters.total })}</span>
      <span class="soft">
        {isComplete ? t('letters.allLooked', { count: looked }) : t('letters.someLooked', { count: looked })}
      </span>
      <span class="records-state-end row">
        <Button
          icon="retries"
          isDisabled={!isAllowed || some.length === 0}
          {...why}
          onPress={() => redriveSome(topic, some, onDone)}
        >
          {some.length === 0 ? t('letters.redriveNone') : t('letters.redriveChosen', { count: some.length })}
        </Button>
        <Button
          kind="main"
          icon="retries"
          isDisabled={!isAllowed || letters.total === 0 || query.find !== ''}
          {...(query.find === '' ? why : { title: t('letters.findNoAll') })}
          onPress={() => openRedriveForm({ topic, filter, onDone })}
        >
          {t('letters.redriveAll')}
        </Button>
      </span>
    </div>
  )
}

function letterKey({ partition, offset }: Pick<DeadLetterRow, 'partition' | 'offset'>): string {
  return `${partition}@${offset}`
}

function redriveSome(topic: string, rows: readonly DeadLetterRow[], onDone: () => void): void {
  const letters = rows.map(({ partition, offset }) => ({ partition, offset }))
  openPlan({ kind: 'redrive', topic, filter: { letters }, ratePerSecond: null }, { onDone })
}

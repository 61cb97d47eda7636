/** What the pipeline costs as it is, elsewhere, and with other batches. */

import './cost.css'

import type { VNode } from 'preact'

import type { CostAnswer } from '../../../api/insight.ts'
import { count, money, percent, seconds } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { useQuery } from '../../base/router.ts'
import { isWordKey, t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Field, Select } from '../../parts/field.tsx'
import { Page } from '../../parts/page.tsx'
import { PlainTable } from '../../parts/plain-table.tsx'

const CLUSTERS = ['standard', 'express', 'serverless', 'self'] as const
const INVOKERS = ['dispatcher', 'mapping', 'mappingProvisioned'] as const
/** An empty value = as the pipeline is. */
const AS_IT_IS = { recordsPerSecond: '', recordBytes: '', batch: '', cluster: '', invoker: '' }

type Asked = typeof AS_IT_IS

/** See the module. */
export default function CostPage(): VNode {
  const [asked, ask] = useQuery(AS_IT_IS)
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== '')).toString()
  const { value, problem } = useLive<CostAnswer>(`/api/cost${query === '' ? '' : `?${query}`}`)
  return (
    <Page title={t('cost.title')}>
      <div class="stack">
        {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
        <Card
          title={t('cost.load')}
          actions={
            query === '' ? undefined : (
              <Button kind="quiet" icon="undo" onPress={() => ask(AS_IT_IS)}>
                {t('cost.reset')}
              </Button>
            )
          }
        >
          <Load asked={asked} ask={ask} load={value?.load} />
        </Card>
        {value === undefined ? <Skeleton height={320} /> : <Bill cost={value} />}
      </div>
    </Page>
  )
}

function Load(options: {
  readonly asked: Asked
  readonly ask: (change: Partial<Asked>) => void
  readonly load: CostAnswer['load'] | undefined
}): VNode {
  const { asked, ask, load } = options
  const number = (name: 'recordsPerSecond' | 'recordBytes' | 'batch') => ({
    type: 'number' as const,
    min: 1,
    value: asked[name],
    placeholder: load === undefined ? '' : String(Math.round(load[name])),
    onValue: (text: string) => ask({ [name]: text })
  })
  const kept = { value: '', text: t('cost.reset') } as const
  const rateHelp = load?.isMeasured === true ? { help: t('cost.rate.measured') } : {}
  return (
    <div class="cost-form">
      <Field label={t('cost.rate')} {...rateHelp} {...number('recordsPerSecond')} />
      <Field label={t('cost.size')} {...number('recordBytes')} />
      <Field label={t('cost.batch')} {...number('batch')} />
      <Select
        label={t('cost.cluster')}
        value={asked.cluster}
        onValue={cluster => ask({ cluster })}
        choices={[kept, ...CLUSTERS.map(value => ({ value, text: t(`cost.cluster.${value}`) }))]}
      />
      <Select
        label={t('cost.invoker')}
        value={asked.invoker}
        onValue={invoker => ask({ invoker })}
        choices={[kept, ...INVOKERS.map(value => ({ value, text: t(`cost.invoker.${value}`) }))]}
      />
    </div>
  )
}

function Bill({ cost }: { readonly cost: CostAnswer }): VNode {
  return (
    <>
      <Card>
        <dl class="cost-figures">
          <div class="figure">
            <dt>{t('cost.month')}</dt>
            <dd>{money(cost.monthly)}</dd>
          </div>
          <div class="figure">
            <dt>{t('cost.million')}</dt>
            <dd>{money(cost.perMillion)}</dd>
          </div>
        </dl>
        <p class="soft">{t('cost.prices', { region: cost.region, day: cost.pricesOf })}</p>
      </Card>
      <Card title={t('cost.bill')} isFlush>
        <Lines lines={cost.lines} />
      </Card>
      <Card title={t('cost.alternatives')} isFlush>
        <Alternatives cost={cost} />
      </Card>
      <Card title={t('cost.batches')} isFlush>
        <Batches cost={cost} />
      </Card>
      <Card title={t('cost.notes')}>
        <ul class="cost-notes" lang="en">
          {[cost.batchReason, ...cost.assumptions].map(note => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      </Card>
    </>
  )
}

function Lines({ lines }: { readonly lines: CostAnswer['lines'] }): VNode {
  return (
    <PlainTable
      label={t('cost.bill')}
      rows={lines}
      rowKey={line => `${line.area} ${line.item}`}
      columns={[
        { title: t('cost.area'), cell: line => t(`cost.area.${line.area}`) },
        { title: t('cost.item'), cell: line => <span lang="en">{line.item}</span> },
        { title: t('cost.quantity'), cell: line => `${count(Math.round(line.quantity))} ${line.unit}`, isNumber: true },
        { title: t('cost.price'), cell: line => unitPrice(line.unitPrice), isNumber: true },
        { title: t('cost.monthly'), cell: line => money(line.monthly), isNumber: true }
      ]}
    />
  )
}

/** Prices of a unit have up to ten digits behind the point: a GB-second costs 0.0000166667. */
function unitPrice(price: number): string {
  return price >= 0.01 ? money(price) : price.toPrecision(4)
}

function Batches({ cost }: { readonly cost: CostAnswer }): VNode {
  return (
    <PlainTable
      label={t('cost.batches')}
      rows={cost.batchAdvice}
      rowKey={row => String(row.batchRecords)}
      isChosen={row => row.isAdvised}
      columns={[
        {
          title: t('cost.batch'),
          cell: row => (
            <span class="row">
              {count(row.batchRecords)} {row.isAdvised ? <Badge level="good">{t('cost.advised')}</Badge> : null}
            </span>
          )
        },
        { title: t('cost.filled'), cell: row => count(Math.round(row.filledRecords)), isNumber: true },
        { title: t('cost.waits'), cell: row => seconds(row.waitMs / 1000), isNumber: true },
        { title: t('cost.monthly'), cell: row => money(row.monthly), isNumber: true }
      ]}
    />
  )
}

function Alternatives({ cost }: { readonly cost: CostAnswer }): VNode {
  const { load, monthly } = cost
  return (
    <PlainTable
      label={t('cost.alternatives')}
      rows={cost.alternatives}
      rowKey={row => `${row.cluster} ${row.invoker}`}
      isChosen={row => row.cluster === load.cluster && row.invoker === load.invoker}
      columns={[
        { title: t('cost.cluster'), cell: row => nameOf('cost.cluster', row.cluster) },
        { title: t('cost.invoker'), cell: row => nameOf('cost.invoker', row.invoker) },
        { title: t('cost.monthly'), cell: row => money(row.monthly), isNumber: true },
        { title: t('cost.difference'), cell: row => differenceText(row.difference, monthly), isNumber: true }
      ]}
    />
  )
}

function nameOf(area: string, name: string): string {
  const key = `${area}.${name}`
  return isWordKey(key) ? t(key) : name
}

function differenceText(difference: number, monthly: number): string {
  const share = monthly === 0 ? 0 : difference / monthly
  return `${difference > 0 ? '+' : ''}${percent(share)}`
}

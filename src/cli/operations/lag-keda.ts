/** `comporta lag --keda` and `--listen`: what autoscalers make of lag. */

import { PipelineError, systemClock } from '../../core/index.ts'
import type { KedaGroupView, KedaOptions, LagReport, LagServer } from '../../ops/index.ts'
import { perSecond } from './format.ts'
import { tableOf } from './table.ts'

const portMax = 65_535

/** Options of KEDA's trigger as text: `lagThreshold=50,topic=orders`. */
export interface KedaQuestion {
  readonly options: KedaOptions
  readonly drainSeconds: number
}

/** @throws PipelineError `ERR_OPS_KEDA_INVALID` for what KEDA would refuse. */
export async function kedaQuestion(text: string | true): Promise<KedaQuestion> {
  const { readKedaOptions } = await import('../../ops/index.ts')
  // A list of partitions has commas of its own: a part without "=" belongs to the one before.
  const parts = text === true ? [] : text.split(/,(?=[A-Za-z]+=)/)
  const pairs = parts.map((part): [string, string] => {
    const [name = '', ...value] = part.split('=')
    return [name.trim(), value.join('=').trim()]
  })
  return readKedaOptions(new URLSearchParams(pairs))
}

/** What KEDA remembers between looks, by group. */
export type KedaMemory = Map<string, ReadonlyMap<string, bigint>>

/** The view of each group; the memory is brought up to date. */
export async function kedaViews(
  report: LagReport,
  { options, drainSeconds }: KedaQuestion,
  memory: KedaMemory
): Promise<KedaGroupView[]> {
  const { kedaDecisionOf, kedaView } = await import('../../ops/index.ts')
  return report.groups.map(group => {
    const decision = kedaDecisionOf(group, options, memory.get(group.groupId))
    memory.set(group.groupId, decision.offsets)
    return kedaView(group, { decision, drainSeconds })
  })
}

/** A table of them. */
export function kedaText(views: readonly KedaGroupView[]): string {
  const text = (value: number | null): string => (value === null ? '–' : String(value))
  return tableOf(
    [
      { title: 'GROUP', text: view => view.group },
      { title: 'METRIC', text: view => String(view.kedaMetric), align: 'right' },
      { title: 'ACTIVE', text: view => (view.isActive ? 'yes' : 'no') },
      { title: 'REPLICAS', text: view => String(view.kedaReplicas), align: 'right' },
      { title: 'MEMBERS', text: view => String(view.members), align: 'right' },
      { title: 'BY DRAIN TIME', text: view => text(view.drainReplicas), align: 'right' },
      { title: 'IN', text: view => perSecond(view.arrivalRate ?? undefined), align: 'right' },
      { title: 'WHY', text: view => view.kedaReason }
    ],
    views
  )
}

/** Starts the endpoint on loopback. */
export async function listenForLag(text: string, cluster: string, everyMs: number): Promise<LagServer> {
  const found = /^(?:\[?([^\]]+?)\]?:)?(\d{1,5})$/.exec(text)
  const port = Number(found?.[2])
  if (found === null || port > portMax) {
    throw new PipelineError('ERR_CLI_USAGE', `--listen: ${text} is neither a port nor host:port`)
  }
  const { startLagServer } = await import('../../ops/index.ts')
  const [, host] = found
  return await startLagServer({
    clock: systemClock,
    port,
    cluster,
    // Two looks may fail before the endpoint falls silent.
    ageMsMax: Math.max(15_000, everyMs * 3),
    ...(host === undefined ? {} : { host })
  })
}

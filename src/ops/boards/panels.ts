/** Panels that several dashboards have, and the words they are made of. */

import type { BoardPanel, BoardQuery, BoardVariable } from './board-types.ts'
import { by, type Matchers, quantile, rate, series } from './query.ts'

/** Grafana's window for rates. */
export const WINDOW = '$__rate_interval'

/** The groups that are chosen. */
export const GROUP: Matchers = { group: '=~$group' }
/** The jobs that are chosen. */
export const JOB: Matchers = { job: '=~$job' }

/** Choice of groups. */
export const groupVariable: BoardVariable = {
  name: 'group',
  label: 'Group',
  metric: 'comporta.dispatcher.partitions',
  of: 'group'
}
/** Choice of jobs of Prometheus. */
export const jobVariable: BoardVariable = { name: 'job', label: 'Job', metric: 'process.uptime', of: 'job' }

/** A query with a legend. */
export function line(expression: string, legend?: string): BoardQuery {
  return legend === undefined ? { expression } : { expression, legend }
}

/** Records per second that left their batch, by what became of them. */
export const doneByResult: BoardPanel = {
  title: 'Records finished',
  description:
    'Records that left their batch, by what became of them. Anything but delivered and filtered needs a look.',
  kind: 'timeseries',
  unit: 'cps',
  isStacked: true,
  queries: [line(by('sum', ['result'], rate(series('comporta.dispatcher.records', GROUP), WINDOW)), '{{result}}')]
}

/** Unread records by group. */
export const lagRecords: BoardPanel = {
  title: 'Lag',
  description: 'Unread records: between the committed offset and the end of each partition.',
  kind: 'timeseries',
  unit: 'short',
  queries: [line(by('sum', ['group', 'topic'], series('comporta.dispatcher.topic_lag', GROUP)), '{{group}} {{topic}}')]
}

/** Age of the oldest unread record by group. */
export const lagSeconds: BoardPanel = {
  title: 'Lag in seconds',
  description: 'Age of the oldest record that is not committed: what users of the pipeline feel.',
  kind: 'timeseries',
  unit: 's',
  queries: [
    line(by('max', ['group', 'topic'], series('comporta.dispatcher.topic_lag_seconds', GROUP)), '{{group}} {{topic}}')
  ]
}

/** Percentiles of an invocation. */
export const invokeLatency: BoardPanel = {
  title: 'Invocation',
  description: 'From sending a batch to its outcome: half, 95 and 99 of 100 invocations are faster.',
  kind: 'timeseries',
  unit: 'ms',
  queries: [0.5, 0.95, 0.99].map(share =>
    line(
      quantile(share, 'comporta.dispatcher.invoke.duration', { matchers: GROUP, window: WINDOW }),
      `p${Math.round(share * 100)}`
    )
  )
}

/** Whether a target is down. */
export const breakerState: BoardPanel = {
  title: 'Breaker',
  description: 'Open = the target is down: the intake rests, lag grows, nothing is lost.',
  kind: 'state',
  unit: 'bool_yes_no',
  thresholds: { bad: 1 },
  queries: [
    line(by('max', ['group', 'target'], series('comporta.dispatcher.breaker_open', GROUP)), '{{group}} → {{target}}')
  ]
}

/** Dead letters by class of error. */
export const deadLetters: BoardPanel = {
  title: 'Dead letters',
  description: 'Records put aside, by the class of their error. See: comporta redrive --dry-run.',
  kind: 'bars',
  unit: 'short',
  queries: [
    line(
      by('sum', ['group', 'class'], `increase(${series('comporta.dispatcher.dead_letters', GROUP)}[${WINDOW}])`),
      '{{group}} {{class}}'
    )
  ]
}

/** CPU, memory and event loop of the chosen processes. */
export const processPanels: readonly BoardPanel[] = [
  {
    title: 'Processor',
    description: 'Processor time in use; 100 % is one core.',
    kind: 'timeseries',
    unit: 'percentunit',
    queries: [
      line(by('sum', ['job', 'instance'], rate(series('process.cpu.time', JOB), WINDOW)), '{{job}} {{instance}}')
    ]
  },
  {
    title: 'Memory',
    description: 'Resident memory. It does not grow with backlog: a line that climbs for hours is worth a look.',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [line(series('process.memory.usage', JOB), '{{job}} {{instance}}')]
  },
  {
    title: 'Event loop delay (p99)',
    description: 'Above half a second heartbeats and probes come late.',
    kind: 'timeseries',
    unit: 's',
    thresholds: { warn: 0.1, bad: 0.5 },
    queries: [line(series('nodejs.eventloop.delay.p99', JOB), '{{job}} {{instance}}')]
  }
]

/** Dashboards of groups: overview, dispatcher, lag and objectives. */

import { BURN_RULES } from '../slo/burn-rates.ts'
import type { HealthThresholds } from '../slo/conditions.ts'
import type { Board, BoardPanel, BoardUnit } from './board-types.ts'
import { durationOf } from './objective-rules.ts'
import {
  breakerState,
  deadLetters,
  doneByResult,
  GROUP,
  groupVariable,
  invokeLatency,
  JOB,
  jobVariable,
  lagRecords,
  lagSeconds,
  line,
  processPanels,
  WINDOW
} from './panels.ts'
import { by, increase, quantile, rate, series } from './query.ts'
import type { BoardSettings } from './settings.ts'

function stat(panel: Omit<BoardPanel, 'kind'>): BoardPanel {
  return { kind: 'stat', width: 4, height: 4, ...panel }
}

/** Everything at a glance: what comes in, what goes out, what is wrong. */
export function overviewBoard({ health }: BoardSettings): Board {
  return {
    id: 'overview',
    title: 'overview',
    description: 'What comes in, what goes out, what waits, and what is wrong.',
    variables: [groupVariable, jobVariable],
    rows: [
      { title: 'Now', panels: nowPanels(health) },
      { title: 'Flow', panels: overviewFlow },
      { title: 'Processes', panels: processPanels }
    ]
  }
}

const events = (outcome: string): string => by('sum', [], rate(series('comporta.producer.events', { outcome }), WINDOW))
const records = (result: string): string =>
  by('sum', [], rate(series('comporta.dispatcher.records', { ...GROUP, result }), WINDOW))

function nowPanels(health: HealthThresholds): BoardPanel[] {
  return [
    stat({
      title: 'Events in',
      description: 'Events that producers wrote.',
      unit: 'cps',
      queries: [line(events('delivered'))]
    }),
    stat({
      title: 'Records out',
      description: 'Records that targets have taken.',
      unit: 'cps',
      queries: [line(records('delivered'))]
    }),
    stat({
      title: 'Lag',
      description: 'Unread records of all chosen groups.',
      unit: 'short',
      thresholds: { warn: health.lagRecords / 10, bad: health.lagRecords },
      queries: [line(by('sum', [], series('comporta.dispatcher.topic_lag', GROUP)))]
    }),
    stat({
      title: 'Oldest unread',
      description: 'Age of the oldest unread record.',
      unit: 'dtdurations',
      queries: [line(by('max', [], series('comporta.dispatcher.topic_lag_seconds', GROUP)))]
    }),
    stat({
      title: 'Dead letters, 24 h',
      description: 'Records put aside within a day.',
      unit: 'short',
      thresholds: { warn: 1, bad: 100 },
      queries: [line(by('sum', [], increase(series('comporta.dispatcher.dead_letters', GROUP), '24h')))]
    }),
    stat({
      title: 'Targets down',
      description: 'Open breakers.',
      unit: 'none',
      thresholds: { bad: 1 },
      queries: [line(by('sum', [], `max by (group, target) (${series('comporta.dispatcher.breaker_open', GROUP)})`))]
    })
  ]
}

const overviewFlow: readonly BoardPanel[] = [
  {
    title: 'In and out',
    description: 'Out below in for long: lag grows.',
    kind: 'timeseries',
    unit: 'cps',
    width: 12,
    queries: [line(events('delivered'), 'in'), line(records('delivered'), 'out')]
  },
  { ...lagSeconds, width: 12 },
  doneByResult,
  lagRecords,
  deadLetters,
  { ...breakerState, width: 12 },
  { ...invokeLatency, width: 12 }
]

/** One group in depth. */
export function dispatcherBoard(): Board {
  return {
    id: 'dispatcher',
    title: 'dispatcher',
    description: 'Batches, invocations, backpressure, rebalances and commits of a group.',
    variables: [groupVariable, jobVariable],
    rows: [
      { title: 'Work', panels: [doneByResult, lagSeconds, invokeLatency, ...batchPanels()] },
      { title: 'What holds it back', panels: flowPanels },
      { title: 'Group', panels: groupPanels },
      { title: 'Failures', panels: [deadLetters, ...failurePanels] },
      { title: 'Processes', panels: processPanels }
    ]
  }
}

function batchPanels(): BoardPanel[] {
  const heat = ([title, description]: readonly [string, string], query: string, unit: BoardUnit): BoardPanel => ({
    title,
    description,
    kind: 'heatmap',
    unit,
    queries: [line(query, '{{le}}')]
  })
  const buckets = (selector: string): string => by('sum', ['le'], increase(selector, WINDOW))
  return [
    heat(
      [
        'Records of a batch',
        'Small batches although many records wait: bytesMax or the target’s body limit closes them.'
      ],
      buckets(series('comporta.dispatcher.batch.records', GROUP, '_bucket')),
      'short'
    ),
    heat(
      ['Bytes of a batch', 'Encoded size when a batch is first sent.'],
      buckets(series('comporta.dispatcher.batch.bytes', GROUP, '_bucket')),
      'bytes'
    ),
    heat(
      ['Age of a batch', 'Age of its oldest record when it begins: lag as each batch finds it.'],
      buckets(series('comporta.dispatcher.batch.age', GROUP, '_bucket')),
      's'
    )
  ]
}

const flowPanels: readonly BoardPanel[] = [
  breakerState,
  {
    title: 'Held up',
    description: 'Partitions with work that stand still for a reason.',
    kind: 'timeseries',
    unit: 'short',
    isStacked: true,
    queries: [line(by('sum', ['reason'], series('comporta.dispatcher.held_up', GROUP)), '{{reason}}')]
  },
  {
    title: 'Stood still',
    description: 'Longest time without progress that nothing explains. At progressTimeoutMs the dispatcher ends.',
    kind: 'timeseries',
    unit: 'ms',
    thresholds: { bad: 60_000 },
    queries: [
      line(by('max', ['group', 'instance'], series('comporta.dispatcher.stood_still_ms', GROUP)), '{{instance}}')
    ]
  },
  {
    title: 'Invocations at once',
    description: 'Under way against what is allowed now; the adaptive limit moves with the target.',
    kind: 'timeseries',
    unit: 'short',
    queries: [
      line(by('sum', ['group'], series('comporta.dispatcher.in_flight', GROUP)), '{{group}} batches under way'),
      line(by('sum', ['target'], series('comporta.dispatcher.concurrency_limit', GROUP)), '{{target}} limit'),
      line(
        by('sum', ['target', 'mode'], series('comporta.dispatcher.adaptive_limit', GROUP)),
        '{{target}} adaptive ({{mode}})'
      )
    ]
  },
  {
    title: 'Waiting for leave',
    description: 'How long the first in line has waited, by class of priority.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [
      line(by('max', ['target', 'class'], series('comporta.dispatcher.oldest_wait_ms', GROUP)), '{{target}} {{class}}')
    ]
  },
  {
    title: 'Buffered',
    description: 'Bytes fetched and not in a batch yet: bounded by bufferBytes.',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [line(by('sum', ['group', 'instance'], series('comporta.dispatcher.buffered', GROUP)), '{{instance}}')]
  }
]

const groupPanels: readonly BoardPanel[] = [
  {
    title: 'Partitions by instance',
    description: 'How the group is shared out. A step is a rebalance.',
    kind: 'timeseries',
    unit: 'short',
    isStacked: true,
    queries: [line(series('comporta.dispatcher.partitions', GROUP), '{{instance}}')]
  },
  {
    title: 'Rebalances',
    description: 'Rebalances that succeeded and failed.',
    kind: 'bars',
    unit: 'short',
    queries: [
      line(by('sum', ['group'], increase(series('kafka.consumer.rebalance_total', GROUP), WINDOW)), '{{group}}'),
      line(
        by('sum', ['group'], increase(series('kafka.consumer.failed_rebalance_total', GROUP), WINDOW)),
        '{{group}} failed'
      )
    ]
  },
  {
    title: 'Rebalance and hand-over',
    description: 'Longest time until a member has its partitions, and longest standstill of those it gives back.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [
      line(by('max', ['group'], series('kafka.consumer.rebalance_latency_max', GROUP)), '{{group}} rebalance'),
      line(by('max', ['group'], series('kafka.consumer.partition_revoked_latency_max', GROUP)), '{{group}} hand-over')
    ]
  },
  {
    title: 'Commits',
    description: 'Time of a commit. Late commits hold deliveries back.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [line(by('max', ['group'], series('kafka.consumer.commit_latency_max', GROUP)), '{{group}} longest')]
  },
  {
    title: 'Fetches',
    description: 'Time of a fetch, its wait for records included.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [line(by('max', ['job', 'instance'], series('kafka.consumer.fetch_latency_max', JOB)), '{{instance}}')]
  },
  {
    title: 'Last heartbeat',
    description: 'Seconds since the coordinator heard of a member. Beyond the session timeout it is thrown out.',
    kind: 'timeseries',
    unit: 's',
    thresholds: { warn: 15, bad: 30 },
    queries: [line(by('max', ['instance'], series('kafka.consumer.last_heartbeat_seconds_ago', GROUP)), '{{instance}}')]
  }
]

const failurePanels: readonly BoardPanel[] = [
  {
    title: 'Outcomes of invocations',
    description: 'unavailable opens the breaker; rejected and partial are retried, bisected, put aside.',
    kind: 'timeseries',
    unit: 'ops',
    isStacked: true,
    queries: [
      line(
        by('sum', ['outcome'], rate(series('comporta.dispatcher.invoke.duration', GROUP, '_count'), WINDOW)),
        '{{outcome}}'
      )
    ]
  },
  {
    title: 'Retries and parked records',
    description: 'Records sent again at once, and records put into retry topics.',
    kind: 'timeseries',
    unit: 'cps',
    queries: [
      line(by('sum', ['group'], rate(series('comporta.dispatcher.retries', GROUP), WINDOW)), '{{group}} sent again'),
      line(
        by('sum', ['topic', 'tier'], rate(series('comporta.dispatcher.parked', GROUP), WINDOW)),
        '{{topic}} tier {{tier}}'
      )
    ]
  }
]

/** Lag against what is promised. */
export function lagBoard(settings: BoardSettings): Board {
  return {
    id: 'lag',
    title: 'lag and objectives',
    description: 'Lag in records and seconds, by topic and partition, and what is left of the error budgets.',
    variables: [groupVariable, jobVariable],
    rows: [
      {
        title: 'Objectives (need the recording rules of comporta dashboards prometheus)',
        panels: objectivePanels
      },
      { title: 'Lag', panels: lagPanels(settings) }
    ]
  }
}

const burnWindows = BURN_RULES.map(({ longMs }) => durationOf(longMs))

const objectivePanels: readonly BoardPanel[] = [
  {
    title: 'Budget left',
    description: 'Share of the error budget of the whole window that is left.',
    kind: 'stat',
    unit: 'percentunit',
    width: 8,
    height: 6,
    thresholds: { warn: 0.5, bad: 0.1, isLow: true },
    queries: [line('comporta:budget_left:ratio{group=~"$group"}', '{{slo}}')]
  },
  {
    title: 'Burn rate',
    description: 'Above 14.4 over an hour, or 6 over six hours, somebody is woken.',
    kind: 'timeseries',
    unit: 'none',
    width: 16,
    height: 6,
    thresholds: { warn: 1, bad: 6 },
    queries: burnWindows.map(window => line(`comporta:burn:rate${window}{group=~"$group"}`, `{{slo}} ${window}`))
  }
]

function lagPanels({ objectives, health }: BoardSettings): BoardPanel[] {
  const [first] = objectives
  const bound = first === undefined ? {} : { thresholds: { bad: first.lagSeconds } }
  return [
    { ...lagSeconds, ...bound, width: 12 },
    { ...lagRecords, thresholds: { warn: health.lagRecords / 10, bad: health.lagRecords }, width: 12 },
    {
      title: 'Lag by partition',
      description: 'One line far above the others: a hot key.',
      kind: 'timeseries',
      unit: 'short',
      width: 12,
      queries: [
        line(
          `topk(20, ${by('max', ['topic', 'partition'], series('comporta.dispatcher.lag', GROUP))})`,
          '{{topic}}-{{partition}}'
        )
      ]
    },
    {
      title: 'In and out by topic',
      description: 'Records put into batches per second.',
      kind: 'timeseries',
      unit: 'cps',
      width: 12,
      queries: [
        line(by('sum', ['topic'], rate(series('kafka.consumer.records_consumed_total', GROUP), WINDOW)), '{{topic}}')
      ]
    },
    {
      title: 'From record to target (p95)',
      description: 'Time from the leave to send a batch until all its records have left, retries included.',
      kind: 'timeseries',
      unit: 's',
      width: 12,
      queries: [
        line(
          quantile(0.95, 'messaging.process.duration', {
            matchers: { messaging_consumer_group_name: '=~$group' },
            by: ['messaging_destination_name'],
            window: WINDOW
          }),
          '{{messaging_destination_name}}'
        )
      ]
    }
  ]
}

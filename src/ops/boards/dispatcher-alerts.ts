/** Alerts of dispatchers: what stands still, what fails, what runs away. */

import type { AlertRule } from './alert-types.ts'
import { anyOf, by, grown, increase, type Matchers, rate, series } from './query.ts'
import type { BoardSettings } from './settings.ts'

/** Lag that is not worth a word on its growth, in records. */
const HEALTHY_LAG = 100
/** Rebalances of one member within fifteen minutes that are a storm: a rolling deployment has a few. */
const STORM = 5

/** Matchers of the groups that the rules are for. */
export function groupMatchers({ groups }: BoardSettings): Matchers {
  return groups.length === 0 ? {} : { group: anyOf(groups) }
}

/** The alerts. */
export function dispatcherAlerts(settings: BoardSettings): AlertRule[] {
  return [...progressAlerts(settings), ...failureAlerts(settings), ...flowAlerts(settings), ...lagAlerts(settings)]
}

function progressAlerts(settings: BoardSettings): AlertRule[] {
  const group = groupMatchers(settings)
  const lag = by('sum', ['group'], series('comporta.dispatcher.topic_lag', group))
  const done = by('sum', ['group'], increase(series('comporta.dispatcher.records', group), '10m'))
  return [
    {
      name: 'ComportaStoodStill',
      severity: 'page',
      expression: `max by (group, instance) (${series('comporta.dispatcher.stood_still_ms', group)}) > 60000`,
      for: '1m',
      summary: 'A dispatcher of {{ $labels.group }} makes no progress',
      description: 'No progress for {{ $value | humanize }} ms on {{ $labels.instance }}, and nothing explains it.',
      look: '`GET /describe` of the instance: `watchdog.partitions`, and what its batches do; its log.',
      act: 'At `progressTimeoutMs` it leaves the group by itself. If it comes again, keep `/describe`, restart it.',
      cloudWatch: {
        metric: 'comporta.dispatcher.stood_still_ms',
        statistic: 'Maximum',
        comparison: 'GreaterThanThreshold',
        threshold: 60_000,
        periodSeconds: 60,
        periods: 2
      }
    },
    {
      name: 'ComportaNoProgress',
      severity: 'page',
      // A counter has no series before its first record: a target that never took one would be no progress of 0.
      expression: `${lag} > 0 unless ${done} > 0`,
      for: '10m',
      summary: '{{ $labels.group }} has lag and finishes nothing',
      description: '{{ $value | humanize }} records wait, and none has left its batch for ten minutes.',
      look: '`comporta lag --watch`, the reason in `GET /health/ready`, the breaker, paused partitions.',
      act: 'Repair what the reason names: the target, Kafka, or a pause that somebody forgot.'
    },
    {
      name: 'ComportaCommitsLate',
      severity: 'ticket',
      expression: `max by (group) (${series('comporta.dispatcher.held_up', { ...group, reason: 'commitsLate' })}) > 0`,
      for: '5m',
      summary: 'Commits of {{ $labels.group }} are late',
      description: '{{ $value | humanize }} partitions wait because Kafka does not accept commits.',
      look: '`comporta doctor`; the coordinator of the group: `comporta groups describe <group>`.',
      act: 'Repair the brokers. Nothing is lost: what was delivered and not committed may come again after a crash.'
    },
    {
      name: 'ComportaRebalanceStorm',
      severity: 'ticket',
      expression:
        `max by (group) (${increase(series('kafka.consumer.rebalance_total', group), '15m')}) > ${STORM} or ` +
        `max by (group) (${increase(series('kafka.consumer.failed_rebalance_total', group), '15m')}) > ${STORM}`,
      for: '5m',
      summary: '{{ $labels.group }} rebalances again and again',
      description: '{{ $value | humanize }} rebalances of one member within fifteen minutes.',
      look: '`comporta groups describe <group>`; `comporta doctor --only groups`.',
      act: 'Members that come and go: memory limits, probes that restart, autoscaling. Static membership helps.'
    }
  ]
}

function failureAlerts(settings: BoardSettings): AlertRule[] {
  const group = groupMatchers(settings)
  const dead = rate(series('comporta.dispatcher.dead_letters', group), '10m')
  const all = rate(series('comporta.dispatcher.records', group), '10m')
  return [
    {
      name: 'ComportaDeadLetters',
      severity: 'ticket',
      expression: `${grown(['group', 'class'], series('comporta.dispatcher.dead_letters', group), '15m')} > 0`,
      for: '0m',
      summary: 'Dead letters of {{ $labels.group }}: {{ $labels.class }}',
      description: '{{ $value | humanize }} records were put aside within fifteen minutes.',
      look: '`comporta redrive --dry-run`: counts by reason and origin; `comporta records get` shows one.',
      act: 'Repair the cause, then `comporta redrive --rate 500`.',
      cloudWatch: {
        metric: 'comporta.dispatcher.dead_letters',
        statistic: 'Sum',
        comparison: 'GreaterThanThreshold',
        threshold: 0,
        periodSeconds: 300,
        periods: 1
      }
    },
    {
      name: 'ComportaDeadLetterFlood',
      severity: 'page',
      expression: `sum by (group) (${dead}) / sum by (group) (${all}) > 0.05`,
      for: '10m',
      summary: '{{ $labels.group }} puts many of its records aside',
      description: '{{ $value | humanizePercentage }} of all records became dead letters for ten minutes.',
      look: 'What was deployed last: the function, the producers’ schema. `comporta redrive --dry-run` has reasons.',
      act: 'Stop the flood first: pause the partitions in the console, or roll back. Then repair and redrive.'
    },
    {
      name: 'ComportaBreakerOpen',
      severity: 'page',
      expression: `max by (group, target) (${series('comporta.dispatcher.breaker_open', group)}) == 1`,
      for: '5m',
      summary: 'The breaker of {{ $labels.target }} is open',
      description:
        'The target of {{ $labels.group }} is down for five minutes: the intake rests, lag grows, nothing is lost.',
      look: 'The target itself; `GET /describe`: `routes`, its failure ratio and when it is probed next.',
      act: 'Repair the target. The group needs nothing: it goes on by itself at the first probe that succeeds.',
      cloudWatch: {
        metric: 'comporta.dispatcher.breaker_open',
        statistic: 'Maximum',
        comparison: 'GreaterThanOrEqualToThreshold',
        threshold: 1,
        periodSeconds: 60,
        periods: 5
      }
    }
  ]
}

function flowAlerts(settings: BoardSettings): AlertRule[] {
  const group = groupMatchers(settings)
  const unknown = series('comporta.dispatcher.transactions', { ...group, outcome: 'unknown' })
  return [
    {
      name: 'ComportaStarved',
      severity: 'ticket',
      expression: `max by (group, target, class) (${series('comporta.dispatcher.starved', group)}) == 1`,
      for: '5m',
      summary: 'Class {{ $labels.class }} of {{ $labels.group }} is starved',
      description: 'It waits longer than `starvationMs` while other classes of {{ $labels.target }} go on.',
      look: '`GET /describe`: `routes[].classes`, their shares and what waits.',
      act: 'Give the class a larger share, or more concurrency, in `dispatcher.priorities` (SIGHUP takes it over).'
    },
    {
      name: 'ComportaTransactionsUnknown',
      severity: 'ticket',
      expression: `${grown(['group'], unknown, '15m')} > 0`,
      for: '0m',
      summary: 'Transactions of {{ $labels.group }} have an unknown end',
      description: '{{ $value | humanize }} transactions: the partition reads its offset again before it goes on.',
      look: 'The log of the dispatcher; the transaction coordinator: `comporta doctor`.',
      act: 'Nothing at once: no record is lost or delivered twice. Repair the brokers if it goes on.'
    }
  ]
}

function lagAlerts(settings: BoardSettings): AlertRule[] {
  const { health, objectives } = settings
  const promised = [...new Set(objectives.map(({ group }) => group))]
  const group = groupMatchers(settings)
  const sum = by('sum', ['group'], series('comporta.dispatcher.topic_lag', group))
  // Groups with an objective are held against that.
  const others = promised.length === 0 ? '' : ' unless on (group) comporta:objective:lag_seconds'
  return [
    {
      name: 'ComportaLag',
      severity: 'ticket',
      expression: `${sum} > ${health.lagRecords}${others}`,
      for: '10m',
      summary: '{{ $labels.group }} is behind',
      description: '{{ $value | humanize }} unread records for ten minutes.',
      look: '`comporta lag --for 30s --partitions`: all partitions alike, or one?',
      act: 'All alike: `comporta scale --once`. One: a hot key, see *Lag in one partition only* above.',
      cloudWatch: {
        metric: 'comporta.dispatcher.topic_lag',
        statistic: 'Maximum',
        comparison: 'GreaterThanThreshold',
        threshold: health.lagRecords,
        periodSeconds: 60,
        periods: 10
      }
    },
    {
      name: 'ComportaLagGrows',
      severity: 'ticket',
      expression: `deriv(${sum}[${health.growthForSeconds}s:30s]) > 0 and ${sum} > ${HEALTHY_LAG}`,
      for: `${health.growthForSeconds}s`,
      summary: 'The lag of {{ $labels.group }} grows',
      description: 'By {{ $value | humanize }} records a second: more comes in than is finished.',
      look: '`comporta lag --watch`: *in* against *out*; the time of an invocation on the dispatcher’s dashboard.',
      act: '`comporta scale --once` says whether instances would help; `comporta simulate` what else would.'
    }
  ]
}

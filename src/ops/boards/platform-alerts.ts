/** Alerts of what runs beneath: processes, the embedded Lambda runtime, the embedded broker, telemetry itself. */

import { prometheusName } from '../../telemetry/index.ts'
import type { AlertRule } from './alert-types.ts'
import { increase, quoted, rate, series } from './query.ts'
import type { BoardSettings } from './settings.ts'

/** The alerts. */
export function platformAlerts(settings: BoardSettings): AlertRule[] {
  return [...processAlerts(settings), ...lambdaAlerts(), ...brokerAlerts(settings)]
}

function processAlerts(settings: BoardSettings): AlertRule[] {
  const job = { job: `=~${settings.job}` }
  const failed = series('comporta.telemetry.exports', { outcome: 'failed' })
  const gone: AlertRule[] = settings.groups.map(group => ({
    name: 'ComportaDispatchersGone',
    severity: 'page',
    expression: `absent(${prometheusName('comporta.dispatcher.partitions')}{group=${quoted(group)}})`,
    for: '5m',
    summary: `No dispatcher of ${group} can be seen`,
    description: 'None was scraped for five minutes: nothing is delivered, or nothing is told.',
    look: `\`comporta groups describe ${group}\`: does it have members? Then it is the scraping.`,
    act: 'Start the dispatchers; offsets are kept, nothing is lost while retention holds.',
    labels: { group }
  }))
  return [
    ...gone,
    {
      name: 'ComportaProcessDown',
      severity: 'page',
      // Prometheus' own series: the only one that is not in the catalogue.
      expression: `up{job=~${quoted(settings.job)}} == 0`,
      for: '3m',
      summary: '{{ $labels.instance }} does not answer',
      description: 'Its metrics could not be read for three minutes.',
      look: 'Whether the process runs, and its log; `GET /health/live`.',
      act: 'Start it again. Whoever it was, the others of its group have its partitions after the session timeout.'
    },
    {
      name: 'ComportaRestarts',
      severity: 'ticket',
      expression: `resets(${series('process.uptime', job)}[30m]) > 3`,
      for: '0m',
      summary: '{{ $labels.instance }} starts again and again',
      description: '{{ $value | humanize }} restarts within thirty minutes.',
      look: 'The exit code and the last log lines; 78 is a wrong configuration, 69 a refusal by Kafka, 137 memory.',
      act: 'What the exit code says; probes that are too strict: [health](health.md).'
    },
    {
      name: 'ComportaEventLoopSlow',
      severity: 'ticket',
      expression: `max by (job, instance) (${series('nodejs.eventloop.delay.p99', job)}) > 0.5`,
      for: '10m',
      summary: 'The event loop of {{ $labels.instance }} is late',
      description: '99 of 100 turns wait up to {{ $value | humanizeDuration }}: heartbeats and probes come late.',
      look: 'CPU limits of the container (throttling), a transform or a partitioner of your own that computes long.',
      act: 'More CPU, or fewer partitions for each instance.',
      cloudWatch: {
        metric: 'nodejs.eventloop.delay.p99',
        statistic: 'Maximum',
        comparison: 'GreaterThanThreshold',
        threshold: 0.5,
        periodSeconds: 60,
        periods: 10
      }
    },
    {
      name: 'ComportaTelemetryTrouble',
      severity: 'ticket',
      expression:
        `sum by (job, instance) (${increase(failed, '30m')}) > 3 or ` +
        `max by (job, instance) (${series('comporta.telemetry.overflows')}) > 0`,
      for: '30m',
      summary: 'Metrics of {{ $labels.instance }} are not complete',
      description: 'Exports fail, or a metric has more series than `telemetry.metrics` allows.',
      look: 'The log; `otel_metric_overflow="true"` in `/metrics` names the metric.',
      act: 'The collector’s address and rights; or `telemetry.metrics.seriesMax`.'
    }
  ]
}

function lambdaAlerts(): AlertRule[] {
  const bad = rate(series('comporta.lambda.invocations', { outcome: '!=ok' }), '10m')
  const all = rate(series('comporta.lambda.invocations'), '10m')
  return [
    {
      name: 'ComportaFunctionErrors',
      severity: 'ticket',
      expression: `sum by (function) (${bad}) / sum by (function) (${all}) > 0.05`,
      for: '10m',
      summary: 'Function {{ $labels.function }} fails often',
      description: '{{ $value | humanizePercentage }} of its invocations for ten minutes.',
      look: 'The function’s log; outcomes on the dashboard of the Lambda runtime: an error, a timeout, a crash?',
      act: 'Roll the function back; dead letters are kept, redrive them afterwards.'
    },
    {
      name: 'ComportaFunctionThrottled',
      severity: 'ticket',
      expression: `sum by (function) (${increase(series('comporta.lambda.throttles'), '10m')}) > 0`,
      for: '10m',
      summary: 'Function {{ $labels.function }} is throttled',
      description: '{{ $value | humanize }} invocations were refused within ten minutes: too many run at once.',
      look: 'Concurrency of the function against that of the dispatcher.',
      act: 'Raise the function’s concurrency, or lower `dispatcher.concurrency`: throttles cost time, not records.',
      cloudWatch: {
        metric: 'comporta.lambda.throttles',
        statistic: 'Sum',
        comparison: 'GreaterThanThreshold',
        threshold: 0,
        periodSeconds: 300,
        periods: 2
      }
    },
    {
      name: 'ComportaMappingStuck',
      severity: 'page',
      expression:
        `max by (mapping) (${series('comporta.lambda.esm.lag')}) > 0 unless ` +
        `sum by (mapping) (${increase(series('comporta.lambda.esm.records'), '15m')}) > 0`,
      for: '15m',
      summary: 'Mapping {{ $labels.mapping }} finishes nothing',
      description: '{{ $value | humanize }} records wait, and none is finished for fifteen minutes.',
      look: '`GET /describe` of `comporta esm`: function errors, throttles, what waits.',
      act: 'The function first. What fails for ever needs `bisectBatchOnFunctionError` or an on-failure destination.'
    }
  ]
}

function brokerAlerts({ job }: BoardSettings): AlertRule[] {
  const ours = { job: `=~${job}` }
  const offline = series('kafka_controller_kafkacontroller_offlinepartitionscount', ours)
  const logins = series('kafka_server_socket_server_metrics_failed_authentication', ours)
  const uncleanable = series('kafka_log_logcleanermanager_uncleanable_partitions_count', ours)
  return [
    {
      name: 'ComportaBrokerDiskFailed',
      severity: 'page',
      expression: `max by (job, instance) (${offline}) > 0`,
      for: '0m',
      summary: 'Partitions of the embedded broker {{ $labels.instance }} are offline',
      description: '{{ $value | humanize }} partitions: their disk failed or is full.',
      look: 'The broker’s log; the disk of its data folder.',
      act: 'Make room or replace the disk, then restart the broker: it recovers its log.'
    },
    {
      name: 'ComportaBrokerLoginsFail',
      severity: 'ticket',
      expression: `sum by (job, listener) (${rate(logins, '5m')}) > 1`,
      for: '5m',
      summary: 'Logins at listener {{ $labels.listener }} fail',
      description: '{{ $value | humanize }} a second: a wrong password that is tried again and again, or a guess.',
      look: 'The broker’s log has the address and the mechanism.',
      act: 'Repair or lock out the client.'
    },
    {
      name: 'ComportaBrokerUncleanable',
      severity: 'ticket',
      expression: `max by (job, instance) (${uncleanable}) > 0`,
      for: '30m',
      summary: 'Partitions of the embedded broker {{ $labels.instance }} are not compacted',
      description: '{{ $value | humanize }} partitions grow for ever.',
      look: 'The broker’s log says why.',
      act: 'Repair the cause and restart the broker.'
    }
  ]
}

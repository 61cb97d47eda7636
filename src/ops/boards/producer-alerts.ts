/** Alerts of producers, and of what connects to Kafka. */

import type { AlertRule } from './alert-types.ts'
import { grown, increase, rate, series } from './query.ts'
import type { BoardSettings } from './settings.ts'

const DAY_SECONDS = 86_400

/** The alerts. */
export function producerAlerts(settings: BoardSettings): AlertRule[] {
  return [...intakeAlerts(settings), ...spillAlerts(), ...connectionAlerts()]
}

function intakeAlerts({ health }: BoardSettings): AlertRule[] {
  const silence = `${health.silenceForSeconds}s`
  const delivered = series('comporta.producer.events', { outcome: 'delivered' })
  const malformed = series('comporta.producer.events', { outcome: 'deadLettered' })
  const failed = series('comporta.producer.events', { outcome: 'failed' })
  const silent: AlertRule = {
    name: 'ComportaProducerSilent',
    severity: 'ticket',
    expression: `sum by (job) (${increase(delivered, silence)}) == 0`,
    for: '1m',
    summary: 'No events come in ({{ $labels.job }})',
    description: `Nothing was delivered for ${silence}: the sources have stopped, or Kafka takes nothing.`,
    look: '`GET /health/ready` of the producer (the reason); `comporta records tail <topic>` shows the last record.',
    act: 'The sources first; then Kafka, see *Producers cannot write* of `comporta doctor`.'
  }
  return [
    ...(health.isSilenceBad ? [silent] : []),
    {
      name: 'ComportaProducerFails',
      severity: 'page',
      expression: `sum by (job) (${rate(failed, '5m')}) > 0`,
      for: '5m',
      summary: 'Events cannot be written ({{ $labels.job }})',
      description:
        '{{ $value | humanize }} events a second fail: their sources send them again, or their senders must.',
      look: 'The producer’s log; `kafka_producer_record_error_total` by topic.',
      act: 'Repair what the error names: a topic that is gone, rights, a quota, too few in-sync replicas.',
      cloudWatch: {
        metric: 'comporta.producer.events',
        dimensions: { outcome: 'failed' },
        statistic: 'Sum',
        comparison: 'GreaterThanThreshold',
        threshold: 0,
        periodSeconds: 60,
        periods: 5
      }
    },
    {
      name: 'ComportaProducerDeadLetters',
      severity: 'ticket',
      expression: `${grown(['job'], malformed, '15m')} > 0`,
      for: '0m',
      summary: 'Events are malformed ({{ $labels.job }})',
      description:
        '{{ $value | humanize }} events within fifteen minutes could not be read, routed, keyed or validated.',
      look: 'The producer’s dead letter topic: `comporta redrive --dry-run` counts by reason.',
      act: 'Tell the senders, or change `producer.route`, `producer.validate`. Then redrive.'
    },
    {
      name: 'ComportaSourceDrops',
      severity: 'page',
      expression: `${grown(['source'], series('comporta.producer.source.dropped'), '5m')} > 0`,
      for: '0m',
      summary: 'Source {{ $labels.source }} loses events',
      description: '{{ $value | humanize }} events were lost within five minutes: their senders cannot wait.',
      look: 'What holds the producer up: rate, buffer, Kafka. The producer’s dashboard.',
      act: 'More rate or a spill (`producer.spill`); syslog over TCP or TLS waits, over UDP it cannot.'
    }
  ]
}

function spillAlerts(): AlertRule[] {
  return [
    {
      name: 'ComportaSpilling',
      severity: 'ticket',
      expression: `max by (job, instance) (${series('comporta.producer.outlet', { state: 'spilling' })}) == 1`,
      for: '5m',
      summary: '{{ $labels.instance }} writes events to disk',
      description: 'Kafka does not answer for five minutes. Events are safe on disk, and go to Kafka when it is back.',
      look: '`comporta doctor`; bytes and age of the spill on the producer’s dashboard, and how long its room lasts.',
      act: 'Repair Kafka. Nothing to the producer: it replays by itself.'
    },
    {
      name: 'ComportaSpillFull',
      severity: 'page',
      expression: `max by (job, instance) (${series('comporta.producer.spill.blocked')}) == 1`,
      for: '1m',
      summary: 'The spill of {{ $labels.instance }} takes nothing more',
      description: 'It is full, or its disk refuses: sources wait, and senders that cannot wait lose events.',
      look: 'The disk of `producer.spill.dir`; the log says which of both it is.',
      act: 'Room: a larger disk, then `bytesMax`. Or Kafka back. Never delete files of the folder: they are events.',
      cloudWatch: {
        metric: 'comporta.producer.spill.blocked',
        statistic: 'Maximum',
        comparison: 'GreaterThanOrEqualToThreshold',
        threshold: 1,
        periodSeconds: 60,
        periods: 1
      }
    },
    {
      name: 'ComportaSpillDamaged',
      severity: 'page',
      expression: `sum by (job, instance) (${increase(series('comporta.producer.spill.damaged'), '1h')}) > 0`,
      for: '0m',
      summary: 'Events on the disk of {{ $labels.instance }} are damaged',
      description: '{{ $value | humanize }} records could not be read back: they are lost, and counted.',
      look: 'The producer’s log: which segment; the disk (`dmesg`, SMART).',
      act: 'Send the time span again from its source. Replace the disk.'
    }
  ]
}

function connectionAlerts(): AlertRule[] {
  const ends = `min by (job, instance, material) (${series('comporta.kafka.certificate.expiry_seconds')})`
  const refused = series('comporta.kafka.credentials.reloads', { outcome: '!=taken' })
  const noToken = series('comporta.kafka.token.refreshes', { outcome: 'failed' })
  return [
    {
      name: 'ComportaThrottled',
      severity: 'ticket',
      expression: `sum by (job, instance) (${rate(series('comporta.kafka.append.throttled'), '5m')}) > 100`,
      for: '15m',
      summary: 'Brokers throttle {{ $labels.instance }}',
      description: 'Connections rest for {{ $value | humanize }} of 1,000 ms because of quotas.',
      look: '`comporta quota`: quotas of the client; bytes per second on the producer’s dashboard.',
      act: 'Raise the quota, or lower `producer.rate`; a quota that throttles costs latency, not records.',
      cloudWatch: {
        metric: 'comporta.kafka.append.throttled',
        statistic: 'Sum',
        comparison: 'GreaterThanThreshold',
        threshold: 6000,
        periodSeconds: 60,
        periods: 15
      }
    },
    {
      name: 'ComportaCertificateExpires',
      severity: 'ticket',
      expression: `${ends} < ${14 * DAY_SECONDS}`,
      for: '1h',
      summary: 'A certificate of {{ $labels.instance }} ends soon',
      description: 'The {{ $labels.material }} ends in {{ $value | humanizeDuration }}.',
      look: '`comporta check` names the file and the date.',
      act: 'Put a new one in its place: it is taken without a restart, SIGHUP makes it at once.',
      cloudWatch: {
        metric: 'comporta.kafka.certificate.expiry_seconds',
        statistic: 'Minimum',
        comparison: 'LessThanThreshold',
        threshold: 14 * DAY_SECONDS,
        periodSeconds: 3600,
        periods: 1
      }
    },
    {
      name: 'ComportaCertificateEnds',
      severity: 'page',
      expression: `${ends} < ${2 * DAY_SECONDS}`,
      for: '5m',
      summary: 'A certificate of {{ $labels.instance }} ends within two days',
      description:
        'The {{ $labels.material }} ends in {{ $value | humanizeDuration }}: then no new connection is made.',
      look: '`comporta check`; what was to renew it.',
      act: 'Renew it by hand now, then repair what should have.'
    },
    {
      name: 'ComportaCredentialsRefused',
      severity: 'ticket',
      expression:
        `${grown(['job', 'instance'], refused, '30m')} > 0 or ` + `${grown(['job', 'instance'], noToken, '30m')} > 0`,
      for: '15m',
      summary: 'New credentials of {{ $labels.instance }} cannot be had or used',
      description: 'The old ones are used as long as they count.',
      look: 'The log: which material, and why.',
      act: 'Repair the file, the secret or the token service before the old ones end.'
    }
  ]
}

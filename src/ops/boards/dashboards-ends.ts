/** Dashboards of the two ends and what lies between: producer, Lambda runtime, broker. */

import type { Board, BoardPanel } from './board-types.ts'
import { JOB, jobVariable, line, processPanels, WINDOW } from './panels.ts'
import { by, increase, quantile, rate, series } from './query.ts'

/** Sources, rate, spill, acknowledgements. */
export function producerBoard(): Board {
  return {
    id: 'producer',
    title: 'producer',
    description: 'Events from their sources to the acknowledgement of Kafka.',
    variables: [jobVariable],
    rows: [
      { title: 'Events', panels: eventPanels },
      { title: 'Kafka', panels: appendPanels },
      { title: 'Rate and spill', panels: spillPanels },
      { title: 'Processes', panels: processPanels }
    ]
  }
}

const eventPanels: readonly BoardPanel[] = [
  {
    title: 'Events by outcome',
    description: 'Anything but delivered needs a look; spilled is safe on disk.',
    kind: 'timeseries',
    unit: 'cps',
    isStacked: true,
    queries: [line(by('sum', ['outcome'], rate(series('comporta.producer.events', JOB), WINDOW)), '{{outcome}}')]
  },
  {
    title: 'Bytes received',
    description: 'Bytes of events from all sources.',
    kind: 'timeseries',
    unit: 'Bps',
    queries: [line(by('sum', ['instance'], rate(series('comporta.producer.bytes', JOB), WINDOW)), '{{instance}}')]
  },
  {
    title: 'Acknowledgement',
    description: 'From hand-over to the acknowledgement of all in-sync replicas.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [0.5, 0.95, 0.99].map(share =>
      line(
        quantile(share, 'comporta.producer.ack.duration', { matchers: JOB, window: WINDOW }),
        `p${Math.round(share * 100)}`
      )
    )
  },
  {
    title: 'Sources',
    description: 'Events that were lost, restarts from a safe position, files in trouble.',
    kind: 'timeseries',
    unit: 'short',
    queries: [
      line(by('sum', ['source'], increase(series('comporta.producer.source.dropped', JOB), WINDOW)), '{{source}} lost'),
      line(
        by('sum', ['source'], increase(series('comporta.producer.source.retries', JOB), WINDOW)),
        '{{source}} again'
      ),
      line(by('sum', ['source'], series('comporta.producer.source.problems', JOB)), '{{source}} files')
    ]
  },
  {
    title: 'Heaviest share',
    description: 'Share of a topic that one key has. Above a partition’s fair share it makes a hot partition.',
    kind: 'timeseries',
    unit: 'percentunit',
    queries: [line(by('max', ['topic'], series('comporta.producer.heaviest_share', JOB)), '{{topic}}')]
  },
  {
    title: 'Open and buffered',
    description: 'Bytes without an outcome, and bytes handed to Kafka: both are bounded.',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [
      line(by('sum', ['instance'], series('comporta.producer.open_bytes', JOB)), '{{instance}} open'),
      line(by('sum', ['instance'], series('comporta.producer.buffered_bytes', JOB)), '{{instance}} buffered')
    ]
  }
]

const appendPanels: readonly BoardPanel[] = [
  {
    title: 'Records sent',
    description: 'By topic.',
    kind: 'timeseries',
    unit: 'cps',
    queries: [line(by('sum', ['topic'], rate(series('kafka.producer.record_send_total', JOB), WINDOW)), '{{topic}}')]
  },
  {
    title: 'Errors and retries',
    description: 'Records that failed for good, and records that were sent again.',
    kind: 'timeseries',
    unit: 'cps',
    queries: [
      line(by('sum', ['topic'], rate(series('kafka.producer.record_error_total', JOB), WINDOW)), '{{topic}} failed'),
      line(by('sum', ['topic'], rate(series('kafka.producer.record_retry_total', JOB), WINDOW)), '{{topic}} again')
    ]
  },
  {
    title: 'Throttled',
    description: 'Milliseconds of each second for which connections rest because of quotas.',
    kind: 'timeseries',
    unit: 'ms',
    thresholds: { warn: 100 },
    queries: [
      line(by('sum', ['instance'], rate(series('comporta.kafka.append.throttled', JOB), WINDOW)), '{{instance}}')
    ]
  },
  {
    title: 'Request latency',
    description: 'Longest Produce request, by broker: one broker above the others is worth a look.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [line(by('max', ['node_id'], series('kafka.producer.request_latency_max', JOB)), 'broker {{node_id}}')]
  },
  {
    title: 'Batch size',
    description: 'Mean bytes of a batch. Small batches cost requests: lingerMs.',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [line(by('avg', ['instance'], series('kafka.producer.batch_size_avg', JOB)), '{{instance}}')]
  },
  {
    title: 'Certificates and tokens',
    description: 'Time that is left.',
    kind: 'stat',
    unit: 'dtdurations',
    thresholds: { warn: 1_209_600, bad: 172_800, isLow: true },
    queries: [
      line(by('min', ['material'], series('comporta.kafka.certificate.expiry_seconds', JOB)), '{{material}}'),
      line(by('min', [], series('comporta.kafka.token.expiry_seconds', JOB)), 'token')
    ]
  }
]

const spillPanels: readonly BoardPanel[] = [
  {
    title: 'Way to Kafka',
    description: 'up, away (refused), spilling (to disk), replaying (disk first).',
    kind: 'state',
    unit: 'none',
    thresholds: { bad: 1 },
    queries: [
      line(
        by('max', ['instance', 'state'], series('comporta.producer.outlet', { ...JOB, state: '!=up' })),
        '{{instance}} {{state}}'
      )
    ]
  },
  {
    title: 'On disk',
    description: 'Bytes and records that are not known to be in Kafka.',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [line(by('sum', ['instance'], series('comporta.producer.spill.bytes', JOB)), '{{instance}}')]
  },
  {
    title: 'Oldest on disk',
    description: 'Age of the oldest record on disk.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [line(by('max', ['instance'], series('comporta.producer.spill.oldest_age', JOB)), '{{instance}}')]
  },
  {
    title: 'Tokens',
    description: 'What a limit would let through at once; below 0 while it is owed.',
    kind: 'timeseries',
    unit: 'short',
    queries: [line(by('sum', ['limit', 'unit'], series('comporta.producer.rate.tokens', JOB)), '{{limit}} {{unit}}')]
  },
  {
    title: 'Waiting for the rate',
    description: 'Chunks that wait at a limit.',
    kind: 'timeseries',
    unit: 'short',
    queries: [line(by('sum', ['limit'], series('comporta.producer.rate.waiting', JOB)), '{{limit}}')]
  },
  {
    title: 'Replayed',
    description: 'Records from disk that came into Kafka.',
    kind: 'timeseries',
    unit: 'cps',
    queries: [
      line(by('sum', ['instance'], rate(series('comporta.producer.spill.replayed', JOB), WINDOW)), '{{instance}}')
    ]
  }
]

/** Functions of the embedded runtime, and mappings. */
export function lambdaBoard(): Board {
  return {
    id: 'lambda',
    title: 'Lambda runtime',
    description: 'Invocations, environments and mappings of the embedded Lambda runtime.',
    variables: [
      { name: 'function', label: 'Function', metric: 'comporta.lambda.concurrency_limit', of: 'function' },
      jobVariable
    ],
    rows: [
      { title: 'Functions', panels: functionPanels },
      { title: 'Processes', panels: processPanels }
    ]
  }
}

/** The embedded broker, under the names that Apache Kafka's metrics have behind the JMX exporter. */
export function brokerBoard(): Board {
  return {
    id: 'broker',
    title: 'broker',
    description: 'The embedded broker; for Amazon MSK see the CloudWatch dashboard.',
    variables: [jobVariable],
    rows: [
      { title: 'Traffic', panels: trafficPanels },
      { title: 'Storage', panels: storagePanels },
      { title: 'Processes', panels: processPanels }
    ]
  }
}

/** The functions that are chosen. */
const chosen = { function: '=~$function' }

const functionPanels: readonly BoardPanel[] = [
  {
    title: 'Invocations by outcome',
    description: 'Anything but ok is a failure of the function.',
    kind: 'timeseries',
    unit: 'ops',
    isStacked: true,
    queries: [
      line(
        by('sum', ['function', 'outcome'], rate(series('comporta.lambda.invocations', chosen), WINDOW)),
        '{{function}} {{outcome}}'
      )
    ]
  },
  {
    title: 'Duration',
    description: 'Half and 99 of 100 invocations are faster; a cold start included.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [0.5, 0.99].map(share =>
      line(
        quantile(share, 'comporta.lambda.duration', { matchers: chosen, by: ['function'], window: WINDOW }),
        `{{function}} p${share * 100}`
      )
    )
  },
  {
    title: 'Environments',
    description: 'Busy and idle, against the limit.',
    kind: 'timeseries',
    unit: 'short',
    queries: [
      line(by('sum', ['function', 'state'], series('comporta.lambda.environments', chosen)), '{{function}} {{state}}'),
      line(by('sum', ['function'], series('comporta.lambda.concurrency_limit', chosen)), '{{function}} limit')
    ]
  },
  {
    title: 'Throttles and waiting',
    description: 'Invocations refused with 429, and those in line.',
    kind: 'timeseries',
    unit: 'short',
    queries: [
      line(
        by('sum', ['function'], increase(series('comporta.lambda.throttles', chosen), WINDOW)),
        '{{function}} refused'
      ),
      line(by('sum', ['function', 'type'], series('comporta.lambda.waiting', chosen)), '{{function}} {{type}} in line')
    ]
  },
  {
    title: 'Cold starts',
    description: 'Environments that were started, and how long that took.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [
      line(
        quantile(0.95, 'comporta.lambda.init.duration', { matchers: chosen, by: ['function'], window: WINDOW }),
        '{{function}} p95'
      )
    ]
  },
  {
    title: 'Mappings',
    description: 'Records that are not done yet, by event source mapping.',
    kind: 'timeseries',
    unit: 'short',
    queries: [line(by('max', ['mapping'], series('comporta.lambda.esm.lag')), '{{mapping}}')]
  }
]

function panel([title, description]: readonly [string, string], query: string, legend: string): BoardPanel {
  return { title, description, kind: 'timeseries', unit: 'short', queries: [line(query, legend)] }
}

const trafficPanels: readonly BoardPanel[] = [
  {
    ...panel(
      ['Records in', 'Appended, by topic.'],
      by('sum', ['topic'], rate(series('kafka_server_brokertopicmetrics_messagesin', JOB), WINDOW)),
      '{{topic}}'
    ),
    unit: 'cps'
  },
  {
    title: 'Bytes in and out',
    description: 'Appended, and taken by consumers.',
    kind: 'timeseries',
    unit: 'Bps',
    queries: [
      line(by('sum', [], rate(series('kafka_server_brokertopicmetrics_bytesin', JOB), WINDOW)), 'in'),
      line(by('sum', [], rate(series('kafka_server_brokertopicmetrics_bytesout', JOB), WINDOW)), 'out')
    ]
  },
  {
    title: 'Requests (p99)',
    description: 'From the last byte of a request to its answer. A Fetch waits for records: that is no trouble.',
    kind: 'timeseries',
    unit: 'ms',
    queries: [
      line(
        quantile(0.99, 'kafka_network_requestmetrics_totaltimems', {
          matchers: { ...JOB, request: '!=Fetch' },
          by: ['request'],
          window: WINDOW
        }),
        '{{request}}'
      )
    ]
  },
  panel(
    ['Connections', 'Open client connections.'],
    by('sum', ['listener'], series('kafka_server_socket_server_metrics_connection_count', JOB)),
    '{{listener}}'
  ),
  panel(
    ['Refused', 'Batches that were refused, by topic.'],
    by('sum', ['topic'], increase(series('kafka_server_brokertopicmetrics_failedproducerequests', JOB), WINDOW)),
    '{{topic}}'
  ),
  panel(
    ['Failed logins', 'By listener.'],
    by('sum', ['listener'], increase(series('kafka_server_socket_server_metrics_failed_authentication', JOB), WINDOW)),
    '{{listener}}'
  )
]

const storagePanels: readonly BoardPanel[] = [
  {
    ...panel(
      ['Size', 'Bytes of all segments, by topic.'],
      by('sum', ['topic'], series('kafka_log_log_size', JOB)),
      '{{topic}}'
    ),
    unit: 'bytes'
  },
  {
    ...panel(
      ['Offline partitions', 'Their disk failed or is full.'],
      by('sum', [], series('kafka_controller_kafkacontroller_offlinepartitionscount', JOB)),
      'offline'
    ),
    thresholds: { bad: 1 }
  },
  {
    ...panel(
      ['Compaction', 'Dirty part of the compacted log that has the largest.'],
      by('max', [], series('kafka_log_logcleanermanager_max_dirty_percent', JOB)),
      'dirty'
    ),
    unit: 'percent'
  }
]

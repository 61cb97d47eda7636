/**
 * Metrics of the embedded broker, under the names that Apache Kafka's get in Prometheus from the rules that come with
 * the JMX exporter. They have no unit, for the same reason as those of Kafka's clients: it would be part of the name.
 */

import type { MetricEntry } from './entry.ts'

const room = 'broker'
const unit = ''
const byTopic = { topic: '' } as const
const byPartition = { topic: '', partition: '' } as const
const byListener = { listener: '' } as const

/** Metrics whose names begin with `kafka_`. */
export const BROKER_METRICS = {
  kafka_server_brokertopicmetrics_messagesin: {
    kind: 'counter',
    unit,
    room,
    description: 'Records appended since the start',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_bytesin: {
    kind: 'counter',
    unit,
    room,
    description: 'Bytes of records appended since the start',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_bytesout: {
    kind: 'counter',
    unit,
    room,
    description: 'Bytes of records that consumers took',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_totalproducerequests: {
    kind: 'counter',
    unit,
    room,
    description: 'Produce requests, once for each topic they name',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_failedproducerequests: {
    kind: 'counter',
    unit,
    room,
    description: 'Batches that were refused',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_totalfetchrequests: {
    kind: 'counter',
    unit,
    room,
    description: 'Fetch requests, once for each topic they answer',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_failedfetchrequests: {
    kind: 'counter',
    unit,
    room,
    description: 'Fetch requests with an error, once for each topic',
    attributes: byTopic
  },
  kafka_server_brokertopicmetrics_invalidmessagecrcrecords: {
    kind: 'counter',
    unit,
    room,
    description: 'Batches refused because of their checksum',
    attributes: {}
  },
  kafka_server_brokertopicmetrics_nokeycompactedtopicrecords: {
    kind: 'counter',
    unit,
    room,
    description: 'Batches refused because a compacted topic needs keys',
    attributes: {}
  },
  kafka_network_requestmetrics_requests: {
    kind: 'counter',
    unit,
    room,
    description: 'Requests that were answered',
    attributes: { request: 'name of the API', version: 'of the request' }
  },
  kafka_network_requestmetrics_totaltimems: {
    kind: 'histogram',
    unit,
    room,
    description: 'From the last byte of a request to its answer, waits for records included',
    attributes: { request: 'name of the API' },
    boundaries: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000]
  },
  kafka_network_requestchannel_requestqueuesize: {
    kind: 'gauge',
    unit,
    room,
    description: 'Requests in progress',
    attributes: {}
  },
  kafka_server_socket_server_metrics_connection_count: {
    kind: 'upDownCounter',
    unit,
    room,
    description: 'Open client connections',
    attributes: byListener
  },
  kafka_server_socket_server_metrics_incoming_byte: {
    kind: 'counter',
    unit,
    room,
    description: 'Bytes received from clients',
    attributes: byListener
  },
  kafka_server_socket_server_metrics_outgoing_byte: {
    kind: 'counter',
    unit,
    room,
    description: 'Bytes sent to clients',
    attributes: byListener
  },
  kafka_server_socket_server_metrics_successful_authentication: {
    kind: 'counter',
    unit,
    room,
    description: 'Logins that succeeded',
    attributes: { ...byListener, mechanism: 'of SASL, or SSL' }
  },
  kafka_server_socket_server_metrics_failed_authentication: {
    kind: 'counter',
    unit,
    room,
    description: 'Logins that failed',
    attributes: { ...byListener, mechanism: 'of SASL, or SSL' }
  },
  kafka_server_delayedoperationpurgatory_purgatorysize: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions that fetches wait for',
    attributes: { delayedoperation: 'Fetch' }
  },
  kafka_log_log_logendoffset: {
    kind: 'gauge',
    unit,
    room,
    description: 'Offset after the last record',
    attributes: byPartition,
    isPerPartition: true
  },
  kafka_log_log_logstartoffset: {
    kind: 'gauge',
    unit,
    room,
    description: 'First offset that can be read',
    attributes: byPartition,
    isPerPartition: true
  },
  kafka_log_log_size: {
    kind: 'gauge',
    unit,
    room,
    description: 'Bytes of all segments',
    attributes: byPartition,
    isPerPartition: true
  },
  kafka_log_log_numlogsegments: {
    kind: 'gauge',
    unit,
    room,
    description: 'Segments',
    attributes: byPartition,
    isPerPartition: true
  },
  kafka_log_logcleanermanager_max_dirty_percent: {
    kind: 'gauge',
    unit,
    room,
    description: 'Dirty part of the compacted log that has the largest, in percent',
    attributes: {}
  },
  kafka_log_logcleanermanager_time_since_last_run_ms: {
    kind: 'gauge',
    unit,
    room,
    description: 'Milliseconds since compaction last looked for work, 0 before it did',
    attributes: {}
  },
  kafka_log_logcleanermanager_uncleanable_partitions_count: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions that cannot be compacted, with an error in the log that says why',
    attributes: {}
  },
  kafka_coordinator_group_groupmetadatamanager_numgroups: {
    kind: 'gauge',
    unit,
    room,
    description: 'Groups that are known',
    attributes: {}
  },
  kafka_coordinator_group_groupmetadatamanager_numoffsets: {
    kind: 'gauge',
    unit,
    room,
    description: 'Committed offsets that are kept',
    attributes: {}
  },
  kafka_server_replicamanager_partitioncount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions of this broker',
    attributes: {}
  },
  kafka_server_replicamanager_leadercount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions that this broker leads: all of them',
    attributes: {}
  },
  kafka_server_replicamanager_underreplicatedpartitions: {
    kind: 'gauge',
    unit,
    room,
    description: 'Always 0: there is one replica',
    attributes: {}
  },
  kafka_server_replicamanager_underminisrpartitioncount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Always 0: there is one replica',
    attributes: {}
  },
  kafka_controller_kafkacontroller_offlinepartitionscount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions whose disk failed',
    attributes: {}
  },
  kafka_controller_kafkacontroller_activecontrollercount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Always 1',
    attributes: {}
  },
  kafka_controller_kafkacontroller_globaltopiccount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Topics',
    attributes: {}
  },
  kafka_controller_kafkacontroller_globalpartitioncount: {
    kind: 'gauge',
    unit,
    room,
    description: 'Partitions',
    attributes: {}
  }
} as const satisfies Record<string, MetricEntry>

/** Metrics of connections to Kafka: quotas, certificates and tokens. */

import type { MetricEntry } from './entry.ts'

const room = 'client'

/** Metrics whose names begin with `comporta.kafka.`. */
export const CONNECTION_METRICS = {
  'comporta.kafka.append.throttled': {
    kind: 'counter',
    unit: 'ms',
    room,
    description: 'Time for which connections rested because brokers enforced their quotas (KIP-219)',
    attributes: {}
  },
  'comporta.kafka.certificate.expiry_seconds': {
    kind: 'gauge',
    unit: 's',
    room,
    description: 'Time until the client’s certificate, or the first of the authorities, ends',
    attributes: { material: 'cert, ca' }
  },
  'comporta.kafka.credentials.reloads': {
    kind: 'counter',
    unit: '1',
    room,
    description: 'New certificates and secrets that were taken, could not be used, or could not be had',
    attributes: { material: 'tls, sasl', outcome: 'taken, refused, unreachable' }
  },
  'comporta.kafka.token.expiry_seconds': {
    kind: 'gauge',
    unit: 's',
    room,
    description: 'Time until the bearer token ends',
    attributes: {}
  },
  'comporta.kafka.token.refreshes': {
    kind: 'counter',
    unit: '1',
    room,
    description: 'Attempts to get a bearer token',
    attributes: { outcome: 'fetched, failed' }
  }
} as const satisfies Record<string, MetricEntry>

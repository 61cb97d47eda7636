/** Metrics of the producer that neither OpenTelemetry nor Kafka has a name for. */

import { type MetricEntry, MILLISECONDS } from './entry.ts'

const room = 'producer'

/** Metrics whose names begin with `comporta.producer.`. */
export const PRODUCER_METRICS = {
  'comporta.producer.events': {
    kind: 'counter',
    unit: '{event}',
    room,
    description: 'Events that have their outcome',
    attributes: { outcome: 'delivered, deadLettered, refused, spilled, shed, failed' }
  },
  'comporta.producer.bytes': {
    kind: 'counter',
    unit: 'By',
    room,
    description: 'Bytes of events received',
    attributes: {}
  },
  'comporta.producer.ack.duration': {
    kind: 'histogram',
    unit: 'ms',
    room,
    description: 'From hand-over to the acknowledgement of all in-sync replicas, per batch',
    attributes: {},
    boundaries: MILLISECONDS
  },
  'comporta.producer.buffered_bytes': {
    kind: 'gauge',
    unit: 'By',
    room,
    description: 'Handed to Kafka and not yet acknowledged',
    attributes: {}
  },
  'comporta.producer.open_bytes': {
    kind: 'gauge',
    unit: 'By',
    room,
    description: 'Of what sources have handed over together with an event that has no outcome yet',
    attributes: {}
  },
  'comporta.producer.throttled_ms': {
    kind: 'counter',
    unit: 'ms',
    room,
    description: 'Sum of all waits for the rate limit',
    attributes: {}
  },
  'comporta.producer.outlet': {
    kind: 'gauge',
    unit: '1',
    room,
    description: '1 for the state that the way to Kafka is in, 0 for the others',
    attributes: { state: 'up, away, spilling, replaying' }
  },
  'comporta.producer.spill.records': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Records on disk that are not known to be in Kafka; this and those below with `producer.spill`',
    attributes: {}
  },
  'comporta.producer.spill.bytes': { kind: 'gauge', unit: 'By', room, description: 'Bytes on disk', attributes: {} },
  'comporta.producer.spill.oldest_age': {
    kind: 'gauge',
    unit: 'ms',
    room,
    description: 'Age of the oldest record on disk, to about a minute; 0 if there is none',
    attributes: {}
  },
  'comporta.producer.spill.blocked': {
    kind: 'gauge',
    unit: '1',
    room,
    description: '1 while sources wait because the spill is full or its disk refuses, else 0',
    attributes: {}
  },
  'comporta.producer.spill.written': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records written to disk',
    attributes: {}
  },
  'comporta.producer.spill.replayed': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records on disk that came into Kafka: their rate is the rate of the replay',
    attributes: {}
  },
  'comporta.producer.spill.damaged': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records on disk whose bytes were damaged or missing',
    attributes: {}
  },
  'comporta.producer.source.dropped': {
    kind: 'counter',
    unit: '{event}',
    room,
    description:
      'Events that a source lost because nothing could hold them and their senders cannot wait: syslog over UDP',
    attributes: { source: '' }
  },
  'comporta.producer.source.retries': {
    kind: 'counter',
    unit: '1',
    room,
    description: 'How often a source went back to its safe position because events had failed',
    attributes: { source: '' }
  },
  'comporta.producer.source.problems': {
    kind: 'gauge',
    unit: '{file}',
    room,
    description: 'Files of a source that cannot be read, moved or deleted now',
    attributes: { source: '' }
  },
  'comporta.producer.rate.share': {
    kind: 'gauge',
    unit: '1',
    room,
    description: 'Share of the rate that this instance has, from 0 to 1; 1 where the rate is not shared',
    attributes: {}
  },
  'comporta.producer.rate.tokens': {
    kind: 'gauge',
    unit: '1',
    room,
    description: 'Records or bytes that a limit would let through at once; below 0 while they are owed',
    attributes: { limit: 'a topic, or `all`', unit: 'records, bytes' }
  },
  'comporta.producer.rate.waiting': {
    kind: 'gauge',
    unit: '{chunk}',
    room,
    description: 'Chunks that wait at a limit',
    attributes: { limit: '' }
  },
  'comporta.producer.rate.waits': {
    kind: 'counter',
    unit: '1',
    room,
    description: 'How often a chunk had to wait at a limit',
    attributes: { limit: '' }
  },
  'comporta.producer.heavy_values': {
    kind: 'gauge',
    unit: '{value}',
    room,
    description: 'Keys, or values of the watched field, that make up much of a topic; with `route.detector`',
    attributes: { topic: '' }
  },
  'comporta.producer.heaviest_share': {
    kind: 'gauge',
    unit: '1',
    room,
    description: 'Share of a topic’s events that the heaviest of them has, from 0 to 1; 0 if none is heavy',
    attributes: { topic: '' }
  }
} as const satisfies Record<string, MetricEntry>

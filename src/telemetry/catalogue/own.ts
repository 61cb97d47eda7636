/** Metrics of the telemetry itself, and of the process. */

import type { MetricEntry } from './entry.ts'

/** What became of exports. */
export const TELEMETRY_METRICS = {
  'comporta.telemetry.exports': {
    kind: 'counter',
    unit: '{export}',
    room: 'telemetry',
    description: 'Exports of metrics that ended; a failed one is not repeated, the next has the newer values',
    attributes: { exporter: 'otlp, emf', outcome: 'ok, failed' }
  },
  'comporta.telemetry.overflows': {
    kind: 'gauge',
    unit: '{series}',
    room: 'telemetry',
    description: 'Metrics that have more attribute sets than `telemetry.metrics` lets them have',
    attributes: {}
  }
} as const satisfies Record<string, MetricEntry>

/** The process, by OpenTelemetry's conventions for processes and for Node.js. */
export const PROCESS_METRICS = {
  'process.cpu.time': {
    kind: 'counter',
    unit: 's',
    room: 'process',
    description: 'Processor time that the process has used',
    attributes: { 'cpu.mode': 'user, system' }
  },
  'process.memory.usage': {
    kind: 'gauge',
    unit: 'By',
    room: 'process',
    description: 'Memory of the process that is resident',
    attributes: {}
  },
  'process.uptime': {
    kind: 'gauge',
    unit: 's',
    room: 'process',
    description: 'Seconds since the process was started',
    attributes: {}
  },
  'v8js.memory.heap.used': {
    kind: 'gauge',
    unit: 'By',
    room: 'process',
    description: 'Heap of JavaScript that is in use',
    attributes: {}
  },
  'v8js.memory.external': {
    kind: 'gauge',
    unit: 'By',
    room: 'process',
    description: 'Memory of buffers outside of the heap',
    attributes: {}
  },
  'nodejs.eventloop.utilization': {
    kind: 'gauge',
    unit: '1',
    room: 'process',
    description: 'Share of the time in which the event loop was busy, from 0 to 1, since the look before',
    attributes: {}
  },
  'nodejs.eventloop.delay.p99': {
    kind: 'gauge',
    unit: 's',
    room: 'process',
    description: 'Delay of the event loop that 99 of 100 turns stayed below, since the look before',
    attributes: {}
  },
  'nodejs.eventloop.delay.max': {
    kind: 'gauge',
    unit: 's',
    room: 'process',
    description: 'Longest delay of the event loop since the look before',
    attributes: {}
  }
} as const satisfies Record<string, MetricEntry>

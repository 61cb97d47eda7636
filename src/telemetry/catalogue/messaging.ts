/** Metrics by OpenTelemetry's conventions for messaging clients. Source: semantic conventions, messaging metrics. */

import { type MetricEntry, SECONDS } from './entry.ts'

const system = { 'messaging.system': 'kafka' } as const
const group = { 'messaging.consumer.group.name': '' } as const
const topic = { 'messaging.destination.name': 'the topic' } as const

/** Metrics whose names begin with `messaging.`. */
export const MESSAGING_METRICS = {
  'messaging.client.operation.duration': {
    kind: 'histogram',
    unit: 's',
    room: 'client',
    description: 'Duration of a send (one batch, until all in-sync replicas have it), a poll (one fetch) or a commit.',
    attributes: {
      ...system,
      'messaging.operation.name': 'send, poll, commit',
      'messaging.operation.type': 'send, receive, settle',
      'messaging.destination.name': 'the topic of a send',
      'messaging.consumer.group.name': 'the group of a commit',
      'error.type': 'code of the error, if it failed'
    },
    boundaries: SECONDS
  },
  'messaging.client.sent.messages': {
    kind: 'counter',
    unit: '{message}',
    room: 'client',
    description: 'Records that were sent, each once, when their outcome is known.',
    attributes: {
      ...system,
      'messaging.operation.name': 'send',
      ...topic,
      'error.type': 'code of the error, if they failed'
    }
  },
  'messaging.client.consumed.messages': {
    kind: 'counter',
    unit: '{message}',
    room: 'dispatcher',
    description: 'Records that were put into batches for the target.',
    attributes: { ...system, 'messaging.operation.name': 'poll', ...group, ...topic }
  },
  'messaging.process.duration': {
    kind: 'histogram',
    unit: 's',
    room: 'dispatcher',
    description: 'From the leave to send a batch until all its records have left: retries and dead letters included.',
    attributes: {
      ...system,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      ...group,
      ...topic,
      'error.type': 'stopped: not all of them have'
    },
    boundaries: SECONDS
  }
} as const satisfies Record<string, MetricEntry>

/**
 * Metrics of the embedded Lambda runtime. OpenTelemetry's conventions for functions (`faas.*`) describe one function by
 * its resource; a runtime has many, so these have names of their own.
 */

import { type MetricEntry, MILLISECONDS } from './entry.ts'

const room = 'lambda'
const byFunction = { function: '' } as const

/** Metrics whose names begin with `comporta.lambda.`. */
export const LAMBDA_METRICS = {
  'comporta.lambda.invocations': {
    kind: 'counter',
    unit: '{invocation}',
    room,
    description: 'Invocations that ended',
    attributes: { ...byFunction, outcome: 'ok, functionError, timeout, crash, …' }
  },
  'comporta.lambda.duration': {
    kind: 'histogram',
    unit: 'ms',
    room,
    description: 'Time in the environment, a cold start included',
    attributes: byFunction,
    boundaries: MILLISECONDS
  },
  'comporta.lambda.init.duration': {
    kind: 'histogram',
    unit: 'ms',
    room,
    description: 'Time of cold starts: from the start of an environment until its function is loaded',
    attributes: byFunction,
    boundaries: MILLISECONDS
  },
  'comporta.lambda.cold_starts': {
    kind: 'counter',
    unit: '{environment}',
    room,
    description: 'Environments that were started, those kept ready included',
    attributes: byFunction
  },
  'comporta.lambda.environments': {
    kind: 'gauge',
    unit: '{environment}',
    room,
    description: 'Environments there are',
    attributes: { ...byFunction, state: 'busy, idle' }
  },
  'comporta.lambda.concurrency_limit': {
    kind: 'gauge',
    unit: '{invocation}',
    room,
    description: 'Invocations that may run at once',
    attributes: byFunction
  },
  'comporta.lambda.waiting': {
    kind: 'gauge',
    unit: '{invocation}',
    room,
    description: 'Invocations in line for an environment',
    attributes: { ...byFunction, type: 'request, event' }
  },
  'comporta.lambda.throttles': {
    kind: 'counter',
    unit: '{invocation}',
    room,
    description: 'Refused with 429 because too many ran, or by an injected throttle',
    attributes: byFunction
  },
  'comporta.lambda.events': {
    kind: 'counter',
    unit: '{invocation}',
    room,
    description: 'Asynchronous invocations by what became of them',
    attributes: { ...byFunction, outcome: 'succeeded, retried, failed, dropped (at a stop)' }
  },
  'comporta.lambda.destination.failures': {
    kind: 'counter',
    unit: '{invocation}',
    room,
    description: 'Outcomes of those that did not reach their destination',
    attributes: byFunction
  },
  'comporta.lambda.esm.records': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records of an event source mapping by what became of them',
    attributes: { mapping: '', result: 'delivered, filtered, destination, dropped' }
  },
  'comporta.lambda.esm.invoke.duration': {
    kind: 'histogram',
    unit: 'ms',
    room,
    description: 'From sending an event to its outcome',
    attributes: { mapping: '', result: 'ok, partial, failed, throttled, unavailable' },
    boundaries: MILLISECONDS
  },
  'comporta.lambda.esm.lag': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Records that are not done yet',
    attributes: { mapping: '' }
  },
  'comporta.lambda.esm.pollers': {
    kind: 'gauge',
    unit: '{poller}',
    room,
    description: 'Pollers at work',
    attributes: { mapping: '' }
  }
} as const satisfies Record<string, MetricEntry>

/** A distributor's observer over AWS's own Powertools: what happens becomes log lines, metrics and traces. */

import { type Clock, systemClock } from '../../core/index.ts'
import type { DistributorObserver } from '../distributor/observer.ts'
import { BatchLogs } from './batch-logs.ts'
import { BatchMetrics } from './batch-metrics.ts'
import type { PowertoolsLogger, PowertoolsMetrics, PowertoolsTracer } from './powertools.ts'
import { RequestTraces } from './request-traces.ts'

/** Instances of Powertools, each as the program has made it; any may be left out. */
export interface PowertoolsInstances {
  readonly logger?: PowertoolsLogger
  /** What the program adds to it by itself is written with the document of the invocation. */
  readonly metrics?: PowertoolsMetrics
  readonly tracer?: PowertoolsTracer
  readonly clock?: Clock
}

/**
 * Makes an observer for `createDistributor({ observer })`.
 *
 * ```ts
 * powertoolsObserver({ logger: new Logger(), metrics: new Metrics({ namespace: 'Orders' }), tracer: new Tracer() })
 * ```
 */
export function powertoolsObserver(instances: PowertoolsInstances): DistributorObserver {
  const { logger, metrics, tracer, clock = systemClock } = instances
  const logs = logger === undefined ? undefined : new BatchLogs(logger)
  const counts = metrics === undefined ? undefined : new BatchMetrics(metrics)
  const traces = tracer === undefined ? undefined : new RequestTraces(tracer, clock)
  return {
    invocationStarted: (batch, context) => {
      logs?.start(batch, context)
      counts?.start(batch, context.functionName)
      traces?.start()
    },
    requestDone: request => {
      logs?.request(request)
      counts?.request(request)
      traces?.request(request)
    },
    enriched: each => {
      logs?.enriched(each)
      counts?.enriched(each)
    },
    recordsFailed: failures => logs?.failures(failures),
    storeFailed: error => {
      logs?.storeFailed(error)
      counts?.storeFailed()
    },
    invocationEnded: result => {
      counts?.end(result)
      logs?.end(result)
    },
    invocationFailed: error => {
      counts?.fail()
      logs?.fail(error)
    }
  }
}

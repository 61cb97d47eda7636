/**
 * The observer that `observability` describes. Powertools are loaded only where they are asked for, and beside the
 * start of the function: what happens before they are there is told to them afterwards.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import type { DistributorObserver } from '../distributor/observer.ts'
import type { PowertoolsInstances } from './powertools-observer.ts'
import type { ObservabilitySettings } from './settings.ts'

/** An observer, and when it is there. */
export interface CreatedObserver {
  readonly observer: DistributorObserver
  /** Rejects with PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` if a package is missing. */
  readonly ready: Promise<void>
}

/** Where names of the function are looked up. */
type Environment = Readonly<Record<string, string | undefined>>

/** Makes the observer; it may be used at once. */
export function createObserver(settings: ObservabilitySettings, environment: Environment = {}): CreatedObserver {
  const loading = load(settings, environment)
  const ready = loading.then(() => undefined)
  // Whoever waits for it hears of it.
  ready.catch(() => undefined)
  return { observer: waitingObserver(loading), ready }
}

async function load(settings: ObservabilitySettings, environment: Environment): Promise<DistributorObserver> {
  const { powertoolsObserver } = await import('./powertools-observer.ts')
  return powertoolsObserver(await instancesOf(settings, environment))
}

async function instancesOf(settings: ObservabilitySettings, environment: Environment): Promise<PowertoolsInstances> {
  const service =
    (settings.metrics === false ? undefined : settings.metrics?.service) ?? environment['AWS_LAMBDA_FUNCTION_NAME']
  const options = service === undefined ? {} : { serviceName: service }
  const [logger, metrics, tracer] = await Promise.all([
    settings.logs === true ? makeLogger(options) : undefined,
    settings.metrics === undefined || settings.metrics === false
      ? undefined
      : makeMetrics({ ...options, namespace: settings.metrics.namespace }),
    settings.traces === true ? makeTracer(options) : undefined
  ])
  return {
    ...(logger === undefined ? {} : { logger }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(tracer === undefined ? {} : { tracer })
  }
}

async function makeLogger(options: { serviceName?: string }): Promise<PowertoolsInstances['logger']> {
  const { Logger } = await import('@aws-lambda-powertools/logger').catch(absent('logger'))
  return new Logger(options)
}

async function makeMetrics(options: {
  serviceName?: string
  namespace: string
}): Promise<PowertoolsInstances['metrics']> {
  const { Metrics } = await import('@aws-lambda-powertools/metrics').catch(absent('metrics'))
  return new Metrics(options)
}

async function makeTracer(options: { serviceName?: string }): Promise<PowertoolsInstances['tracer']> {
  const { Tracer } = await import('@aws-lambda-powertools/tracer').catch(absent('tracer'))
  // Of the SDK's own HTTP client nothing is used that could be traced by itself.
  return new Tracer({ ...options, captureHTTPsRequests: false })
}

/** As a handler of the import itself: so a bundler lets a package be absent that a function does not use. */
function absent(name: string): (error: unknown) => never {
  return error => {
    const pkg = `@aws-lambda-powertools/${name}`
    const remedy = `npm install ${pkg}, or add AWS's layer of Powertools to the function`
    const [reason] = messageOf(error).split('\n')
    const message = `observability: the package ${pkg} cannot be loaded (${remedy}): ${reason}`
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message, { cause: error })
  }
}

/** Keeps what it is told until there is somebody to tell it to. */
function waitingObserver(loading: Promise<DistributorObserver>): DistributorObserver {
  let observer: DistributorObserver | undefined
  let waiting: ((observer: DistributorObserver) => void)[] = []
  const there = loading.then(
    loaded => {
      observer = loaded
      for (const tell of waiting) tell(loaded)
      waiting = []
    },
    () => {
      // The function fails with it; nobody needs to be told anything else.
      observer = {}
      waiting = []
    }
  )
  const tell = (call: (observer: DistributorObserver) => void): void => {
    if (observer === undefined) waiting.push(call)
    else call(observer)
  }
  return {
    invocationStarted: (batch, context) => tell(to => to.invocationStarted?.(batch, context)),
    requestDone: request => tell(to => to.requestDone?.(request)),
    enriched: counts => tell(to => to.enriched?.(counts)),
    recordsFailed: failures => tell(to => to.recordsFailed?.(failures)),
    storeFailed: error => tell(to => to.storeFailed?.(error)),
    invocationEnded: async (result, context) => {
      await there
      await observer?.invocationEnded?.(result, context)
    },
    invocationFailed: async (error, context) => {
      await there
      await observer?.invocationFailed?.(error, context)
    }
  }
}

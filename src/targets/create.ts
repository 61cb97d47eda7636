/** Makes a target from `dispatcher.target` of the pipeline file. */

import { basename } from 'node:path'

import type { Cluster } from '../client/index.ts'
import { type Clock, PipelineError } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { HttpTarget } from './http-target.ts'
import { LambdaTarget } from './lambda-target.ts'
import { loadHandler, ModuleTarget } from './module-target.ts'
import type { Target } from './target.ts'
import { TopicTarget } from './topic-target.ts'
import { loadTopicTransform } from './topic-transform.ts'

/** `dispatcher.target` as the configuration gives it. Structural: `targets` may not import `config`. */
export type TargetSettings =
  | {
      readonly type: 'lambda'
      readonly functionName: string
      readonly qualifier?: string | undefined
      readonly region?: string | undefined
      readonly endpoint?: string | undefined
      readonly timeoutMs: number
    }
  | {
      readonly type: 'http'
      readonly url: string
      readonly headers: Readonly<Record<string, string>>
      readonly timeoutMs: number
    }
  | { readonly type: 'module'; readonly file: string; readonly timeoutMs: number }
  | {
      readonly type: 'topic'
      readonly topic?: string | undefined
      readonly topicFrom?: { readonly header?: string | undefined; readonly field?: string | undefined } | undefined
      readonly file?: string | undefined
      readonly exactlyOnce: boolean
      readonly timeoutMs: number
    }

/** What a target needs from its surroundings. */
export interface TargetDependencies {
  /** Most connections. Default: as many as there are invocations at once. */
  readonly concurrency?: number
  /** Folder that a relative `file` counts from. Default: the working directory. */
  readonly baseDir?: string
  /** Where a topic target writes: the cluster that is read from. */
  readonly cluster?: Cluster
  /** Whether traces go on in AWS's own header, too, where a target is in AWS. Default false. */
  readonly isXrayPropagated?: boolean | undefined
  readonly clock?: Clock
  readonly logger?: Logger
}

/**
 * Makes a target.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. Not retriable.
 */
export async function createTarget(settings: TargetSettings, dependencies: TargetDependencies = {}): Promise<Target> {
  const { clock, logger, concurrency: connectionsMax } = dependencies
  const shared = {
    timeoutMs: settings.timeoutMs,
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    ...(clock === undefined ? {} : { clock }),
    ...(logger === undefined ? {} : { logger })
  }
  switch (settings.type) {
    case 'http':
      return new HttpTarget({ ...shared, url: settings.url, headers: settings.headers })
    case 'lambda': {
      const { functionName, qualifier, region, endpoint } = settings
      return new LambdaTarget({
        ...shared,
        functionName,
        isXrayPropagated: dependencies.isXrayPropagated,
        ...(qualifier === undefined ? {} : { qualifier }),
        ...(region === undefined ? {} : { region }),
        ...(endpoint === undefined ? {} : { endpoint })
      })
    }
    case 'module': {
      const handler = await loadHandler(settings.file, dependencies.baseDir ?? '.')
      return new ModuleTarget({ name: `module:${basename(settings.file)}`, handler, timeoutMs: settings.timeoutMs })
    }
    case 'topic':
      return createTopicTarget(settings, dependencies)
  }
}

async function createTopicTarget(
  settings: Extract<TargetSettings, { type: 'topic' }>,
  dependencies: TargetDependencies
): Promise<Target> {
  const { cluster, clock, logger, baseDir = '.' } = dependencies
  if (cluster === undefined) {
    throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', 'a topic target needs the cluster that it writes to')
  }
  const { topic, topicFrom, file, exactlyOnce, timeoutMs } = settings
  return new TopicTarget({
    name: `topic:${topic ?? '*'}`,
    cluster,
    route: { topic, topicFrom },
    timeoutMs,
    isExactlyOnce: exactlyOnce,
    ...(file === undefined ? {} : { transform: await loadTopicTransform(file, baseDir) }),
    ...(clock === undefined ? {} : { clock }),
    ...(logger === undefined ? {} : { logger })
  })
}

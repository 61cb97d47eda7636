/** Makes a target from `dispatcher.target` of the pipeline file. */

import { basename } from 'node:path'

import type { Clock } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { HttpTarget } from './http-target.ts'
import { LambdaTarget } from './lambda-target.ts'
import { loadHandler, ModuleTarget } from './module-target.ts'
import type { Target } from './target.ts'

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

/** What a target needs from its surroundings. */
export interface TargetDependencies {
  /** Most connections. Default: as many as there are invocations at once. */
  readonly concurrency?: number
  /** Folder that a relative `file` counts from. Default: the working directory. */
  readonly baseDir?: string
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
        ...(qualifier === undefined ? {} : { qualifier }),
        ...(region === undefined ? {} : { region }),
        ...(endpoint === undefined ? {} : { endpoint })
      })
    }
    case 'module': {
      const handler = await loadHandler(settings.file, dependencies.baseDir ?? '.')
      return new ModuleTarget({ name: `module:${basename(settings.file)}`, handler, timeoutMs: settings.timeoutMs })
    }
  }
}

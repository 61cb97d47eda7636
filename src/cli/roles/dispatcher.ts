/** The dispatcher as a role. */

import type { Cluster } from '../../client/index.ts'
import type { DispatcherConfig, KafkaConfig, TargetConfig } from '../../config/index.ts'
import { PipelineError, systemClock } from '../../core/index.ts'
import { type Dispatcher, type DispatcherOptions, startDispatcher } from '../../dispatcher/index.ts'
import { createTarget, type Target } from '../../targets/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { startRoleTraces } from '../telemetry/role-traces.ts'
import { connectRole } from '../wiring.ts'
import type { RunRecorder } from './measured-run.ts'
import { DispatcherReadiness } from './readiness/dispatcher.ts'
import { lookEveryMs } from './readiness/progress.ts'
import { type RoleEndpointOptions, startRoleEndpoint } from './role-endpoint.ts'
import type { ControlHandlers, ControlPlace } from './role-endpoint-control.ts'

/** What the role is told. */
export interface DispatcherRoleOptions extends RoleEndpointOptions {
  readonly kafka: KafkaConfig
  readonly dispatcher: DispatcherConfig
}

/** What a process in which the role runs alone may ask for, too. */
export interface DispatcherExtras {
  /** Watches what goes to the targets. */
  readonly recorder?: RunRecorder | undefined
}

/** A dispatcher that runs as a role. */
export interface RunningDispatcher extends RunningRole {
  /** Takes a whole section, of which some settings may have changed; see `Dispatcher.replaceSettings`. */
  replaceSettings(section: DispatcherConfig): readonly string[]
}

/** Joins the group and starts to deliver. */
export async function startDispatcherRole(
  options: DispatcherRoleOptions,
  logger: Logger,
  { recorder }: DispatcherExtras = {}
): Promise<RunningDispatcher> {
  const endpoint = await startRoleEndpoint(options, { role: 'dispatcher', logger })
  const cluster = await connectRole(options.kafka, 'dispatcher', { logger, meter: endpoint.meter })
  const traces = await startRoleTraces(options.telemetry, 'dispatcher', logger)
  const { tracer, isXrayPropagated } = traces
  const around = { cluster, logger, meter: endpoint.meter, recorder, tracer, isXrayPropagated }
  const { targets, dispatcher } = await startParts(options.dispatcher, around).catch(async (error: unknown) => {
    await cluster.close()
    await endpoint.close()
    await traces.close()
    throw error
  })
  const finished = dispatcher.ended.then(error => {
    if (error !== undefined) throw error
  })
  finished.catch(() => undefined) // whoever runs the role awaits it
  const replaceSettings = (section: DispatcherConfig): readonly string[] => dispatcher.replaceSettings(section)
  endpoint.describeBy(() => dispatcher.describe())
  const readiness = new DispatcherReadiness({
    progressTimeoutMs: options.dispatcher.progressTimeoutMs,
    invocationMs: Math.max(...targets.map(({ timeoutMs }) => timeoutMs))
  })
  endpoint.readyBy(() => {
    readiness.look(dispatcher.describe(), systemClock.monotonicMs())
    return readiness.verdict()
  }, lookEveryMs(readiness.timeoutMs))
  endpoint.controlBy(controlOf(dispatcher, options.dispatcher.topics))
  return {
    finished,
    isEndedByFailure: true,
    info: { groupId: options.dispatcher.groupId, target: targets.map(({ name }) => name).join(', '), ...endpoint.info },
    status: (): RoleStatus => {
      const { totals, partitions } = dispatcher.status()
      return {
        ...totals,
        partitions: partitions.length,
        inFlight: partitions.reduce((sum, each) => sum + each.inFlight, 0),
        lag: partitions.reduce((sum, each) => sum + (each.lag ?? 0), 0)
      }
    },
    replaceSettings,
    configure: ({ dispatcher: section }: DispatcherRoleOptions) => replaceSettings(section),
    drain: async deadlineMs => {
      const { isComplete, unfinishedPartitions } = await dispatcher.drain(deadlineMs)
      if (!isComplete) {
        const message = 'not all was finished in time: what these partitions had at the target comes again'
        logger.warn({ partitions: unfinishedPartitions, deadlineMs }, message)
      }
      await dispatcher.close()
      await closeAll(targets)
      await cluster.close()
      await endpoint.close()
      await traces.close()
      return { isComplete }
    }
  }
}

/** Orders to a dispatcher; a partition of a topic that it does not read would be held for nothing. */
function controlOf(dispatcher: Dispatcher, topics: readonly string[]): ControlHandlers {
  const known = (at: ControlPlace): ControlPlace => {
    if (topics.includes(at.topic)) return at
    const message = `this dispatcher does not read ${JSON.stringify(at.topic)}: it reads ${topics.join(', ')}`
    throw new PipelineError('ERR_CLI_CONTROL_INPUT', message)
  }
  return {
    pause: at => dispatcher.pause(known(at).topic, at.partition),
    resume: at => dispatcher.resume(known(at).topic, at.partition)
  }
}

/** A dispatcher with the targets that were made for it, which are the caller's to close. */
export async function startParts(
  config: DispatcherConfig,
  around: Pick<DispatcherOptions, 'meter' | 'endOf' | 'tracer'> &
    DispatcherExtras & { readonly cluster: Cluster; readonly logger: Logger; readonly isXrayPropagated?: boolean }
): Promise<{ targets: readonly Target[]; dispatcher: Dispatcher }> {
  const { recorder, isXrayPropagated, ...rest } = around
  const { cluster, logger } = rest
  const targets: Target[] = []
  // As many connections as there are invocations at once, which the dispatcher limits and may change while it runs.
  const create = async (described: TargetConfig): Promise<Target> => {
    const created = await createTarget(described, {
      cluster,
      logger: logger.child({ room: 'targets' }),
      isXrayPropagated
    })
    const target = recorder === undefined ? created : recorder.watch(created)
    targets.push(target)
    return target
  }
  try {
    const target = await create(config.target)
    const classTargets: Record<string, Target> = {}
    for (const each of config.priorities) {
      if (each.target !== undefined) classTargets[each.name] = await create(each.target)
    }
    const own = { ...rest, logger: logger.child({ room: 'dispatcher' }) }
    return { targets, dispatcher: await startDispatcher({ config, target, classTargets, ...own }) }
  } catch (error) {
    await closeAll(targets)
    throw error
  }
}

/** Closes what `startParts` has made. */
export async function closeAll(targets: readonly Target[]): Promise<void> {
  await Promise.all(targets.map(target => target.close()))
}

/** The dispatcher as a role. */

import type { Cluster } from '../../client/index.ts'
import type { DispatcherConfig, KafkaConfig } from '../../config/index.ts'
import { type Dispatcher, startDispatcher } from '../../dispatcher/index.ts'
import { createTarget, type Target } from '../../targets/index.ts'
import type { Logger, Meter } from '../../telemetry/index.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { connectCluster } from '../wiring.ts'
import { type MetricsOptions, startRoleMetrics } from './role-metrics.ts'

/** What the role is told. */
export interface DispatcherRoleOptions extends MetricsOptions {
  readonly kafka: KafkaConfig
  readonly dispatcher: DispatcherConfig
}

/** Joins the group and starts to deliver. */
export async function startDispatcherRole(options: DispatcherRoleOptions, logger: Logger): Promise<RunningRole> {
  const metrics = await startRoleMetrics(options)
  const cluster = await connectCluster(options.kafka, 'dispatcher', logger)
  const { target, dispatcher } = await startParts(options.dispatcher, { cluster, logger, meter: metrics.meter }).catch(
    async (error: unknown) => {
      await cluster.close()
      await metrics.close()
      throw error
    }
  )
  const finished = dispatcher.ended.then(error => {
    if (error !== undefined) throw error
  })
  finished.catch(() => undefined) // whoever runs the role awaits it
  metrics.describeBy(() => dispatcher.describe())
  return {
    finished,
    isEndedByFailure: true,
    info: { groupId: options.dispatcher.groupId, target: target.name, ...metrics.info },
    status: (): RoleStatus => {
      const { totals, partitions } = dispatcher.status()
      return {
        ...totals,
        partitions: partitions.length,
        inFlight: partitions.reduce((sum, each) => sum + each.inFlight, 0),
        lag: partitions.reduce((sum, each) => sum + (each.lag ?? 0), 0)
      }
    },
    drain: async deadlineMs => {
      await dispatcher.drain(deadlineMs)
      await dispatcher.close()
      await target.close()
      await cluster.close()
      await metrics.close()
    }
  }
}

async function startParts(
  config: DispatcherConfig,
  around: { readonly cluster: Cluster; readonly logger: Logger; readonly meter: Meter }
): Promise<{ target: Target; dispatcher: Dispatcher }> {
  const target = await createTarget(config.target, {
    logger: around.logger,
    concurrency: config.concurrency,
    cluster: around.cluster
  })
  try {
    return { target, dispatcher: await startDispatcher({ config, target, ...around }) }
  } catch (error) {
    await target.close()
    throw error
  }
}

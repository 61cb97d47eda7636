/** The dispatcher as a role. */

import type { DispatcherConfig, KafkaConfig } from '../../config/index.ts'
import { startDispatcher } from '../../dispatcher/index.ts'
import { createTarget } from '../../targets/index.ts'
import type { Logger } from '../../telemetry/index.ts'
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
  const target = await createTarget(options.dispatcher.target, { logger, concurrency: options.dispatcher.concurrency })
  const dispatcher = await startDispatcher({
    config: options.dispatcher,
    cluster,
    target,
    logger,
    meter: metrics.meter
  })
  const finished = dispatcher.ended.then(error => {
    if (error !== undefined) throw error
  })
  finished.catch(() => undefined) // whoever runs the role awaits it
  return {
    finished,
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

/** The embedded broker as a role. */

import { type Broker, type BrokerOptions, parseKafkaRelease, startBroker } from '../../broker/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RunningRole } from '../process/role.ts'
import { type MetricsOptions, startRoleMetrics } from './role-metrics.ts'

/** What the role is told: what can cross a process boundary. */
export interface BrokerRoleOptions
  extends
    MetricsOptions,
    Pick<
      BrokerOptions,
      | 'dataDir'
      | 'host'
      | 'port'
      | 'advertisedHost'
      | 'scramUsers'
      | 'plainUsers'
      | 'isLoopbackGuarded'
      | 'nodeId'
      | 'config'
      | 'acceptReplicationFactor'
    > {
  /** Release of Kafka, as its user wrote it. */
  readonly poseAs?: string
}

/** Starts the broker. */
export async function startBrokerRole(options: BrokerRoleOptions, logger: Logger): Promise<RunningRole> {
  const { metricsPort, poseAs, ...others } = options
  const brokerOptions = { ...others, ...(poseAs === undefined ? {} : { poseAs: parseKafkaRelease(poseAs) }) }
  const metrics = await startRoleMetrics({ metricsPort })
  const broker = await startBroker({ ...brokerOptions, logger, meter: metrics.meter })
  return {
    info: { bootstrapServers: broker.bootstrapServers, listeners: listenersOf(broker), ...metrics.info },
    status: () => ({}),
    drain: async () => {
      await broker.close()
      await metrics.close()
    }
  }
}

/** `NAME host:port`, one after the other. */
function listenersOf(broker: Broker): string {
  return broker.listeners.map(({ name, bootstrapServers }) => `${name} ${bootstrapServers}`).join(', ')
}

/** The embedded broker as a role. */

import { type Broker, type BrokerOptions, parseKafkaRelease, startBroker } from '../../broker/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RunningRole } from '../process/role.ts'
import { brokerReadiness } from './readiness/broker.ts'
import { type RoleEndpointOptions, startRoleEndpoint } from './role-endpoint.ts'

/** What the role is told: what can cross a process boundary. */
export interface BrokerRoleOptions
  extends
    RoleEndpointOptions,
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
  const { metricsPort, metricsHost, controlToken, telemetry, poseAs, ...others } = options
  const brokerOptions = { ...others, ...(poseAs === undefined ? {} : { poseAs: parseKafkaRelease(poseAs) }) }
  const endpoint = await startRoleEndpoint(
    { metricsPort, metricsHost, controlToken, telemetry },
    { role: 'broker', logger }
  )
  const broker = await startBroker({
    ...brokerOptions,
    logger: logger.child({ room: 'broker' }),
    meter: endpoint.meter
  }).catch(async (error: unknown) => {
    await endpoint.close()
    throw error
  })
  let isClosing = false
  endpoint.readyBy(async () =>
    isClosing ? { isReady: false, reason: 'the broker is closing' } : await brokerReadiness(broker)
  )
  return {
    info: { bootstrapServers: broker.bootstrapServers, listeners: listenersOf(broker), ...endpoint.info },
    status: () => ({}),
    drain: async () => {
      isClosing = true
      await broker.close()
      await endpoint.close()
    }
  }
}

/** `NAME host:port`, one after the other. */
function listenersOf(broker: Broker): string {
  return broker.listeners.map(({ name, bootstrapServers }) => `${name} ${bootstrapServers}`).join(', ')
}

/** The embedded broker as a role. */

import { type BrokerOptions, startBroker } from '../../broker/index.ts'
import { createMetrics, type Logger } from '../../telemetry/index.ts'
import type { RunningRole } from '../process/role.ts'

/** What the role is told: what can cross a process boundary. */
export type BrokerRoleOptions = Pick<BrokerOptions, 'dataDir' | 'host' | 'port' | 'advertisedHost' | 'config'>

/** Starts the broker. */
export async function startBrokerRole(options: BrokerRoleOptions, logger: Logger): Promise<RunningRole> {
  const metrics = createMetrics()
  const broker = await startBroker({ ...options, logger, meter: metrics.meter })
  return {
    info: { bootstrapServers: broker.bootstrapServers },
    status: () => ({}),
    drain: async () => {
      await broker.close()
      await metrics.close()
    }
  }
}

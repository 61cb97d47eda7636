/** What handlers see of the broker. */

import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { GroupCoordinator } from '../groups/index.ts'
import type { DynamicSettings } from '../dynamic-settings.ts'
import type { Features } from '../features.ts'
import type { ProducerIds } from '../producer-ids.ts'
import type { BrokerSettings } from '../settings.ts'
import type { LogManager } from '../log/index.ts'
import type { Authorizer } from '../security/acls/index.ts'
import type { Quotas } from '../security/quotas/index.ts'
import type { ScramUsers } from '../security/authentication/scram-users.ts'
import type { MarkerWriter, TransactionCoordinator } from '../transactions/index.ts'
import type { BrokerMetrics } from '../metrics.ts'
import type { FramePool } from '../server/frame-pool.ts'
import type { AppendSignals } from './append-signals.ts'
import type { FetchSessions } from './fetch-sessions.ts'

/** Where clients of a listener connect. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** The parts of a running broker. */
export interface BrokerState {
  readonly nodeId: number
  readonly clusterId: string
  /** Where it is, as read-only settings for DescribeConfigs: `node.id`, `listeners`, `log.dirs`, … */
  readonly identity: Readonly<Record<string, string>>
  /** Where clients of a listener are told to connect. */
  readonly endpointOf: (listener: string) => Endpoint
  readonly settings: BrokerSettings
  /** Whether topics may ask for more copies than the one there is. */
  readonly acceptsReplicationFactor: boolean
  readonly logs: LogManager
  readonly groups: GroupCoordinator
  /** The topic under the groups, created at its first use. */
  readonly offsetsTopic: { ensureCreated(): Promise<boolean> }
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
  /** Ends transactions in single partitions. */
  readonly transactionMarkers: MarkerWriter
  readonly features: Features
  readonly dynamicSettings: DynamicSettings
  readonly fetchSessions: FetchSessions
  /** Unused buffers of fetches. */
  readonly readPool: FramePool
  /** Who may do what: every handler asks it before it looks at what a request names. */
  readonly authorizer: Authorizer
  /** What clients may use: a handler tells what they used. */
  readonly quotas: Quotas
  /** Users that authenticate by SCRAM. */
  readonly scramUsers: ScramUsers
  readonly signals: AppendSignals
  readonly metrics: BrokerMetrics
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

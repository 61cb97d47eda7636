/** The parts of a broker that own state, opened in the order in which they need each other. */

import { systemClock, systemRandom } from '../core/index.ts'
import { silentLogger } from '../telemetry/index.ts'
import type { BrokerOptions } from './broker-options.ts'
import { clusterTopics } from './cluster-topics.ts'
import { DynamicSettings } from './dynamic-settings.ts'
import { Features } from './features.ts'
import { coordinatorSettings } from './group-settings.ts'
import { GroupCoordinator } from './groups/index.ts'
import { AppendSignals } from './handlers/append-signals.ts'
import { LogManager } from './log/index.ts'
import { OffsetsTopic } from './offsets-topic.ts'
import { ProducerIds } from './producer-ids.ts'
import { type Authorizer, openAuthorizer } from './security/acls/index.ts'
import { openQuotas, type Quotas } from './security/quotas/index.ts'
import { ScramUsers } from './security/authentication/scram-users.ts'
import type { BrokerSettings } from './settings.ts'
import { featuresIn } from './testing/kafka-releases.ts'
import { PartitionMarkers, StateTopic, TransactionCoordinator, type TransactionSettings } from './transactions/index.ts'

/** What a data folder holds, at work. */
export interface Parts {
  readonly logs: LogManager
  readonly groups: GroupCoordinator
  readonly offsetsTopic: OffsetsTopic
  readonly signals: AppendSignals
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
  readonly transactionMarkers: PartitionMarkers
  readonly features: Features
  readonly authorizer: Authorizer
  readonly quotas: Quotas
  readonly dynamicSettings: DynamicSettings
  readonly scramUsers: ScramUsers
}

/** Opens the parts; what was opened before one that fails is closed again. */
export async function openParts(dataDir: string, options: BrokerOptions, settings: BrokerSettings): Promise<Parts> {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const logger = options.logger ?? silentLogger
  const nodeId = options.nodeId ?? 1
  // Before the logs: their settings may have been changed in an earlier run.
  const dynamicSettings = await DynamicSettings.open({ dataDir, settings, onChange: () => logs.settingsChanged() })
  const logs: LogManager = await LogManager.open({ dataDir, nodeId, settings: settings.given, clock, random, logger })
  try {
    const signals = new AppendSignals(clock)
    const offsetsTopic = new OffsetsTopic({ logs, settings, clock, signals, logger })
    const groups = new GroupCoordinator({
      settings: coordinatorSettings(settings),
      log: offsetsTopic,
      topics: clusterTopics(logs),
      clock,
      logger
    })
    const authorizer = await openAuthorizer({ dataDir, settings, clock, logger })
    const quotas = await openQuotas({ dataDir, settings, clock })
    const posed = options.poseAs === undefined ? undefined : featuresIn(options.poseAs)
    const features = await Features.open({ dataDir, nodeId, posed })
    const producerIds = await ProducerIds.open(dataDir)
    const scramUsers = await ScramUsers.open(dataDir, options.scramUsers, logger)
    const transactionMarkers = new PartitionMarkers({ logs, groups, signals })
    const transactions = new TransactionCoordinator({
      settings: transactionSettings(settings),
      log: new StateTopic({ logs, settings, clock, signals }),
      markers: transactionMarkers,
      producerIds,
      version: () => features.level('transaction.version'),
      clock,
      random,
      logger
    })
    const stores = { logs, groups, offsetsTopic, producerIds, transactions, transactionMarkers }
    return { ...stores, signals, features, authorizer, quotas, dynamicSettings, scramUsers }
  } catch (error) {
    await logs.close()
    throw error
  }
}

function transactionSettings(settings: BrokerSettings): TransactionSettings {
  return {
    timeoutMsMax: settings.number('transaction.max.timeout.ms'),
    idExpirationMs: settings.number('transactional.id.expiration.ms'),
    timeoutCheckMs: settings.number('transaction.abort.timed.out.transaction.cleanup.interval.ms'),
    expirationCheckMs: settings.number('transaction.remove.expired.transaction.cleanup.interval.ms'),
    changeWaitMs: settings.number('add.partitions.to.txn.retry.backoff.max.ms'),
    isVerificationEnabled: settings.isOn('transaction.partition.verification.enable')
  }
}

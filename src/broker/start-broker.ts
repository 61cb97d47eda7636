/**
 * A broker in this process: opens the data folder, loads the groups, then
 * listens. On close it lets waiting group members go, answers what has begun,
 * ends the connections, and closes the logs last, so that nothing is accepted
 * that could not be written.
 */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { systemClock, systemRandom } from '../core/index.ts'
import { noopMeter, silentLogger } from '../telemetry/index.ts'
import type { Broker, BrokerOptions } from './broker-options.ts'
import { openParts, type Parts } from './broker-parts.ts'
import type { BrokerState } from './handlers/broker-state.ts'
import { createDispatcher } from './handlers/dispatcher.ts'
import { earlyRequests } from './handlers/early-requests.ts'
import { FetchSessions } from './handlers/fetch-sessions.ts'
import { createReadPool } from './handlers/read-lease.ts'
import { createHandlers } from './handlers/registry.ts'
import { dataFolderFailed } from './log/disk-trouble.ts'
import { isSystemError } from './log/disk.ts'
import { brokerConfigProblems } from './log/index.ts'
import { authorizerSettings } from './security/acls/index.ts'
import { hostAndPort, type Listener, resolveListeners } from './server/resolve-listeners.ts'
import { BrokerSettings, invalidSettings } from './settings.ts'
import { describeBroker } from './testing/describe.ts'
import { settingsWithoutEffect } from './dynamic-settings.ts'
import { createBrokerMetrics, observeBroker } from './metrics.ts'
import { Endpoints, type Listening, startListening } from './start-listening.ts'
import { Faults } from './testing/faults.ts'

/**
 * Starts a broker. Resolves when clients can connect.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING`, `ERR_BROKER_LISTEN_FAILED`, `ERR_BROKER_DATA_DAMAGED`, and
 *   what `LogManager.open` throws (`ERR_BROKER_DATA_DIR_…`, the disk wherever it fails among them;
 *   `ERR_BROKER_TOPIC_REGISTRY_CORRUPT`).
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const settings = new BrokerSettings({ ...authorizerSettings(options.authorizer), ...options.config })
  const { listeners, problems: listenerProblems } = resolveListeners(options, settings)
  const problems = [...brokerConfigProblems(settings.given), ...listenerProblems]
  if (problems.length > 0) throw invalidSettings(problems)
  const isTemporary = options.dataDir === undefined
  const dataDir = options.dataDir ?? (await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-broker-')))
  const removeTemporary = async (): Promise<void> => {
    if (isTemporary) await fs.rm(dataDir, { recursive: true, force: true })
  }
  try {
    return await startIn(dataDir, { options, settings, listeners, removeTemporary })
  } catch (error) {
    await removeTemporary()
    // A file of the data folder that cannot be read or written: no bug, whoever opened it.
    throw isSystemError(error) ? dataFolderFailed(dataDir, error) : error
  }
}

interface Start {
  readonly options: BrokerOptions
  readonly settings: BrokerSettings
  readonly listeners: readonly Listener[]
  readonly removeTemporary: () => Promise<void>
}

async function startIn(dataDir: string, start: Start): Promise<Broker> {
  const { options, settings, removeTemporary } = start
  const logger = options.logger ?? silentLogger
  const idle = settingsWithoutEffect(Object.keys(options.config ?? {}))
  if (idle.length > 0) logger.warn({ settings: idle }, 'settings without effect: this broker has none of these names')
  const parts = await openParts(dataDir, options, settings)
  const faults = new Faults(options.onRequest)
  const endpoints = new Endpoints()
  const broker = brokerState(start, parts, endpoints)
  let listening: Listening
  try {
    await parts.groups.load()
    // After the groups: unfinished transactions settle offsets of theirs.
    await parts.transactions.load()
    await parts.groups.forgetMissingTopics(topic => parts.logs.topic(topic) !== undefined)
    const handlers = createHandlers(options.poseAs)
    const dispatcher = createDispatcher({ broker, handlers, faults })
    const early = earlyRequests(handlers, faults, broker.clock)
    listening = await startListening({ ...start, parts, dispatcher, early, metrics: broker.metrics }, endpoints)
  } catch (error) {
    parts.groups.close()
    await parts.transactions.close()
    await parts.logs.close()
    throw error
  }
  const { bound } = listening
  const { clusterId } = parts.logs.identity
  const names = bound.map(({ name, host, port }) => `${name}://${hostAndPort(host, port)}`)
  const [first = { host: '', port: 0, bootstrapServers: '' }] = bound
  const { host, port, bootstrapServers } = first
  logger.info({ listeners: names, dataDir, clusterId }, 'the broker is ready')
  const close = async (): Promise<void> => {
    parts.groups.close()
    await listening.close()
    await parts.transactions.close()
    await parts.logs.close()
    await removeTemporary()
    logger.info({ listeners: names }, 'the broker has stopped')
  }
  let closing: Promise<void> | undefined
  return {
    bootstrapServers,
    host,
    port,
    listeners: bound,
    dataDir,
    clusterId,
    faults,
    describe: () => describeBroker(broker),
    close: () => (closing ??= close())
  }
}

/** `endpoints` are filled in when the ports are known: before that no client can ask. */
function brokerState({ options, settings, listeners }: Start, parts: Parts, endpoints: Endpoints): BrokerState {
  const nodeId = options.nodeId ?? 1
  const clock = options.clock ?? systemClock
  const { logs, groups, signals } = parts
  const meter = options.meter ?? noopMeter
  observeBroker(meter, { logs, groups, waitingPartitionCount: () => signals.partitionCount })
  return {
    ...parts,
    settings,
    acceptsReplicationFactor: options.acceptReplicationFactor ?? false,
    nodeId,
    clusterId: parts.logs.identity.clusterId,
    endpointOf: listener => endpoints.of(listener),
    get identity(): Readonly<Record<string, string>> {
      const list = (address: (listener: Listener) => string): string => listeners.map(address).join(',')
      const node = String(nodeId)
      return {
        'advertised.listeners': list(({ name }) => {
          const { host, port } = endpoints.of(name)
          return `${name}://${hostAndPort(host, port)}`
        }),
        'broker.id': node,
        'listener.security.protocol.map': list(({ name, securityProtocol }) => `${name}:${securityProtocol}`),
        listeners: list(({ name, host, port }) => `${name}://${hostAndPort(host, port)}`),
        'log.dirs': parts.logs.dataDir,
        'node.id': node
      }
    },
    readPool: createReadPool(),
    fetchSessions: new FetchSessions(settings.number('max.incremental.fetch.session.cache.slots')),
    metrics: createBrokerMetrics(meter, clock),
    clock,
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger
  }
}

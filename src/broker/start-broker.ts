/**
 * A broker in this process: opens the data folder, loads the groups, then
 * listens. On close it lets waiting group members go, answers what has begun,
 * ends the connections, and closes the logs last, so that nothing is accepted
 * that could not be written.
 */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type Clock, type Random, systemClock, systemRandom } from '../core/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../telemetry/index.ts'
import { GroupCoordinator } from './groups/index.ts'
import { AppendSignals } from './handlers/append-signals.ts'
import type { BrokerState } from './handlers/broker-state.ts'
import { createDispatcher } from './handlers/dispatcher.ts'
import { FetchSessions } from './handlers/fetch-sessions.ts'
import { createHandlers } from './handlers/registry.ts'
import { brokerConfigProblems, LogManager } from './log/index.ts'
import { OffsetsTopic } from './offsets-topic.ts'
import { ProducerIds } from './producer-ids.ts'
import { Features } from './features.ts'
import { type Authorizer, type AuthorizerOptions, authorizerSettings, openAuthorizer } from './security/acls/index.ts'
import { type FaultHook, Faults } from './testing/faults.ts'
import { featuresIn, type KafkaRelease } from './testing/kafka-releases.ts'
import { type Server, startServer } from './server/server.ts'
import { BrokerSettings, invalidSettings } from './settings.ts'

const MINUTE_MS = 60_000

/** How a broker runs. */
export interface BrokerOptions {
  /** Folder of all data. Default: a temporary one that is removed on `close`. */
  readonly dataDir?: string
  /** Address to bind. Default `127.0.0.1`. The broker has no authentication: anything else opens it to the network. */
  readonly host?: string
  /** Port to bind. Default 0: the system chooses. */
  readonly port?: number
  /** Host that clients are told to connect to. Default: `host`, or 127.0.0.1 if that is a wildcard. */
  readonly advertisedHost?: string
  /** Port that clients are told to connect to. Default: the port in use. */
  readonly advertisedPort?: number
  /** Kafka `node.id`. Default 1. */
  readonly nodeId?: number
  /** Broker settings by Kafka's names. Default: Kafka's, but `offsets.topic.num.partitions` 4. */
  readonly config?: Readonly<Record<string, string>>
  /** Lets ACLs decide who may do what. Default: everybody may do everything. */
  readonly authorizer?: AuthorizerOptions
  /**
   * Release of Apache Kafka whose API versions and features this broker shows, as clients of such a cluster see it.
   * Default: none, everything the broker has. It does not bring back what Kafka 4 has dropped.
   */
  readonly poseAs?: KafkaRelease
  /** Asked about every request after the rules of `faults`: for what they cannot say. */
  readonly onRequest?: FaultHook
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
}

/** A running broker. */
export interface Broker {
  /** `host:port` for clients. */
  readonly bootstrapServers: string
  readonly host: string
  readonly port: number
  readonly dataDir: string
  /** Kafka's id of the cluster, kept in the data folder. */
  readonly clusterId: string
  /** Makes chosen requests fail, wait or vanish: for tests of clients. */
  readonly faults: Faults
  /** Ends all connections, flushes and releases the data folder. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts a broker. Resolves when clients can connect.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING`, `ERR_BROKER_LISTEN_FAILED`, `ERR_BROKER_DATA_DAMAGED`, and
 *   what `LogManager.open` throws (`ERR_BROKER_DATA_DIR_…`, `ERR_BROKER_TOPIC_REGISTRY_CORRUPT`).
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const settings = new BrokerSettings({ ...authorizerSettings(options.authorizer), ...options.config })
  const problems = brokerConfigProblems(settings.given)
  if (problems.length > 0) throw invalidSettings(problems)
  const isTemporary = options.dataDir === undefined
  const dataDir = options.dataDir ?? (await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-broker-')))
  const removeTemporary = async (): Promise<void> => {
    if (isTemporary) await fs.rm(dataDir, { recursive: true, force: true })
  }
  try {
    return await startIn(dataDir, { options, settings, removeTemporary })
  } catch (error) {
    await removeTemporary()
    throw error
  }
}

async function startIn(
  dataDir: string,
  context: { options: BrokerOptions; settings: BrokerSettings; removeTemporary: () => Promise<void> }
): Promise<Broker> {
  const { options, settings, removeTemporary } = context
  const logger = options.logger ?? silentLogger
  const parts = await openParts(dataDir, options, settings)
  const endpoint = { host: advertisedHost(options), port: options.advertisedPort ?? 0 }
  const faults = new Faults(options.onRequest)
  let server: Server
  try {
    await parts.groups.load()
    server = await listen({ ...parts, endpoint, settings, options, faults })
  } catch (error) {
    parts.groups.close()
    await parts.logs.close()
    throw error
  }
  if (options.advertisedPort === undefined) endpoint.port = server.port
  const host = options.host ?? '127.0.0.1'
  const { clusterId } = parts.logs.identity
  logger.info({ host, port: server.port, dataDir, clusterId }, 'the broker is ready')
  const close = async (): Promise<void> => {
    parts.groups.close()
    await server.close()
    await parts.logs.close()
    await removeTemporary()
    logger.info({ port: server.port }, 'the broker has stopped')
  }
  let closing: Promise<void> | undefined
  const bootstrapServers = `${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`
  return { bootstrapServers, host, port: server.port, dataDir, clusterId, faults, close: () => (closing ??= close()) }
}

interface Parts {
  readonly logs: LogManager
  readonly groups: GroupCoordinator
  readonly offsetsTopic: OffsetsTopic
  readonly signals: AppendSignals
  readonly producerIds: ProducerIds
  readonly features: Features
  readonly authorizer: Authorizer
}

async function openParts(dataDir: string, options: BrokerOptions, settings: BrokerSettings): Promise<Parts> {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const logger = options.logger ?? silentLogger
  const nodeId = options.nodeId ?? 1
  const logs = await LogManager.open({ dataDir, nodeId, settings: settings.given, clock, random, logger })
  try {
    const signals = new AppendSignals(clock)
    const offsetsTopic = new OffsetsTopic({ logs, settings, clock, signals, logger })
    const groups = new GroupCoordinator({ settings: coordinatorSettings(settings), log: offsetsTopic, clock, logger })
    const authorizer = await openAuthorizer({ dataDir, settings, logger })
    const posed = options.poseAs === undefined ? undefined : featuresIn(options.poseAs)
    const features = await Features.open({ dataDir, nodeId, posed })
    const producerIds = await ProducerIds.open(dataDir)
    return { logs, groups, offsetsTopic, signals, producerIds, features, authorizer }
  } catch (error) {
    await logs.close()
    throw error
  }
}

function coordinatorSettings(settings: BrokerSettings): ConstructorParameters<typeof GroupCoordinator>[0]['settings'] {
  return {
    initialRebalanceDelayMs: settings.number('group.initial.rebalance.delay.ms'),
    sessionTimeoutMinMs: settings.number('group.min.session.timeout.ms'),
    sessionTimeoutMaxMs: settings.number('group.max.session.timeout.ms'),
    memberCountMax: settings.number('group.max.size'),
    offsetsRetentionMs: settings.number('offsets.retention.minutes') * MINUTE_MS,
    retentionCheckMs: settings.number('offsets.retention.check.interval.ms')
  }
}

/** `endpoint` is filled in when the port is known: before that no client can ask. */
async function listen(
  parts: Parts & { endpoint: BrokerState['endpoint']; settings: BrokerSettings; options: BrokerOptions; faults: Faults }
): Promise<Server> {
  const { options, settings, endpoint, logs } = parts
  const nodeId = options.nodeId ?? 1
  const host = options.host ?? '127.0.0.1'
  const logger = options.logger ?? silentLogger
  const clock = options.clock ?? systemClock
  const broker: BrokerState = {
    ...parts,
    nodeId,
    clusterId: logs.identity.clusterId,
    get identity(): Readonly<Record<string, string>> {
      const advertised = `PLAINTEXT://${endpoint.host}:${endpoint.port}`
      const node = String(nodeId)
      return {
        'advertised.listeners': advertised,
        'broker.id': node,
        listeners: `PLAINTEXT://${host}:${options.port ?? 0}`,
        'log.dirs': logs.dataDir,
        'node.id': node
      }
    },
    fetchSessions: new FetchSessions(settings.number('max.incremental.fetch.session.cache.slots')),
    clock,
    random: options.random ?? systemRandom,
    logger
  }
  const meter = options.meter ?? noopMeter
  const requests = meter.createCounter('comporta.broker.requests', { description: 'Requests by API' })
  const bytes = meter.createCounter('comporta.broker.bytes', { description: 'Bytes on client connections', unit: 'By' })
  const connections = meter.createUpDownCounter('comporta.broker.connections', {
    description: 'Open client connections'
  })
  return startServer({
    host,
    port: options.port ?? 0,
    dispatcher: createDispatcher({
      broker,
      handlers: createHandlers(options.poseAs),
      faults: parts.faults,
      onCounted: api => requests.add(1, { api })
    }),
    requestBytesMax: settings.number('socket.request.max.bytes'),
    idleMsMax: settings.number('connections.max.idle.ms'),
    connectionCountMax: settings.number('max.connections'),
    clock,
    logger,
    onBytes: (direction, count) => bytes.add(count, { direction }),
    onConnectionCount: change => connections.add(change)
  })
}

function advertisedHost(options: BrokerOptions): string {
  const host = options.advertisedHost ?? options.host ?? '127.0.0.1'
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
}

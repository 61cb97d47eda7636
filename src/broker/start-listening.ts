/**
 * The listeners of a broker, over one dispatcher: what each client is told about
 * where the broker is depends on the listener it came in on.
 */

import { type Clock, systemClock } from '../core/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import type { BoundListener, BrokerOptions } from './broker-options.ts'
import type { Parts } from './broker-parts.ts'
import type { Endpoint } from './handlers/broker-state.ts'
import type { EarlyRequests } from './handlers/early-requests.ts'
import type { BrokerMetrics } from './metrics.ts'
import type { SaslMechanism } from './security/authentication/listener-options.ts'
import { createTokenValidator } from './security/authentication/oauth-token.ts'
import { oauthBearerServer } from './security/authentication/oauthbearer.ts'
import { plainServer } from './security/authentication/plain.ts'
import { SaslGate, type SaslGateOptions } from './security/authentication/sasl-gate.ts'
import type { SaslMechanismServer } from './security/authentication/sasl-mechanism.ts'
import { scramServer } from './security/authentication/scram.ts'
import type { Dispatcher } from './server/connection.ts'
import { ConnectionLimits } from './server/connection-limits.ts'
import { FramePool } from './server/frame-pool.ts'
import { LimitedLogger } from './server/limited-logger.ts'
import { hostAndPort, type Listener, type ListenerSasl } from './server/resolve-listeners.ts'
import { type Server, type Service, startServer } from './server/server.ts'
import type { BrokerSettings } from './settings.ts'

/** What listening needs. */
export interface ListeningContext {
  readonly listeners: readonly Listener[]
  readonly options: BrokerOptions
  readonly settings: BrokerSettings
  readonly parts: Parts
  readonly dispatcher: Dispatcher
  readonly metrics: BrokerMetrics
  readonly early: EarlyRequests
}

/** Where the listeners of a broker are; filled in as they start. */
export class Endpoints {
  readonly #byListener = new Map<string, Endpoint>()

  /** Notes where clients of a listener are told to connect. */
  set(listenerName: string, endpoint: Endpoint): void {
    this.#byListener.set(listenerName, endpoint)
  }

  /** Where clients of a listener are told to connect; of the first one, if there is none of that name. */
  of(listenerName: string): Endpoint {
    const first = this.#byListener.values().next().value
    return this.#byListener.get(listenerName) ?? first ?? { host: '', port: -1 }
  }
}

/** Started listeners. */
export interface Listening {
  readonly bound: readonly BoundListener[]
  /** Ends all connections. Idempotent. */
  close(): Promise<void>
}

/** Starts all listeners, or none. */
export async function startListening(context: ListeningContext, endpoints: Endpoints): Promise<Listening> {
  const { listeners, options, settings, metrics, parts } = context
  const clock = options.clock ?? systemClock
  const logger = new LimitedLogger(options.logger ?? silentLogger, clock)
  const shared = {
    limits: new ConnectionLimits(settings, clock, address => parts.quotas.connected(address)),
    framePool: new FramePool()
  }
  const servers: Server[] = []
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(server => server.close()))
  }
  const bound: BoundListener[] = []
  try {
    for (const listener of listeners) {
      const serve = await serviceOf(listener, context, logger)
      const idleMsMax = settings.number('connections.max.idle.ms')
      const observed = {
        onBytes: (direction: 'in' | 'out', bytes: number) => metrics.transferred(listener.name, direction, bytes),
        onConnectionCount: (change: 1 | -1) => metrics.connectionsChanged(listener.name, change)
      }
      const server = await startServer({ listener, serve, ...shared, ...observed, idleMsMax, clock, logger })
      servers.push(server)
      const { name, securityProtocol, host, advertisedHost } = listener
      const endpoint = { host: advertisedHost, port: listener.advertisedPort ?? server.port }
      endpoints.set(name, endpoint)
      const bootstrapServers = hostAndPort(endpoint.host, endpoint.port)
      bound.push({ name, securityProtocol, host, port: server.port, bootstrapServers })
    }
  } catch (error) {
    await close()
    throw error
  }
  return { bound, close }
}

/** What serves the connections of a listener: the dispatcher, behind a gate if there is SASL. */
async function serviceOf(listener: Listener, context: ListeningContext, logger: Logger): Promise<() => Service> {
  const { options, settings, dispatcher, early, metrics } = context
  const requestBytesMax = (): number => settings.number('socket.request.max.bytes')
  const { sasl } = listener
  if (sasl === undefined) return () => ({ dispatcher, requestBytesMax: requestBytesMax() })
  const clock = options.clock ?? systemClock
  const gateOptions: SaslGateOptions = {
    mechanisms: await mechanismsOf(sasl, { listener, context, clock, logger }),
    maxReauthMs: sasl.maxReauthMs,
    failureDelayMs: () => settings.number('connection.failed.authentication.delay.ms'),
    tokenBytesMax: () => settings.number('sasl.server.max.receive.size'),
    requestBytesMax,
    inner: dispatcher,
    early,
    clock,
    logger,
    onOutcome: (outcome, mechanism) => metrics.authenticated(listener.name, mechanism, outcome === 'authenticated')
  }
  return () => {
    const gate = new SaslGate(gateOptions)
    return {
      dispatcher: gate,
      requestBytesMax: gateOptions.tokenBytesMax(),
      onConnected: connection => gate.watch(connection)
    }
  }
}

async function mechanismsOf(
  sasl: ListenerSasl,
  { listener, context, clock, logger }: { listener: Listener; context: ListeningContext; clock: Clock; logger: Logger }
): Promise<ReadonlyMap<SaslMechanism, SaslMechanismServer>> {
  const { scramUsers } = context.parts
  const mechanisms = new Map<SaslMechanism, SaslMechanismServer>()
  for (const mechanism of sasl.enabledMechanisms) {
    switch (mechanism) {
      case 'PLAIN':
        mechanisms.set(mechanism, plainServer(sasl.plainUsers ?? {}))
        break
      case 'SCRAM-SHA-256':
      case 'SCRAM-SHA-512':
        mechanisms.set(mechanism, scramServer(mechanism, scramUsers.lookup(mechanism)))
        break
      case 'OAUTHBEARER': {
        const validator = await createTokenValidator(sasl.oauth ?? {})
        if (sasl.oauth?.jwks === undefined) {
          logger.warn({ listener: listener.name }, 'tokens without a signature are accepted: anybody can be anybody')
        }
        mechanisms.set(
          mechanism,
          oauthBearerServer(validator, () => clock.now())
        )
        break
      }
    }
  }
  return mechanisms
}

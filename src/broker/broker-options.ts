/** What a broker can be told, and what a running one offers. */

import type { Clock, Random } from '../core/index.ts'
import type { Logger, Meter } from '../telemetry/index.ts'
import type { AuthorizerOptions } from './security/acls/index.ts'
import type { ListenerOptions, ScramUser, SecurityProtocol } from './security/authentication/listener-options.ts'
import type { BrokerDescription } from './testing/describe.ts'
import type { FaultHook, Faults } from './testing/faults.ts'
import type { KafkaRelease } from './testing/kafka-releases.ts'

/** How a broker runs. */
export interface BrokerOptions {
  /** Folder of all data. Default: a temporary one that is removed on `close`. */
  readonly dataDir?: string
  /** Address of the one PLAINTEXT listener. Default `127.0.0.1`. Anything else opens the broker to the network. */
  readonly host?: string
  /** Its port. Default 0: the system chooses. */
  readonly port?: number
  /** Host that clients are told to connect to. Default: `host`, or 127.0.0.1 if that is a wildcard. */
  readonly advertisedHost?: string
  /** Port that clients are told to connect to. Default: the port in use. */
  readonly advertisedPort?: number
  /**
   * Listeners, with TLS and SASL, instead of `host` and `port`. Default: what the settings `listeners`,
   * `advertised.listeners` and `listener.security.protocol.map` in `config` say, else one PLAINTEXT listener.
   */
  readonly listeners?: readonly ListenerOptions[]
  /**
   * Whether a listener without TLS is refused unless it listens on this machine only. Default `false`; the command
   * line sets it.
   */
  readonly isLoopbackGuarded?: boolean
  /** Users for SCRAM that are stored at the first start of a data folder; later ones come through Kafka's API. */
  readonly scramUsers?: readonly ScramUser[]
  /** Passwords by user name for PLAIN, on every listener that has no users of its own. Default: nobody. */
  readonly plainUsers?: Readonly<Record<string, string>>
  /** Kafka `node.id`. Default 1. */
  readonly nodeId?: number
  /** Broker settings by Kafka's names. Default: Kafka's, but `offsets.topic.num.partitions` 4. */
  readonly config?: Readonly<Record<string, string>>
  /**
   * Takes topics with a replication factor above 1, for programs that insist on one. They have one copy all the same:
   * the broker logs a warning for each, and `min.insync.replicas` counts as 1. Default false: such topics are refused.
   */
  readonly acceptReplicationFactor?: boolean
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

/** A listener of a running broker. */
export interface BoundListener {
  readonly name: string
  readonly securityProtocol: SecurityProtocol
  /** Address and port that are bound. */
  readonly host: string
  readonly port: number
  /** `host:port` for clients of this listener. */
  readonly bootstrapServers: string
}

/** A running broker. */
export interface Broker {
  /** `host:port` for clients of the first listener. */
  readonly bootstrapServers: string
  /** Address of the first listener. */
  readonly host: string
  /** Port of the first listener. */
  readonly port: number
  /** All listeners, in the order in which they were given. */
  readonly listeners: readonly BoundListener[]
  readonly dataDir: string
  /** Kafka's id of the cluster, kept in the data folder. */
  readonly clusterId: string
  /** Makes chosen requests fail, wait or vanish: for tests of clients. */
  readonly faults: Faults
  /** What is inside, as plain values: for the assertions of tests, and for a look at trouble. */
  describe(): BrokerDescription
  /** Ends all connections, flushes and releases the data folder. Idempotent. */
  close(): Promise<void>
}

/**
 * What a cluster client can be told: addresses, identity, security, limits.
 *
 * Secrets enter here and nowhere else, and never leave in messages or logs.
 */

import type { Clock, Random } from '../core/index.ts'
import type { Logger, Meter } from '../telemetry/index.ts'

/** TLS of a connection. All are as in Node's `tls.connect`, PEM text or bytes. */
export interface TlsOptions {
  /** Certificates of the authorities to trust. Default: those that Node ships. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]
  /** Certificate of this client, for mutual TLS. */
  readonly cert?: string | Buffer
  /** Private key of this client, for mutual TLS. */
  readonly key?: string | Buffer
  /** Certificate and private key of this client in one, PKCS#12 (`.p12`, `.pfx`), instead of `cert` and `key`. */
  readonly pfx?: Buffer
  /** Passphrase of the private key, or of `pfx`. */
  readonly passphrase?: string
  /** Name that the certificate of the broker must carry. Default: the host that is connected to. */
  readonly servername?: string
  /** Whether an unverified certificate ends the connection. Default `true`; `false` is for tests only. */
  readonly rejectUnauthorized?: boolean
}

/** Something that changes while connections stand, such as a certificate that is renewed. */
export interface Renewable<T> {
  /** The newest. Read for every connection that is opened. */
  current(): T
  /**
   * Calls back after every change: open connections are then replaced, one at a time, with nothing in flight.
   *
   * @returns Ends it.
   */
  onChange(listener: () => void): () => void
}

/** TLS options that change while connections stand. */
export type TlsProvider = Renewable<TlsOptions>

/** A user and its password. */
export interface UserCredentials {
  readonly username: string
  readonly password: string
}

/** A bearer token and its SASL extensions (KIP-342). */
export interface OauthToken {
  /** The token itself, without `Bearer`. */
  readonly value: string
  /** Extensions sent with it. Default none. */
  readonly extensions?: Readonly<Record<string, string>>
}

/** Mechanisms of user and password. */
export type PasswordMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

/**
 * How the client proves who it is.
 * Source: RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM), RFC 7628 (OAUTHBEARER), KIP-12, KIP-84, KIP-255.
 */
export type SaslOptions =
  | ({ readonly mechanism: PasswordMechanism } & UserCredentials)
  | { readonly mechanism: PasswordMechanism; readonly credentials: Renewable<UserCredentials> }
  | {
      readonly mechanism: 'OAUTHBEARER'
      /** Called for every (re-)authentication with the broker's address. Amazon MSK IAM signs its token here. */
      readonly token: (broker: { readonly host: string; readonly port: number }) => Promise<OauthToken> | OauthToken
    }

/** Options of one connection, shared by all connections of a cluster. */
export interface ConnectionSettings {
  /** Name of this client in the broker's logs, metrics and quotas. Default `comporta`. Source: Kafka `client.id`. */
  readonly clientId?: string
  /**
   * Encrypts the connection. `true` = TLS with all defaults; a provider = certificates that are renewed while the
   * client runs. Default: plain text.
   */
  readonly tls?: TlsOptions | TlsProvider | boolean
  /** Authenticates the connection. Default: none. */
  readonly sasl?: SaslOptions
  /** Longest wait for an answer, in milliseconds. At least 1. Default 30_000. Source: Kafka `request.timeout.ms`. */
  readonly requestTimeoutMs?: number
  /** Longest wait for a connection with TLS, versions and SASL, in milliseconds. Default 10_000. */
  readonly connectTimeoutMs?: number
  /** Largest answer that is accepted, in bytes; a longer one closes the connection. Default 134_217_728. */
  readonly responseBytesMax?: number
  /** Requests on one connection that wait for their answer at the same time. Default 5. */
  readonly inFlightMax?: number
  /** Requests that may wait for a free place on one connection. Default 1_000. */
  readonly waitingMax?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** Options of `Cluster.connect`. */
export interface ClusterOptions extends ConnectionSettings {
  /** Addresses `host:port` to start from, tried in random order. At least one. Source: Kafka `bootstrap.servers`. */
  readonly bootstrapServers: readonly string[]
  /** Longest wait of `Cluster.connect` for the first broker, in milliseconds. Default `requestTimeoutMs`. */
  readonly bootstrapTimeoutMs?: number
  /**
   * Whether `Cluster.connect` goes on without a broker when none can be reached in that time: calls look for one then.
   * What is wrong for good, such as a refused password, is an error all the same. Default `false`.
   */
  readonly mayBeAway?: boolean
  /** Age at which cached metadata is read anew, in milliseconds. Default 300_000. Source: `metadata.max.age.ms`. */
  readonly metadataMaxAgeMs?: number
  /** Wait after the first failed connection to a broker, in milliseconds; doubles with jitter. Default 50. */
  readonly reconnectBackoffMs?: number
  /** Longest such wait, in milliseconds. Default 1_000. Source: Kafka `reconnect.backoff.max.ms`. */
  readonly reconnectBackoffMaxMs?: number
  /**
   * Silence of a broker that owes an answer, in milliseconds, after which any other one is asked in its place, and the
   * metadata is looked at: a broker that is no longer part of the cluster is given up. Default 3_000.
   */
  readonly silenceMs?: number
  /** Called when the client is closed, once: for what its options need, such as a source of tokens. */
  readonly onClosed?: () => void
  readonly meter?: Meter
}

/** One broker of the cluster. */
export interface BrokerNode {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** One partition of a topic, as metadata has it. */
export interface PartitionMetadata {
  readonly partition: number
  /** Node id of the leader, -1 while there is none. */
  readonly leaderId: number
  /** Leader epoch, -1 when the broker is too old to say. */
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  /** Kafka error code of this partition, 0 if none. */
  readonly errorCode: number
}

/** One topic, as metadata has it. */
export interface TopicMetadata {
  readonly topic: string
  /** Topic id in Kafka's base64url form; `ZERO_UUID` when the broker has none. */
  readonly topicId: string
  readonly isInternal: boolean
  /** Ordered by partition number. Empty when `errorCode` is not 0. */
  readonly partitions: readonly PartitionMetadata[]
  /** Kafka error code of this topic, 0 if none. */
  readonly errorCode: number
}

/** A snapshot of what the cluster said about itself. */
export interface ClusterMetadata {
  readonly clusterId: string | null
  /** Node id of the controller, -1 if unknown. */
  readonly controllerId: number
  readonly brokers: readonly BrokerNode[]
  readonly topics: readonly TopicMetadata[]
}

/** Where a request goes. */
export type SendTarget =
  | 'any'
  | 'controller'
  | { readonly nodeId: number }
  | { readonly coordinator: 'group' | 'transaction'; readonly key: string }

/** How a request is sent. */
export interface SendOptions {
  readonly to: SendTarget
  /** Longest wait, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number
  /** Gives the wait up; the request itself may still run. */
  readonly signal?: AbortSignal
  /**
   * Name of the connection to use. Kafka answers one request of a connection after the other, so whatever may wait
   * long (fetch, join) needs a lane of its own. Default `main`.
   */
  readonly lane?: string
  /** Highest API version to use. Default: the highest that both sides know. */
  readonly versionMax?: number
}

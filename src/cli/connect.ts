/** From `kafka:` of the pipeline file to a cluster client: addresses, certificates, credentials. */

import type { Cluster, ClusterOptions, TlsOptions, TlsProvider } from '../client/index.ts'
import type { KafkaConfig } from '../config/index.ts'
import { PipelineError, systemClock } from '../core/index.ts'
import { type Logger, type Meter, noopMeter } from '../telemetry/index.ts'
import { type CredentialContext, openTls } from './certificates/open-tls.ts'
import { SourceReader } from './certificates/source-reader.ts'
import { openSasl } from './sasl/open-sasl.ts'

/** What is told of a connection. */
export interface ConnectContext {
  readonly logger: Logger
  /** Where certificates and tokens say when they end. Default: nowhere. */
  readonly meter?: Meter
  /** Whether the part starts although no broker can be reached. Default false. */
  readonly mayBeAway?: boolean
}

/** Who can start without Kafka looks for it this long, in milliseconds. */
const AWAY_MS = 2000

/** Connects to the cluster that `kafka:` names. */
export async function connectCluster(kafka: KafkaConfig, role: string, logger: Logger): Promise<Cluster> {
  return await connectRole(kafka, role, { logger })
}

/**
 * Connects to the cluster that `kafka:` names, for a part that has metrics.
 *
 * @throws PipelineError `ERR_CONFIG_CREDENTIALS` if a certificate or secret cannot be used,
 *   `ERR_CLI_CREDENTIALS_UNREACHABLE` if one cannot be had, and those of `Cluster.connect`.
 */
export async function connectRole(kafka: KafkaConfig, role: string, context: ConnectContext): Promise<Cluster> {
  const { logger, meter = noopMeter, mayBeAway = false } = context
  const clientId = `${kafka.clientId}-${role}`
  const credentials: CredentialContext = { reader: new SourceReader(process.env), clock: systemClock, logger, meter }
  const tls = await tlsOf(kafka, credentials)
  const sasl = kafka.sasl === undefined ? undefined : await openSasl(kafka.sasl, clientId, credentials)
  warnOfSecretsInClear(kafka, logger)
  const options: ClusterOptions = {
    bootstrapServers: kafka.bootstrapServers,
    clientId,
    requestTimeoutMs: kafka.requestTimeoutMs,
    connectTimeoutMs: kafka.connectTimeoutMs,
    bootstrapTimeoutMs: mayBeAway ? Math.min(kafka.connectTimeoutMs, AWAY_MS) : kafka.connectTimeoutMs,
    mayBeAway,
    logger: logger.child({ room: 'client' }),
    meter,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl: sasl.options, onClosed: () => sasl.close() })
  }
  const { Cluster } = await import('../client/index.ts')
  try {
    return await Cluster.connect(options)
  } catch (error) {
    throw kafka.isEmbedded ? withHint(error) : error
  }
}

/** Who starts a part alone on the embedded broker has to start that, too. */
function withHint(error: unknown): unknown {
  if (!PipelineError.is(error) || error.code !== 'ERR_CLIENT_CONNECT_FAILED') return error
  const hint = 'no embedded broker runs there: start it with comporta up, or comporta broker'
  return new PipelineError(error.code, `${error.message}; ${hint}`, { cause: error })
}

async function tlsOf(
  { tls }: KafkaConfig,
  credentials: CredentialContext
): Promise<TlsOptions | TlsProvider | boolean | undefined> {
  return tls === undefined || typeof tls === 'boolean' ? tls : await openTls(tls, credentials)
}

const loopback = /^(localhost|127\.|\[::1\])/

/** SCRAM never sends the password; these do. */
function warnOfSecretsInClear({ tls, sasl, bootstrapServers }: KafkaConfig, logger: Logger): void {
  const isClear = tls === undefined || tls === false
  if (isClear && sasl?.mechanism === 'PLAIN' && !bootstrapServers.every(address => loopback.test(address))) {
    logger.warn({}, 'kafka.sasl: PLAIN sends the password in clear without kafka.tls: use TLS, or SCRAM')
  }
  if (isClear && sasl?.mechanism === 'OAUTHBEARER' && !bootstrapServers.every(address => loopback.test(address))) {
    logger.warn({}, 'kafka.sasl: OAUTHBEARER sends the token in clear without kafka.tls: use TLS')
  }
  const endpoint = sasl?.mechanism === 'OAUTHBEARER' ? sasl.tokenEndpoint : undefined
  if (endpoint?.startsWith('http:') === true && !loopback.test(endpoint.slice('http://'.length))) {
    logger.warn({}, 'kafka.sasl.tokenEndpoint: the client secret crosses the network in clear: use https')
  }
}

/**
 * A cluster whose clients must authenticate, for one test file: an embedded
 * broker, or with `KAFKA_BOOTSTRAP` set an Apache Kafka of its own, since the one
 * that all tests share has no SASL. Both get the same settings.
 */

import { KAFKA_ERRORS, saslAuthenticateApi, saslHandshakeApi } from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule'
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule'
const BEARER_MODULE = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'

/** After how long clients of this cluster must authenticate again, in milliseconds. */
export const SESSION_MS = 1_000

const CONFIG = {
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT',
  'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
  'sasl.mechanism.inter.broker.protocol': 'PLAIN',
  'listener.name.plaintext.plain.sasl.jaas.config':
    `${PLAIN_MODULE} required username="admin" password="admin-secret" ` +
    'user_admin="admin-secret" user_other="other-secret";',
  'listener.name.plaintext.scram-sha-256.sasl.jaas.config': `${SCRAM_MODULE} required;`,
  'listener.name.plaintext.scram-sha-512.sasl.jaas.config': `${SCRAM_MODULE} required;`,
  // Tokens without a signature: what Kafka offers for tests of this mechanism.
  'listener.name.plaintext.oauthbearer.sasl.jaas.config':
    `${BEARER_MODULE} required ` + 'unsecuredLoginStringClaim_sub="admin";',
  'connection.failed.authentication.delay.ms': '20',
  'connections.max.reauth.ms': String(SESSION_MS)
}

/** A started cluster. */
export interface SaslCluster {
  readonly bootstrapServers: string
  readonly isEmbedded: boolean
  readonly close: () => Promise<void>
}

/** Starts the cluster; whoever starts it closes it. */
export async function startSaslCluster(): Promise<SaslCluster> {
  const isEmbedded = (process.env['KAFKA_BOOTSTRAP'] ?? '') === ''
  if (isEmbedded) {
    const { startBroker } = await import('../../src/broker/index.ts')
    return { ...(await startBroker({ config: CONFIG })), isEmbedded }
  }
  const { startKafkaJvm } = await import('../support/kafka-jvm.ts')
  return { ...(await startKafkaJvm({ overrides: CONFIG })), isEmbedded }
}

/** What the broker answered to one token. */
export interface TokenAnswer {
  readonly error: string
  readonly message: string | null
  readonly token: string
  readonly lifetimeMs: number
}

/** A connection that says exactly what a test wants of SASL. */
export class SaslConnection {
  readonly raw: RawConnection

  constructor(raw: RawConnection) {
    this.raw = raw
  }

  /** Names a mechanism. */
  async handshake(mechanism: string, version = 1): Promise<{ error: string; mechanisms: string[] }> {
    const { errorCode, mechanisms } = await this.raw.request(saslHandshakeApi, { version, message: { mechanism } })
    return { error: errorName(errorCode), mechanisms: mechanisms.toSorted() }
  }

  /** Sends a token inside SaslAuthenticate. */
  async token(token: string | Buffer, version = 2): Promise<TokenAnswer> {
    const message = { authBytes: Buffer.from(token) }
    const answer = await this.raw.request(saslAuthenticateApi, { version, message })
    return {
      error: errorName(answer.errorCode),
      message: answer.errorMessage,
      token: answer.authBytes.toString('utf8'),
      lifetimeMs: Number(answer.sessionLifetimeMs)
    }
  }

  /** Sends a token as a bare frame. */
  sendBareToken(token: string): void {
    const bytes = Buffer.from(token)
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    this.raw.send(Buffer.concat([length, bytes]))
  }
}

/** A token of PLAIN. */
export function plainToken(user = 'admin', password = `${user}-secret`, authorizationId = ''): string {
  return `${authorizationId}\0${user}\0${password}`
}

/** A token of OAUTHBEARER with an unsecured JWT of these claims. */
export function bearerToken(claims: Readonly<Record<string, unknown>>): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `n,,\u0001auth=Bearer ${encode({ alg: 'none' })}.${encode(claims)}.\u0001\u0001`
}

function errorName(code: number): string {
  return Object.entries(KAFKA_ERRORS).find(([, error]) => error.code === code)?.[0] ?? String(code)
}

/**
 * How a Kafka sink proves who it is: TLS and SASL from settings whose secrets are in the function's environment or in
 * files beside it, never in the settings themselves.
 */

import { readFile } from 'node:fs/promises'

import type { SaslOptions, TlsOptions } from '../../client/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import { type AwsCredentials, mskToken } from './msk-token.ts'

/** Text, or where it is: an environment variable, or a file (relative to the working directory). */
export type SinkSecret = string | { readonly env: string } | { readonly file: string }

/** TLS of a Kafka sink; all PEM. */
export interface KafkaSinkTls {
  /** Certificates of the authorities to trust. Default: those that Node ships. */
  readonly ca?: SinkSecret
  /** Certificate of this client, for mutual TLS. */
  readonly cert?: SinkSecret
  /** Its private key. */
  readonly key?: SinkSecret
  readonly passphrase?: SinkSecret
  /** Name that the broker's certificate must carry. Default: the host that is connected to. */
  readonly serverName?: string
}

/** SASL of a Kafka sink. */
export type KafkaSinkSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: SinkSecret
      readonly password: SinkSecret
    }
  /** Amazon MSK with the function's own role. */
  | { readonly mechanism: 'AWS_MSK_IAM'; readonly region: string }

/** What the settings are read with. */
export interface SecretSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
}

/**
 * Reads TLS settings.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if a secret is not where the settings say.
 */
export async function readTls(
  tls: KafkaSinkTls | boolean | undefined,
  { environment }: SecretSurroundings
): Promise<TlsOptions | boolean> {
  if (tls === undefined || typeof tls === 'boolean') return tls ?? false
  const { serverName, ...secrets } = tls
  const options: Record<string, string> = serverName === undefined ? {} : { servername: serverName }
  for (const name of ['ca', 'cert', 'key', 'passphrase'] as const) {
    const secret = secrets[name]
    if (secret !== undefined) options[name] = await readSecret(`tls.${name}`, secret, environment)
  }
  return options
}

/**
 * Reads SASL settings.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if a secret is not where the settings say.
 */
export async function readSasl(
  sasl: KafkaSinkSasl | undefined,
  { environment, clock }: SecretSurroundings
): Promise<SaslOptions | undefined> {
  if (sasl === undefined) return undefined
  if (sasl.mechanism === 'AWS_MSK_IAM') {
    const { region } = sasl
    // Signed anew for every connection: it costs less than to ask whether an old token still holds after a freeze.
    const token = (): { value: string } => ({ value: mskToken(region, credentialsOf(environment), clock.now()) })
    return { mechanism: 'OAUTHBEARER', token }
  }
  const username = await readSecret('sasl.username', sasl.username, environment)
  const password = await readSecret('sasl.password', sasl.password, environment)
  return { mechanism: sasl.mechanism, username, password }
}

function credentialsOf(environment: SecretSurroundings['environment']): AwsCredentials {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment
  const { AWS_SESSION_TOKEN: sessionToken } = environment
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw invalid('AWS_MSK_IAM needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as every Lambda function has them')
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

async function readSecret(
  name: string,
  secret: SinkSecret,
  environment: SecretSurroundings['environment']
): Promise<string> {
  if (typeof secret === 'string') return secret
  if ('env' in secret) {
    const value = environment[secret.env]
    if (value === undefined || value === '') throw invalid(`${name}: the environment has no ${secret.env}`)
    return value
  }
  try {
    return await readFile(secret.file, 'utf8')
  } catch (cause) {
    throw invalid(`${name}: the file ${secret.file} cannot be read`, cause)
  }
}

function invalid(message: string, cause?: unknown): PipelineError {
  return new PipelineError('ERR_DISPATCHER_TARGET_INVALID', message, { cause })
}

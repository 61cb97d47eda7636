/**
 * How clients of AWS's SDK are made for sinks.
 *
 * The SDK is loaded when a sink is made and not before: a function that posts to
 * HTTP services only does without it. Its retries are off, because whoever calls
 * a sink has the deadline and the order. Region, endpoint and credentials come
 * from the settings, else from AWS's own chain (`AWS_REGION`,
 * `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL`, profiles, roles), so that the same
 * pipeline file works against an emulator on a laptop and in AWS.
 */

import type { Clock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

export {
  awsErrorKind,
  type AwsErrorKind,
  awsErrorName,
  awsOutcome,
  entryFailure,
  isAwsSetupKind
} from './aws-errors.ts'

/** Where a service of AWS is: settings that every sink in AWS has. */
export interface AwsPlace {
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string | undefined
  /** Address of the service: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL…`, else AWS's by region. */
  readonly endpoint?: string | undefined
  /** Longest wait for the answer to one request, in milliseconds. Default 60_000: a sink's caller gives it a signal. */
  readonly timeoutMs?: number | undefined
}

/** What sinks in AWS need from their surroundings. */
export interface AwsDependencies {
  readonly clock?: Clock
  readonly logger?: Logger
  /** Variables of the process: where an endpoint of this machine is looked for. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** A client's surroundings. */
export interface AwsClientOptions extends AwsPlace {
  /** Most connections. Default 50, the SDK's. */
  readonly connectionsMax?: number
  /** Name of the service in `AWS_ENDPOINT_URL_<SERVICE>`: `SQS`, `SNS`, `EVENTBRIDGE`, `KINESIS`, `SFN`, … */
  readonly service?: string
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

/** Settings of the SDK's HTTP/1.1 handler. */
export interface AwsHttpSettings {
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly throwOnRequestTimeout: true
  readonly httpAgent: { readonly keepAlive: true; readonly maxSockets: number }
  readonly httpsAgent: { readonly keepAlive: true; readonly maxSockets: number }
}

/** Settings of an SDK client. */
export interface AwsClientSettings {
  readonly maxAttempts: 1
  readonly region?: string
  readonly endpoint?: string
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly requestHandler: AwsHttpSettings
}

/** Longest wait for a connection, in milliseconds: shorter than an invocation, so that others get their turn. */
const CONNECT_TIMEOUT_MS = 3000
/** A last resort: whoever calls a sink gives it a signal. */
const TIMEOUT_MS = 60_000

/** Variables that say where credentials come from; without any of them a laptop has none. */
const CREDENTIAL_VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI'
] as const

/**
 * Settings of an SDK client.
 *
 * With an endpoint of this machine in the settings, the client signs with credentials that mean nothing: an emulator
 * checks none, and a laptop has none to look for. The same with one from the environment, unless the environment has
 * credentials as well.
 */
export function awsClientOptions(options: AwsClientOptions): AwsClientSettings {
  const { region, endpoint, environment = {}, timeoutMs = TIMEOUT_MS } = options
  const isOurs = endpoint !== undefined && isLoopback(endpoint)
  const fromEnvironment = endpoint === undefined ? environmentEndpoint(environment, options.service) : undefined
  const isTheirs = fromEnvironment !== undefined && isLoopback(fromEnvironment)
  const hasCredentials = CREDENTIAL_VARIABLES.some(name => isSet(environment[name]))
  const hasRegion = isSet(environment['AWS_REGION']) || isSet(environment['AWS_DEFAULT_REGION'])
  const isRegionGuessed = isOurs || (isTheirs && !hasRegion)
  const place = region ?? (isRegionGuessed ? (environment['AWS_REGION'] ?? 'us-east-1') : undefined)
  const agent = { keepAlive: true, maxSockets: options.connectionsMax ?? 50 } as const
  return {
    maxAttempts: 1,
    ...(place === undefined ? {} : { region: place }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(isOurs || (isTheirs && !hasCredentials)
      ? { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }
      : {}),
    requestHandler: {
      connectionTimeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent
    }
  }
}

/** A client of the SDK, as far as its middleware matters. */
interface WithMiddleware {
  readonly middlewareStack: { remove(name: string): boolean }
}

/**
 * Takes the SDK's log of requests away, which nobody reads: it copies every input and output field by field, and has
 * the payload in it.
 */
export function withoutRequestLog<C extends WithMiddleware>(client: C): C {
  client.middlewareStack.remove('loggerMiddleware')
  return client
}

/** Whether an address is of this machine. */
export function isLoopback(endpoint: string): boolean {
  const host = URL.parse(endpoint)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/**
 * The endpoint that the SDK takes from the environment. Source: AWS SDKs and tools reference guide, "Service-specific
 * endpoints".
 */
function environmentEndpoint(
  environment: Readonly<Record<string, string | undefined>>,
  service: string | undefined
): string | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined
  const own = service === undefined ? undefined : environment[`AWS_ENDPOINT_URL_${service}`]
  return isSet(own) ? own : environment['AWS_ENDPOINT_URL']
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}

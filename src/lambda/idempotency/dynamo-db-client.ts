/**
 * A lean client of DynamoDB: the few requests that claims need, over kept connections.
 *
 * AWS's SDK costs 1 to 2 ms of CPU for a request and 100 ms to load; a claim is two requests, on every batch. This
 * client signs by itself, writes JSON as the service takes it, and reads JSON as it gives it. See docs/decisions/0008.
 *
 * Credentials: in Lambda they are variables of the environment, and the SDK is not loaded at all. Anywhere else the SDK
 * finds credentials and region by its own chain (profiles, roles, containers), and renews them; requests are ours.
 *
 * It never tries again. Errors carry the service's own name and status, as the SDK's do.
 */

import { createRequire } from 'node:module'

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'

import { type Clock, systemClock } from '../../core/index.ts'
import { awsClientOptions, HttpClient, isLoopback } from '../../targets/sinks/index.ts'
import { type AwsCredentials, AwsSigner } from './aws-signature.ts'

/** Where DynamoDB is. */
export interface DynamoDbPlace {
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  readonly clock?: Clock | undefined
}

/** What the service answered to a request that it did not do; named as the service names it. */
export class DynamoDbError extends Error {
  readonly $metadata: { readonly httpStatusCode: number }
  /** Members of the answer: `Item`, `CancellationReasons`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(name: string, message: string, answer: { readonly statusCode: number; readonly details: object }) {
    super(message)
    this.name = name
    this.$metadata = { httpStatusCode: answer.statusCode }
    this.details = { ...answer.details }
  }
}

/** Most bytes of an answer: a transaction that is cancelled gives back 100 items. */
const REPLY_BYTES_MAX = 8_388_608
const CONNECT_TIMEOUT_MS = 3_000
const CONNECTIONS_MAX = 32
const VERSION = 'DynamoDB_20120810'

/** Sends requests to DynamoDB. */
export class DynamoDbClient {
  readonly #place: DynamoDbPlace
  readonly #clock: Clock
  #opened: Promise<Opened> | undefined

  constructor(place: DynamoDbPlace) {
    this.#place = place
    this.#clock = place.clock ?? systemClock
  }

  /**
   * Sends one request.
   *
   * @param operation - `PutItem`, `GetItem`, `TransactWriteItems`.
   * @throws DynamoDbError for what the service refuses, and the system's errors.
   */
  async send(operation: string, input: object, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    this.#opened ??= this.#open()
    const { host, http, signer, credentials } = await this.#opened.catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    const body = Buffer.from(JSON.stringify(input), 'utf8')
    const request = { host, target: `${VERSION}.${operation}`, body, nowMs: this.#clock.now() }
    const head = signer.head(request, await credentials())
    const abort = new AbortController()
    const timer = this.#clock.after(timeoutMs, () =>
      abort.abort(new DOMException(`no answer after ${Math.round(timeoutMs)} ms`, 'TimeoutError'))
    )
    try {
      const reply = await http.send({ head, body, replyBytesMax: REPLY_BYTES_MAX, signal: abort.signal })
      return answerOf(reply.statusCode, reply.body)
    } finally {
      timer.cancel()
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    const parts = await opened?.catch(() => undefined)
    parts?.http.close()
    parts?.sdkClient?.destroy()
  }

  async #open(): Promise<Opened> {
    const { environment = {}, endpoint } = this.#place
    const address = endpoint ?? environmentEndpoint(environment)
    const own = ownCredentials(environment, endpoint, address)
    const region = this.#place.region ?? environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION']
    const isOfThisMachine = address !== undefined && isLoopback(address)
    const sdkClient = own === undefined || (region === undefined && !isOfThisMachine) ? this.#sdkClient() : undefined
    const place = region ?? (isOfThisMachine ? 'us-east-1' : await sdkClient?.config.region()) ?? ''
    const url = new URL(address ?? `https://dynamodb.${place}.${domainOf(place)}`)
    const isTls = url.protocol === 'https:'
    return {
      host: url.host,
      http: new HttpClient({
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
        isTls,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        connectionsMax: CONNECTIONS_MAX,
        clock: this.#clock
      }),
      signer: new AwsSigner({ region: place, service: 'dynamodb' }),
      credentials: async () =>
        own ?? (await sdkClient?.config.credentials()) ?? { accessKeyId: '', secretAccessKey: '' },
      sdkClient
    }
  }

  #sdkClient(): DynamoDBClient {
    const { region, endpoint, environment } = this.#place
    // What the package is, its types say. Loaded here: in Lambda nobody needs it.
    const sdk = createRequire(import.meta.url)('@aws-sdk/client-dynamodb') as typeof import('@aws-sdk/client-dynamodb')
    return new sdk.DynamoDBClient(awsClientOptions({ region, endpoint, service: 'DYNAMODB', environment }))
  }
}

interface Opened {
  readonly host: string
  readonly http: HttpClient
  readonly signer: AwsSigner
  readonly credentials: () => Promise<AwsCredentials>
  readonly sdkClient: DynamoDBClient | undefined
}

/**
 * Credentials that need no looking for: those of the environment, or, for a server of this machine that the settings
 * name, ones that mean nothing.
 */
function ownCredentials(
  environment: Readonly<Record<string, string | undefined>>,
  endpoint: string | undefined,
  address: string | undefined
): AwsCredentials | undefined {
  const local = { accessKeyId: 'local', secretAccessKey: 'local' }
  if (endpoint !== undefined && isLoopback(endpoint)) return local
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'] ?? ''
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'] ?? ''
  if (accessKeyId !== '' && secretAccessKey !== '') {
    return { accessKeyId, secretAccessKey, sessionToken: environment['AWS_SESSION_TOKEN'] }
  }
  const hasOthers = [
    'AWS_PROFILE',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    'AWS_CONTAINER_CREDENTIALS_FULL_URI'
  ]
  const isLocal = address !== undefined && isLoopback(address)
  return isLocal && !hasOthers.some(name => (environment[name] ?? '') !== '') ? local : undefined
}

/** Source: AWS SDKs and tools reference guide, "Service-specific endpoints". */
function environmentEndpoint(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined
  const own = environment['AWS_ENDPOINT_URL_DYNAMODB'] ?? ''
  const any = environment['AWS_ENDPOINT_URL'] ?? ''
  return own !== '' ? own : any !== '' ? any : undefined
}

/** The domain of a region's partition. Source: AWS's own endpoint rules (`partitions.json`). */
function domainOf(region: string): string {
  if (region.startsWith('cn-')) return 'amazonaws.com.cn'
  if (region.startsWith('eusc-')) return 'amazonaws.eu'
  if (region.startsWith('us-isob-')) return 'sc2s.sgov.gov'
  if (region.startsWith('us-iso-')) return 'c2s.ic.gov'
  return 'amazonaws.com'
}

function answerOf(statusCode: number, body: Buffer | undefined): Readonly<Record<string, unknown>> {
  let answer: unknown
  try {
    answer = JSON.parse(body?.toString('utf8') ?? '')
  } catch {
    answer = undefined
  }
  const details = typeof answer === 'object' && answer !== null ? { ...answer } : undefined
  if (statusCode === 200 && details !== undefined) return details
  const given: Readonly<Record<string, unknown>> = details ?? {}
  const type = given['__type']
  const text = given['message'] ?? given['Message']
  // `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`
  const name = typeof type === 'string' ? type.replace(/^.*#/, '') : 'InvalidAnswer'
  throw new DynamoDbError(name, typeof text === 'string' ? text : `status ${statusCode}`, {
    // An answer that is none is an outage, whatever its status says.
    statusCode: details === undefined && statusCode < 500 ? 502 : statusCode,
    details: given
  })
}

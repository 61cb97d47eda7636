/**
 * The API operations of event source mappings, as AWS's SDKs and CLI call them (Create, Get, List, Update and
 * DeleteEventSourceMapping), for whoever serves Lambda's API. It knows no sockets: a request comes in, an answer goes
 * out.
 *
 * Mappings live as long as the process. What is changed takes effect at once, where AWS takes up to minutes; states are
 * those that AWS's end in: `Enabled`, `Disabled`, and `Deleting` in the answer to a deletion.
 *
 * Source: Lambda API reference, `CreateEventSourceMapping` and its neighbours.
 */

import { randomUUID } from 'node:crypto'

import { type Clock, messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { mappingOptionsOf } from './mapping-request.ts'
import { type EventSourceMappingOptions, ESM_LIMITS } from './settings.ts'

/** A request of the API. */
export interface MappingApiRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** The JSON of the request; empty where there is none. */
  readonly body: string
}

/** What the API answers. */
export interface MappingApiAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** Error type of AWS's protocol, for the header `x-amzn-errortype`. */
  readonly errorType?: string
}

/** A mapping that runs. */
export interface StartedMapping {
  /** Ends it in good order. */
  stop(): Promise<void>
  /** Resolves when it has ended: with what ended it, or `undefined` after `stop`. */
  readonly ended?: Promise<Error | undefined>
}

/** What the API needs. */
export interface MappingApiOptions {
  /** Starts a mapping; its `uuid` is given. */
  readonly start: (options: EventSourceMappingOptions) => Promise<StartedMapping>
  /** Region and account of ARNs. Default `us-east-1`, `000000000000`. */
  readonly region?: string
  readonly accountId?: string
  readonly clock?: Clock
}

type Fields = Readonly<Record<string, unknown>>

interface Entry {
  readonly uuid: string
  request: Fields
  options: EventSourceMappingOptions
  isEnabled: boolean
  changedMs: number
  running: StartedMapping | undefined
  /** What ended it. */
  problem: string | undefined
  /** The change under way: the next one waits for it, or one of the two would run on without an owner. */
  changing: Promise<unknown>
}

/** What may be changed; the rest is fixed when a mapping is made. */
const CHANGEABLE: ReadonlySet<string> = new Set([
  'FunctionName',
  'Enabled',
  'BatchSize',
  'FilterCriteria',
  'MaximumBatchingWindowInSeconds',
  'DestinationConfig',
  'MaximumRecordAgeInSeconds',
  'BisectBatchOnFunctionError',
  'MaximumRetryAttempts',
  'SourceAccessConfigurations',
  'FunctionResponseTypes',
  'ScalingConfig',
  'KMSKeyArn',
  'MetricsConfig',
  'LoggingConfig',
  'ProvisionedPollerConfig'
])

const PATH = /^\/2015-03-31\/event-source-mappings(?:\/([^/]*))?\/?$/

/** The mappings of one process, by AWS's API. */
export class MappingApi {
  readonly #options: MappingApiOptions
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  #isClosed = false

  constructor(options: MappingApiOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Answers a request; `undefined` if it is none for event source mappings. Never rejects. */
  async handle(request: MappingApiRequest): Promise<MappingApiAnswer | undefined> {
    const match = PATH.exec(request.path)
    if (match === null) return undefined
    try {
      return await this.#route(request, decodeURIComponent(match[1] ?? ''))
    } catch (error) {
      if (error instanceof Refusal) return error.answer
      const isTheirs = PipelineError.is(error, 'ERR_LAMBDA_MAPPING_INVALID') || error instanceof SyntaxError
      if (isTheirs) return refusal(400, 'InvalidParameterValueException', messageOf(error))
      return {
        ...refusal(500, 'ServiceException', messageOf(error)),
        body: { Type: 'Server', Message: messageOf(error) }
      }
    }
  }

  /** Ends every mapping in good order. */
  async close(): Promise<void> {
    this.#isClosed = true
    const all = [...this.#entries.values()]
    this.#entries.clear()
    await Promise.all(all.map(each => this.#inTurn(each, () => this.#stop(each))))
  }

  async #inTurn(entry: Entry, change: () => Promise<void>): Promise<void> {
    const turn = entry.changing.then(change)
    // The next one does not fail with this one.
    entry.changing = turn.catch(() => undefined)
    await turn
  }

  async #start(entry: Entry): Promise<void> {
    if (!entry.isEnabled) return
    if (this.#isClosed || !this.#entries.has(entry.uuid)) throw gone()
    const running = await this.#options.start(entry.options)
    Object.assign(entry, { running, problem: undefined })
    void running.ended?.then(error => {
      if (error !== undefined && entry.running === running) entry.problem = error.message
    })
  }

  async #stop(entry: Entry): Promise<void> {
    const { running } = entry
    entry.running = undefined
    entry.problem = undefined
    await running?.stop()
  }

  async #route({ method, query, body }: MappingApiRequest, uuid: string): Promise<MappingApiAnswer> {
    if (uuid === '') {
      if (method === 'POST') return await this.#create(fieldsOf(body))
      if (method === 'GET') return this.#list(query)
    } else {
      if (method === 'GET') return { status: 200, body: this.#describe(this.#find(uuid)) }
      if (method === 'PUT') return await this.#update(this.#find(uuid), fieldsOf(body))
      if (method === 'DELETE') return await this.#delete(this.#find(uuid))
    }
    throw new Refusal(refusal(405, 'InvalidRequestContentException', `${method} is no operation here`))
  }

  async #create(request: Fields): Promise<MappingApiAnswer> {
    const uuid = randomUUID()
    const { options, isEnabled } = mappingOptionsOf(request, 'the request')
    this.#refuseTwin(options)
    const entry: Entry = {
      uuid,
      request,
      options: { ...options, uuid },
      isEnabled,
      changedMs: this.#clock.now(),
      running: undefined,
      problem: undefined,
      changing: Promise.resolve()
    }
    // Known before it runs: a twin that is asked for meanwhile is refused.
    this.#entries.set(uuid, entry)
    try {
      await this.#inTurn(entry, () => this.#start(entry))
    } catch (error) {
      this.#entries.delete(uuid)
      throw error
    }
    return { status: 202, body: this.#describe(entry) }
  }

  /** AWS has one mapping for a function and a topic of a source. */
  #refuseTwin(options: EventSourceMappingOptions): void {
    const place = (each: EventSourceMappingOptions): string =>
      JSON.stringify([each.functionName, each.topic, each.eventSourceArn, each.bootstrapServers])
    const twin = [...this.#entries.values()].find(each => place(each.options) === place(options))
    if (twin === undefined) return
    const message =
      'An event source mapping with that function, source and topic already exists. ' +
      `Please update or delete the existing mapping with UUID ${twin.uuid}`
    throw new Refusal(refusal(409, 'ResourceConflictException', message))
  }

  async #update(entry: Entry, changes: Fields): Promise<MappingApiAnswer> {
    for (const name of Object.keys(changes)) {
      if (name === 'UUID' || CHANGEABLE.has(name)) continue
      throw new Refusal(refusal(400, 'InvalidParameterValueException', `${name} cannot be changed: make a new mapping`))
    }
    const { UUID: _, ...rest } = changes
    await this.#inTurn(entry, async () => {
      const request = { ...entry.request, ...rest }
      const { options, isEnabled } = mappingOptionsOf(request, 'the request')
      await this.#stop(entry)
      Object.assign(entry, { request, isEnabled, changedMs: this.#clock.now() })
      entry.options = { ...options, uuid: entry.uuid }
      await this.#start(entry)
    })
    return { status: 202, body: this.#describe(entry) }
  }

  async #delete(entry: Entry): Promise<MappingApiAnswer> {
    this.#entries.delete(entry.uuid)
    await this.#inTurn(entry, () => this.#stop(entry))
    return { status: 202, body: { ...this.#describe(entry), State: 'Deleting' } }
  }

  #list(query: URLSearchParams): MappingApiAnswer {
    const functionName = query.get('FunctionName')
    const arn = query.get('EventSourceArn')
    const all = [...this.#entries.values()].filter(
      ({ options }) =>
        (functionName === null || nameOf(options.functionName) === nameOf(functionName)) &&
        (arn === null || options.eventSourceArn === arn)
    )
    const start = Number(query.get('Marker') ?? 0)
    const count = Math.min(100, Number(query.get('MaxItems') ?? 100))
    const next = start + count < all.length ? { NextMarker: String(start + count) } : {}
    const EventSourceMappings = all.slice(start, start + count).map(each => this.#describe(each))
    return { status: 200, body: { EventSourceMappings, ...next } }
  }

  #find(uuid: string): Entry {
    const entry = this.#entries.get(uuid)
    if (entry !== undefined) return entry
    throw gone()
  }

  /** A mapping with AWS's defaults filled in. */
  #describe({ uuid, request, options, isEnabled, changedMs, problem }: Entry): Record<string, unknown> {
    const { region = 'us-east-1', accountId = '000000000000' } = this.#options
    const { FunctionName: _, Enabled: __, ...given } = request
    const group = { ConsumerGroupId: options.groupId ?? uuid }
    const isMsk = options.eventSourceArn !== undefined
    const arn = `arn:aws:lambda:${region}:${accountId}:function:${options.functionName}`
    return {
      UUID: uuid,
      BatchSize: options.batchSize ?? 100,
      MaximumRetryAttempts: -1,
      MaximumRecordAgeInSeconds: -1,
      BisectBatchOnFunctionError: false,
      DestinationConfig: { OnFailure: {} },
      ...given,
      ...(options.pollers === undefined
        ? {}
        : {
            ProvisionedPollerConfig: {
              MinimumPollers: options.pollers.min ?? 1,
              MaximumPollers: options.pollers.max ?? ESM_LIMITS.pollersMinMax
            }
          }),
      [isMsk ? 'AmazonManagedKafkaEventSourceConfig' : 'SelfManagedKafkaEventSourceConfig']: group,
      FunctionArn: options.functionName.startsWith('arn:') ? options.functionName : arn,
      // Seconds: AWS's JSON has times so.
      LastModified: changedMs / 1000,
      LastProcessingResult: problem === undefined ? 'No records processed' : `PROBLEM: ${problem}`,
      // One that has ended by itself does nothing any more, until it is changed.
      State: isEnabled && problem === undefined ? 'Enabled' : 'Disabled',
      StateTransitionReason: 'USER_INITIATED'
    }
  }
}

/** A request that is answered with an error. */
class Refusal extends Error {
  readonly answer: MappingApiAnswer

  constructor(answer: MappingApiAnswer) {
    super(String(answer.body['Message']))
    this.answer = answer
  }
}

function gone(): Refusal {
  return new Refusal(refusal(404, 'ResourceNotFoundException', 'The resource you requested does not exist.'))
}

function refusal(status: number, errorType: string, message: string): MappingApiAnswer {
  return { status, errorType, body: { Type: 'User', Message: message, message } }
}

function fieldsOf(body: string): Fields {
  const fields: unknown = JSON.parse(body === '' ? '{}' : body)
  if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) return fields as Fields
  throw new Refusal(refusal(400, 'InvalidRequestContentException', 'the request is not a JSON object'))
}

/** Name of a function without region, account and qualifier. */
function nameOf(functionName: string): string {
  return functionName.replace(/^.*function:/, '').split(':')[0] ?? ''
}

/**
 * The request of `CreateEventSourceMapping` as our options: the JSON that
 * `aws lambda create-event-source-mapping --cli-input-json` takes.
 *
 * Fields of other event sources (queues, streams) are refused; those that only say how AWS reaches the cluster or what
 * it logs and bills are taken and do nothing here: `warnings` names them.
 *
 * Source: Lambda API reference, `CreateEventSourceMapping`.
 */

import { PipelineError } from '../../core/index.ts'
import {
  type EventSourceMappingOptions,
  mappingProblems,
  type StartingPosition,
  unsupportedParameter
} from './settings.ts'

/** A request that was read. */
export interface MappingRequest {
  readonly options: EventSourceMappingOptions
  /** False: AWS would make the mapping, and not start it. */
  readonly isEnabled: boolean
  /** What was taken and does nothing here. */
  readonly warnings: readonly string[]
}

/** Fields that have no meaning on this machine. */
const WITHOUT_EFFECT = [
  'SourceAccessConfigurations',
  'KMSKeyArn',
  'Tags',
  'MetricsConfig',
  'LoggingConfig',
  'ScalingConfig'
] as const

/** Fields of other sources, which AWS refuses for Kafka, with the name AWS gives them. */
const OF_OTHERS = {
  ParallelizationFactor: 'parallelizationFactor',
  TumblingWindowInSeconds: 'tumblingWindowInSeconds',
  Queues: 'queues',
  DocumentDBEventSourceConfig: 'documentDBEventSourceConfig'
} as const

const KNOWN: ReadonlySet<string> = new Set([
  ...WITHOUT_EFFECT,
  ...Object.keys(OF_OTHERS),
  'EventSourceArn',
  'FunctionName',
  'Enabled',
  'BatchSize',
  'FilterCriteria',
  'MaximumBatchingWindowInSeconds',
  'StartingPosition',
  'StartingPositionTimestamp',
  'DestinationConfig',
  'MaximumRecordAgeInSeconds',
  'BisectBatchOnFunctionError',
  'MaximumRetryAttempts',
  'Topics',
  'SelfManagedEventSource',
  'FunctionResponseTypes',
  'AmazonManagedKafkaEventSourceConfig',
  'SelfManagedKafkaEventSourceConfig',
  'ProvisionedPollerConfig'
])

/** AWS's name of each of our settings, for messages. */
const AWS_NAMES: Readonly<Record<string, string>> = {
  functionName: 'FunctionName',
  topic: 'Topics',
  groupId: 'ConsumerGroupId',
  batchSize: 'BatchSize',
  batchingWindowMs: 'MaximumBatchingWindowInSeconds',
  pollers: 'ProvisionedPollerConfig',
  filters: 'FilterCriteria.Filters',
  retriesMax: 'MaximumRetryAttempts',
  recordAgeMaxMs: 'MaximumRecordAgeInSeconds',
  bisect: 'BisectBatchOnFunctionError',
  partialResponses: 'FunctionResponseTypes',
  onFailure: 'DestinationConfig.OnFailure.Destination'
}

/**
 * Reads a request.
 *
 * @param fileName - Where it came from, for messages.
 * @throws PipelineError `ERR_LAMBDA_MAPPING_INVALID` with every problem.
 */
export function mappingOptionsOf(request: unknown, fileName: string): MappingRequest {
  const reader = new RequestReader(request)
  const read = reader.read()
  const problems = [...reader.problems]
  if (problems.length === 0) {
    for (const { path, message } of mappingProblems(read.options)) {
      const [first = '', ...below] = path.map(String)
      problems.push(`${[AWS_NAMES[first] ?? first, ...below].join('.')}: ${message}`)
    }
  }
  if (problems.length === 0) return read
  const text = problems.map(each => `  ${each}`).join('\n')
  throw new PipelineError('ERR_LAMBDA_MAPPING_INVALID', `${fileName} is no mapping that can work:\n${text}`)
}

type Fields = Readonly<Record<string, unknown>>

class RequestReader {
  readonly problems: string[] = []
  readonly #fields: Fields

  constructor(request: unknown) {
    this.#fields = isFields(request) ? request : {}
    if (!isFields(request)) this.problems.push('is not a JSON object')
  }

  read(): MappingRequest {
    this.#checkNames()
    const fields = this.#fields
    const topics = fields['Topics']
    if (!Array.isArray(topics) || topics.length !== 1 || typeof topics[0] !== 'string') {
      this.problems.push('Topics: a list of one topic')
    }
    const eventSourceArn = this.#text('EventSourceArn')
    const endpoints = this.#endpoints()
    if ((eventSourceArn === undefined) === (endpoints === undefined)) {
      this.problems.push(
        'EventSourceArn: needed for Amazon MSK; SelfManagedEventSource for any other cluster: one of them'
      )
    }
    const windowSeconds = this.#number('MaximumBatchingWindowInSeconds')
    const ageSeconds = this.#number('MaximumRecordAgeInSeconds')
    const source = eventSourceArn === undefined ? 'SelfManagedKafka' : 'AmazonManagedKafka'
    const options: EventSourceMappingOptions = {
      functionName: this.#text('FunctionName') ?? '',
      topic: Array.isArray(topics) && typeof topics[0] === 'string' ? topics[0] : '',
      groupId: this.#text('ConsumerGroupId', this.#object(`${source}EventSourceConfig`)),
      startingPosition: this.#startingPosition(),
      batchSize: this.#number('BatchSize'),
      batchingWindowMs: windowSeconds === undefined ? undefined : windowSeconds * 1000,
      pollers: this.#pollers(),
      filters: this.#filters(),
      retriesMax: this.#number('MaximumRetryAttempts'),
      recordAgeMaxMs: ageSeconds === undefined || ageSeconds === -1 ? ageSeconds : ageSeconds * 1000,
      bisect: this.#boolean('BisectBatchOnFunctionError'),
      partialResponses: this.#isPartial(),
      onFailure: this.#text('Destination', this.#object('OnFailure', this.#object('DestinationConfig'))),
      eventSourceArn,
      bootstrapServers: endpoints
    }
    const warnings = WITHOUT_EFFECT.filter(name => fields[name] !== undefined).map(name => `${name} has no effect here`)
    return { options, isEnabled: this.#boolean('Enabled') ?? true, warnings }
  }

  #checkNames(): void {
    for (const name of Object.keys(this.#fields)) {
      if (!KNOWN.has(name)) this.problems.push(`${name}: no parameter of CreateEventSourceMapping`)
    }
    for (const [name, parameter] of Object.entries(OF_OTHERS)) {
      if (this.#fields[name] !== undefined) this.problems.push(`${name}: ${unsupportedParameter(parameter)}`)
    }
    for (const name of ['AmazonManagedKafkaEventSourceConfig', 'SelfManagedKafkaEventSourceConfig']) {
      if (this.#object(name)?.['SchemaRegistryConfig'] !== undefined) {
        this.problems.push(`${name}.SchemaRegistryConfig: schema registries are not simulated`)
      }
    }
  }

  #startingPosition(): StartingPosition | undefined {
    const position = this.#text('StartingPosition')
    const timestamp = this.#fields['StartingPositionTimestamp']
    if (position !== 'AT_TIMESTAMP' && timestamp !== undefined) {
      this.problems.push('StartingPositionTimestamp: goes with StartingPosition AT_TIMESTAMP only')
    }
    switch (position ?? '') {
      case 'TRIM_HORIZON':
        return 'trimHorizon'
      case 'LATEST':
        return 'latest'
      case 'AT_TIMESTAMP': {
        // AWS's JSON has seconds, the CLI takes dates as well.
        const timestampMs = typeof timestamp === 'number' ? timestamp * 1000 : Date.parse(String(timestamp))
        if (Number.isFinite(timestampMs)) return { timestampMs: Math.floor(timestampMs) }
        this.problems.push('StartingPositionTimestamp: seconds since 1970, or a date')
        return undefined
      }
      default:
        this.problems.push('StartingPosition: TRIM_HORIZON, LATEST or AT_TIMESTAMP')
        return undefined
    }
  }

  #endpoints(): string | undefined {
    const source = this.#object('SelfManagedEventSource')
    if (source === undefined) return undefined
    const servers = this.#object('Endpoints', source)?.['KAFKA_BOOTSTRAP_SERVERS']
    if (Array.isArray(servers) && servers.length > 0) return servers.map(String).join(',')
    this.problems.push('SelfManagedEventSource.Endpoints.KAFKA_BOOTSTRAP_SERVERS: a list of host:port')
    return undefined
  }

  #pollers(): EventSourceMappingOptions['pollers'] {
    const config = this.#object('ProvisionedPollerConfig')
    if (config === undefined) return undefined
    return { min: this.#number('MinimumPollers', config), max: this.#number('MaximumPollers', config) }
  }

  #filters(): unknown[] | undefined {
    const criteria = this.#object('FilterCriteria')
    if (criteria === undefined) return undefined
    const filters: unknown = criteria['Filters'] ?? []
    if (!Array.isArray(filters)) {
      this.problems.push('FilterCriteria.Filters: a list')
      return undefined
    }
    return filters.map((filter: unknown, index) => {
      const pattern = isFields(filter) ? filter['Pattern'] : undefined
      try {
        if (typeof pattern === 'string') return JSON.parse(pattern) as unknown
      } catch {
        // Said below.
      }
      this.problems.push(`FilterCriteria.Filters.${index}.Pattern: a JSON object as text`)
      return {}
    })
  }

  #isPartial(): boolean | undefined {
    const types = this.#fields['FunctionResponseTypes']
    if (types === undefined) return undefined
    if (Array.isArray(types) && types.every(each => each === 'ReportBatchItemFailures')) return types.length > 0
    this.problems.push('FunctionResponseTypes: a list that may have ReportBatchItemFailures')
    return undefined
  }

  #object(name: string, of: Fields | undefined = this.#fields): Fields | undefined {
    const value = of?.[name]
    if (value === undefined || value === null || isFields(value)) return value ?? undefined
    this.problems.push(`${name}: an object`)
    return undefined
  }

  #text(name: string, of: Fields | undefined = this.#fields): string | undefined {
    return this.#plain(name, 'string', of) as string | undefined
  }

  #number(name: string, of: Fields | undefined = this.#fields): number | undefined {
    return this.#plain(name, 'number', of) as number | undefined
  }

  #boolean(name: string): boolean | undefined {
    return this.#plain(name, 'boolean', this.#fields) as boolean | undefined
  }

  #plain(name: string, type: string, of: Fields | undefined): unknown {
    const value = of?.[name]
    if (value === undefined || value === null) return undefined
    if (typeof value === type) return value
    this.problems.push(`${name}: a ${type === 'string' ? 'text' : type}`)
    return undefined
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

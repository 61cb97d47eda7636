/**
 * Settings of an event source mapping: what AWS's `CreateEventSourceMapping` takes for Kafka, with our names, and the
 * rules that AWS checks when a mapping is made.
 *
 * Source: Lambda API reference, `CreateEventSourceMapping`; Lambda developer guide, "Configuring error handling
 * controls for Kafka event sources", "Apache Kafka event poller scaling modes", "Using a Kafka topic as an on-failure
 * destination".
 */

import { createHash } from 'node:crypto'

import { compileEventPattern } from '../../core/index.ts'

/** Where a mapping starts where its group has no committed offset: an end, or the first record at or after a time. */
export type StartingPosition = 'trimHorizon' | 'latest' | { readonly timestampMs: number }

/** One event source mapping. Names in brackets are AWS's. */
export interface EventSourceMappingOptions {
  /** Name or ARN of the function, with or without a qualifier [FunctionName]. */
  readonly functionName: string
  /** The topic; AWS allows one per mapping [Topics]. */
  readonly topic: string
  /** Its identity [UUID]. Default: made from group, function and topic, so that it stays the same. */
  readonly uuid?: string | undefined
  /** Consumer group [ConsumerGroupId]. Default: the UUID, as in AWS. */
  readonly groupId?: string | undefined
  /** [StartingPosition, StartingPositionTimestamp]. Default `trimHorizon`; AWS has no default. */
  readonly startingPosition?: StartingPosition | undefined
  /** Most records of one invocation, 1 to 10,000 [BatchSize]. Default 100. */
  readonly batchSize?: number | undefined
  /**
   * Longest wait for a batch to fill, in milliseconds: 0, whole seconds up to 300,000, or the default of 500, which
   * AWS has only for mappings that never had another [MaximumBatchingWindowInSeconds].
   */
  readonly batchingWindowMs?: number | undefined
  /** Provisioned mode: fewest pollers, 1 to 200, default 1; most, 1 to 2,000, default 200 [ProvisionedPollerConfig]. */
  readonly pollers?: { readonly min?: number | undefined; readonly max?: number | undefined } | undefined
  /** Event patterns; a record passes that matches one of them [FilterCriteria]. Default: all pass. */
  readonly filters?: readonly unknown[] | undefined
  /** Retries of a batch whose function failed, -1 (without end) to 10,000 [MaximumRetryAttempts]. Default -1. */
  readonly retriesMax?: number | undefined
  /** Oldest records that are sent, in milliseconds: -1 (any age), or 60 s to 7 days [MaximumRecordAgeInSeconds]. */
  readonly recordAgeMaxMs?: number | undefined
  /** Whether a batch is halved when the function fails [BisectBatchOnFunctionError]. Default `false`. */
  readonly bisect?: boolean | undefined
  /** Whether `batchItemFailures` of an answer count [FunctionResponseTypes]. Default `false`. */
  readonly partialResponses?: boolean | undefined
  /** ARN of an SQS queue, SNS topic or S3 bucket, or `kafka://topic` [DestinationConfig.OnFailure]. Default: none. */
  readonly onFailure?: string | undefined
  /** ARN of the MSK cluster: events are `aws:kafka` then, else `SelfManagedKafka` [EventSourceArn]. Default: none. */
  readonly eventSourceArn?: string | undefined
  /** What events say about the brokers. Default: those that are connected to. */
  readonly bootstrapServers?: string | undefined
}

/** A problem of a mapping: which setting, and what is wrong with it. */
export interface MappingProblem {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** AWS's limits. */
export const ESM_LIMITS = {
  batchSizeMax: 10_000,
  windowMsMax: 300_000,
  retriesMax: 10_000,
  recordAgeMsMin: 60_000,
  recordAgeMsMax: 604_800_000,
  pollersMinMax: 200,
  pollersMax: 2000,
  /** Retries where they are without end and there is an on-failure destination. */
  retriesWithDestination: 10,
  /** Quota of AWS: filters of one mapping (5 by default, 10 on request), and characters of a pattern. */
  filtersMax: 10,
  patternCharacters: 4096,
  /** Invocations at once of one poller. */
  invocationsPerPoller: 5,
  /** Event of a synchronous invocation, in bytes. */
  eventBytes: 6_291_456
} as const

/** AWS's default of the batching window for Kafka, in milliseconds. */
export const WINDOW_DEFAULT_MS = 500

/** Which of our settings exist in provisioned mode only, and AWS's name of each. */
const PROVISIONED_ONLY = {
  retriesMax: 'maximumRetryAttempts',
  recordAgeMaxMs: 'maximumRecordAgeInSeconds',
  bisect: 'bisectBatchOnFunctionError',
  partialResponses: 'functionResponseTypes'
} as const

/** AWS's words for a parameter that this kind of mapping does not take. */
export function unsupportedParameter(name: string): string {
  return `InvalidParameterValueException: Unsupported '${name}' parameter for given event source mapping type.`
}

/** Everything that is wrong with a mapping; nothing if it can work. */
export function mappingProblems(options: EventSourceMappingOptions): MappingProblem[] {
  const problems: MappingProblem[] = []
  const report = (path: readonly PropertyKey[], message: string): void => void problems.push({ path, message })
  checkNames(options, report)
  checkRanges(options, report)
  checkProvisioned(options, report)
  checkDestination(options, report)
  checkFilters(options.filters ?? [], report)
  return problems
}

type Report = (path: readonly PropertyKey[], message: string) => void

const TOPIC = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/
/** What may stand before the name of a function: the rest of an ARN, or parts of it. */
const FUNCTION_PREFIX = String.raw`(?:arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:)?(?:\d{12}:)?(?:function:)?`
const FUNCTION_NAME = new RegExp(String.raw`^${FUNCTION_PREFIX}[a-zA-Z0-9_-]{1,64}(?::[a-zA-Z0-9$_-]+)?$`)

function checkNames({ functionName, topic, groupId }: EventSourceMappingOptions, report: Report): void {
  if (!FUNCTION_NAME.test(functionName)) report(['functionName'], 'is neither the name nor the ARN of a function')
  if (!TOPIC.test(topic)) report(['topic'], 'is not a topic name: 1 to 249 letters, digits, ".", "_" or "-"')
  if (groupId !== undefined && !/^[a-zA-Z0-9\-/*:_+=.@]{1,200}$/.test(groupId)) {
    report(['groupId'], 'has 1 to 200 of the characters that AWS allows: letters, digits, - / * : _ + = . @')
  }
}

function checkRanges(options: EventSourceMappingOptions, report: Report): void {
  const { batchSize = 100, batchingWindowMs: window, retriesMax = -1, recordAgeMaxMs: age = -1, pollers } = options
  const isWhole = (value: number, min: number, max: number): boolean =>
    Number.isInteger(value) && value >= min && value <= max
  if (!isWhole(batchSize, 1, ESM_LIMITS.batchSizeMax)) report(['batchSize'], 'is a whole number from 1 to 10000')
  if (window !== undefined && window !== WINDOW_DEFAULT_MS) {
    if (!isWhole(window, 0, ESM_LIMITS.windowMsMax) || window % 1000 !== 0) {
      report(['batchingWindowMs'], 'AWS takes whole seconds from 0 to 300 here, or 500 ms as the default')
    }
  }
  if (!isWhole(retriesMax, -1, ESM_LIMITS.retriesMax)) report(['retriesMax'], 'is -1 (without end) or 0 to 10000')
  if (age !== -1 && !isWhole(age, ESM_LIMITS.recordAgeMsMin, ESM_LIMITS.recordAgeMsMax)) {
    report(['recordAgeMaxMs'], 'is -1 (any age) or 60000 to 604800000')
  }
  if (age !== -1 && age % 1000 !== 0) report(['recordAgeMaxMs'], 'AWS takes whole seconds here')
  if (pollers === undefined) return
  const { min = 1, max = 200 } = pollers
  if (!isWhole(min, 1, ESM_LIMITS.pollersMinMax)) report(['pollers', 'min'], 'is a whole number from 1 to 200')
  if (!isWhole(max, 1, ESM_LIMITS.pollersMax)) report(['pollers', 'max'], 'is a whole number from 1 to 2000')
  if (min > max) report(['pollers', 'min'], 'is above pollers.max')
}

function checkProvisioned(options: EventSourceMappingOptions, report: Report): void {
  if (options.pollers !== undefined) return
  for (const [name, parameter] of Object.entries(PROVISIONED_ONLY)) {
    const value = options[name as keyof typeof PROVISIONED_ONLY]
    // What the default is, AWS takes, too.
    if (value === undefined || value === -1 || value === false) continue
    report([name], `exists in provisioned mode only: add pollers, or leave it out (${unsupportedParameter(parameter)})`)
  }
  if (options.onFailure?.startsWith('kafka://') === true) {
    report(
      ['onFailure'],
      'a Kafka topic as destination exists in provisioned mode only: add pollers, or use SQS, SNS, S3'
    )
  }
}

function checkDestination({ onFailure, topic }: EventSourceMappingOptions, report: Report): void {
  if (onFailure === undefined || onFailure === '') return
  const destination = readDestination(onFailure)
  if (destination === undefined) {
    report(['onFailure'], 'is neither the ARN of an SQS queue, an SNS topic or an S3 bucket, nor kafka://topic')
  } else if (destination.type === 'kafka' && destination.topic === topic) {
    report(['onFailure'], 'is the topic that the mapping reads: failed records would come again and again')
  }
}

function checkFilters(filters: readonly unknown[], report: Report): void {
  if (filters.length > ESM_LIMITS.filtersMax) report(['filters'], `has more than ${ESM_LIMITS.filtersMax} patterns`)
  for (const [index, pattern] of filters.entries()) {
    const path = ['filters', index]
    if (typeof pattern !== 'object' || pattern === null || Array.isArray(pattern)) {
      report(path, 'is a pattern: an object with the field value')
      continue
    }
    if (JSON.stringify(pattern).length > ESM_LIMITS.patternCharacters) {
      report(path, `has more than ${ESM_LIMITS.patternCharacters} characters`)
    }
    for (const name of Object.keys(pattern)) {
      if (name !== 'value') report([...path, name], 'Kafka mappings filter by the field value only')
    }
    compileEventPattern(pattern, (below, message) => report([...path, ...below], message))
  }
}

/** An on-failure destination. */
export type Destination =
  | { readonly type: 'sqs'; readonly queueName: string; readonly accountId: string; readonly region: string }
  | { readonly type: 'sns'; readonly topicArn: string; readonly region: string }
  | { readonly type: 's3'; readonly bucket: string }
  | { readonly type: 'kafka'; readonly topic: string }

/** Reads what AWS takes as `DestinationConfig.OnFailure.Destination`; `undefined` if it is something else. */
export function readDestination(text: string): Destination | undefined {
  const kafka = /^kafka:\/\/([a-zA-Z0-9._-]{1,249})$/.exec(text)
  if (kafka?.[1] !== undefined) return { type: 'kafka', topic: kafka[1] }
  const [arn, , service, region = '', accountId = '', ...rest] = text.split(':')
  const resource = rest.join(':')
  if (arn !== 'arn' || resource === '') return undefined
  switch (service ?? '') {
    case 'sqs':
      return region === '' || accountId === '' ? undefined : { type: 'sqs', queueName: resource, accountId, region }
    case 'sns':
      return region === '' || accountId === '' ? undefined : { type: 'sns', topicArn: text, region }
    case 's3':
      return { type: 's3', bucket: resource }
    default:
      return undefined
  }
}

/** A UUID that is the same for the same parts (version 8 of RFC 9562: the bits are a hash). */
export function stableUuid(...parts: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest()
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

/**
 * DynamoDB sink: one item per record, 25 in a request by BatchWriteItem, or one by one with a condition.
 *
 * A put replaces the item, so the same record may be written any number of times. With `condition: newer` an item is
 * only written if the stored one has a smaller version: what comes again, late or from a replay, changes nothing, and
 * counts as delivered.
 *
 * Limits: 25 items and 16 MB in a request; items that DynamoDB leaves unprocessed must be tried again.
 * Source: DynamoDB API reference, BatchWriteItem and PutItem.
 */

import type { DynamoDBClient, WriteRequest } from '@aws-sdk/client-dynamodb'

import { messageOf, PipelineError } from '../../core/index.ts'
import { awsClientOptions, type AwsDependencies, awsErrorName } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn } from '../aws/aws-settings.ts'
import {
  AwsSink,
  type AwsSinkParts,
  DELIVERY_BYTES_MAX,
  DELIVERY_RECORDS_MAX,
  type EntryAnswers,
  type EntryError
} from '../aws/aws-sink.ts'
import { type ItemEntry, type ItemSettings, makeItems } from './dynamo-db-entries.ts'
import { ItemError, itemKey } from './dynamo-db-item.ts'
import {
  dynamoDbSinkProblems,
  type DynamoDbSinkSettings,
  ORIGIN_ATTRIBUTE,
  readAttributeSource,
  VERSION_ATTRIBUTE
} from './dynamo-db-settings.ts'
import type { SinkFailure, SinkOutcome, SinkRequest } from './record-sink.ts'
import type { RecordTemplate } from './record-template.ts'

/** What a DynamoDB sink is made from. */
export interface DynamoDbSinkOptions extends Omit<DynamoDbSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
  /** Longest wait for the answer to one request, in milliseconds; the signal may be sooner. Default 5_000. */
  readonly timeoutMs?: number
}

/** Most items of one BatchWriteItem. */
const ITEMS_MAX = 25
/** Most bytes of one, as they are sent: 16 MB, less what stands around the items. */
const REQUEST_BYTES_MAX = 16_000_000
const PUTS_AT_ONCE = 16
const NONE: EntryAnswers = new Map()
/** Answers to a single put that say nothing against the record. */
const BUSY: ReadonlySet<string> = new Set(['TransactionConflictException'])

type Sdk = typeof import('@aws-sdk/client-dynamodb')
type Send = AwsSinkParts<ItemEntry, DynamoDBClient>['send']

/** Puts records into a table. */
export class DynamoDbSink extends AwsSink<ItemEntry, DynamoDBClient> {
  readonly #settings: ItemSettings

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: DynamoDbSinkOptions) {
    refuseProblems(options, dynamoDbSinkProblems)
    const { table, condition, endpoint, environment, timeoutMs } = options
    const region = options.region ?? regionOfArn(table)
    const settings = itemSettings(options)
    const isConditional = condition === 'newer'
    const concurrency = options.concurrency ?? (isConditional ? PUTS_AT_ONCE : undefined)
    const sdk = import('@aws-sdk/client-dynamodb')
    super(
      options.name,
      {
        limits: { recordsMax: DELIVERY_RECORDS_MAX, bytesMax: DELIVERY_BYTES_MAX },
        entryLimits: { entriesMax: isConditional ? 1 : ITEMS_MAX, bytesMax: REQUEST_BYTES_MAX, groupEntriesMax: 1 },
        concurrency,
        load: async () => {
          const { DynamoDBClient } = await sdk
          return new DynamoDBClient(awsClientOptions({ region, endpoint, environment, timeoutMs, service: 'DYNAMODB' }))
        },
        make: request => makeItems(request, settings),
        send: judging(isConditional ? putNewer(sdk, table, settings) : writeBatch(sdk, table, settings))
      },
      options
    )
    this.#settings = settings
  }

  /** Where DynamoDB refuses the last of several records for one item, those before it are delivered without it. */
  override async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const outcome = await super.deliver(request, signal)
    const before = outcome.kind === 'partial' ? this.#beforeRefused(request, outcome.failures) : []
    if (outcome.kind !== 'partial' || before.length === 0) return outcome
    const failures = new Map(outcome.failures)
    for (const index of before) failures.delete(index)
    const rest = await this.deliver(partOf(request, before), signal)
    for (const [position, index] of before.entries()) {
      const failure = failureIn(rest, position)
      if (failure !== undefined) failures.set(index, failure)
    }
    return { kind: 'partial', failures }
  }

  /** Records that were refused because of a later one whose item took their place. */
  #beforeRefused(request: SinkRequest, failures: ReadonlyMap<number, SinkFailure>): readonly number[] {
    if (![...failures.values()].some(({ action }) => action === 'deadLetter')) return []
    const { entries } = makeItems(request, this.#settings)
    const refused = entries.filter(({ indexes }) => failures.get(indexes.at(-1) ?? -1)?.action === 'deadLetter')
    return refused.flatMap(({ indexes }) => indexes.slice(0, -1)).toSorted((left, right) => left - right)
  }
}

/** The request with the records of these indexes only. */
function partOf(request: SinkRequest, indexes: readonly number[]): SinkRequest {
  const pick = <T>(list: readonly T[]): T[] => list.filter((_, index) => indexes.includes(index))
  const { source: _, ...rest } = request
  return {
    ...rest,
    offsets: pick(request.offsets),
    texts: pick(request.texts),
    keys: request.keys === undefined ? undefined : pick(request.keys),
    timestamps: request.timestamps === undefined ? undefined : pick(request.timestamps),
    recordIds: pick(request.recordIds)
  }
}

/** What an outcome says of one record that is not simply delivered. */
function failureIn(outcome: SinkOutcome, position: number): SinkFailure | undefined {
  switch (outcome.kind) {
    case 'ok':
      return undefined
    case 'partial':
      return outcome.failures.get(position)
    case 'rejected':
      return { action: 'deadLetter', reason: outcome.reason }
    case 'unavailable': {
      const { kind: _, ...rest } = outcome
      return { action: 'retry', isUnavailable: true, ...rest }
    }
  }
}

function itemSettings({ key, attributes, condition, version, originPrefix = '' }: DynamoDbSinkOptions): ItemSettings {
  const sources = new Map<string, RecordTemplate>()
  for (const [name, source] of Object.entries(attributes ?? {})) sources.set(name, templateOf(source))
  const isList = Array.isArray(key)
  // With other attributes, those of a list of keys are not there yet.
  const keySources = isList ? (attributes === undefined ? [] : key.map(name => [name, name])) : Object.entries(key)
  for (const [name, source] of keySources) if (!sources.has(name) || !isList) sources.set(name, templateOf(source))
  return {
    key: isList ? key : Object.keys(key),
    sources,
    isWhole: attributes === undefined,
    version: condition === undefined ? undefined : version === undefined ? 'offset' : templateOf(version),
    originPrefix
  }
}

function templateOf(source: string): RecordTemplate {
  const template = readAttributeSource(source)
  if (typeof template !== 'string') return template
  throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `${source} ${template}`)
}

/**
 * Tells whose fault it is that DynamoDB does not take an item: once it has taken one, table and key attributes are as
 * configured, so it is the item's. One item that is refused fails its whole request: they are then sent one by one.
 */
function judging(send: Send): Send {
  let hasTaken = false
  const sendAlone = async (...[client, entries, options]: Parameters<Send>): Promise<EntryAnswers> => {
    try {
      const answers = await send(client, entries, options)
      hasTaken = true
      return answers
    } catch (error) {
      if (!hasTaken || awsErrorName(error) !== 'ValidationException') throw error
      return new Map([[0, { code: 'InvalidRequestContent', message: messageOf(error), isSenderFault: true }]])
    }
  }
  return async (client, entries, options) => {
    if (entries.length === 1) return sendAlone(client, entries, options)
    try {
      const answers = await send(client, entries, options)
      hasTaken = true
      return answers
    } catch (error) {
      if (awsErrorName(error) !== 'ValidationException') throw error
    }
    return oneByOne(entries, entry => sendAlone(client, [entry], options))
  }
}

/** Those that are refused before the first is taken come again at the end: then it is known whose fault it is. */
async function oneByOne(
  entries: readonly ItemEntry[],
  send: (entry: ItemEntry) => Promise<EntryAnswers>
): Promise<EntryAnswers> {
  const answers = new Map<number, EntryError>()
  const again: number[] = []
  for (const [position, entry] of entries.entries()) {
    try {
      for (const answer of (await send(entry)).values()) answers.set(position, answer)
    } catch (error) {
      if (awsErrorName(error) !== 'ValidationException') throw error
      again.push(position)
    }
  }
  for (const position of again) {
    const entry = entries[position]
    if (entry !== undefined) for (const answer of (await send(entry)).values()) answers.set(position, answer)
  }
  return answers
}

function writeBatch(sdk: Promise<Sdk>, table: string, settings: ItemSettings): Send {
  return async (client, entries, { abortSignal }) => {
    const { BatchWriteItemCommand } = await sdk
    const requests = entries.map(({ item }) => ({ PutRequest: { Item: item } }))
    // Boundary: the SDK's types have mutable lists in attribute values, which nobody changes.
    const RequestItems = { [table]: requests as unknown as WriteRequest[] }
    const { UnprocessedItems } = await client.send(new BatchWriteItemCommand({ RequestItems }), { abortSignal })
    return unprocessed(entries, Object.values(UnprocessedItems ?? {}).flat(), settings)
  }
}

const LEFT: EntryError = {
  code: 'ProvisionedThroughputExceeded',
  message: 'DynamoDB has left the item unprocessed',
  isSenderFault: false
}

function unprocessed(
  entries: readonly ItemEntry[],
  left: readonly WriteRequest[],
  settings: ItemSettings
): EntryAnswers {
  if (left.length === 0) return NONE
  const keys = new Set(left.map(({ PutRequest }) => keyOf(PutRequest?.Item, settings)))
  const answers = new Map<number, EntryError>()
  for (const [position, { key }] of entries.entries()) if (keys.has(key)) answers.set(position, LEFT)
  // An item that cannot be told apart: none of them may count as written.
  if (answers.size < left.length) for (const position of entries.keys()) answers.set(position, LEFT)
  return answers
}

function keyOf(item: unknown, settings: ItemSettings): string | undefined {
  try {
    // Boundary: an item that was sent, come back.
    return itemKey((item ?? {}) as Parameters<typeof itemKey>[0], settings.key)
  } catch (error) {
    if (error instanceof ItemError) return undefined
    throw error
  }
}

/** Versions of two types cannot be compared: without this, nothing would be written once a text follows a number. */
const OTHER_TYPE = 'NOT attribute_type(#version, :type)'

function putNewer(sdk: Promise<Sdk>, table: string, { version }: ItemSettings): Send {
  const isByOffset = version === 'offset'
  const otherOrigin = isByOffset ? ' OR #origin <> :origin' : ''
  const names = { '#version': VERSION_ATTRIBUTE, ...(isByOffset ? { '#origin': ORIGIN_ATTRIBUTE } : {}) }
  return async (client, [entry], { abortSignal }) => {
    if (entry === undefined) return NONE
    const { PutItemCommand } = await sdk
    const { item } = entry
    const version = item[VERSION_ATTRIBUTE]
    const values = {
      ':version': version,
      ':type': { S: version !== undefined && 'N' in version ? 'N' : 'S' },
      ...(isByOffset ? { ':origin': item[ORIGIN_ATTRIBUTE] } : {})
    }
    // Boundary: as above.
    const input = { TableName: table, Item: item, ExpressionAttributeValues: values } as unknown as PutInput
    const command = new PutItemCommand({
      ...input,
      ConditionExpression: `attribute_not_exists(#version) OR ${OTHER_TYPE} OR #version < :version${otherOrigin}`,
      ExpressionAttributeNames: names
    })
    try {
      await client.send(command, { abortSignal })
    } catch (error) {
      const name = awsErrorName(error)
      // The stored item is as new: what was to be written is there, or has been replaced since.
      if (name === 'ConditionalCheckFailedException') return NONE
      if (BUSY.has(name)) return new Map([[0, { code: 'Throttled', message: name, isSenderFault: false }]])
      throw error
    }
    return NONE
  }
}

type PutInput = ConstructorParameters<Sdk['PutItemCommand']>[0]

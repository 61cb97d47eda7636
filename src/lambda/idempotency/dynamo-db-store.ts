/**
 * Claims in a table of DynamoDB, shared by all environments of a function and by all functions that name the table.
 *
 * The table has one key, a text called `id` as in the table that Powertools uses, and DynamoDB's time to live on the
 * number `expiration` (seconds). Nothing relies on the latter: it deletes days late, and times are compared here.
 *
 * | Item | Attributes |
 * | --- | --- |
 * | document | `id`, `v` version, `s` text, `expiration` |
 * | pointer | `id`, `o` owner, `n` index, `a` from, `u` until, `x` expires (milliseconds), `expiration` |
 *
 * A change of a document is one `PutItem` with a condition on the version. Pointers are written 100 at a time by
 * `TransactWriteItems`, which costs two write units for each, or one by one (`writes: single`), which costs one unit
 * and many requests. A transaction is all or nothing: what another has is taken out, and the rest tried again.
 *
 * AWS's SDK is loaded at the first request. Its own retries are off; see `claim-runtime.ts`.
 */

import { createRequire } from 'node:module'

import type {
  AttributeValue,
  DynamoDBClient,
  PutItemCommandInput,
  TransactWriteItemsCommandOutput
} from '@aws-sdk/client-dynamodb'

import { briefMessageOf, type Clock, type Random, sleep, systemClock, systemRandom } from '../../core/index.ts'
import { awsClientOptions, awsErrorKind, awsErrorName } from '../../targets/aws/aws-client.ts'
import {
  type ClaimStore,
  type Document,
  type Pointer,
  type PointerWrite,
  storeError,
  type StoreLimits,
  type Swap,
  type SwapResult
} from './store.ts'

type Sdk = typeof import('@aws-sdk/client-dynamodb')
type Item = Record<string, AttributeValue>

/** Where the table is. */
export interface DynamoDbStoreOptions {
  /** Name or ARN of the table. */
  readonly table: string
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string
  /** Address of DynamoDB. Default: `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, else AWS. */
  readonly endpoint?: string
  /**
   * How business ids are claimed: `transaction` (100 in a request, two write units each) or `single` (one request and
   * one write unit each). Default `transaction`; services without transactions are found out and get single writes.
   */
  readonly writes?: 'transaction' | 'single'
  /** Name of the table's key. Default `id`. */
  readonly keyAttribute?: string
  /** Name of the attribute with the time to live. Default `expiration`. */
  readonly ttlAttribute?: string
}

/** What a DynamoDB store needs from its surroundings. */
export interface DynamoDbStoreDependencies {
  readonly clock?: Clock
  readonly random?: Random
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Longest wait for one request, in milliseconds. Default 2_000. */
  readonly timeoutMs?: number
  /** Told of the capacity units that each request consumed; asking for them costs nothing. Default: not asked. */
  readonly onCapacity?: (kind: 'read' | 'write', units: number) => void
}

/** Most items in one transaction. Source: DynamoDB API, `TransactWriteItems`. */
const TRANSACTION_ITEMS_MAX = 100
const ROUNDS_MAX = 6
const CHUNKS_AT_ONCE = 8
const SINGLES_AT_ONCE = 32

/** Keeps claims in a table. */
export class DynamoDbStore implements ClaimStore {
  readonly #options: DynamoDbStoreOptions
  readonly #dependencies: DynamoDbStoreDependencies
  readonly #key: string
  readonly #ttl: string
  #isTransactional: boolean
  #loaded: { readonly sdk: Sdk; readonly client: DynamoDBClient } | undefined

  constructor(options: DynamoDbStoreOptions, dependencies: DynamoDbStoreDependencies = {}) {
    this.#options = options
    this.#dependencies = dependencies
    this.#key = options.keyAttribute ?? 'id'
    this.#ttl = options.ttlAttribute ?? 'expiration'
    this.#isTransactional = options.writes !== 'single'
  }

  async read(key: string, limits: StoreLimits): Promise<Document | undefined> {
    return documentOf(await this.#get(key, limits))
  }

  async swap({ key, expected, version, text, expiresMs }: Swap, limits: StoreLimits): Promise<SwapResult> {
    const input: PutItemCommandInput = {
      TableName: this.#options.table,
      Item: { [this.#key]: { S: key }, v: { S: version }, s: { S: text }, [this.#ttl]: seconds(expiresMs) },
      ...(expected === undefined
        ? { ConditionExpression: 'attribute_not_exists(#k)', ExpressionAttributeNames: { '#k': this.#key } }
        : { ConditionExpression: 'v = :v', ExpressionAttributeValues: { ':v': { S: expected } } })
    }
    const conflict = await this.#put(input, limits)
    return conflict === undefined ? { kind: 'ok' } : { kind: 'conflict', current: documentOf(conflict.item) }
  }

  async point(writes: readonly PointerWrite[], limits: StoreLimits): Promise<(Pointer | undefined)[]> {
    if (this.#isTransactional) {
      try {
        return await this.#pointInTransactions(writes, limits)
      } catch (error) {
        if (!isUnknownOperation(error)) throw error
        this.#isTransactional = false
      }
    }
    return inLines(writes, SINGLES_AT_ONCE, async write => {
      const conflict = await this.#put(this.#pointerPut(write, limits), limits)
      return conflict === undefined ? undefined : pointerOf(conflict.item)
    })
  }

  async close(): Promise<void> {
    this.#loaded?.client.destroy()
    this.#loaded = undefined
  }

  async #pointInTransactions(writes: readonly PointerWrite[], limits: StoreLimits): Promise<(Pointer | undefined)[]> {
    const chunks: (readonly PointerWrite[])[] = []
    for (let start = 0; start < writes.length; start += TRANSACTION_ITEMS_MAX) {
      chunks.push(writes.slice(start, start + TRANSACTION_ITEMS_MAX))
    }
    const results = await inLines(chunks, CHUNKS_AT_ONCE, chunk => this.#pointChunk(chunk, limits))
    return results.flat()
  }

  async #pointChunk(chunk: readonly PointerWrite[], limits: StoreLimits): Promise<(Pointer | undefined)[]> {
    const { clock = systemClock, random = systemRandom } = this.#dependencies
    const found = new Map<PointerWrite, Pointer>()
    let rest = chunk
    for (let round = 1; rest.length > 0; round += 1) {
      const reasons = await this.#transact(rest, limits)
      if (reasons === undefined) break
      let isBusy = false
      for (const [position, { Code, Item: item }] of reasons.entries()) {
        const write = rest[position]
        if (write === undefined || Code === undefined || Code === 'None') continue
        if (Code !== 'ConditionalCheckFailed') {
          isBusy = true
          continue
        }
        // An item that is gone by now is free in the next round.
        const pointer = pointerOf(item ?? (await this.#get(write.key, limits)))
        if (pointer !== undefined) found.set(write, pointer)
      }
      rest = rest.filter(write => !found.has(write))
      if (round === ROUNDS_MAX)
        throw storeError('throttled', `table ${this.#options.table}: its items are changed by others`)
      if (isBusy) await sleep(clock, (0.5 + random.next()) * 10 * 2 ** round)
    }
    return chunk.map(write => found.get(write))
  }

  /** Writes all, or answers the reasons why it was none. */
  async #transact(writes: readonly PointerWrite[], limits: StoreLimits): Promise<CancellationReasons | undefined> {
    const { sdk, client } = this.#load()
    const command = new sdk.TransactWriteItemsCommand({
      TransactItems: writes.map(write => ({
        Put: { ...this.#pointerPut(write, limits), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }
      })),
      ...this.#capacity()
    })
    try {
      const output: TransactWriteItemsCommandOutput = await client.send(command, { requestTimeout: limits.timeoutMs })
      for (const each of output.ConsumedCapacity ?? []) this.#count('write', each)
      return undefined
    } catch (error) {
      const reasons = cancellationReasons(error)
      if (reasons === undefined) throw this.#storeError(error)
      return reasons
    }
  }

  #pointerPut({ key, pointer, replaces }: PointerWrite, { nowMs }: StoreLimits): PutItemCommandInput {
    const { owner, index, atMs, untilMs, expiresMs } = pointer
    return {
      TableName: this.#options.table,
      Item: {
        [this.#key]: { S: key },
        o: { S: owner },
        n: { N: String(index) },
        a: { N: String(Math.floor(atMs)) },
        u: { N: String(Math.ceil(untilMs)) },
        x: { N: String(Math.ceil(expiresMs)) },
        [this.#ttl]: seconds(expiresMs)
      },
      ConditionExpression: `attribute_not_exists(#k) OR x <= :now${replaces === undefined ? '' : ' OR o = :old'}`,
      ExpressionAttributeNames: { '#k': this.#key },
      ExpressionAttributeValues: {
        ':now': { N: String(nowMs) },
        ...(replaces === undefined ? {} : { ':old': { S: replaces } })
      }
    }
  }

  /** Writes an item; answers what is there instead if the condition does not hold. */
  async #put(
    input: PutItemCommandInput,
    limits: StoreLimits
  ): Promise<{ readonly item: Item | undefined } | undefined> {
    const { sdk, client } = this.#load()
    const command = new sdk.PutItemCommand({
      ...input,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      ...this.#capacity()
    })
    try {
      const output = await client.send(command, { requestTimeout: limits.timeoutMs })
      this.#count('write', output.ConsumedCapacity)
      return undefined
    } catch (error) {
      if (awsErrorName(error) !== 'ConditionalCheckFailedException') throw this.#storeError(error)
      const item = itemOf(error)
      // Some services that speak DynamoDB's language do not give the item with the error.
      return { item: item ?? (await this.#get(input.Item?.[this.#key]?.S ?? '', limits)) }
    }
  }

  async #get(key: string, limits: StoreLimits): Promise<Item | undefined> {
    const { sdk, client } = this.#load()
    const command = new sdk.GetItemCommand({
      TableName: this.#options.table,
      Key: { [this.#key]: { S: key } },
      ConsistentRead: true,
      ...this.#capacity()
    })
    try {
      const output = await client.send(command, { requestTimeout: limits.timeoutMs })
      this.#count('read', output.ConsumedCapacity)
      return output.Item
    } catch (error) {
      throw this.#storeError(error)
    }
  }

  #capacity(): { ReturnConsumedCapacity?: 'TOTAL' } {
    return this.#dependencies.onCapacity === undefined ? {} : { ReturnConsumedCapacity: 'TOTAL' }
  }

  #count(kind: 'read' | 'write', capacity: { readonly CapacityUnits?: number | undefined } | undefined): void {
    if (capacity?.CapacityUnits !== undefined) this.#dependencies.onCapacity?.(kind, capacity.CapacityUnits)
  }

  #load(): { readonly sdk: Sdk; readonly client: DynamoDBClient } {
    if (this.#loaded !== undefined) return this.#loaded
    const { region, endpoint } = this.#options
    const { environment, timeoutMs = 2_000 } = this.#dependencies
    // What the package is, its types say. Loaded here: a function without this store does without 5 MB of code.
    const sdk = createRequire(import.meta.url)('@aws-sdk/client-dynamodb') as Sdk
    const settings = awsClientOptions({ region, endpoint, timeoutMs, service: 'DYNAMODB', environment })
    const loaded = { sdk, client: new sdk.DynamoDBClient(settings) }
    this.#loaded = loaded
    return loaded
  }

  #storeError(error: unknown): Error {
    const { table } = this.#options
    const name = awsErrorName(error)
    if (isUnknownOperation(error)) return error instanceof Error ? error : new Error(name)
    if (name === 'ResourceNotFoundException') {
      const message =
        `there is no table ${table} in this account and region; create it (see the guide to idempotency: ` +
        `key "${this.#key}" of type S, time to live on "${this.#ttl}"), or correct store.table and store.region`
      return storeError('missing', message, error)
    }
    if (name === 'ValidationException') {
      const message =
        `table ${table} does not take its items: ${briefMessageOf(error)}; its key must be "${this.#key}" of type S, ` +
        `without a sort key`
      return storeError('wrongSchema', message, error)
    }
    const text = `table ${table}: ${name}: ${briefMessageOf(error)}`
    switch (awsErrorKind(error)) {
      case 'throttled':
        return storeError('throttled', text, error)
      case 'refused':
        return storeError(
          'denied',
          `${text}; the function's role needs the rights that the guide to idempotency lists`,
          error
        )
      case 'outage':
      case 'network':
      case 'content':
      case 'unclear':
        return storeError('unavailable', text, error)
    }
  }
}

type CancellationReasons = readonly { readonly Code?: string | undefined; readonly Item?: Item | undefined }[]

function cancellationReasons(error: unknown): CancellationReasons | undefined {
  if (awsErrorName(error) !== 'TransactionCanceledException') return undefined
  const reasons: unknown =
    typeof error === 'object' && error !== null && 'CancellationReasons' in error
      ? error.CancellationReasons
      : undefined
  // Boundary: the SDK's own type of this error's member.
  return Array.isArray(reasons) ? (reasons as CancellationReasons) : []
}

function itemOf(error: unknown): Item | undefined {
  const item: unknown = typeof error === 'object' && error !== null && 'Item' in error ? error.Item : undefined
  // Boundary: the SDK's own type of this error's member.
  return typeof item === 'object' && item !== null ? (item as Item) : undefined
}

function isUnknownOperation(error: unknown): boolean {
  return awsErrorName(error) === 'UnknownOperationException'
}

function documentOf(item: Item | undefined): Document | undefined {
  if (item === undefined) return undefined
  return { version: item['v']?.S ?? '', text: item['s']?.S ?? '' }
}

function pointerOf(item: Item | undefined): Pointer | undefined {
  if (item === undefined) return undefined
  const numberOf = (name: string): number => Number(item[name]?.N ?? 0)
  return {
    owner: item['o']?.S ?? '',
    index: numberOf('n'),
    atMs: numberOf('a'),
    untilMs: numberOf('u'),
    expiresMs: numberOf('x')
  }
}

function seconds(epochMs: number): AttributeValue {
  return { N: String(Math.ceil(epochMs / 1_000)) }
}

/** Does something for each, some at the same time; the first error ends it. */
async function inLines<T, R>(all: readonly T[], lines: number, work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const line = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) {
      const each = all[index]
      if (each !== undefined) results[index] = await work(each)
    }
  }
  await Promise.all(Array.from({ length: Math.min(lines, all.length) }, line))
  return results
}

/**
 * Claims in a table of DynamoDB, shared by all environments of a function and by all functions that name the table.
 *
 * The table has one key, a text called `id` as in the table that Powertools uses, and DynamoDB's time to live on the
 * number `expiration` (seconds). Nothing relies on the latter: it deletes days late, and times are compared here.
 *
 * | Item | Attributes |
 * | --- | --- |
 * | document | `id`, `v` version, `s` text, `expiration` |
 * | pointer | `id`, `o` owner, `n` index, `a` from, `u` until, `x` expires (milliseconds), `t` targets, `expiration` |
 *
 * A change of a document is one `PutItem` with a condition on the version. Pointers are written 100 at a time by
 * `TransactWriteItems`, which costs two write units for each, or one by one (`writes: single`), which costs one unit
 * and many requests. A transaction is all or nothing: what another has is taken out, and the rest tried again.
 *
 * It never tries again by itself, but for what is left of a transaction; see `claim-runtime.ts`.
 */

import { briefMessageOf, type Clock, type Random, sleep, systemClock, systemRandom } from '../../core/index.ts'
import { awsErrorKind, awsErrorName } from '../../targets/sinks/index.ts'
import { DynamoDbClient, DynamoDbError } from './dynamo-db-client.ts'
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

/** A value as DynamoDB writes it in JSON; claims have texts and numbers. */
type AttributeValue =
  { readonly S: string } | { readonly N: string } | { readonly L: readonly { readonly S: string }[] }
type Item = Readonly<
  Record<string, { readonly S?: string; readonly N?: string; readonly L?: readonly { S?: string }[] }>
>

/** Input of `PutItem`. Source: DynamoDB API. */
interface PutInput {
  readonly TableName: string
  readonly Item: Readonly<Record<string, AttributeValue>>
  readonly ConditionExpression: string
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>
  readonly ExpressionAttributeValues?: Readonly<Record<string, AttributeValue>>
}

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
  readonly #client: DynamoDbClient

  constructor(options: DynamoDbStoreOptions, dependencies: DynamoDbStoreDependencies = {}) {
    this.#options = options
    this.#dependencies = dependencies
    this.#key = options.keyAttribute ?? 'id'
    this.#ttl = options.ttlAttribute ?? 'expiration'
    this.#isTransactional = options.writes !== 'single'
    const { region, endpoint } = options
    const { environment, clock } = dependencies
    this.#client = new DynamoDbClient({ region, endpoint, environment, clock })
  }

  async read(key: string, limits: StoreLimits): Promise<Document | undefined> {
    return documentOf(await this.#get(key, limits))
  }

  async swap({ key, expected, version, text, expiresMs }: Swap, limits: StoreLimits): Promise<SwapResult> {
    const input: PutInput = {
      TableName: this.#options.table,
      Item: { [this.#key]: { S: key }, v: { S: version }, s: { S: text }, [this.#ttl]: seconds(expiresMs) },
      ...(expected === undefined
        ? { ConditionExpression: 'attribute_not_exists(#k)', ExpressionAttributeNames: { '#k': this.#key } }
        : { ConditionExpression: 'v = :v', ExpressionAttributeValues: { ':v': { S: expected } } })
    }
    const conflict = await this.#put(key, input, limits)
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
      const conflict = await this.#put(write.key, this.#pointerPut(write, limits), limits)
      return conflict === undefined ? undefined : pointerOf(conflict.item)
    })
  }

  async close(): Promise<void> {
    await this.#client.close()
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
    const input = {
      TransactItems: writes.map(write => ({
        Put: { ...this.#pointerPut(write, limits), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }
      })),
      ...this.#capacity()
    }
    try {
      const output = await this.#client.send('TransactWriteItems', input, limits.timeoutMs)
      const consumed: unknown = output['ConsumedCapacity']
      if (Array.isArray(consumed)) for (const each of consumed) this.#count('write', each)
      return undefined
    } catch (error) {
      const reasons = cancellationReasons(error)
      if (reasons === undefined) throw this.#storeError(error)
      return reasons
    }
  }

  #pointerPut({ key, pointer, replaces }: PointerWrite, { nowMs }: StoreLimits): PutInput {
    const { owner, index, atMs, untilMs, expiresMs, targets } = pointer
    return {
      TableName: this.#options.table,
      Item: {
        [this.#key]: { S: key },
        o: { S: owner },
        n: { N: String(index) },
        a: { N: String(Math.floor(atMs)) },
        u: { N: String(Math.ceil(untilMs)) },
        x: { N: String(Math.ceil(expiresMs)) },
        ...(targets === undefined ? {} : { t: { L: targets.map(name => ({ S: name })) } }),
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
    key: string,
    input: PutInput,
    limits: StoreLimits
  ): Promise<{ readonly item: Item | undefined } | undefined> {
    const options = { ReturnValuesOnConditionCheckFailure: 'ALL_OLD', ...this.#capacity() }
    try {
      const output = await this.#client.send('PutItem', { ...input, ...options }, limits.timeoutMs)
      this.#count('write', output['ConsumedCapacity'])
      return undefined
    } catch (error) {
      if (awsErrorName(error) !== 'ConditionalCheckFailedException') throw this.#storeError(error)
      // Some services that speak DynamoDB's language do not give the item with the error.
      return { item: itemOf(error) ?? (await this.#get(key, limits)) }
    }
  }

  async #get(key: string, limits: StoreLimits): Promise<Item | undefined> {
    const input = {
      TableName: this.#options.table,
      Key: { [this.#key]: { S: key } },
      ConsistentRead: true,
      ...this.#capacity()
    }
    try {
      const output = await this.#client.send('GetItem', input, limits.timeoutMs)
      this.#count('read', output['ConsumedCapacity'])
      return asItem(output['Item'])
    } catch (error) {
      throw this.#storeError(error)
    }
  }

  #capacity(): { ReturnConsumedCapacity?: 'TOTAL' } {
    return this.#dependencies.onCapacity === undefined ? {} : { ReturnConsumedCapacity: 'TOTAL' }
  }

  #count(kind: 'read' | 'write', capacity: unknown): void {
    const units: unknown = isObject(capacity) ? capacity['CapacityUnits'] : undefined
    if (typeof units === 'number') this.#dependencies.onCapacity?.(kind, units)
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
          `${text}; in AWS the function's role needs the rights that the guide to idempotency lists, elsewhere the ` +
            'function needs credentials in its environment (AWS_ACCESS_KEY_ID: { env: AWS_ACCESS_KEY_ID }, …)',
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
  const reasons: unknown = error instanceof DynamoDbError ? error.details['CancellationReasons'] : undefined
  if (!Array.isArray(reasons)) return []
  return reasons.map((reason: unknown) => {
    const { Code, Item } = isObject(reason) ? reason : {}
    return { Code: typeof Code === 'string' ? Code : undefined, Item: asItem(Item) }
  })
}

function itemOf(error: unknown): Item | undefined {
  return error instanceof DynamoDbError ? asItem(error.details['Item']) : undefined
}

function asItem(value: unknown): Item | undefined {
  // Boundary: what the attributes hold is looked at where they are read.
  return isObject(value) ? (value as Item) : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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
    expiresMs: numberOf('x'),
    ...(item['t']?.L === undefined ? {} : { targets: item['t'].L.map(({ S = '' }) => S) })
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

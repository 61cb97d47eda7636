/**
 * Look-ups in a DynamoDB table by `BatchGetItem`: 100 keys in a request, of which the service may leave some
 * unprocessed. Source: Amazon DynamoDB API reference, BatchGetItem.
 *
 * Items become JSON texts with every digit of their numbers. Sets become lists, binary data Base64.
 */

import type {
  AttributeValue,
  BatchGetItemCommandOutput,
  DynamoDBClient,
  KeysAndAttributes
} from '@aws-sdk/client-dynamodb'

import { awsClientOptions } from '../../targets/sinks/index.ts'
import { awsFailure } from './aws-failure.ts'
import { isPlausibleNumber } from './json-text.ts'
import { joinSortKey, splitSortKey } from './record-key.ts'
import type { LookupSource, SourceAnswer, SourceSurroundings } from './source.ts'
import type { DynamoDbSourceSettings, KeyAttribute } from './source-settings.ts'

type Sdk = typeof import('@aws-sdk/client-dynamodb')
type Item = Record<string, AttributeValue>

/** Most keys that BatchGetItem takes. */
const KEYS_MAX = 100
/** Longest sort key, in bytes. */
const SORT_KEY_BYTES_MAX = 1_024

/** One way to write each number, so that no two keys of a request are the same number. At most 38 digits. */
const CANONICAL_NUMBER = /^(?=.{1,39}$)(?:0|-?[1-9]\d{0,37}|-?(?:0|[1-9]\d*)\.\d*[1-9])$/

/** Items of a table. */
export class DynamoDbSource implements LookupSource {
  readonly name: string
  readonly keysMax: number = KEYS_MAX
  readonly #settings: DynamoDbSourceSettings
  readonly #partitionKey: Required<KeyAttribute>
  readonly #sortKey: Required<KeyAttribute> | undefined
  readonly #request: Omit<KeysAndAttributes, 'Keys'>
  readonly #client: Promise<{ readonly sdk: Sdk; readonly client: DynamoDBClient }>

  constructor(settings: DynamoDbSourceSettings, surroundings: SourceSurroundings, timeoutMs: number) {
    this.name = `table ${settings.table}`
    this.#settings = settings
    const { partitionKey, sortKey } = settings
    const attribute = typeof partitionKey === 'string' ? { name: partitionKey } : partitionKey
    this.#partitionKey = { type: 'S', ...attribute }
    this.#sortKey = sortKey === undefined ? undefined : { name: sortKey.name, type: sortKey.type ?? 'S' }
    this.#request = this.#projection()
    this.#client = this.#load(surroundings, timeoutMs)
    // Whoever asks hears of it.
    this.#client.catch(() => undefined)
  }

  isPossible(key: string): boolean {
    const [partition, sort] = this.#parts(key)
    if (this.#partitionKey.type === 'N' && !CANONICAL_NUMBER.test(partition)) return false
    if (this.#sortKey === undefined) return true
    return this.#sortKey.type === 'N' ? CANONICAL_NUMBER.test(sort) : Buffer.byteLength(sort) <= SORT_KEY_BYTES_MAX
  }

  async ask(keys: readonly string[], signal: AbortSignal): Promise<SourceAnswer> {
    let output: BatchGetItemCommandOutput
    try {
      const { sdk, client } = await this.#client
      const request = { ...this.#request, Keys: keys.map(key => this.#keyItem(key)) }
      const command = new sdk.BatchGetItemCommand({ RequestItems: { [this.#settings.table]: request } })
      output = await client.send(command, { abortSignal: signal })
    } catch (error) {
      return awsFailure(this.name, error)
    }
    const texts = new Map<string, string>()
    // The names of the answer are those of the request, of which there is one.
    for (const item of Object.values(output.Responses ?? {}).flat()) texts.set(this.#keyOf(item), this.#textOf(item))
    const left = Object.values(output.UnprocessedKeys ?? {}).flatMap(each => each.Keys ?? [])
    return { kind: 'answered', texts, unanswered: left.map(item => this.#keyOf(item)) }
  }

  async close(): Promise<void> {
    const loaded = await this.#client.catch(() => undefined)
    loaded?.client.destroy()
  }

  async #load(surroundings: SourceSurroundings, timeoutMs: number): Promise<{ sdk: Sdk; client: DynamoDBClient }> {
    const sdk = await import('@aws-sdk/client-dynamodb')
    const { region, endpoint } = this.#settings
    const { environment } = surroundings
    const options = awsClientOptions({ region, endpoint, timeoutMs, service: 'DYNAMODB', environment })
    return { sdk, client: new sdk.DynamoDBClient(options) }
  }

  #parts(key: string): readonly [string, string] {
    return this.#sortKey === undefined ? [key, ''] : splitSortKey(key)
  }

  #keyItem(key: string): Item {
    const [partition, sort] = this.#parts(key)
    const item: Item = { [this.#partitionKey.name]: keyValue(this.#partitionKey, partition) }
    if (this.#sortKey !== undefined) item[this.#sortKey.name] = keyValue(this.#sortKey, sort)
    return item
  }

  #keyOf(item: Item): string {
    const partition = keyText(item[this.#partitionKey.name])
    return this.#sortKey === undefined ? partition : joinSortKey(partition, keyText(item[this.#sortKey.name]))
  }

  /** Asks for the attributes that are wanted, and for the keys, by which the items are told apart. */
  #projection(): Omit<KeysAndAttributes, 'Keys'> {
    const { attributes, consistentRead } = this.#settings
    const consistent = consistentRead === true ? { ConsistentRead: true } : {}
    if (attributes === undefined) return consistent
    const keys = [this.#partitionKey.name, ...(this.#sortKey === undefined ? [] : [this.#sortKey.name])]
    const names = [...new Set([...attributes, ...keys])]
    return {
      ...consistent,
      ProjectionExpression: names.map((_, index) => `#a${index}`).join(','),
      ExpressionAttributeNames: Object.fromEntries(names.map((name, index) => [`#a${index}`, name]))
    }
  }

  #textOf(item: Item): string {
    const names = this.#settings.attributes ?? Object.keys(item)
    const members = names.flatMap(name => {
      const value = item[name]
      return value === undefined ? [] : [`${JSON.stringify(name)}:${attributeText(value)}`]
    })
    return `{${members.join(',')}}`
  }
}

function keyValue({ type }: Required<KeyAttribute>, text: string): AttributeValue {
  return type === 'N' ? { N: text } : { S: text }
}

function keyText(value: AttributeValue | undefined): string {
  return value?.S ?? value?.N ?? ''
}

/**
 * An attribute value as JSON text. Numbers are taken over digit by digit.
 *
 * Source: Amazon DynamoDB API reference, AttributeValue.
 */
export function attributeText(value: AttributeValue): string {
  if (value.S !== undefined) return JSON.stringify(value.S)
  if (value.N !== undefined) return numberText(value.N)
  if (value.BOOL !== undefined) return String(value.BOOL)
  if (value.M !== undefined) {
    const members = Object.entries(value.M).map(([name, inner]) => `${JSON.stringify(name)}:${attributeText(inner)}`)
    return `{${members.join(',')}}`
  }
  if (value.L !== undefined) return listText(value.L.map(attributeText))
  if (value.SS !== undefined) return listText(value.SS.map(text => JSON.stringify(text)))
  if (value.NS !== undefined) return listText(value.NS.map(numberText))
  if (value.B !== undefined) return binaryText(value.B)
  if (value.BS !== undefined) return listText(value.BS.map(binaryText))
  return 'null'
}

function listText(texts: readonly string[]): string {
  return `[${texts.join(',')}]`
}

/** What is no number in JSON, as no service writes it, stays a text: it must not break the event. */
function numberText(text: string): string {
  return isPlausibleNumber(text) ? text : JSON.stringify(text)
}

function binaryText(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('base64'))
}

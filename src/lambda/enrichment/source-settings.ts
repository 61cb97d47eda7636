/** Where things are looked up: a DynamoDB table, an HTTP service, objects in S3, or one that is a whole table. */

import { headerProblem } from '../../core/index.ts'
import { choiceProblems, countProblems, isObject, unknownMembers } from './checks.ts'
import { readKeyPattern } from './record-key.ts'

/** Where a service of AWS is. */
export interface AwsPlace {
  /** Default: AWS's own chain. */
  readonly region?: string
  /** An emulator, a VPC endpoint. Default: AWS's, or what `AWS_ENDPOINT_URL` says. */
  readonly endpoint?: string
}

/** The partition key of a table. */
export interface KeyAttribute {
  readonly name: string
  /** `S` text, `N` number. Default `S`. */
  readonly type?: 'S' | 'N'
}

/** The sort key of a table, and where its value comes from. */
export interface SortKeyAttribute extends KeyAttribute {
  /** A constant (`PROFILE`), or a template with fields of the event (`SITE#{site.id}`). */
  readonly value: string
}

/** Items of a DynamoDB table, by `BatchGetItem`. */
export interface DynamoDbSourceSettings extends AwsPlace {
  readonly type: 'dynamoDb'
  /** Name or ARN of the table. */
  readonly table: string
  /** Attribute that the key is compared with: its name if it is text. */
  readonly partitionKey: string | KeyAttribute
  readonly sortKey?: SortKeyAttribute
  /** Attributes at the top of the item that are added. Default: all of them. */
  readonly attributes?: readonly string[]
  /** Whether writes that ended before the look-up are seen for sure, at twice the price. Default `false`. */
  readonly consistentRead?: boolean
}

/** Answers of an HTTP service. */
export interface HttpSourceSettings {
  readonly type: 'http'
  /**
   * Address. With `{key}` in its path or query: one GET for each key. With `batch`: one POST of `{"keys":[…]}`,
   * answered by `{"items":{"<key>":…}}` or `{"items":[…]}` in the order of the keys.
   */
  readonly url: string
  /** Default `false`. */
  readonly batch?: boolean
  /** Headers of every request; `{ env: NAME }` takes the value from an environment variable. */
  readonly headers?: Readonly<Record<string, string | { readonly env: string }>>
  /** Largest answer that is read, in bytes. Default 4_194_304. */
  readonly answerBytesMax?: number
}

/** Objects of an S3 bucket that are JSON. */
export interface S3SourceSettings extends AwsPlace {
  readonly type: 's3'
  readonly bucket: string
  /** Name of the object for a key (`drivers/{key}.json`), or of the one object that is the whole table. */
  readonly key: string
  /** Form of a whole table: one JSON object by key, or a JSON object in each line. Default: by the name's ending. */
  readonly format?: 'json' | 'ndjson'
  /** Member of each line that is its key, for `ndjson`. Default `id`. */
  readonly keyField?: string
  /** Largest whole table that is read, in bytes. Default 33_554_432. */
  readonly tableBytesMax?: number
}

/** Where things are looked up. */
export type SourceSettings = DynamoDbSourceSettings | HttpSourceSettings | S3SourceSettings

/** The place for the key in an address or a name. */
export const KEY_PLACE = '{key}'

type Given = Readonly<Record<string, unknown>>

/** Variables that headers may name. */
type Environment = Readonly<Record<string, string | undefined>>

/** Every problem of `from`; with an environment, variables that are not set as well. */
export function sourceProblems(given: unknown, environment?: Environment): string[] {
  if (!isObject(given)) return [': is not an object']
  switch (given['type']) {
    case 'dynamoDb':
      return dynamoDbProblems(given)
    case 'http':
      return httpProblems(given, environment)
    case 's3':
      return s3Problems(given)
    default:
      return ['type: is none of dynamoDb, http, s3']
  }
}

const TABLE = /^(?:arn:[\w-]+:dynamodb:[\w-]*:\d*:table\/)?[\w.-]{3,255}$/

function dynamoDbProblems(given: Given): string[] {
  const known = ['type', 'table', 'partitionKey', 'sortKey', 'attributes', 'consistentRead', 'region', 'endpoint']
  const problems = [...unknownMembers(given, new Set(known)), ...placeProblems(given)]
  const { table, partitionKey, sortKey, attributes, consistentRead } = given
  if (typeof table !== 'string' || !TABLE.test(table)) problems.push('table: is not the name or ARN of a table')
  const attribute = typeof partitionKey === 'string' ? { name: partitionKey } : partitionKey
  problems.push(...attributeProblems('partitionKey', attribute, ['name', 'type']))
  if (sortKey !== undefined) {
    problems.push(...attributeProblems('sortKey', sortKey, ['name', 'type', 'value']))
    const value = isObject(sortKey) ? sortKey['value'] : undefined
    if (typeof value !== 'string' || value === '') problems.push('sortKey.value: is not a text or template')
    else if (/[{}]/.test(value)) {
      const pattern = readKeyPattern(value)
      if (typeof pattern === 'string') problems.push(`sortKey.value: ${pattern}`)
    }
  }
  const isList = Array.isArray(attributes) && attributes.length > 0 && attributes.every(isName)
  if (attributes !== undefined && !isList) problems.push('attributes: is not a list of names')
  if (consistentRead !== undefined && typeof consistentRead !== 'boolean') {
    problems.push('consistentRead: is neither true nor false')
  }
  return problems
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function attributeProblems(path: string, given: unknown, known: readonly string[]): string[] {
  if (!isObject(given)) return [`${path}: is not the name of an attribute`]
  const problems = [...unknownMembers(given, new Set(known)), ...choiceProblems(given, 'type', ['S', 'N'])]
  if (!isName(given['name'])) problems.push('name: is not the name of an attribute')
  return problems.map(problem => `${path}.${problem}`)
}

function placeProblems({ region, endpoint }: Given): string[] {
  const problems: string[] = []
  if (region !== undefined && !isName(region)) problems.push('region: is not a name')
  if (endpoint !== undefined && !isAddress(endpoint)) problems.push('endpoint: is not an http or https address')
  return problems
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}

function httpProblems(given: Given, environment?: Environment): string[] {
  const known = new Set(['type', 'url', 'batch', 'headers', 'answerBytesMax'])
  const problems = [...unknownMembers(given, known), ...countProblems(given, { answerBytesMax: [2, 67_108_864] })]
  const { url, batch, headers } = given
  if (batch !== undefined && typeof batch !== 'boolean') problems.push('batch: is neither true nor false')
  if (!isAddress(url)) problems.push('url: is not an http or https address')
  else {
    const hasPlace = url.includes(KEY_PLACE)
    const { origin, username } = new URL(url)
    if (!url.startsWith(origin) || origin.includes('{') || username !== '') {
      problems.push('url: has a user name, {key} or capitals before its path; credentials belong into headers')
    } else if (/#.*\{key\}/.test(url)) {
      problems.push('url: has {key} behind #, which is not sent')
    } else if (batch === true && hasPlace) problems.push('url: has {key}, but with batch the keys are in the body')
    else if (batch !== true && !hasPlace) problems.push('url: has no {key}; with batch: true the keys are in the body')
  }
  if (headers !== undefined && !isObject(headers)) problems.push('headers: is not an object')
  for (const [name, value] of Object.entries(isObject(headers) ? headers : {})) {
    const variable = isObject(value) ? value['env'] : undefined
    if (typeof variable === 'string' && environment !== undefined && environment[variable] === undefined) {
      problems.push(`headers.${name}: the environment variable ${variable} is not set`)
    }
    const isVariable = isObject(value) && isName(value['env']) && Object.keys(value).length === 1
    const problem = isVariable
      ? headerProblem(name, '')
      : typeof value === 'string'
        ? headerProblem(name, value)
        : undefined
    if (problem !== undefined) problems.push(`headers.${name}: ${problem}`)
    else if (!isVariable && typeof value !== 'string')
      problems.push(`headers.${name}: is neither a text nor { env: NAME }`)
  }
  return problems
}

function s3Problems(given: Given): string[] {
  const known = ['type', 'bucket', 'key', 'format', 'keyField', 'tableBytesMax', 'region', 'endpoint']
  const problems = [...unknownMembers(given, new Set(known)), ...placeProblems(given)]
  problems.push(...choiceProblems(given, 'format', ['json', 'ndjson']))
  problems.push(...countProblems(given, { tableBytesMax: [2, 268_435_456] }))
  const { bucket, key, keyField } = given
  // Source: Amazon S3 user guide, "General purpose bucket naming rules"; an access point has an ARN.
  if (typeof bucket !== 'string' || !/^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:[\w:/-]+)$/.test(bucket)) {
    problems.push('bucket: is not the name of a bucket')
  }
  if (!isName(key) || Buffer.byteLength(String(key)) > 1_024) problems.push('key: is not the name of an object')
  if (keyField !== undefined && !isName(keyField)) problems.push('keyField: is not a name')
  const isTable = typeof key === 'string' && !key.includes(KEY_PLACE)
  for (const name of ['format', 'keyField', 'tableBytesMax']) {
    if (!isTable && given[name] !== undefined) problems.push(`${name}: is for one object that is the whole table`)
  }
  return problems
}

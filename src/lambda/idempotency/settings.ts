/** `idempotency:` of the distributor: where claims are kept, by what records are told apart, and for how long. */

import { PipelineError } from '../../core/index.ts'
import type { ClaimSettings } from './claim-runtime.ts'
import type { DynamoDbStoreOptions } from './dynamo-db-store.ts'
import type { MemoryStoreOptions } from './memory-store.ts'
import type { SqliteStoreOptions } from './sqlite-store.ts'

/** Where claims are kept. */
export type IdempotencyStoreSettings =
  | ({ readonly type: 'memory' } & MemoryStoreOptions)
  | ({ readonly type: 'sqlite' } & SqliteStoreOptions)
  | ({ readonly type: 'dynamoDb' } & DynamoDbStoreOptions)

/** How records are kept from being done twice. */
export interface IdempotencySettings {
  readonly store: IdempotencyStoreSettings
  /**
   * What makes two records the same: `offset` (topic, partition and offset: redelivery), or a field with the id of the
   * event (`event_id`): also a record that was produced twice. Never the id of what it is about (`order.id`): its
   * second event would count as delivered. A record without the field is told apart by its offset. Default `offset`.
   */
  readonly key?: 'offset' | { readonly field: string }
  /** How long a record that is done is remembered, in milliseconds. 1_000 to 31_536_000_000. Default 86_400_000. */
  readonly ttlMs?: number
  /**
   * Keeps functions that share a table apart, and clusters and generations of a topic: 1 to 128 of letters, digits,
   * `.`, `_`, `-`. Default: the function's name (`AWS_LAMBDA_FUNCTION_NAME`), else `default`.
   */
  readonly namespace?: string
  /**
   * How long after the end of its invocation a claim still holds, in milliseconds: more than clocks differ.
   * 0 to 60_000. Default 1_000.
   */
  readonly graceMs?: number
  /** Longest wait for one answer of the store, in milliseconds. 50 to 30_000. Default 2_000. */
  readonly timeoutMs?: number
  /** What happens to a batch that cannot be claimed: it comes again. There is no other choice. */
  readonly onStoreError?: 'retry'
}

const NAMESPACE = /^[\w.-]{1,128}$/

/**
 * The settings with their defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_IDEMPOTENCY_OPTIONS_INVALID` with every problem.
 */
export function claimSettings(
  settings: IdempotencySettings,
  environment: Readonly<Record<string, string | undefined>>
): ClaimSettings {
  const problems = idempotencyProblems(settings)
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_IDEMPOTENCY_OPTIONS_INVALID', `idempotency: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  return {
    namespace: settings.namespace ?? namespaceOf(environment),
    ttlMs: settings.ttlMs ?? 86_400_000,
    graceMs: settings.graceMs ?? 1_000,
    timeoutMs: settings.timeoutMs ?? 2_000
  }
}

/** The function's own name: two functions that share a table must not take each other's records for done. */
function namespaceOf(environment: Readonly<Record<string, string | undefined>>): string {
  const name = environment['AWS_LAMBDA_FUNCTION_NAME'] ?? ''
  return NAMESPACE.test(name) ? name : 'default'
}

/** Every problem of the settings, of any value; empty when they can work. */
export function idempotencyProblems(given: unknown): string[] {
  if (!isObject(given)) return ['is not an object with store']
  const problems: string[] = []
  const known = ['store', 'key', 'ttlMs', 'namespace', 'graceMs', 'timeoutMs', 'onStoreError']
  problems.push(...unknownNames('', given, known))
  checkStore(problems, given['store'])
  const { key, namespace, onStoreError } = given
  if (key !== undefined && key !== 'offset' && !(isObject(key) && isText(key['field']))) {
    problems.push('key: is neither "offset" nor an object with field')
  }
  if (namespace !== undefined && !(typeof namespace === 'string' && NAMESPACE.test(namespace))) {
    problems.push('namespace: is not 1 to 128 letters, digits, ".", "_" or "-"')
  }
  if (onStoreError !== undefined && onStoreError !== 'retry') {
    problems.push('onStoreError: only "retry" is there: what cannot be claimed is not delivered')
  }
  problems.push(...rangeProblem('ttlMs', given['ttlMs'], [1_000, 31_536_000_000]))
  problems.push(...rangeProblem('graceMs', given['graceMs'], [0, 60_000]))
  problems.push(...rangeProblem('timeoutMs', given['timeoutMs'], [50, 30_000]))
  return problems
}

function checkStore(problems: string[], store: unknown): void {
  if (!isObject(store)) {
    problems.push('store: is missing; give type memory, sqlite or dynamoDb')
    return
  }
  switch (store['type']) {
    case 'memory':
      problems.push(...unknownNames('store.', store, ['type', 'entriesMax']))
      problems.push(...rangeProblem('store.entriesMax', store['entriesMax'], [1_000, 10_000_000]))
      return
    case 'sqlite':
      problems.push(...unknownNames('store.', store, ['type', 'file']))
      if (!isText(store['file'])) problems.push('store.file: is not the path of a file')
      return
    case 'dynamoDb':
      return checkTable(problems, store)
    default:
      problems.push(`store.type: ${JSON.stringify(store['type'])} is not memory, sqlite or dynamoDb`)
  }
}

const TABLE_NAMES = ['type', 'table', 'region', 'endpoint', 'writes', 'keyAttribute', 'ttlAttribute']

function checkTable(problems: string[], store: Record<string, unknown>): void {
  problems.push(...unknownNames('store.', store, TABLE_NAMES))
  const { table, endpoint, writes } = store
  // Source: DynamoDB API, `TableName`: a name, or an ARN.
  if (!isText(table) || !/^(?:[\w.-]{3,255}|arn:[\w:/.-]{1,1019})$/.test(table)) {
    problems.push('store.table: is not the name or ARN of a table')
  }
  if (endpoint !== undefined && !(isText(endpoint) && /^https?:$/.test(URL.parse(endpoint)?.protocol ?? ''))) {
    problems.push('store.endpoint: is not an http or https address')
  }
  if (writes !== undefined && writes !== 'transaction' && writes !== 'single') {
    problems.push('store.writes: is neither transaction nor single')
  }
  for (const name of ['region', 'keyAttribute', 'ttlAttribute']) {
    if (store[name] !== undefined && !isText(store[name])) problems.push(`store.${name}: is not a name`)
  }
}

function unknownNames(path: string, given: Record<string, unknown>, known: readonly string[]): string[] {
  const unknown = Object.keys(given).filter(name => !known.includes(name))
  return unknown.map(name => `${path}${name}: is not known`)
}

function rangeProblem(path: string, value: unknown, [min, max]: readonly [number, number]): string[] {
  const isFine = value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)
  return isFine ? [] : [`${path}: is not an integer from ${min} to ${max}`]
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

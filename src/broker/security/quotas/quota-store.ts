/**
 * The quotas of a broker, durable in its data folder.
 *
 *   comporta-quotas.json => { "version": 1, "quotas": [{ "entity": { "user"?, "clientId"?, "ip"? },
 *     "values": { "producer_byte_rate": 1048576 } }] }          (a name of null is the default)
 *
 * A change replaces the file in one step and holds after that. Changes run one after another.
 *
 * Limits: `ENTITY_COUNT_MAX` entities.
 */

import path from 'node:path'
import { PipelineError } from '../../../core/index.ts'
import { readIfPresent, replaceFile } from '../../log/small-files.ts'
import {
  entityOf,
  identityOf,
  isProblem,
  partsOf,
  type QuotaEntity,
  quotaProblem,
  type QuotaTable
} from './quota-entities.ts'

/** Most entities with quotas. */
export const ENTITY_COUNT_MAX = 20_000

const FILE = 'comporta-quotas.json'
const VERSION = 1

/** Quotas of one entity. */
export interface QuotaRow {
  readonly entity: QuotaEntity
  readonly values: ReadonlyMap<string, number>
}

/** Quotas to set, or to remove (`null`), of one entity. */
export interface QuotaChange {
  readonly entity: QuotaEntity
  readonly values: ReadonlyMap<string, number | null>
}

/** Durable quotas. */
export class QuotaStore {
  readonly #file: string
  readonly #onChange: () => void
  #rows: ReadonlyMap<string, QuotaRow>
  #table: QuotaTable
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: string, rows: ReadonlyMap<string, QuotaRow>, onChange: () => void) {
    this.#file = file
    this.#rows = rows
    this.#table = tableOf(rows)
    this.#onChange = onChange
  }

  /**
   * Opens the file in a data folder; there is none before the first quota.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if it cannot be read.
   */
  static async open(dataDir: string, onChange: () => void = () => undefined): Promise<QuotaStore> {
    const file = path.join(dataDir, FILE)
    const content = await readIfPresent(file)
    const rows = content === undefined ? [] : parse(content.toString())
    if (rows !== undefined) return new QuotaStore(file, byIdentity(rows), onChange)
    throw new PipelineError('ERR_BROKER_DATA_DAMAGED', `${file} must hold the quotas of this broker`, {
      fields: { file }
    })
  }

  /** Quotas by entity. */
  get table(): QuotaTable {
    return this.#table
  }

  /** All entities with their quotas. */
  get rows(): readonly QuotaRow[] {
    return [...this.#rows.values()]
  }

  /** Makes changes together; resolves when they are durable and hold. False if there would be too many entities. */
  change(changes: readonly QuotaChange[]): Promise<boolean> {
    const result = this.#last.then(async () => {
      const rows = new Map(this.#rows)
      for (const { entity, values } of changes) apply(rows, entity, values)
      if (rows.size > ENTITY_COUNT_MAX && rows.size > this.#rows.size) return false
      const content = { version: VERSION, quotas: [...rows.values()].map(toJson) }
      await replaceFile(this.#file, `${JSON.stringify(content, undefined, 1)}\n`)
      this.#rows = rows
      this.#table = tableOf(rows)
      this.#onChange()
      return true
    })
    // Who asked learns of a failure; the next change starts from what holds.
    this.#last = result.catch(() => undefined)
    return result
  }
}

function apply(rows: Map<string, QuotaRow>, entity: QuotaEntity, values: ReadonlyMap<string, number | null>): void {
  const identity = identityOf(entity)
  const changed = new Map(rows.get(identity)?.values)
  for (const [key, value] of values) {
    if (value === null) changed.delete(key)
    else changed.set(key, value)
  }
  if (changed.size === 0) rows.delete(identity)
  else rows.set(identity, { entity, values: changed })
}

function tableOf(rows: ReadonlyMap<string, QuotaRow>): QuotaTable {
  return new Map([...rows].map(([identity, { values }]) => [identity, values]))
}

function byIdentity(rows: readonly QuotaRow[]): ReadonlyMap<string, QuotaRow> {
  return new Map(rows.map(row => [identityOf(row.entity), row]))
}

function toJson({ entity, values }: QuotaRow): unknown {
  return { entity, values: Object.fromEntries(values) }
}

function parse(text: string): QuotaRow[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || value['version'] !== VERSION || !Array.isArray(value['quotas'])) return undefined
  const rows: QuotaRow[] = []
  for (const each of value['quotas']) {
    const row = parseRow(each)
    if (row === undefined) return undefined
    rows.push(row)
  }
  return rows
}

function parseRow(value: unknown): QuotaRow | undefined {
  if (!isObject(value) || !isObject(value['entity']) || !isObject(value['values'])) return undefined
  const { user, clientId, ip } = value['entity']
  const named = { user, clientId, ip }
  if (!Object.values(named).every(name => name === undefined || name === null || typeof name === 'string'))
    return undefined
  // Checked above: each is a name, the default, or not there.
  const entity = entityOf(partsOf(named as QuotaEntity))
  if (isProblem(entity)) return undefined
  const values = new Map<string, number>()
  for (const [key, limit] of Object.entries(value['values'])) {
    if (typeof limit !== 'number' || quotaProblem(entity, key, limit) !== undefined) return undefined
    values.set(key, limit)
  }
  return { entity, values }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

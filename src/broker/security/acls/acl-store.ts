/**
 * The ACLs of a broker, durable in its data folder.
 *
 *   comporta-acls.json => { "version": 1, "acls": [{ "resourceType", "resourceName",
 *     "patternType", "principal", "host", "operation", "permission" }] }   (Kafka's numbers)
 *
 * A change replaces the file in one step and takes effect after that, so nobody
 * is let in by an ACL that a crash forgets. Changes run one after another.
 *
 * Limits: `ACL_COUNT_MAX` ACLs with `ACL_TEXT_MAX` characters.
 */

import path from 'node:path'
import { PipelineError } from '../../../core/index.ts'
import { readIfPresent, replaceFile } from '../../log/small-files.ts'
import { AclIndex, aclProblem, isMeant } from './acl-index.ts'
import type { AclBinding, AclFilter } from './acl-types.ts'

/** Most ACLs of one broker. */
export const ACL_COUNT_MAX = 50_000
/** Most characters of their names, principals and addresses together. */
export const ACL_TEXT_MAX = 16_000_000

const FILE = 'comporta-acls.json'
const VERSION = 1

/** Durable ACLs. */
export class AclStore {
  readonly #file: string
  readonly #onChange: () => void
  #index: AclIndex
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: string, index: AclIndex, onChange: () => void) {
    this.#file = file
    this.#index = index
    this.#onChange = onChange
  }

  /**
   * Opens the file in a data folder; there is none before the first ACL.
   *
   * @param onChange - Called when other ACLs are in force.
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if it cannot be read: going on could open or close everything.
   */
  static async open(dataDir: string, onChange: () => void = () => undefined): Promise<AclStore> {
    const file = path.join(dataDir, FILE)
    const content = await readIfPresent(file)
    const acls = content === undefined ? [] : parse(content.toString())
    if (acls !== undefined) return new AclStore(file, new AclIndex(acls), onChange)
    throw new PipelineError('ERR_BROKER_DATA_DAMAGED', `${file} must hold the ACLs of this broker`, {
      fields: { file }
    })
  }

  /** The ACLs in force. */
  get index(): AclIndex {
    return this.#index
  }

  /**
   * Adds ACLs; those that are there already stay. Resolves when they are durable
   * and in force: false if there would be too many, then none is added.
   */
  add(acls: readonly AclBinding[]): Promise<boolean> {
    return this.#change(async () => {
      const known = new Map(this.#index.acls.map(acl => [identityOf(acl), acl]))
      const countBefore = known.size
      for (const acl of acls) if (!known.has(identityOf(acl))) known.set(identityOf(acl), acl)
      if (known.size === countBefore) return true
      const all = [...known.values()]
      if (all.length > ACL_COUNT_MAX || textLength(all) > ACL_TEXT_MAX) return false
      await this.#replace(all)
      return true
    })
  }

  /** Removes what any of the filters means; resolves with the ACLs by filter when it is done. */
  remove(filters: readonly AclFilter[]): Promise<AclBinding[][]> {
    return this.#change(async () => {
      const meant = filters.map(filter => this.#index.acls.filter(acl => isMeant(filter, acl)))
      const removed = new Set(meant.flat())
      if (removed.size > 0) await this.#replace(this.#index.acls.filter(acl => !removed.has(acl)))
      return meant
    })
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change)
    // Who asked learns of a failure; the next change starts from what is in force.
    this.#last = result.catch(() => undefined)
    return result
  }

  async #replace(acls: readonly AclBinding[]): Promise<void> {
    await replaceFile(this.#file, `${JSON.stringify({ version: VERSION, acls }, undefined, 1)}\n`)
    this.#index = new AclIndex(acls)
    this.#onChange()
  }
}

function textLength(acls: readonly AclBinding[]): number {
  return acls.reduce((sum, acl) => sum + acl.resourceName.length + acl.principal.length + acl.host.length, 0)
}

function identityOf(acl: AclBinding): string {
  const { resourceType, resourceName, patternType, principal, host, operation, permission } = acl
  return JSON.stringify([resourceType, patternType, resourceName, principal, host, operation, permission])
}

function parse(text: string): AclBinding[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || value['version'] !== VERSION) return undefined
  const { acls } = value
  return Array.isArray(acls) && acls.every(isAcl) ? acls : undefined
}

function isAcl(value: unknown): value is AclBinding {
  if (!isObject(value)) return false
  const { resourceType, resourceName, patternType, principal, host, operation, permission } = value
  if (typeof resourceType !== 'number' || typeof patternType !== 'number') return false
  if (typeof operation !== 'number' || typeof permission !== 'number') return false
  if (typeof resourceName !== 'string' || typeof principal !== 'string' || typeof host !== 'string') return false
  return aclProblem({ resourceType, resourceName, patternType, principal, host, operation, permission }) === undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

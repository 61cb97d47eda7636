/**
 * Users for SCRAM: salted keys by name and mechanism, durable in the data folder.
 *
 *   file `comporta-scram-users.json` => { "version": 1, "users": [{ name, mechanism, salt, … }] }
 *
 * Salt and keys are base64; the password is never there. Changes are written
 * one after the other, and a change counts once it is on disk. The file is
 * readable for its owner only: whoever has the keys can pose as the broker.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { PipelineError } from '../../../core/index.ts'
import type { KafkaErrorName } from '../../../protocol/index.ts'
import { type Logger, silentLogger } from '../../../telemetry/index.ts'
import { readIfPresent, replaceFile } from '../../log/small-files.ts'
import type { ScramUser } from './listener-options.ts'
import {
  credentialFor,
  credentialOf,
  SCRAM_ITERATIONS_MAX,
  SCRAM_ITERATIONS_MIN,
  SCRAM_MECHANISMS,
  type ScramCredential,
  type ScramLookup,
  type ScramMechanism
} from './scram.ts'

const FILE = 'comporta-scram-users.json'
const FILE_VERSION = 1
const ITERATIONS_DEFAULT = 8192
const ALREADY_THERE =
  'the data folder has its users from an earlier start: those given now are not read; kafka-configs changes them'
const TWICE = 'A user credential cannot be altered twice in the same request'

/** A credential to remove. */
export interface ScramDeletion {
  readonly name: string
  /** Kafka's number of the mechanism. */
  readonly mechanism: number
}

/** A credential to add or replace. */
export interface ScramUpsertion extends ScramDeletion {
  readonly iterations: number
  readonly salt: Buffer
  readonly saltedPassword: Buffer
}

/** What became of one user. */
export interface ScramResult {
  readonly user: string
  readonly error: KafkaErrorName
  readonly message: string | null
}

type Change = { readonly mechanism: ScramMechanism; readonly upsertion?: ScramUpsertion }

/** The users of one broker. */
export class ScramUsers {
  readonly #file: string
  /** By name, then by mechanism. */
  #users: ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>>
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(file: string, users: ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>>) {
    this.#file = file
    this.#users = users
  }

  /**
   * Opens the users of a data folder.
   *
   * @param initial - Users that are stored if the folder has no users yet, not even none: at the first start only.
   * @param logger - Told when they are not, since a password that was changed there is not changed here.
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED`, and `ERR_BROKER_INVALID_SETTING` for a bad initial user.
   */
  static async open(
    dataDir: string,
    initial: readonly ScramUser[] = [],
    logger: Logger = silentLogger
  ): Promise<ScramUsers> {
    const file = path.join(dataDir, FILE)
    const content = await readIfPresent(file)
    if (content !== undefined && initial.length > 0) logger.info({ file }, ALREADY_THERE)
    if (content !== undefined) return new ScramUsers(file, parse(content.toString('utf8'), file))
    const users = new ScramUsers(file, await credentialsOf(initial))
    if (initial.length > 0) await users.#save(users.#users)
    return users
  }

  /** Finds users for one mechanism. */
  lookup(mechanism: ScramMechanism): ScramLookup {
    return user => this.#users.get(user)?.get(mechanism)
  }

  /** Names of all users, sorted. */
  names(): string[] {
    return [...this.#users.keys()].toSorted()
  }

  /** Mechanisms of a user, with Kafka's number and the rounds; empty if there is no such user. */
  describe(user: string): { readonly mechanism: number; readonly iterations: number }[] {
    const credentials = [...(this.#users.get(user) ?? [])]
    return credentials
      .map(([mechanism, { iterations }]) => ({ mechanism: SCRAM_MECHANISMS[mechanism].type, iterations }))
      .toSorted((left, right) => left.mechanism - right.mechanism)
  }

  /** Removes and adds credentials, as API 51 says: each user at most once, the others are done all the same. */
  alter(deletions: readonly ScramDeletion[], upsertions: readonly ScramUpsertion[]): Promise<ScramResult[]> {
    const run = this.#writing.then(() => this.#alter(deletions, upsertions))
    this.#writing = run.catch(() => undefined) // its caller has the error
    return run
  }

  async #alter(deletions: readonly ScramDeletion[], upsertions: readonly ScramUpsertion[]): Promise<ScramResult[]> {
    const results = new Map<string, ScramResult>()
    const changes = new Map<string, Change>()
    const take = (name: string, judge: () => Change | Refusal): void => {
      if (results.has(name)) return
      const verdict = changes.delete(name) ? refusal('DUPLICATE_RESOURCE', TWICE) : judge()
      if ('error' in verdict) results.set(name, { user: name, ...verdict })
      else changes.set(name, verdict)
    }
    for (const deletion of deletions) take(deletion.name, () => this.#judgeDeletion(deletion))
    for (const upsertion of upsertions) take(upsertion.name, () => judgeUpsertion(upsertion))
    if (changes.size > 0) {
      const users = applied(this.#users, changes)
      await this.#save(users)
      this.#users = users
    }
    const done = [...changes.keys()].map(user => ({ user, error: 'NONE', message: null }) as const)
    return [...done, ...results.values()]
  }

  #judgeDeletion(deletion: ScramDeletion): Change | Refusal {
    const mechanism = judgeName(deletion)
    if (typeof mechanism !== 'string') return mechanism
    const isThere = this.#users.get(deletion.name)?.has(mechanism) === true
    if (isThere) return { mechanism }
    return refusal('RESOURCE_NOT_FOUND', 'Attempt to delete a user credential that does not exist')
  }

  async #save(users: ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>>): Promise<void> {
    const rows = [...users].flatMap(([name, credentials]) =>
      [...credentials].map(([mechanism, credential]) => ({
        name,
        mechanism,
        salt: credential.salt.toString('base64'),
        storedKey: credential.storedKey.toString('base64'),
        serverKey: credential.serverKey.toString('base64'),
        iterations: credential.iterations
      }))
    )
    // The rights come before the content: the rename keeps those of the temporary file.
    const temporary = await fs.open(`${this.#file}.tmp`, 'w', 0o600)
    await temporary.close()
    await replaceFile(this.#file, `${JSON.stringify({ version: FILE_VERSION, users: rows }, null, 2)}\n`)
  }
}

interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string
}

function refusal(error: KafkaErrorName, message: string): Refusal {
  return { error, message }
}

function judgeName({ name, mechanism }: ScramDeletion): ScramMechanism | Refusal {
  if (name === '') return refusal('UNACCEPTABLE_CREDENTIAL', 'Username must not be empty')
  const known = mechanismOfType(mechanism)
  return known ?? refusal('UNSUPPORTED_SASL_MECHANISM', 'Unknown SCRAM mechanism')
}

function judgeUpsertion(upsertion: ScramUpsertion): Change | Refusal {
  const mechanism = judgeName(upsertion)
  if (typeof mechanism !== 'string') return mechanism
  const { iterations } = upsertion
  if (iterations < SCRAM_ITERATIONS_MIN) return refusal('UNACCEPTABLE_CREDENTIAL', 'Too few iterations')
  if (iterations > SCRAM_ITERATIONS_MAX) return refusal('UNACCEPTABLE_CREDENTIAL', 'Too many iterations')
  return { mechanism, upsertion }
}

function mechanismOfType(type: number): ScramMechanism | undefined {
  return mechanismNames().find(name => SCRAM_MECHANISMS[name].type === type)
}

function mechanismNames(): ScramMechanism[] {
  return ['SCRAM-SHA-256', 'SCRAM-SHA-512']
}

function applied(
  users: ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>>,
  changes: ReadonlyMap<string, Change>
): ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>> {
  const result = new Map(users)
  for (const [name, { mechanism, upsertion }] of changes) {
    const credentials = new Map(result.get(name))
    if (upsertion === undefined) credentials.delete(mechanism)
    else credentials.set(mechanism, credentialOf(mechanism, upsertion))
    if (credentials.size === 0) result.delete(name)
    else result.set(name, credentials)
  }
  return result
}

async function credentialsOf(
  users: readonly ScramUser[]
): Promise<ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>>> {
  const result = new Map<string, ReadonlyMap<ScramMechanism, ScramCredential>>()
  for (const { name, password, mechanisms = mechanismNames(), iterations = ITERATIONS_DEFAULT } of users) {
    // Passwords come from environments, where they may be missing.
    const isText = [name, password].every((each: unknown) => typeof each === 'string' && each !== '')
    const isGood = isText && Number.isInteger(iterations)
    if (!isGood || iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
      throw new PipelineError(
        'ERR_BROKER_INVALID_SETTING',
        `the user "${name}" needs a name, a password and ${SCRAM_ITERATIONS_MIN} to ${SCRAM_ITERATIONS_MAX} iterations`
      )
    }
    const credentials = new Map<ScramMechanism, ScramCredential>()
    for (const mechanism of mechanisms) {
      credentials.set(mechanism, await credentialFor(mechanism, password, iterations))
    }
    result.set(name, credentials)
  }
  return result
}

function parse(text: string, file: string): ReadonlyMap<string, ReadonlyMap<ScramMechanism, ScramCredential>> {
  const damaged = (): PipelineError =>
    new PipelineError('ERR_BROKER_DATA_DAMAGED', `${file} is not a list of users`, { fields: { file } })
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw damaged()
  }
  const rows = isRecord(content) && content['version'] === FILE_VERSION ? content['users'] : undefined
  if (!Array.isArray(rows)) throw damaged()
  const result = new Map<string, Map<ScramMechanism, ScramCredential>>()
  for (const row of rows) {
    const { name, mechanism, iterations, ...keys } = isRecord(row) ? row : {}
    const [salt, storedKey, serverKey] = [bytesOf(keys['salt']), bytesOf(keys['storedKey']), bytesOf(keys['serverKey'])]
    const known = mechanismNames().find(each => each === mechanism)
    if (typeof name !== 'string' || typeof iterations !== 'number' || known === undefined) throw damaged()
    if (salt === undefined || storedKey === undefined || serverKey === undefined) throw damaged()
    if (storedKey.length !== SCRAM_MECHANISMS[known].bytes) throw damaged()
    const credentials = result.get(name) ?? new Map<ScramMechanism, ScramCredential>()
    result.set(name, credentials.set(known, { salt, storedKey, serverKey, iterations }))
  }
  return result
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function bytesOf(value: unknown): Buffer | undefined {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : undefined
}

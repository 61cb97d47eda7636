/**
 * Reads certificates, keys and secrets from where the pipeline file says.
 *
 * One round reads every place once, however many settings name it: what lies
 * in one secret or file together is of one version.
 */

import { readFile } from 'node:fs/promises'

import type { SecretText, SourceOfCredentials } from '../../config/index.ts'
import { messageOf } from '../../core/index.ts'
import { AwsSources } from './aws-sources.ts'
import { unreachable, unusable } from './problem.ts'

/** What files hold at most: a bundle of many authorities is a few hundred KiB. */
const bytesMax = 8_388_608

/** The environment, as a value. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Reads places; see `SourceRound` for one round. */
export class SourceReader {
  readonly #environment: Variables
  readonly #aws = new AwsSources()

  constructor(environment: Variables) {
    this.#environment = environment
  }

  /** Begins a round. */
  round(): SourceRound {
    return new SourceRound(this.#environment, this.#aws)
  }
}

/** One round: reads each place once. */
export class SourceRound {
  readonly #environment: Variables
  readonly #aws: AwsSources
  readonly #read = new Map<string, Promise<Buffer>>()

  constructor(environment: Variables, aws: AwsSources) {
    this.#environment = environment
    this.#aws = aws
  }

  /**
   * Bytes of a certificate or key: PEM as it is; what a variable or secret holds may be base64 of it.
   *
   * @param path - The setting, from `kafka` on, for messages.
   * @throws PipelineError `ERR_CONFIG_CREDENTIALS`, `ERR_CLI_CREDENTIALS_UNREACHABLE`.
   */
  async material(source: SourceOfCredentials, path: readonly string[]): Promise<Buffer> {
    const bytes = await this.bytes(source, path)
    const isText = source.env !== undefined || source.secret !== undefined
    return isText ? decoded(bytes) : bytes
  }

  /** A password or secret: the text itself, or what is in the place without the line break at its end. */
  async text(secret: SecretText, path: readonly string[]): Promise<string> {
    if (typeof secret === 'string') return secret
    const text = (await this.bytes(secret, path)).toString('utf8').replace(/\r?\n$/, '')
    if (text === '') throw unusable([{ path, reason: `${nameOf(secret)} is empty` }])
    return text
  }

  /** A JSON object of strings, such as a secret with user and password. */
  async members(source: SourceOfCredentials, path: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    return object(await this.bytes(source, path), source, path)
  }

  /** What is in a place; the member of a secret that it names. */
  async bytes(source: SourceOfCredentials, path: readonly string[]): Promise<Buffer> {
    const { field, ...place } = source
    const key = JSON.stringify(place)
    const reading = this.#read.get(key) ?? this.#fetch(source, path)
    this.#read.set(key, reading)
    const whole = await reading
    if (whole.length > bytesMax) {
      throw unusable([{ path, reason: `${nameOf(source)} has ${whole.length} bytes, more than ${bytesMax}` }])
    }
    if (field === undefined) return whole
    const value = object(whole, source, path)[field]
    if (typeof value === 'string' && value !== '') return Buffer.from(value)
    throw unusable([{ path, reason: `${nameOf(source)} has no text in its member "${field}"` }])
  }

  async #fetch(source: SourceOfCredentials, path: readonly string[]): Promise<Buffer> {
    if (source.env !== undefined) return variable(this.#environment[source.env], source, path)
    if (source.s3 !== undefined) return (await this.#aws.object(source, path)).bytes
    if (source.secret !== undefined) return (await this.#aws.secret(source, path)).bytes
    return await file(source.file ?? '', path)
  }
}

/** The place in words. */
export function nameOf(source: SourceOfCredentials): string {
  if (source.env !== undefined) return `the environment variable ${source.env}`
  if (source.s3 !== undefined) return source.s3
  if (source.secret !== undefined) return `the secret ${source.secret}`
  return source.file ?? ''
}

/** Whether it is in AWS: there looking often costs money. */
export function isRemote(source: SourceOfCredentials): boolean {
  return source.s3 !== undefined || source.secret !== undefined
}

function variable(value: string | undefined, source: SourceOfCredentials, path: readonly string[]): Buffer {
  if (value === undefined || value === '') {
    throw unusable([{ path, reason: `${nameOf(source)} is not set` }])
  }
  return Buffer.from(value)
}

async function file(name: string, path: readonly string[]): Promise<Buffer> {
  try {
    return await readFile(name)
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
    if (code === 'ENOENT') throw unusable([{ path, reason: `there is no file ${name}` }], error)
    if (code === 'EACCES' || code === 'EPERM') {
      throw unusable([{ path, reason: `${name} may not be read by this user: correct its rights` }], error)
    }
    if (code === 'EISDIR') throw unusable([{ path, reason: `${name} is a folder, not a file` }], error)
    throw unreachable(path, `${name} cannot be read: ${messageOf(error)}`, error)
  }
}

/** PEM with its lines; many tools write line breaks of a variable as `\n`. Or base64, of PEM or of binary. */
function decoded(bytes: Buffer): Buffer {
  const text = bytes.toString('utf8')
  if (text.includes('-----BEGIN ')) return text.includes('\n') ? bytes : Buffer.from(text.replaceAll('\\n', '\n'))
  const packed = text.replaceAll(/\s/g, '')
  return /^[A-Za-z0-9+/]+={0,2}$/.test(packed) ? Buffer.from(packed, 'base64') : bytes
}

function object(bytes: Buffer, source: SourceOfCredentials, path: readonly string[]): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    // Checked: a plain object's members are unknown.
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // The parser's own message would quote the secret.
  }
  throw unusable([{ path, reason: `${nameOf(source)} is not a JSON object` }])
}

/**
 * Changes on disk, so that each can be taken back: one file per change.
 *
 *   {"format":"comporta-undo","version":1,"id":…,"state":"planned","snapshot":…}
 *
 * The file is there, and safe on the disk, before anything is changed; it is
 * written anew (temporary file, fsync, rename, fsync of the folder) whenever the
 * state of the change moves on. Whoever kills the process at any instant finds
 * `planned` (perhaps nothing, perhaps a part, perhaps all of it was done) or what
 * became of it; an undo looks at the cluster and is right in each case.
 *
 * Invariants: a file is never half written; one that cannot be read is reported
 * and harms no other. Limits: a file of 64 MiB, 10,000 files are looked at.
 * Snapshots may name groups, topics and offsets, never keys or values of records;
 * files are readable by their owner only.
 */

import fs from 'node:fs/promises'
import { join } from 'node:path'

import {
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  randomInt,
  systemClock,
  systemRandom
} from '../../core/index.ts'
import type { ChangePlan, ChangeResult, Json } from './change.ts'

/**
 * How far a change is. `planned`: its snapshot is safe, and nobody has said what was done. `applied`, `partial`: all of
 * it, a part of it was done. `undone`: it was taken back.
 */
export type UndoState = 'planned' | 'applied' | 'partial' | 'undone'

/** One change on disk. */
export interface UndoRecord {
  /** Begins with its time, so that names sort: `20260301T090000Z-offsets-k3f9`. */
  readonly id: string
  /** Names the handler of the undo. */
  readonly kind: string
  /** The cluster that was changed; `null` where a change is not about a cluster, or it has no id. */
  readonly clusterId: string | null
  /** When it was planned, ISO 8601. */
  readonly createdAt: string
  readonly state: UndoState
  /** One sentence of the plan. */
  readonly summary: string
  readonly confirmWord: string
  /** How many lines the plan had. */
  readonly effectCount: number
  readonly undo: ChangePlan['undo']
  readonly snapshot: Json
  /** What became of it, once that is known. */
  readonly result?: Pick<ChangeResult, 'isComplete' | 'summary' | 'failures'>
  /** The change that this one takes back. */
  readonly undoes?: string
  /** Who did it, where that is known: a user of the console. */
  readonly by?: string
}

/** A file that is no record of a change. */
export interface DamagedRecord {
  readonly file: string
  readonly reason: string
}

/** A part of the list. */
export interface UndoPage {
  readonly offset?: number
  readonly limit?: number
}

/** What lies in the folder. */
export interface UndoList {
  readonly records: readonly UndoRecord[]
  readonly damaged: readonly DamagedRecord[]
  /** Files on all pages. */
  readonly total: number
}

/** The calls that the store makes; a test takes their place to crash between any two. */
export interface UndoDisk {
  makeFolder(folder: string): Promise<void>
  /** Writes and syncs. */
  writeSynced(file: string, text: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  syncFolder(folder: string): Promise<void>
}

/** What a store is made of. */
export interface UndoStoreOptions {
  /** Folder of the files; made when the first one is written. */
  readonly folder: string
  readonly clock?: Clock
  readonly random?: Random
  readonly disk?: UndoDisk
}

const FORMAT = 'comporta-undo'
const VERSION = 1
const FILE_BYTES_MAX = 64 * 1024 * 1024
const FILES_MAX = 10_000
const SUFFIX = '.json'
const states: readonly unknown[] = ['planned', 'applied', 'partial', 'undone'] satisfies UndoState[]
/** What an id may look like: it becomes a file name. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** What a new record says; the store adds the rest. */
export type NewUndoRecord = Omit<UndoRecord, 'id' | 'createdAt' | 'state'>

/** The records of changes in one folder. */
export class UndoStore {
  readonly folder: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #disk: UndoDisk

  constructor({ folder, clock = systemClock, random = systemRandom, disk = systemDisk }: UndoStoreOptions) {
    this.folder = folder
    this.#clock = clock
    this.#random = random
    this.#disk = disk
  }

  /**
   * Makes a record safe on the disk: to be called before anything is changed.
   *
   * @throws PipelineError `ERR_OPS_UNDO_STORE` if it cannot be written.
   */
  async create(record: NewUndoRecord): Promise<UndoRecord> {
    const now = new Date(this.#clock.now()).toISOString()
    const time = `${now.slice(0, 19).replaceAll(/[-:]/g, '')}Z`
    const tail = randomInt(this.#random, 36 ** 6)
      .toString(36)
      .padStart(6, '0')
    const full: UndoRecord = { ...record, id: `${time}-${record.kind}-${tail}`, createdAt: now, state: 'planned' }
    await this.#write(full)
    return full
  }

  /** Writes a record with what has become of it. @throws PipelineError `ERR_OPS_UNDO_STORE`. */
  async update(record: UndoRecord, changes: Pick<UndoRecord, 'state' | 'result'>): Promise<UndoRecord> {
    const next = { ...record, ...changes }
    await this.#write(next)
    return next
  }

  /**
   * One record.
   *
   * @param id - Or the beginning of one that no other has.
   * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none or more than one, `ERR_OPS_UNDO_DAMAGED` if the file
   *   is no record, `ERR_OPS_UNDO_STORE` if the folder cannot be read.
   */
  async read(id: string): Promise<UndoRecord> {
    const found = (await this.#names()).filter(name => name === `${id}${SUFFIX}` || name.startsWith(id))
    const exact = found.find(name => name === `${id}${SUFFIX}`) ?? (found.length === 1 ? found[0] : undefined)
    if (exact === undefined || id === '') {
      const reason = found.length > 1 ? `${found.length} changes begin with ${id}` : `no change ${id} is known`
      throw new PipelineError('ERR_OPS_NOT_FOUND', `${reason} in ${this.folder}; comporta undo lists them`)
    }
    const record = await this.#readFile(exact)
    if ('reason' in record) {
      throw new PipelineError('ERR_OPS_UNDO_DAMAGED', `${record.file} cannot be used: ${record.reason}`)
    }
    return record
  }

  /**
   * Records, the newest first, and what else lies in the folder under their names.
   *
   * @param page - Only so many, from there on: the others are not read. Default: all.
   */
  async list({ offset = 0, limit = FILES_MAX }: UndoPage = {}): Promise<UndoList> {
    const records: UndoRecord[] = []
    const damaged: DamagedRecord[] = []
    const names = (await this.#names()).toSorted().toReversed().slice(0, FILES_MAX)
    for (const name of names.slice(offset, offset + limit)) {
      const record = await this.#readFile(name)
      if ('reason' in record) damaged.push(record)
      else records.push(record)
    }
    return { records, damaged, total: names.length }
  }

  async #names(): Promise<string[]> {
    try {
      return (await fs.readdir(this.folder)).filter(name => name.endsWith(SUFFIX))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw storeFailed(`${this.folder} cannot be read`, error)
    }
  }

  async #readFile(name: string): Promise<UndoRecord | DamagedRecord> {
    const file = join(this.folder, name)
    try {
      const { size } = await fs.stat(file)
      if (size > FILE_BYTES_MAX) return { file, reason: `it has ${size} bytes, more than a change has` }
      return recordOf(JSON.parse(await fs.readFile(file, 'utf8')), name.slice(0, -SUFFIX.length))
    } catch (error) {
      return { file, reason: messageOf(error) }
    }
  }

  async #write(record: UndoRecord): Promise<void> {
    const file = join(this.folder, `${record.id}${SUFFIX}`)
    const text = `${JSON.stringify({ format: FORMAT, version: VERSION, ...record })}\n`
    if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
      throw storeFailed(`the snapshot has more than ${FILE_BYTES_MAX} bytes`, new Error('change fewer things at once'))
    }
    try {
      await this.#disk.makeFolder(this.folder)
      // Not ending in .json: what a crash leaves of it is no record.
      await this.#disk.writeSynced(`${file}.new`, text)
      await this.#disk.rename(`${file}.new`, file)
      await this.#disk.syncFolder(this.folder)
    } catch (error) {
      throw storeFailed(`${file} cannot be written`, error)
    }
  }
}

function storeFailed(what: string, cause: unknown): PipelineError {
  return new PipelineError('ERR_OPS_UNDO_STORE', `what an undo needs: ${what}: ${messageOf(cause)}`, { cause })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** A document as a record. Throws an error that says what is wrong with it. */
function recordOf(document: unknown, id: string): UndoRecord {
  const fields = objectOf(document, 'the file')
  if (fields['format'] !== FORMAT) throw new Error('it is no record of a change')
  if (fields['version'] !== VERSION) throw new Error(`it has the version ${String(fields['version'])}, not ${VERSION}`)
  if (fields['id'] !== id || !idPattern.test(id)) throw new Error('its id is not its name')
  if (!states.includes(fields['state'])) throw new Error(`it has no state that is known: ${String(fields['state'])}`)
  for (const name of ['kind', 'createdAt', 'summary', 'confirmWord']) {
    if (typeof fields[name] !== 'string') throw new Error(`"${name}" is not text`)
  }
  const { clusterId } = fields
  if (clusterId !== null && typeof clusterId !== 'string') throw new Error('"clusterId" is not text')
  const undo = objectOf(fields['undo'], '"undo"')
  if (undo['kind'] !== 'possible' && undo['kind'] !== 'impossible') throw new Error('"undo" is not known')
  if (!('snapshot' in fields)) throw new Error('it has no snapshot')
  const { format: _format, version: _version, ...record } = fields
  // Every field that is read before the handler looks at the snapshot has been checked above.
  return record as unknown as UndoRecord
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is no object`)
  return value as Record<string, unknown>
}

/** The disk of this machine. */
export const systemDisk: UndoDisk = {
  makeFolder: async folder => {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 })
  },
  writeSynced: async (file, text) => {
    const handle = await fs.open(file, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  rename: (from, to) => fs.rename(from, to),
  syncFolder: async folder => {
    const handle = await fs.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

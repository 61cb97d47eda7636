/**
 * Claims in a SQLite file: several processes of one machine share them, and they outlive all of them.
 *
 * Every change is a transaction that takes the write lock at its start (`BEGIN IMMEDIATE`), so two processes never
 * compare the same version. The log is written ahead (WAL) and synchronised at checkpoints: after a crash of a process
 * everything is there, after a loss of power the last changes may be gone, and then records come twice.
 *
 * Calls are synchronous: a transaction of some microseconds costs less than a hand-over to a thread.
 */

import { createRequire } from 'node:module'
import type { DatabaseSync, StatementSync } from 'node:sqlite'

import { messageOf } from '../../core/index.ts'
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

/** Options of a SQLite store. */
export interface SqliteStoreOptions {
  /** The file; made if it is not there. Its folder must be there. Not on a network file system: locks fail there. */
  readonly file: string
}

/** Longest wait for the lock, in milliseconds: the thread stands still meanwhile. */
const LOCK_WAIT_MS = 1_000
/** After so many changes, what has expired is removed. */
const SWEEP_EVERY = 256
const SWEEP_ROWS_MAX = 2_000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, version TEXT NOT NULL, text TEXT NOT NULL,
    expires INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS pointers (key TEXT PRIMARY KEY, owner TEXT NOT NULL, position INTEGER NOT NULL,
    at INTEGER NOT NULL, until INTEGER NOT NULL, expires INTEGER NOT NULL, targets TEXT) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS documents_expires ON documents (expires);
  CREATE INDEX IF NOT EXISTS pointers_expires ON pointers (expires);`

interface Statements {
  readonly readDocument: StatementSync
  readonly writeDocument: StatementSync
  readonly readPointer: StatementSync
  readonly writePointer: StatementSync
  readonly sweeps: readonly StatementSync[]
}

/** Keeps claims in a file. */
export class SqliteStore implements ClaimStore {
  readonly #database: DatabaseSync
  readonly #statements: Statements
  #changes = 0

  /** @throws PipelineError `ERR_LAMBDA_IDEMPOTENCY_STORE` if the file cannot be opened as a database. */
  constructor({ file }: SqliteStoreOptions) {
    // Loaded here and not above: only who asks for this store needs it.
    const sqlite = createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite')
    try {
      this.#database = new sqlite.DatabaseSync(file, { timeout: LOCK_WAIT_MS })
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
      this.#database.exec(SCHEMA)
      this.#statements = statementsOf(this.#database)
    } catch (error) {
      throw isBusy(error)
        ? storeError('unavailable', `${file} is locked by another process: ${messageOf(error)}`, error)
        : storeError('missing', `cannot open ${file} as a SQLite database: ${messageOf(error)}`, error)
    }
  }

  async read(key: string): Promise<Document | undefined> {
    return this.#guarded(() => documentOf(this.#statements.readDocument.get(key)))
  }

  async swap({ key, expected, version, text, expiresMs }: Swap, limits: StoreLimits): Promise<SwapResult> {
    return this.#change<SwapResult>(limits, () => {
      const current = documentOf(this.#statements.readDocument.get(key))
      if (current?.version !== expected) return { kind: 'conflict', current }
      this.#statements.writeDocument.run(key, version, text, Math.ceil(expiresMs))
      return { kind: 'ok' }
    })
  }

  async point(writes: readonly PointerWrite[], limits: StoreLimits): Promise<(Pointer | undefined)[]> {
    return this.#change(limits, () =>
      writes.map(({ key, pointer, replaces }) => {
        const current = pointerOf(this.#statements.readPointer.get(key))
        const isFree = current === undefined || current.expiresMs <= limits.nowMs || current.owner === replaces
        if (!isFree) return current
        const { owner, index, atMs, untilMs, expiresMs, targets } = pointer
        const times = [Math.floor(atMs), Math.ceil(untilMs), Math.ceil(expiresMs)]
        this.#statements.writePointer.run(
          key,
          owner,
          index,
          ...times,
          targets === undefined ? null : JSON.stringify(targets)
        )
        return undefined
      })
    )
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
  }

  #change<T>({ nowMs }: StoreLimits, change: () => T): T {
    return this.#guarded(() => {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        const result = change()
        this.#changes += 1
        if (this.#changes % SWEEP_EVERY === 0) for (const sweep of this.#statements.sweeps) sweep.run(nowMs)
        this.#database.exec('COMMIT')
        return result
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  #guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw storeError('unavailable', `SQLite: ${messageOf(error)}`, error)
    }
  }
}

function statementsOf(database: DatabaseSync): Statements {
  const sweep = (table: string): StatementSync =>
    database.prepare(
      `DELETE FROM ${table} WHERE key IN
         (SELECT key FROM ${table} WHERE expires <= ? ORDER BY expires LIMIT ${SWEEP_ROWS_MAX})`
    )
  return {
    readDocument: database.prepare('SELECT version, text FROM documents WHERE key = ?'),
    writeDocument: database.prepare(
      'INSERT OR REPLACE INTO documents (key, version, text, expires) VALUES (?, ?, ?, ?)'
    ),
    readPointer: database.prepare('SELECT owner, position, at, until, expires, targets FROM pointers WHERE key = ?'),
    writePointer: database.prepare(
      'INSERT OR REPLACE INTO pointers (key, owner, position, at, until, expires, targets) VALUES (?, ?, ?, ?, ?, ?, ?)'
    ),
    sweeps: [sweep('documents'), sweep('pointers')]
  }
}

type Row = Readonly<Record<string, unknown>> | undefined

function documentOf(row: Row): Document | undefined {
  return row === undefined ? undefined : { version: String(row['version']), text: String(row['text']) }
}

function pointerOf(row: Row): Pointer | undefined {
  if (row === undefined) return undefined
  return {
    owner: String(row['owner']),
    index: Number(row['position']),
    atMs: Number(row['at']),
    untilMs: Number(row['until']),
    expiresMs: Number(row['expires']),
    ...(typeof row['targets'] === 'string' ? { targets: namesOf(row['targets']) } : {})
  }
}

function namesOf(text: string): string[] {
  const names: unknown = JSON.parse(text)
  return Array.isArray(names) ? names.map(String) : []
}

/** SQLITE_BUSY. Source: SQLite, "Result and Error Codes". */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5
}

/** Fixtures of the log tests: temporary folders, batches, an opened partition, a disk that fails. */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { type Clock, type Random, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { silentLogger, type Logger } from '../../../src/telemetry/index.ts'
import type { AppendedBatch, AppendResult } from '../../../src/broker/log/append-result.ts'
import { BatchValidator } from '../../../src/broker/log/batch-validator.ts'
import { type Disk, systemDisk } from '../../../src/broker/log/disk.ts'
import { DiskTrouble } from '../../../src/broker/log/disk-trouble.ts'
import { FilePool } from '../../../src/broker/log/file-pool.ts'
import { IndexCache } from '../../../src/broker/log/segment-indexes.ts'
import { PartitionLog } from '../../../src/broker/log/partition-log.ts'
import { type LogConfig, toLogConfig } from '../../../src/broker/log/topic-config.ts'
import { type BatchStamp, type CompressionName, RecordBatchBuilder, RecordCursor } from '../../../src/protocol/index.ts'

/** First value of the virtual clock: timestamps of test records lie around it. */
export const START_MS = 1_700_000_000_000

const cleanups = new WeakMap<TestContext, (() => Promise<unknown>)[]>()

/** Runs after the test, last registered first: what uses a folder is closed before the folder goes. */
export function cleanUp(t: TestContext, work: () => Promise<unknown>): void {
  const known = cleanups.get(t)
  if (known !== undefined) {
    known.push(work)
    return
  }
  const works = [work]
  cleanups.set(t, works)
  t.after(async () => {
    for (const each of works.toReversed()) await each()
  })
}

/** A folder that is removed after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-log-'))
  cleanUp(t, () => fs.rm(folder, { recursive: true, force: true }))
  return folder
}

/** A seeded generator; the seed is printed, and taken from TEST_SEED. */
export function seededRandom(t: TestContext): Random {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
  t.diagnostic(`TEST_SEED=${seed}`)
  return new SeededRandom(seed)
}

/** One record of a test batch. */
export interface TestRecord {
  readonly timestampMs?: number
  readonly key?: string | null
  readonly value?: string | null
}

/** How a test batch is built. */
export interface TestBatch extends BatchStamp {
  readonly compression?: CompressionName
}

/** A batch as a client sends it. */
export function batchOf(records: readonly TestRecord[], options: TestBatch = {}): Buffer {
  const { compression = 'none', ...stamp } = options
  const builder = new RecordBatchBuilder({ compression, sizeBytesMax: 64 * 1024 * 1024 })
  for (const { timestampMs = START_MS, key = 'k', value = 'v' } of records) {
    builder.tryAppend(timestampMs, key === null ? null : Buffer.from(key), value === null ? null : Buffer.from(value))
  }
  return Buffer.from(builder.build(stamp))
}

/** A batch of `count` records with the same value. */
export function batchOfCount(count: number, value = 'v', options: TestBatch = {}): Buffer {
  return batchOf(
    Array.from({ length: count }, () => ({ value })),
    options
  )
}

/** How a test opens a partition. */
export interface OpenOptions {
  readonly folder: string
  readonly config?: Partial<LogConfig>
  readonly clock?: Clock
  readonly disk?: Disk
  readonly logger?: Logger
  readonly recoveryPoint?: bigint
  readonly logStartOffset?: bigint
  readonly wasCleanStop?: boolean
  readonly indexBytesMax?: number
}

/** Opens a partition; it is closed after the test unless the test does. */
export async function openLog(t: TestContext, options: OpenOptions): Promise<PartitionLog> {
  const pool = new FilePool({ openMax: 8, disk: options.disk ?? systemDisk })
  const log = await PartitionLog.open({
    folder: options.folder,
    topic: 'orders',
    partition: 0,
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    config: { ...toLogConfig(), ...options.config },
    environment: {
      pool,
      indexes: new IndexCache(pool, options.indexBytesMax),
      clock: options.clock ?? new VirtualClock(START_MS),
      random: new SeededRandom(1),
      logger: options.logger ?? silentLogger,
      validator: new BatchValidator(),
      trouble: new DiskTrouble(options.logger ?? silentLogger),
      saveLogStartOffsets: () => Promise.resolve(),
      noteWritten: () => undefined
    },
    recoveryPoint: options.recoveryPoint ?? 0n,
    logStartOffset: options.logStartOffset ?? 0n,
    wasCleanStop: options.wasCleanStop ?? true
  })
  cleanUp(t, async () => {
    await log.close()
    await pool.close()
  })
  return log
}

/** The offset an append got; throws if it was refused. */
export function appended(result: AppendResult): AppendedBatch {
  if (result.errorCode === 0) return result as AppendedBatch // Code 0 is that case of the union.
  throw new Error(`append refused with ${result.errorCode}: ${'errorMessage' in result ? result.errorMessage : ''}`)
}

/** Offset and value of every record from an offset on, read in steps of `bytesMax`, as a consumer does it. */
export async function readAll(log: PartitionLog, fromOffset = 0n, bytesMax = 65_536): Promise<[bigint, string][]> {
  const records: [bigint, string][] = []
  const cursor = new RecordCursor()
  let next = fromOffset
  for (;;) {
    const { errorCode, records: bytes } = await log.read(next, bytesMax)
    if (errorCode !== 0) throw new Error(`read at ${next} failed with ${errorCode}`)
    if (bytes.length === 0) return records
    cursor.reset(bytes)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() >= next) records.push([cursor.offset(), cursor.value()?.toString() ?? ''])
      }
      next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
}

/** A system error as Node makes them. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by the test`), { code })
}

/** The real disk, except where the test says otherwise. */
export class FaultyDisk implements Disk {
  /** Called before each write: how many bytes may be written, or the error to fail with after them. */
  onWrite: (bytes: number) => { bytes: number; code?: string } | undefined = () => undefined
  /** Error code of the next syncs and truncates; `undefined` for success. */
  syncCode: string | undefined
  truncateCode: string | undefined
  /** Error code of the next creations of index files; `undefined` for success. */
  createCode: string | undefined
  writeCount = 0
  syncCount = 0
  readonly #paths = new Map<number, string>()

  async open(file: string, mayCreate: boolean): Promise<number> {
    if (this.createCode !== undefined && mayCreate && file.endsWith('index')) throw systemError(this.createCode)
    const fd = await systemDisk.open(file, mayCreate)
    this.#paths.set(fd, file)
    return fd
  }

  close(fd: number): Promise<void> {
    return systemDisk.close(fd)
  }

  read(fd: number, buffer: Buffer, position: number): Promise<number> {
    return systemDisk.read(fd, buffer, position)
  }

  async write(fd: number, buffers: Buffer[], position: number): Promise<number> {
    if (this.#paths.get(fd)?.endsWith('.log') !== true) return systemDisk.write(fd, buffers, position)
    this.writeCount += 1
    const whole = Buffer.concat(buffers)
    const fault = this.onWrite(whole.length)
    if (fault === undefined) return systemDisk.write(fd, buffers, position)
    if (fault.bytes > 0) await systemDisk.write(fd, [whole.subarray(0, fault.bytes)], position)
    if (fault.code !== undefined) throw systemError(fault.code)
    return fault.bytes
  }

  async truncate(fd: number, sizeBytes: number): Promise<void> {
    if (this.truncateCode !== undefined) throw systemError(this.truncateCode)
    await systemDisk.truncate(fd, sizeBytes)
  }

  async sync(fd: number): Promise<void> {
    if (this.syncCode !== undefined) throw systemError(this.syncCode)
    this.syncCount += 1
    await systemDisk.sync(fd)
  }
}

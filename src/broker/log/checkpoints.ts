/**
 * The three marks at the top of a data folder: how far each partition is
 * durable, where it starts, and whether the last stop was in good order.
 *
 * A checkpoint that is written while another one waits is the same one: what is
 * written is what is true when the write begins.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { formatOffsetCheckpoint, parseOffsetCheckpoint, readIfPresent, replaceFile } from './small-files.ts'
import type { OffsetCheckpointEntry } from './small-files.ts'

const RECOVERY_POINT_FILE = 'recovery-point-offset-checkpoint'
const LOG_START_FILE = 'log-start-offset-checkpoint'
const CLEAN_STOP_FILE = '.kafka_cleanshutdown'
// CleanShutdownFileHandler of Kafka: version and the epoch of the broker, which a single node does not have.
const CLEAN_STOP_CONTENT = '{"version":0,"brokerEpoch":-1}'

/** Checkpoints as they were found. */
export interface FoundCheckpoints {
  /** By partition folder name. */
  readonly recoveryPoints: ReadonlyMap<string, bigint>
  readonly logStartOffsets: ReadonlyMap<string, bigint>
  readonly wasCleanStop: boolean
}

/** What is written. */
export interface CheckpointSource {
  recoveryPoints(): OffsetCheckpointEntry[]
  logStartOffsets(): OffsetCheckpointEntry[]
}

/** Reads the checkpoints and takes the mark of a clean stop away: it is only true until something is written. */
export async function takeCheckpoints(folder: string): Promise<FoundCheckpoints> {
  const recoveryPoints = await readCheckpoint(path.join(folder, RECOVERY_POINT_FILE))
  const logStartOffsets = await readCheckpoint(path.join(folder, LOG_START_FILE))
  const marker = path.join(folder, CLEAN_STOP_FILE)
  const wasCleanStop = (await readIfPresent(marker)) !== undefined
  await fs.rm(marker, { force: true })
  return { recoveryPoints, logStartOffsets, wasCleanStop }
}

/** Says that everything is flushed and the broker stops. */
export async function markCleanStop(folder: string): Promise<void> {
  await replaceFile(path.join(folder, CLEAN_STOP_FILE), CLEAN_STOP_CONTENT)
}

/** Writes both checkpoint files, one write at a time. */
export class Checkpoints {
  readonly #recovery: CoalescedWrite
  readonly #logStart: CoalescedWrite

  constructor(folder: string, source: CheckpointSource) {
    const write = (name: string, entries: () => OffsetCheckpointEntry[]): CoalescedWrite =>
      new CoalescedWrite(() => replaceFile(path.join(folder, name), formatOffsetCheckpoint(entries())))
    this.#recovery = write(RECOVERY_POINT_FILE, () => source.recoveryPoints())
    this.#logStart = write(LOG_START_FILE, () => source.logStartOffsets())
  }

  /** Makes the recovery points durable. */
  saveRecoveryPoints(): Promise<void> {
    return this.#recovery.run()
  }

  /** Makes the log start offsets durable. */
  saveLogStartOffsets(): Promise<void> {
    return this.#logStart.run()
  }
}

/** Runs a write again and again, never two at once, and at most one waiting. */
export class CoalescedWrite {
  readonly #write: () => Promise<void>
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(write: () => Promise<void>) {
    this.#write = write
  }

  /** Writes what is true from now on: begins a write, or joins the one that waits. Rejects with what it threw. */
  run(): Promise<void> {
    this.#next ??= this.#runNext()
    return this.#next
  }

  async #runNext(): Promise<void> {
    // Its error belongs to those who asked for that one.
    await this.#current.catch(() => undefined)
    this.#current = this.#next ?? this.#current
    this.#next = undefined
    await this.#write()
  }
}

async function readCheckpoint(file: string): Promise<Map<string, bigint>> {
  const content = await readIfPresent(file)
  // Without a recovery point the whole log is checked; without a start offset it begins at its first segment.
  return (content === undefined ? undefined : parseOffsetCheckpoint(content.toString())) ?? new Map()
}

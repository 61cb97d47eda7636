/**
 * A data folder and the broker processes that live on it one after the other:
 * start, kill, harm to the files that a crash of the machine would do as well,
 * and a check of every segment on disk.
 */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type Random, randomInt } from '../../src/core/index.ts'
import { isBatchCrcValid, readBatchHeader } from '../../src/protocol/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { freePorts } from '../support/ports.ts'

/** Short periods, so that the work nobody waits for is under way when the broker is killed. */
const SETTINGS = {
  'group.initial.rebalance.delay.ms': '0',
  'log.retention.check.interval.ms': '150',
  'log.flush.offset.checkpoint.interval.ms': '120',
  'log.cleaner.backoff.ms': '100',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
  'offsets.topic.num.partitions': '2',
  'transaction.state.log.num.partitions': '2',
  'offsets.topic.segment.bytes': '1048576'
}
const START_MS_MAX = 30_000
const BATCH_HEADER_BYTES = 61

/** How a broker ended. */
export type End = 'killed' | 'stopped'

/** One data folder. */
export class CrashWorld {
  readonly dataDir: string
  readonly port: number
  #child: ChildProcess | undefined
  /** What the broker logged as errors. */
  readonly errors: string[] = []

  private constructor(dataDir: string, port: number) {
    this.dataDir = dataDir
    this.port = port
  }

  /** A new folder and a port that stays the same. */
  static async create(): Promise<CrashWorld> {
    const [port = 0] = await freePorts(1)
    return new CrashWorld(await mkdtemp(path.join(tmpdir(), 'comporta-crash-')), port)
  }

  /** Starts a broker and waits until clients can connect; `false` if it was killed before. */
  async start(): Promise<boolean> {
    const script = path.join(import.meta.dirname, 'broker-crash-process.ts')
    const args = [script, this.dataDir, String(this.port), JSON.stringify(SETTINGS)]
    const child = spawnBound(process.execPath, args)
    this.#child = child
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    if (child.stdout === null) throw new Error('the broker process has no standard output')
    const lines = createInterface(child.stdout)
    const ready = Promise.withResolvers<boolean>()
    lines.on('line', line => {
      if (line === 'ready') ready.resolve(true)
      else this.errors.push(line)
    })
    const timer = setTimeout(() => ready.reject(new Error('the broker did not start')), START_MS_MAX)
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') ready.resolve(false)
      else if (code === 0) ready.resolve(false)
      else ready.reject(new Error(`the broker ended with ${code ?? signal}: ${stderr}`))
    })
    try {
      return await ready.promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends the broker and waits until it is gone. */
  async end(how: End): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill(how === 'killed' ? 'SIGKILL' : 'SIGTERM')
    await closed
  }

  /** Whether the broker process has ended. */
  get isDown(): boolean {
    return this.#child?.exitCode !== null || this.#child.signalCode !== null
  }

  /** Ends everything and removes the folder. */
  async remove(): Promise<void> {
    await this.end('killed')
    await rm(this.dataDir, { recursive: true, force: true })
  }

  /**
   * Does to a stopped broker's files what a crash may do: half a write at the end of a segment, an index that was not
   * written. Never to what was acknowledged.
   */
  async harm(random: Random): Promise<string> {
    const folders = await this.#partitionFolders()
    const folder = folders[randomInt(random, folders.length)]
    if (folder === undefined) return 'nothing'
    const files = (await readdir(folder)).toSorted()
    const activeLog = files.findLast(file => file.endsWith('.log'))
    if (activeLog === undefined) return 'nothing'
    const logFile = path.join(folder, activeLog)
    const name = path.relative(this.dataDir, logFile)
    const kind = randomInt(random, 4)
    if (kind === 0) {
      await appendFile(logFile, Buffer.alloc(1 + randomInt(random, 3000), randomInt(random, 256)))
      return `garbage behind ${name}`
    }
    if (kind === 1) {
      // The beginning of a batch that never got its end, with an offset that was never given.
      const content = await readFile(logFile)
      const whole = content.length > BATCH_HEADER_BYTES ? content.subarray(0, content.readInt32BE(8) + 12) : content
      await appendFile(logFile, whole.subarray(0, randomInt(random, Math.max(1, whole.length))))
      return `half a batch behind ${name}`
    }
    const suffix = kind === 2 ? '.index' : '.timeindex'
    const index = files.findLast(file => file.endsWith(suffix))
    if (index === undefined) return 'nothing'
    if (randomInt(random, 2) === 0) await rm(path.join(folder, index))
    else await writeFile(path.join(folder, index), Buffer.alloc(randomInt(random, 100), 1))
    return `${suffix} of ${name} gone or wrong`
  }

  /** Reads every segment of a stopped broker: whole batches with right checksums and growing offsets. */
  async assertSegmentsAreSound(): Promise<number> {
    let count = 0
    for (const folder of await this.#partitionFolders()) {
      let next = -1n
      for (const file of (await readdir(folder)).filter(each => each.endsWith('.log')).toSorted()) {
        const content = await readFile(path.join(folder, file))
        const where = path.relative(this.dataDir, path.join(folder, file))
        for (let at = 0; at < content.length;) {
          assert.ok(content.length - at >= BATCH_HEADER_BYTES, `${where} ends inside of a header`)
          const header = readBatchHeader(content, at)
          assert.ok(at + header.sizeBytes <= content.length, `${where} ends inside of a batch`)
          assert.ok(isBatchCrcValid(content, at), `${where}: wrong checksum at ${at}`)
          assert.ok(header.baseOffset >= next, `${where}: offset ${header.baseOffset} after ${next - 1n}`)
          assert.ok(header.baseOffset >= BigInt(file.slice(0, 20)), `${where}: offset ${header.baseOffset}`)
          next = header.baseOffset + BigInt(header.lastOffsetDelta) + 1n
          at += header.sizeBytes
          count += 1
        }
      }
    }
    return count
  }

  async #partitionFolders(): Promise<string[]> {
    const entries = await readdir(this.dataDir, { withFileTypes: true })
    return entries
      .filter(entry => entry.isDirectory() && /-\d+$/.test(entry.name))
      .map(entry => path.join(this.dataDir, entry.name))
      .toSorted()
  }
}

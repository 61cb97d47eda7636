/** A broker process under attack, what must hold for it at all times, and one connection of an attacker. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import {
  type ApiVersionsResponseApiVersion,
  apiVersionsApi,
  createTopicsApi,
  fetchApi,
  produceApi,
  RecordBatchBuilder,
  RecordCursor
} from '../../../src/protocol/index.ts'
import { spawnBound } from '../../support/child-process.ts'
import { RawConnection } from '../../support/raw-connection.ts'

/** A topic that no attacker names: the healthy client's own. */
const HEALTH_TOPIC = 'the-healthy-one'
/** Longest answer to a healthy client, in milliseconds: the machine may be busy, the broker must not be. */
const HEALTH_MS_MAX = 10_000

/** What came of bytes that were sent on a connection of their own. */
export type Outcome =
  { readonly kind: 'answered'; readonly frame: Buffer } | { readonly kind: 'closed' } | { readonly kind: 'silent' }

/** A broker process that is attacked. */
export class FuzzedBroker {
  readonly #pid: number
  readonly #host: string
  readonly #port: number
  readonly #healthy: RawConnection
  /** Lines that the broker logged as errors. */
  readonly errors: string[] = []
  #exit: string | undefined
  #healthyOffset = 0n

  private constructor(at: { pid: number; bootstrapServers: string }, healthy: RawConnection) {
    const [host = '', port = ''] = at.bootstrapServers.split(':')
    this.#pid = at.pid
    this.#host = host
    this.#port = Number(port)
    this.#healthy = healthy
  }

  /** Starts a broker that ends with the test. */
  static async start(t: TestContext): Promise<FuzzedBroker> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'comporta-fuzz-'))
    const child = spawnBound(process.execPath, [path.join(import.meta.dirname, 'broker-process.ts'), dataDir])
    t.after(async () => {
      const isOver = child.exitCode !== null || child.signalCode !== null
      child.kill('SIGKILL')
      if (!isOver) await once(child, 'close')
      await rm(dataDir, { recursive: true, force: true })
    })
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)))
    if (child.stdout === null) throw new Error('the broker process has no standard output')
    const lines = createInterface(child.stdout)
    const [line] = (await once(lines, 'line')) as [string] // What readline emits.
    const { bootstrapServers } = JSON.parse(line) as { bootstrapServers: string } // Written by broker-process.ts.
    const healthy = await RawConnection.open(t, { bootstrapServers })
    const broker = new FuzzedBroker({ pid: child.pid ?? 0, bootstrapServers }, healthy)
    lines.on('line', each => broker.errors.push(each))
    child.once('close', (code, signal) => (broker.#exit = `exit code ${code}, signal ${signal}: ${stderr}`))
    await broker.createTopic(HEALTH_TOPIC, 1)
    return broker
  }

  /** A connection of a client that means well. */
  get healthy(): RawConnection {
    return this.#healthy
  }

  /** The versions that the broker advertises. */
  async versions(): Promise<readonly ApiVersionsResponseApiVersion[]> {
    return (await this.#healthy.request(apiVersionsApi, { version: 3, message: named() })).apiKeys
  }

  /** Creates a topic and answers its id. */
  async createTopic(name: string, numPartitions: number, configs: Record<string, string> = {}): Promise<string> {
    const entries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
    const topics = [{ name, numPartitions, replicationFactor: 1, configs: entries }]
    const created = await this.#healthy.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 10_000 } })
    assert.equal(created.topics[0]?.errorCode, 0, name)
    return created.topics[0].topicId
  }

  /**
   * Sends bytes on a connection of their own and takes the first response.
   *
   * @param quietMs - How long to wait for one, in milliseconds.
   */
  async attack(bytes: Buffer, quietMs: number): Promise<Outcome> {
    const socket = connect(this.#port, this.#host)
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const timer = setTimeout(() => resolve({ kind: 'silent' }), quietMs)
    let received = Buffer.alloc(0)
    socket.on('error', () => undefined) // a reset is one way to close
    socket.on('close', () => resolve({ kind: 'closed' }))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      resolve({ kind: 'answered', frame: received.subarray(4, 4 + received.readInt32BE(0)) })
    })
    socket.write(bytes)
    const outcome = await promise
    clearTimeout(timer)
    socket.destroy()
    return outcome
  }

  /** The broker lives, has logged no error, and serves a healthy client at once. */
  async assertHealthy(context: string): Promise<void> {
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1_700_000_000_000, null, Buffer.from(String(this.#healthyOffset)))
    const partitionData = [{ index: 0, records: builder.build() }]
    const startMs = performance.now()
    assert.equal(this.#exit, undefined, `the broker died after ${context}`)
    const produced = await this.#healthy.request(produceApi, {
      version: 9,
      message: { acks: -1, timeoutMs: 1000, topicData: [{ name: HEALTH_TOPIC, partitionData }] }
    })
    const answer = produced.responses[0]?.partitionResponses[0]
    assert.deepEqual([answer?.errorCode, answer?.baseOffset], [0, this.#healthyOffset], context)
    assert.deepEqual(await this.values(HEALTH_TOPIC, 0, this.#healthyOffset), [String(this.#healthyOffset)], context)
    this.#healthyOffset += 1n
    const tookMs = performance.now() - startMs
    assert.ok(tookMs < HEALTH_MS_MAX, `a healthy client waited ${tookMs.toFixed(0)} ms after ${context}`)
    assert.deepEqual(this.errors, [], context)
  }

  /** Every value of a partition from an offset on, as a consumer reads it. */
  async values(topic: string, partition: number, from = 0n): Promise<string[]> {
    const values: string[] = []
    const cursor = new RecordCursor()
    for (let offset = from; ;) {
      const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: 10_000_000 }]
      const message = { maxWaitMs: 0, minBytes: 0, maxBytes: 10_000_000, topics: [{ topic, partitions }] }
      const answer = await this.#healthy.request(fetchApi, { version: 11, message })
      const found = answer.responses[0]?.partitions[0]
      assert.equal(found?.errorCode, 0)
      cursor.reset(found.records ?? Buffer.alloc(0))
      let next = offset
      while (cursor.nextBatch()) {
        while (cursor.nextRecord()) {
          cursor.headers()
          if (cursor.offset() >= offset) values.push(cursor.value()?.toString() ?? '')
        }
        next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
      }
      if (next === offset) return values
      offset = next
    }
  }

  /** Most memory that the broker has had, in MiB. */
  async peakMb(): Promise<number> {
    const status = await readFile(`/proc/${this.#pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  }
}

/** What an ApiVersions request from version 3 on must say. */
function named(): { clientSoftwareName: string; clientSoftwareVersion: string } {
  return { clientSoftwareName: 'fuzz', clientSoftwareVersion: '1' }
}

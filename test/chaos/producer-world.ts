/** A producer with a spill and a broker, both to be killed, and the ledger of what was acknowledged. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'

import { Admin, Cluster, Fetcher } from '../../src/client/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { EmbeddedCluster } from './embedded.ts'

const topic = 'crash'
const dead = 'crash-dead'
const partitions = 5
const keys = 37
/** Longest wait for anything. */
const patienceMs = 30_000

/** What a topic holds, against the ledger. */
export interface Verdict {
  readonly acknowledged: number
  readonly lost: number
  readonly repeated: number
  readonly outOfOrder: number
  readonly deadLetters: number
}

/** Producer, broker and ledger. */
export class ProducerWorld {
  readonly #broker: EmbeddedCluster
  readonly #dir = mkdtempSync(join(tmpdir(), 'comporta-spill-crash-'))
  readonly #rate: number
  readonly #acknowledged = new Set<number>()
  #next = 0
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #errors = ''
  /** Last state that the producer has told. */
  state = ''
  onDisk = 0

  private constructor(broker: EmbeddedCluster, rate: number) {
    this.#broker = broker
    this.#rate = rate
  }

  /** Starts a broker with its topics; everything ends with the test. */
  static async start(t: TestContext, rate: number): Promise<ProducerWorld> {
    const world = new ProducerWorld(await EmbeddedCluster.start(6000), rate)
    t.after(() => world.#close())
    const cluster = await Cluster.connect({ bootstrapServers: [world.#broker.bootstrapServers] })
    await new Admin(cluster).createTopics([
      { topic, partitionCount: partitions },
      { topic: dead, partitionCount: 1 }
    ])
    await cluster.close()
    return world
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  get isProducing(): boolean {
    return this.#child !== undefined
  }

  /** Starts a producer whose events are numbered behind all that were ever sent. */
  startProducer(): void {
    // Numbers that a killed producer has sent without an acknowledgement are not used again.
    this.#next += 100_000
    this.state = ''
    const file = join(import.meta.dirname, 'producer-process.ts')
    const args = [this.#broker.bootstrapServers, topic, dead, this.#dir, String(this.#next), String(this.#rate)]
    const child = spawnBound(process.execPath, [file, ...args])
    this.#child = child
    this.#ended = new Promise(resolve => child.once('close', () => resolve()))
    void this.#ended.then(() => {
      if (this.#child === child) this.#child = undefined
    })
    if (child.stdout === null || child.stderr === null) throw new Error('a bound child has pipes')
    child.stderr.on('data', (piece: Buffer) => (this.#errors = `${this.#errors}${piece.toString()}`.slice(-4000)))
    createInterface({ input: child.stdout }).on('line', line => this.#take(line))
  }

  async killProducer(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  killBroker(): Promise<void> {
    return this.#broker.kill()
  }

  startBroker(): Promise<void> {
    return this.#broker.startBroker()
  }

  /** Ends the load when everything on disk is in Kafka, and drains the producer. */
  async finish(): Promise<void> {
    if (this.#child === undefined) this.startProducer()
    await this.until(() => this.state === 'up')
    this.#child?.stdin?.end()
    await this.until(() => this.#child === undefined)
    assert.equal(this.onDisk, 0, this.#errors)
  }

  async until(isTrue: () => boolean): Promise<void> {
    const endsAtMs = performance.now() + patienceMs
    while (!isTrue()) {
      assert.ok(performance.now() < endsAtMs, `waited in vain; state ${this.state}, ${this.onDisk}: ${this.#errors}`)
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  }

  /** Compares the topic with the ledger. */
  async verdict(): Promise<Verdict> {
    const cluster = await Cluster.connect({ bootstrapServers: [this.#broker.bootstrapServers] })
    try {
      const seen = new Set<number>()
      const last = new Map<number, number>()
      let repeated = 0
      let outOfOrder = 0
      for (const number of await read(cluster, topic, partitions)) {
        if (seen.has(number)) {
          repeated += 1
          continue
        }
        seen.add(number)
        if (number < (last.get(number % keys) ?? -1)) outOfOrder += 1
        last.set(number % keys, number)
      }
      const lost = [...this.#acknowledged].filter(number => !seen.has(number)).length
      const deadLetters = (await read(cluster, dead, 1)).length
      return { acknowledged: this.#acknowledged.size, lost, repeated, outOfOrder, deadLetters }
    } finally {
      await cluster.close()
    }
  }

  #take(line: string): void {
    const [what, first = '', second = ''] = line.split(' ')
    if (what === 'state') {
      this.state = first
      this.onDisk = Number(second)
    } else if (what === 'safe') {
      for (let number = Number(first); number < Number(first) + Number(second); number += 1) {
        this.#acknowledged.add(number)
      }
      this.#next = Math.max(this.#next, Number(first) + Number(second))
    }
  }

  async #close(): Promise<void> {
    await this.killProducer()
    await this.#broker.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** The numbers in a topic, in order within each partition. */
async function read(cluster: Cluster, name: string, partitionCount: number): Promise<number[]> {
  const numbers: number[] = []
  const questions = Array.from({ length: partitionCount }, (_, partition) => ({
    topic: name,
    partition,
    at: 'latest' as const
  }))
  const ends = await new Admin(cluster).listOffsets(questions)
  const open = new Set(ends.flatMap(({ partition, offset }) => (offset > 0n ? partition : [])))
  if (open.size === 0) return numbers
  const cursor = new RecordCursor()
  await new Promise<void>((resolve, reject) => {
    const fetcher = new Fetcher({
      cluster,
      maxWaitMs: 20,
      onRecords: chunk => {
        cursor.reset(chunk.records)
        while (cursor.nextBatch()) {
          while (cursor.nextRecord()) {
            if (cursor.offset() < chunk.fromOffset) continue
            numbers.push(Number(/"n":(\d+)/.exec(cursor.value()?.toString() ?? '')?.[1]))
          }
        }
        if (chunk.nextOffset < chunk.highWatermark) return
        open.delete(chunk.partition)
        if (open.size === 0) void fetcher.close().then(resolve, reject)
      },
      onPartitionError: ({ error, willRetry }) => {
        if (!willRetry) reject(error)
      }
    })
    for (const partition of open) fetcher.add({ topic: name, partition, offset: 0n })
    fetcher.start()
  })
  return numbers
}

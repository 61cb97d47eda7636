/**
 * An outlet that spills, under everything at once: a broker that refuses, loses
 * answers, is slow or silent, a disk that is full or fails, detours to disk, and
 * kills at any operation of the disk. Longer with SPILL_CHAOS_RUNS.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type Fault, startBroker } from '../../../src/broker/index.ts'
import { Appender, Cluster, type RowPlace } from '../../../src/client/index.ts'
import { SeededRandom, systemClock } from '../../../src/core/index.ts'
import type { OutletListener } from '../../../src/producer/outlet.ts'
import type { SpillDisk } from '../../../src/producer/spill/spill-disk.ts'
import { SpillOutlet } from '../../../src/producer/spill/spill-outlet.ts'
import { stage } from '../kafka.ts'
import { Crash, FakeDisk, systemError } from './fake-disk.ts'
import { LogLines } from './log-lines.ts'

const KEYS = 7
const RUNS = Number(process.env.SPILL_CHAOS_RUNS ?? 2)
const FIRST_SEED = Number(process.env.SPILL_CHAOS_SEED ?? 901)

const FAULTS: readonly (Fault | undefined)[] = [
  undefined,
  { errorCode: 6 },
  { errorCode: 6 },
  { errorCode: 19 },
  { delayMs: 20 },
  'drop',
  'dropAnswer',
  'close',
  'closeAfter'
]

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The disk of one process: after that has ended, nothing of it reaches the disk. */
function diskOf(disk: FakeDisk, life: { isOver: boolean }): SpillDisk {
  return new Proxy(disk, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...parts: unknown[]): unknown => {
        if (life.isOver) return Promise.reject(new Crash('the process has ended'))
        return Reflect.apply(value, target, parts)
      }
    }
  })
}

/** What outlives a process: the broker, the disk, and what was called safe. */
class World {
  readonly random: SeededRandom
  readonly disk: FakeDisk
  readonly count: number
  readonly safe = new Set<number>()
  readonly failures: string[] = []
  topic = ''
  dead = ''
  bootstrapServers = ''
  firstUnsafe = 0
  kills = 0
  fault: Fault | undefined = { errorCode: 6 }
  faultShare = 1

  constructor(seed: number, count: number) {
    this.random = new SeededRandom(seed)
    this.disk = new FakeDisk(this.random)
    this.disk.isShort = true
    this.count = count
  }

  upTo(max: number): number {
    return Math.floor(this.random.next() * max)
  }

  isHit(share: number): boolean {
    return this.random.next() < share
  }

  onRequest({ apiName }: { readonly apiName: string }): Fault | undefined {
    return apiName === 'Produce' && this.isHit(this.faultShare) ? this.fault : undefined
  }

  get isKilled(): boolean {
    return this.disk.operationCount >= this.disk.crashAt
  }

  trouble(): void {
    if (this.isHit(0.08)) {
      this.fault = FAULTS[this.upTo(FAULTS.length)]
      this.faultShare = this.isHit(0.5) ? 1 : 0.3
    }
    if (this.isHit(0.1)) this.disk.bytesMax = this.isHit(0.4) ? this.disk.bytesMax / 2 : Infinity
    if (this.isHit(0.05)) this.disk.bytesMax = 0
    if (!this.isHit(0.1)) return
    const share = this.isHit(0.5) ? 0 : 0.2
    this.disk.trouble = () => (this.isHit(share) ? systemError('EIO') : undefined)
  }

  peace(): void {
    this.fault = undefined
    this.disk.bytesMax = Infinity
    this.disk.trouble = () => undefined
  }
}

/** One process. */
class Life {
  readonly #world: World
  readonly #cluster: Cluster
  readonly #outlet: SpillOutlet
  readonly #state: { isOver: boolean }

  private constructor(world: World, parts: { cluster: Cluster; outlet: SpillOutlet; state: { isOver: boolean } }) {
    this.#world = world
    this.#cluster = parts.cluster
    this.#outlet = parts.outlet
    this.#state = parts.state
  }

  static async begin(world: World): Promise<Life> {
    const state = { isOver: false }
    const bootstrapServers = [world.bootstrapServers]
    const cluster = await Cluster.connect({ bootstrapServers, clientId: 'chaos', requestTimeoutMs: 250 })
    const options = { cluster, lingerMs: 1, bufferBytes: 65_536, batchBytes: 4096, deliveryTimeoutMs: 2_000_000_000 }
    const outlet = new SpillOutlet({
      appender: new Appender({ ...options, requestBytesMax: 16_384, retryBackoffMaxMs: 50 }),
      deadLetterTopic: world.dead,
      spill: { dir: '/spill', bytesMax: 4_194_304, segmentBytes: 16_384 },
      afterMs: 60,
      timeoutMs: 600_000,
      clock: systemClock,
      logger: new LogLines(),
      disk: diskOf(world.disk, state),
      lock: () => Promise.resolve({ release: () => Promise.resolve() })
    })
    await outlet.open()
    return new Life(world, { cluster, outlet, state })
  }

  /** Hands over from the first record that is not safe, to the last one or a kill. */
  async work(): Promise<void> {
    const world = this.#world
    for (let next = world.firstUnsafe; next < world.count && !world.isKilled;) {
      world.trouble()
      const length = Math.min(1 + world.upTo(40), world.count - next)
      const numbers = Array.from({ length }, (_, index) => next + index)
      next += length
      const handing = this.#handAll(numbers).then(() => 'done')
      // A source that is held up for long sees better times.
      for (let waits = 0; (await Promise.race([handing, pause(300)])) !== 'done' && !world.isKilled; waits += 1) {
        assert.ok(waits < 100, `hangs at ${numbers[0]}: ${this.#look()}`)
        world.peace()
      }
      if (world.isHit(0.3)) await pause(world.upTo(40))
    }
    world.peace()
  }

  async kill(): Promise<void> {
    this.#world.kills += 1
    this.#state.isOver = true
    await this.#cluster.close()
    await Promise.race([this.#outlet.close(0), pause(3000)])
    await pause(60) // what is on its way to the broker
    this.#world.disk.restart(this.#world.isHit(0.5) ? 'kill' : 'power')
  }

  async finish(): Promise<void> {
    this.#world.disk.crashAt = Infinity
    const endsAtMs = performance.now() + 20_000
    while (this.#outlet.state !== 'up' || this.#outlet.bufferedBytes > 0) {
      assert.ok(performance.now() < endsAtMs, `does not end: ${this.#look()}`)
      await pause(10)
    }
    await this.#outlet.close(5000)
    assert.equal(this.#outlet.spill.recordCount, 0)
    this.#state.isOver = true
    await this.#cluster.close()
  }

  #look(): string {
    return `${this.#outlet.state}, ${JSON.stringify(this.#outlet.spill)}`
  }

  async #handAll(numbers: readonly number[]): Promise<void> {
    const listener = this.#listenerOf(numbers)
    const isDetour = this.#world.isHit(0.15)
    for (const number of numbers) {
      while (!this.#state.isOver && !this.#take(number, listener, isDetour)) {
        await Promise.race([Promise.all([this.#outlet.room(), pause(1)]), pause(100)])
      }
    }
  }

  #take(number: number, listener: OutletListener, isDetour: boolean): boolean {
    const { topic } = this.#world
    const value = Buffer.from(`{"n":${number},"fill":"${'x'.repeat((number * 37) % 200)}"}`)
    const rows = { bytes: value, spans: Uint32Array.of(0, value.length) }
    const key = Buffer.from(`K${number % KEYS}`)
    const place: RowPlace = { topic, key, headers: undefined, timestampMs: undefined, partition: undefined }
    if (isDetour) return this.#outlet.divert(place, rows, 0, listener)
    if (number % 2 === 0) return this.#outlet.appendRow(place, rows, 0, listener)
    return this.#outlet.append({ topic, key, value }, listener)
  }

  #listenerOf(numbers: readonly number[]): OutletListener {
    const { safe, failures } = this.#world
    let told = 0
    const tell = (recordCount: number): void => {
      if (this.#state.isOver) return
      told += recordCount
      if (told > numbers.length) failures.push(`${told} verdicts for ${numbers.length} records`)
      // All of a listener count together, as those of a chunk do.
      if (told === numbers.length) for (const number of numbers) safe.add(number)
    }
    return {
      delivered: ({ recordCount }) => tell(recordCount),
      spilled: tell,
      failed: error => {
        if (!this.#state.isOver) failures.push(error.message)
      }
    }
  }
}

async function run(t: TestContext, seed: number, count: number): Promise<void> {
  const world = new World(seed, count)
  const broker = await startBroker({ onRequest: request => world.onRequest(request) })
  t.after(() => broker.close())
  const { bootstrapServers } = broker
  const { topics, read } = await stage(t, { bootstrapServers })
  Object.assign(world, { bootstrapServers, topic: topics.cold, dead: topics.dead })
  for (let lives = 0; world.firstUnsafe < count; lives += 1) {
    assert.ok(lives < 10, `stuck at ${world.firstUnsafe}`)
    const life = await Life.begin(world)
    if (lives < 6) world.disk.crashAt = world.disk.operationCount + 5 + world.upTo(100)
    await life.work()
    if (world.isKilled) await life.kill()
    else await life.finish()
    while (world.safe.has(world.firstUnsafe)) world.firstUnsafe += 1
  }
  await (await Life.begin(world)).finish() // whatever is still on disk
  assert.deepEqual(world.failures, [])
  const records = await read(topics.cold)
  check(
    records.map(record => Number(/"n":(\d+)/.exec(record.value.toString())?.[1])),
    world
  )
  t.diagnostic(`${world.kills} kills, ${records.length - count} duplicates`)
}

/** All are there, those of a key in order; twice only after a kill. */
function check(numbers: readonly number[], { count, kills }: World): void {
  const seen = new Set<number>()
  const last = new Map<number, number>()
  for (const number of numbers) {
    if (seen.has(number)) continue
    seen.add(number)
    assert.ok(number > (last.get(number % KEYS) ?? -1), `${number} after ${last.get(number % KEYS)}`)
    last.set(number % KEYS, number)
  }
  const missing = Array.from({ length: count }, (_, number) => number).filter(number => !seen.has(number))
  assert.deepEqual(missing, [])
  if (kills === 0) assert.equal(numbers.length, count)
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
  test(`chaos ${seed}: nothing that was called safe is missing, and keys keep their order`, async t => {
    await run(t, seed, 2000)
  })
}

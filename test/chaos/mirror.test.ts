/**
 * A mirror between two clusters while everything is killed: nothing that was
 * acknowledged at the source is missing at the target, and each key comes in order.
 *
 * A record may come again; where it does, everything behind it comes again in
 * order, too: so after dropping what was seen before, every key ascends by one.
 */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { readRecords } from './mirror-reader.ts'
import { spawnBound } from '../support/child-process.ts'
import { EmbeddedCluster } from './embedded.ts'

const KEYS = 20
const PARTITIONS = 4
const isLong = process.env['CHAOS'] === 'long'
const skip = isLong ? false : 'long: CHAOS=long'
const MISCHIEF_MS = 40_000
const program = join(import.meta.dirname, 'mirror-process.ts')

class World {
  readonly source: EmbeddedCluster
  readonly target: EmbeddedCluster
  readonly mirrors: ChildProcess[] = []
  readonly acknowledged: number[] = Array.from({ length: KEYS }, () => 0)

  constructor(source: EmbeddedCluster, target: EmbeddedCluster) {
    this.source = source
    this.target = target
  }

  startMirror(): void {
    this.mirrors.push(
      spawnBound(process.execPath, [program, this.source.bootstrapServers, this.target.bootstrapServers])
    )
  }

  async killMirror(index: number): Promise<void> {
    const [mirror] = this.mirrors.splice(index, 1)
    if (mirror === undefined) return
    const closed = new Promise(resolve => mirror.once('close', resolve))
    mirror.kill('SIGKILL')
    await closed
    this.startMirror()
  }
}

async function world(t: TestContext): Promise<World> {
  const clusters = await Promise.all([EmbeddedCluster.start(2000), EmbeddedCluster.start(2000)])
  for (const each of clusters) t.after(() => each.close())
  for (const { bootstrapServers } of clusters) {
    const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers] })
    const topics = ['events', 'dead'].map(topic => ({ topic, partitionCount: PARTITIONS, replicationFactor: 1 }))
    await new Admin(cluster).createTopics(topics)
    await cluster.close()
  }
  const [source, target] = clusters
  return new World(source, target)
}

/** Writes sequences of every key until told to stop; one record of a key at a time, so that each is in order. */
async function write(on: World, signal: AbortSignal): Promise<void> {
  const cluster = await Cluster.connect({ bootstrapServers: [on.source.bootstrapServers] })
  const appender = new Appender({ cluster, lingerMs: 1, deliveryTimeoutMs: 60_000 })
  const send = (key: number, number: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const value = Buffer.from(JSON.stringify({ key, number }))
      appender.append(
        { topic: 'events', key: Buffer.from(`k${key}`), value },
        { delivered: () => resolve(), failed: reject }
      )
    })
  const writeKey = async (key: number): Promise<void> => {
    for (let number = 1; !signal.aborted; number += 1) {
      await send(key, number)
      on.acknowledged[key] = number
    }
  }
  await Promise.all(Array.from({ length: KEYS }, (_, key) => writeKey(key)))
  await appender.close()
  await cluster.close()
}

async function mischief(on: World, random: SeededRandom): Promise<void> {
  const deadline = performance.now() + MISCHIEF_MS
  while (performance.now() < deadline) {
    await delay(200 + random.next() * 800)
    const choice = random.next()
    if (choice < 0.5) await on.killMirror(Math.floor(random.next() * on.mirrors.length))
    else {
      const broker = choice < 0.75 ? on.source : on.target
      await broker.kill()
      await delay(random.next() * 1500)
      await broker.startBroker()
    }
  }
}

test('a mirror that is killed again and again loses nothing, and keeps each key in order', { skip }, async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 11)
  const on = await world(t)
  on.startMirror()
  on.startMirror()
  const stop = new AbortController()
  const writing = write(on, stop.signal)

  await mischief(on, new SeededRandom(seed))
  stop.abort()
  await writing
  const seen = await untilAllSeen(on)
  for (const mirror of on.mirrors) mirror.kill('SIGKILL')

  let repeated = 0
  for (const [key, numbers] of seen) {
    let last = 0
    for (const number of numbers) {
      assert.ok(number <= last + 1, `key ${key}: ${number} came behind ${last}, TEST_SEED=${seed}`)
      if (number <= last) repeated += 1
      last = Math.max(last, number)
    }
    assert.ok(last >= (on.acknowledged[key] ?? 0), `key ${key} ends at ${last}, TEST_SEED=${seed}`)
  }
  const total = on.acknowledged.reduce((sum, count) => sum + count, 0)
  t.diagnostic(`${total} records, ${repeated} came again`)
})

/** The numbers of each key at the target, in the order of its partition, once the last of each key is there. */
async function untilAllSeen(on: World): Promise<ReadonlyMap<number, readonly number[]>> {
  const cluster = await Cluster.connect({ bootstrapServers: [on.target.bootstrapServers] })
  const seen = new Map<number, number[]>()
  const isDone = (): boolean =>
    on.acknowledged.every((count, key) => count === 0 || (seen.get(key)?.includes(count) ?? false))
  await readRecords(cluster, { topic: 'events', partitions: PARTITIONS }, chunk => {
    const cursor = new RecordCursor()
    cursor.reset(chunk.records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < chunk.fromOffset) continue
        const { key, number } = JSON.parse(cursor.value()?.toString() ?? '{}') as { key: number; number: number }
        const numbers = seen.get(key)
        if (numbers === undefined) seen.set(key, [number])
        else numbers.push(number)
      }
    }
    return isDone()
  })
  await cluster.close()
  return seen
}

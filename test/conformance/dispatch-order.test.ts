/** Order by key and no order, on whatever cluster is under test: retries, hand-over, restart, a key that hangs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { Bench, type Input, LedgerTarget, type Payload, until } from './dispatch-support.ts'

function keyed(count: number, keyCount: number): Input[] {
  return Array.from({ length: count }, (_, index) => ({ key: `k${index % keyCount}`, value: `{"n":${index}}` }))
}

/** Knows which keys are at the target and in which order their records came first. */
class KeyWatch {
  readonly #atTarget = new Map<string, number>()
  readonly #newest = new Map<string, number>()
  readonly #seen = new Set<string>()
  readonly problems: string[] = []
  batchCount = 0
  batchesAtOnce = 0

  /** Runs a call of the target; what it replies counts as not delivered for the offsets that it names. */
  async watch(payload: Payload, work: () => Promise<unknown>): Promise<unknown> {
    const keys = new Set(payload.keys)
    for (const key of keys) {
      const name = `${payload.partition}/${key}`
      if (this.#atTarget.has(name)) this.problems.push(`two batches with ${name}`)
      this.#atTarget.set(name, 1)
    }
    this.batchCount += 1
    this.batchesAtOnce = Math.max(this.batchesAtOnce, this.batchCount)
    const reply = (await work()) as { failures?: readonly { offset: number }[] } | undefined
    this.batchCount -= 1
    for (const key of keys) this.#atTarget.delete(`${payload.partition}/${key}`)
    const failed = new Set(reply?.failures?.map(({ offset }) => offset))
    for (const [index, offset] of payload.offsets.entries()) {
      const record = `${payload.partition}@${offset}`
      if (failed.has(offset) || this.#seen.has(record)) continue
      this.#seen.add(record)
      const name = `${payload.partition}/${payload.keys[index]}`
      const newest = this.#newest.get(name) ?? -1
      if (offset < newest) this.problems.push(`${name}: ${offset} after ${newest}`)
      this.#newest.set(name, offset)
    }
    return reply
  }
}

test('order by key: several batches of a partition at once, and order of each key through retries', async t => {
  const bench = await Bench.open(t, 2)
  await bench.append(keyed(600, 40))
  const watch = new KeyWatch()
  const failures = new Map<number, number>()
  const target = new LedgerTarget(payload =>
    watch.watch(payload, async () => {
      await tick(5)
      // Some records are refused twice; what follows it in its key waits with it, as a target must say.
      const failedKeys = new Set<string | null>()
      const refused = payload.offsets.filter((offset, index) => {
        const key = payload.keys[index] ?? null
        const count = failures.get(offset) ?? 0
        const isRefused = (offset % 37 === 0 && count < 2) || failedKeys.has(key)
        if (isRefused) failedKeys.add(key)
        if (isRefused && offset % 37 === 0) failures.set(offset, count + 1)
        return isRefused
      })
      if (refused.length === 0) return undefined
      return { failures: refused.map(offset => ({ offset, action: 'retry', reason: 'busy' })) }
    })
  )
  const dispatcher = await bench.dispatch(target, { order: 'key', batchesPerPartitionMax: 3, concurrency: 6 })
  await bench.untilDrained(2)
  await dispatcher.drain()
  assert.deepEqual(watch.problems, [])
  assert.equal(target.delivered.length, 600)
  assert.equal(target.duplicateCount, 0)
  assert.ok(watch.batchesAtOnce > 2, `${watch.batchesAtOnce} batches at once on two partitions`)
  assert.equal(dispatcher.status().totals.deadLettered, 0)
})

test('no order: several batches of a partition at once, each record once', async t => {
  const bench = await Bench.open(t)
  await bench.append(keyed(400, 1))
  let atOnce = 0
  let most = 0
  const target = new LedgerTarget(async () => {
    most = Math.max(most, (atOnce += 1))
    await tick(5)
    atOnce -= 1
  })
  await bench.dispatch(target, { order: 'none', batchesPerPartitionMax: 3, concurrency: 10 })
  await bench.untilDrained()
  assert.equal(target.delivered.length, 400)
  assert.equal(target.duplicateCount, 0)
  assert.equal(most, 3)
})

test('a key that hangs holds up its own records only, and a restart repeats nothing that was finished', async t => {
  const bench = await Bench.open(t)
  // Offset 0 alone has the key that hangs.
  await bench.append([{ key: 'slow', value: '{"n":-1}' }])
  const hangs = new LedgerTarget(async payload => {
    if (payload.keys.includes('slow')) await new Promise(() => undefined)
  })
  const settings = { order: 'key', batchesPerPartitionMax: 3, concurrency: 6, drainMs: 300 } as const
  const first = await bench.dispatch(hangs, settings)
  await until(() => hangs.calls.length === 1, 'the key that hangs is at the target')
  await bench.append(keyed(300, 30))
  await until(() => hangs.delivered.length === 300, 'all others are delivered')
  assert.equal(first.status().partitions[0]?.committed, 0n)
  const committedText = async (): Promise<string> => {
    const [found] = await bench.admin.fetchGroupOffsets(bench.groupId, [{ topic: bench.topic, partition: 0 }])
    return found?.metadata ?? ''
  }
  // Offset 0 is open, 300 are finished: runs 1 and 300 as varints.
  const text = `comporta:1:0:${Buffer.from([0, 1, 0xac, 0x02]).toString('base64url')}`
  await until(async () => (await committedText()) === text, 'what is finished is committed')
  await first.close()

  await bench.append(keyed(20, 10))
  const second = new LedgerTarget()
  await bench.dispatch(second, settings)
  await bench.untilDrained()
  const offsets = second.delivered.map(name => Number(name.split('@')[1]))
  assert.deepEqual(
    offsets.toSorted((a, b) => a - b),
    [0, ...Array.from({ length: 20 }, (_, index) => 301 + index)]
  )
  assert.equal(await committedText(), '')
})

test('order by key: partitions are handed over without a duplicate, in order of each key', async t => {
  const bench = await Bench.open(t, 4)
  const total = 3000
  await bench.append(keyed(total, 60))
  const watch = new KeyWatch()
  // Slow enough that there is something left when the group has let the next one in.
  let delayMs = 200
  const judge = (payload: Payload): Promise<unknown> =>
    watch.watch(payload, async () => {
      await tick(delayMs)
      return undefined
    })
  const targets = Array.from({ length: 3 }, () => new LedgerTarget(judge))
  const delivered = (): string[] => targets.flatMap(target => target.delivered)
  const settings = { order: 'key', batchesPerPartitionMax: 2, concurrency: 4 } as const
  const [one, two, three] = targets
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  const a = await bench.dispatch(one, settings)
  await until(() => delivered().length > 50, 'the first works')
  await bench.dispatch(two, settings)
  await until(() => two.delivered.length > 50, 'the second has taken over a part')
  await a.drain()
  await bench.dispatch(three, settings)
  delayMs = 5
  await bench.untilDrained(4)
  assert.deepEqual(watch.problems, [])
  const all = delivered()
  assert.equal(new Set(all).size, total)
  assert.equal(all.length, total, 'no duplicate')
})

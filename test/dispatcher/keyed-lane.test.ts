import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { poisonedReply, World } from './lane-world.ts'
import { chunkOf, seedOf } from './support.ts'

function assignAll(world: World): void {
  for (let partition = 0; partition < world.options.partitionCount; partition += 1) world.assign(partition)
}

async function run(world: World, stepsMax = 5000): Promise<void> {
  for (let count = 0; !world.isDone && count < stepsMax; count += 1) {
    for (const partition of world.lanes.keys()) if (world.random.next() < 0.5) world.feed(partition)
    await world.clock.advance(10)
  }
}

for (const order of ['key', 'none'] as const) {
  test(`order ${order}: everything is delivered once and committed to the end, several batches at once`, async () => {
    const world = new World({ seed: 1, order, partitionCount: 1, concurrency: 5, keyCount: 40, recordCount: 500 })
    assignAll(world)
    await run(world)
    world.assertSound()
    assert.equal(world.isDone, true)
    assert.equal(world.duplicateCount, 0)
    assert.equal(world.around.meters.totals.records, 500)
    assert.equal(world.atTargetMax, 3)
    assert.equal(world.lanes.get(0)?.bufferedBytes, 0)
    assert.equal(world.lentCount, 0)
    assert.equal(world.lanes.get(0)?.commitMetadata(), '')
  })
}

test('order key: a key whose target hangs holds up its own records only', async () => {
  const world = new World({ seed: 2, order: 'key', partitionCount: 1, concurrency: 5, keyCount: 20, recordCount: 400 })
  const slow = world.keys[0]?.[0]
  let release: () => void = () => undefined
  const released = new Promise<void>(resolve => (release = resolve))
  world.mood = async ({ keys }) => {
    if (keys.includes(slow ?? '')) await released
    return { kind: 'ok' }
  }
  // A target would give up by itself after a second in this world.
  assignAll(world)
  world.feed(0)
  await world.clock.advance(200)
  for (let count = 0; count < 60; count += 1) {
    world.feed(0)
    await world.clock.advance(10)
  }
  const isOther = (offset: number): boolean => world.keys[0]?.[offset] !== slow
  // The first batch holds other keys as well: they are not free before it is answered.
  const late = Array.from({ length: 400 }, (_, offset) => offset).filter(offset => offset >= 30 && isOther(offset))
  const left = late.filter(offset => world.hasLeft(0, offset))
  assert.ok(left.length > 0.3 * late.length, `${left.length} of ${late.length}`)
  assert.equal(world.committed[0], 0n)
  release()
  await run(world)
  world.assertSound()
  assert.equal(world.isDone, true)
})

test('with enough to do, few keys are shared among as many batches as there may be', async () => {
  const options = { partitionCount: 1, recordCount: 400, keyCount: 6, recordsMax: 20, batchesMax: 3, concurrency: 5 }
  const world = new World({ seed: 4, order: 'key', ...options })
  assignAll(world)
  for (let count = 0; count < 60; count += 1) world.feed(0)
  await world.clock.advance(5)
  // The first of them alone would have taken all six keys.
  assert.equal(world.atTargetMax, 3)
  await run(world)
  world.assertSound()
  assert.equal(world.isDone, true)
  const { batches } = world.around.meters.totals
  assert.ok(batches <= 40, `${batches} batches where 20 would do`)
})

test('a partition takes nothing new while no more fits beside the committed offset, and says so', async () => {
  const timeoutMs = 1_000_000
  const options = { partitionCount: 1, recordCount: 30_000, keyCount: 50, recordsMax: 500, target: { timeoutMs } }
  const world = new World({ seed: 5, order: 'key', concurrency: 5, ...options })
  let release: () => void = () => undefined
  const released = new Promise<void>(resolve => (release = resolve))
  world.mood = async ({ offsets }) => {
    if (offsets.includes(0)) await released
    return { kind: 'ok' }
  }
  world.latencyMaxMs = 5
  assignAll(world)
  for (let count = 0; count < 3000; count += 1) {
    world.feed(0)
    if (count % 10 === 0) await world.clock.advance(10)
  }
  await world.clock.advance(1000)
  const lane = world.lanes.get(0)
  // A bitmap in base64 of 4096 characters, less what names the offset.
  assert.ok(Number(lane?.position) > 24_000 && Number(lane?.position) < 24_576, String(lane?.position))
  assert.equal(world.committed[0], 0n)
  assert.ok((world.metadata[0]?.length ?? 0) > 3000)
  assert.match(lane?.describe().blockedBy ?? '', /behind the unfinished offset 0$/)
  release()
  await world.clock.advance(10_000)
  world.assertSound()
  assert.equal(world.isDone, true)
  assert.equal(lane?.describe().blockedBy, null)
  assert.equal(world.duplicateCount, 0)
})

test('a batch that cannot be read is told once, what came before it is delivered, and a good one goes on', async () => {
  const world = new World({ seed: 6, order: 'key', partitionCount: 1, recordCount: 60 })
  assignAll(world)
  world.feed(0)
  const lane = world.lanes.get(0)
  const next = world.fed(0)
  const broken = chunkOf(BigInt(next), [{ key: 'k', value: '{}' }], { topic: 't', partition: 0 })
  // Behind the header of the batch stands the length of its first record.
  broken.records[61] = 0x7f
  lane?.push(broken)
  await world.clock.advance(1000)
  assert.equal(world.problems.length, 1)
  assert.match(world.problems[0] ?? '', /unreadable: .*corrupt/)
  assert.equal(lane?.position, BigInt(next))
  assert.equal(world.committed[0], BigInt(next))
  world.problems.length = 0
  await run(world)
  world.assertSound()
  assert.equal(world.isDone, true)
})

test('a record that is tried again frees the other keys of its batch at once', async () => {
  const world = new World({ seed: 3, order: 'key', partitionCount: 1, keyCount: 5, recordCount: 100, recordsMax: 100 })
  const bad = world.keys[0]?.[0] ?? ''
  let isBad = true
  world.mood = ({ keys, offsets }) => {
    const failures = keys.flatMap((key, index) =>
      key === bad && isBad
        ? [{ offset: BigInt(offsets[index] ?? 0), action: 'retry', reason: 'x', isUnavailable: true } as const]
        : []
    )
    return failures.length === 0 ? { kind: 'ok' } : { kind: 'partial', failures }
  }
  assignAll(world)
  for (let count = 0; count < 300; count += 1) {
    world.feed(0)
    await world.clock.advance(10)
  }
  for (let offset = 0; offset < 100; offset += 1) {
    assert.equal(world.hasLeft(0, offset), world.keys[0]?.[offset] !== bad, `offset ${offset}`)
  }
  isBad = false
  await run(world)
  world.assertSound()
  assert.equal(world.isDone, true)
  assert.equal(world.duplicateCount, 0)
})

test('a partition that is taken away and given back goes on behind what each key has reached', async t => {
  const seed = seedOf(t)
  let handovers = 0
  for (let round = 0; round < 10; round += 1) {
    const world = new World({ seed: seed + round, order: 'key', recordCount: 200, keyCount: 15, concurrency: 6 })
    const moods = new SeededRandom(seed - round)
    // Some records are refused for a while: what is behind them is finished long before.
    world.mood = ({ keys, offsets }) => {
      const failures = keys.flatMap((key, index) =>
        key === 'k3' && moods.next() < 0.7
          ? [{ offset: BigInt(offsets[index] ?? 0), action: 'retry', reason: 'x', isUnavailable: true } as const]
          : []
      )
      const [first] = failures
      if (first === undefined) return { kind: 'ok' }
      // As a target must: what follows the first failure of a key waits with it.
      const all = keys.flatMap((key, index) =>
        key === 'k3' && (offsets[index] ?? 0) >= Number(first.offset)
          ? [{ offset: BigInt(offsets[index] ?? 0), action: 'retry', reason: 'x', isUnavailable: true } as const]
          : []
      )
      return { kind: 'partial', failures: all }
    }
    assignAll(world)
    for (let count = 0; !world.isDone && count < 5000; count += 1) {
      for (const partition of world.lanes.keys()) if (world.random.next() < 0.5) world.feed(partition)
      if (world.random.next() < 0.1) {
        const partition = randomInt(world.random, world.options.partitionCount)
        await world.revoke(partition)
        world.assign(partition)
        handovers += 1
      }
      await world.clock.advance(10)
    }
    world.assertSound()
    assert.equal(world.isDone, true, `round ${round}`)
    assert.equal(world.duplicateCount, 0)
    assert.equal(world.deadLetterCount, 0)
  }
  assert.ok(handovers > 10)
})

for (const order of ['key', 'none'] as const) {
  test(`order ${order}: whatever happens, nothing is lost and duplicates are bounded`, async t => {
    const seed = seedOf(t)
    for (let round = 0; round < 20; round += 1) {
      const world = new World({
        seed: seed + round,
        order,
        recordCount: 120,
        partitionCount: 1 + (round % 3),
        concurrency: 1 + (round % 5),
        keyCount: 2 + (round % 20),
        batchesMax: 1 + (round % 4)
      })
      const moods = new SeededRandom(seed - round)
      let crashes = 0
      world.mood = payload => {
        const roll = moods.next()
        if (roll < 0.1) return { kind: 'unavailable', reason: '503', isSuspect: moods.next() < 0.5 }
        return poisonedReply(payload)
      }
      const poison = (offset: number): string | undefined =>
        offset % 17 === 3 ? ['malformed', 'throw', 'retry', 'deadLetter', 'skip'][(offset >> 4) % 5] : undefined
      assignAll(world)
      for (let count = 0; !world.isDone && count < 20_000; count += 1) {
        for (let partition = 0; partition < world.options.partitionCount; partition += 1) {
          if (!world.lanes.has(partition)) world.assign(partition)
          if (moods.next() < 0.5) world.feed(partition, poison)
          const roll = moods.next()
          if (roll < 0.02) {
            await world.revoke(partition)
          } else if (roll < 0.03) {
            world.lose(partition)
            // What the dead process had sent may still be running: a new owner does not start before that.
            await world.clock.advance(2000)
            crashes += 1
          }
        }
        await world.clock.advance(10)
      }
      world.assertSound()
      assert.equal(world.isDone, true, `round ${round} ends`)
      const duplicatesMax = crashes * world.options.recordsMax * world.options.batchesMax
      assert.ok(world.duplicateCount <= duplicatesMax, `${world.duplicateCount} duplicates, at most ${duplicatesMax}`)
    }
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { type Slot, SlotQueue, type SlotQueueOptions, type SlotResult } from '../../../src/dispatcher/slots.ts'
import type { Logger } from '../../../src/telemetry/index.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
const never = new AbortController().signal

function loggerTo(lines: string[]): Logger {
  const logger: Logger = {
    debug: () => undefined,
    info: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    warn: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    error: () => undefined,
    child: () => logger
  }
  return logger
}

/** A queue, and a target with batches of a topic that are always due. */
function worldOf(options: Partial<SlotQueueOptions> = {}) {
  const clock = new VirtualClock()
  const lines: string[] = []
  const slots = new SlotQueue({
    concurrency: 2,
    breaker: { failuresMax: 5, openMs: 1000 },
    clock,
    logger: loggerTo(lines),
    onBreaker: () => undefined,
    ...options
  })
  const sent: { topic: string; partition: number; atMs: number; records: number }[] = []
  /** Keeps a partition busy with batches that take so long. */
  const saturate = async (
    at: { topic: string; partition: number },
    batch: { records?: number; bytes?: number; takesMs?: number; result?: SlotResult },
    signal = never
  ): Promise<void> => {
    const { records = 100, bytes = 10_000, takesMs = 10, result = { kind: 'answered' } } = batch
    for (let slot = await slots.acquire(signal, at); slot !== undefined; slot = await slots.acquire(signal, at)) {
      slot.charge({ records, bytes })
      sent.push({ ...at, atMs: clock.monotonicMs(), records })
      await new Promise<void>(resolve => clock.after(takesMs, resolve))
      slot.release(result)
      slot.end()
    }
  }
  return { clock, slots, sent, lines, saturate }
}

test('records and bytes a second hold over any second, within a batch', async () => {
  const rate = { recordsPerSecond: 5000, bytesPerSecond: 1_000_000, burstMs: 100 }
  const { clock, sent, saturate } = worldOf({ concurrency: 10, flow: { inFlight: {}, rate } })
  for (let partition = 0; partition < 10; partition += 1) void saturate({ topic: 't', partition }, { records: 100 })
  await clock.advance(20_000)
  const recordsOf = (fromMs: number, toMs: number): number =>
    sent.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).reduce((sum, { records }) => sum + records, 0)
  const steady = recordsOf(2000, 20_000)
  assert.ok(Math.abs(steady - 90_000) < 900, `${steady} records in 18 s`)
  // What was not known of the first batches, one for each partition, is paid off in the first second.
  for (let fromMs = 0; fromMs < 19_000; fromMs += 250) {
    const count = recordsOf(fromMs, fromMs + 1000)
    assert.ok(count <= (fromMs === 0 ? 6100 : 5700), `${count} records from ${fromMs} ms`)
  }
})

test('the slower of the two rates holds', async () => {
  const rate = { recordsPerSecond: 100_000, bytesPerSecond: 100_000, burstMs: 100 }
  const { clock, sent, saturate, slots } = worldOf({ concurrency: 4, flow: { inFlight: {}, rate } })
  for (let partition = 0; partition < 4; partition += 1) void saturate({ topic: 't', partition }, { bytes: 10_000 })
  await clock.advance(10_000)
  assert.ok(Math.abs(sent.length - 100) <= 5, `${sent.length} batches of a tenth of a second each`)
  assert.equal(slots.blockedBy, 'rate')
})

test('a new rate holds from then on', async () => {
  const rate = { recordsPerSecond: 1000, burstMs: 100 }
  const { clock, sent, saturate, slots } = worldOf({ flow: { inFlight: {}, rate } })
  for (let partition = 0; partition < 4; partition += 1) void saturate({ topic: 't', partition }, { records: 10 })
  await clock.advance(5000)
  const before = sent.length
  slots.configure({ flow: { inFlight: {}, rate: { recordsPerSecond: 500, burstMs: 100 } } })
  await clock.advance(10_000)
  assert.ok(Math.abs(before - 500) <= 15, `${before} batches in 5 s`)
  assert.ok(Math.abs(sent.length - before - 500) <= 15, `${sent.length - before} batches in 10 s`)
  slots.configure({ flow: { inFlight: {}, rate: { burstMs: 100 } } })
  const limited = sent.length
  await clock.advance(1000)
  assert.ok(Math.abs(sent.length - limited - 200) <= 2, `${sent.length - limited} batches: two at once, 10 ms each`)
})

test('leave that was not used costs no tokens', async () => {
  const rate = { recordsPerSecond: 1000, burstMs: 1000 }
  const { clock, slots, saturate, sent } = worldOf({ concurrency: 1, flow: { inFlight: {}, rate } })
  const stop = new AbortController()
  void saturate({ topic: 't', partition: 0 }, { records: 100 }, stop.signal)
  await clock.advance(5000)
  stop.abort()
  await clock.advance(1000)
  const before = sent.length
  for (let count = 0; count < 50; count += 1) (await slots.acquire(never))?.release({ kind: 'released' })
  void saturate({ topic: 't', partition: 0 }, { records: 100 })
  await clock.advance(1000)
  assert.ok(sent.length - before >= 19, `${sent.length - before}: ten saved up and ten earned`)
})

test('what is under way never exceeds its bounds, over all and by partition, and nobody waits for ever', async () => {
  for (let round = 0; round < 20; round += 1) {
    const random = new SeededRandom(seed + round)
    const inFlight = { recordsMax: 1000, bytesMax: 50_000, partitionRecordsMax: 400, partitionBytesMax: 25_000 }
    const { clock, slots } = worldOf({
      concurrency: 100,
      batch: { recordsMax: 200, bytesMax: 10_000 },
      flow: { inFlight, rate: { burstMs: 100 } }
    })
    const held = new Map<number, { records: number; bytes: number }>()
    let done = 0
    const work = async (partition: number): Promise<void> => {
      for (let count = 0; count < 20; count += 1) {
        const at = { topic: 't', partition }
        const first = await slots.acquire(never, at)
        assert.ok(first !== undefined)
        const records = 1 + randomInt(random, 200)
        const bytes = 1 + randomInt(random, 10_000)
        const mine = held.get(partition) ?? { records: 0, bytes: 0 }
        held.set(partition, { records: mine.records + records, bytes: mine.bytes + bytes })
        const all = [...held.values()]
        const message = `seed ${seed + round}`
        assert.ok(all.reduce((sum, each) => sum + each.records, 0) <= inFlight.recordsMax, message)
        assert.ok(all.reduce((sum, each) => sum + each.bytes, 0) <= inFlight.bytesMax, message)
        assert.ok((held.get(partition)?.records ?? 0) <= inFlight.partitionRecordsMax, message)
        assert.ok((held.get(partition)?.bytes ?? 0) <= inFlight.partitionBytesMax, message)
        let slot: Slot | undefined = first
        for (let tries = randomInt(random, 3); tries >= 0; tries -= 1) {
          slot ??= await slots.acquire(never, { ...at, isUnderWay: true })
          slot?.charge({ records, bytes })
          await new Promise<void>(resolve => clock.after(randomInt(random, 50), resolve))
          slot?.release({ kind: 'answered' })
          slot = undefined
        }
        const now = held.get(partition) ?? { records: 0, bytes: 0 }
        held.set(partition, { records: now.records - records, bytes: now.bytes - bytes })
        first.end()
        done += 1
      }
    }
    for (let lane = 0; lane < 12; lane += 1) void work(lane % 4)
    await clock.advance(60_000)
    assert.equal(done, 240, `seed ${seed + round}`)
    assert.deepEqual([slots.describe().inFlightLimits.records, slots.describe().inFlightLimits.bytes], [0, 0])
  }
})

test('a batch is never larger than what may be in flight', () => {
  const { slots } = worldOf({
    batch: { recordsMax: 500, bytesMax: 1_000_000 },
    flow: { inFlight: { recordsMax: 2000, partitionRecordsMax: 300, bytesMax: 100_000 }, rate: { burstMs: 100 } }
  })
  assert.deepEqual([slots.recordsMax, slots.bytesMax], [300, 100_000])
  slots.configure({ flow: { inFlight: {}, rate: { burstMs: 100 } } })
  assert.deepEqual([slots.recordsMax, slots.bytesMax], [500, 1_000_000])
})

test('a partition that an operator pauses gets no leave, and the others go on', async () => {
  const { clock, slots, sent, saturate } = worldOf()
  for (const partition of [0, 1]) void saturate({ topic: 't', partition }, {})
  await clock.advance(100)
  slots.pausePartition('t', 0)
  const before = sent.filter(({ partition }) => partition === 0).length
  await clock.advance(1000)
  assert.ok(sent.filter(({ partition }) => partition === 0).length <= before + 1)
  assert.ok(sent.filter(({ partition }) => partition === 1).length > 90)
  assert.deepEqual(slots.describe().pausedPartitions, ['t-0'])
  slots.resumePartition('t', 0)
  await clock.advance(100)
  assert.ok(sent.filter(({ partition }) => partition === 0).length > before + 5)
})

const CLASSES = [
  { name: 'orders', topics: ['o'], share: 70 },
  { name: 'mails', topics: ['m'], share: 20 },
  { name: 'reports', topics: ['r'], share: 10 }
]

test('under saturation the classes get 70, 20 and 10 of a hundred batches, whatever their backlogs', async () => {
  const { clock, sent, saturate } = worldOf({ concurrency: 3, priorities: CLASSES })
  for (const [topic, partitions] of [
    ['o', 4],
    ['m', 8],
    ['r', 40]
  ] as const) {
    for (let partition = 0; partition < partitions; partition += 1) void saturate({ topic, partition }, {})
  }
  await clock.advance(5000)
  for (let from = 100; from + 100 <= sent.length; from += 100) {
    const count = (topic: string): number => sent.slice(from, from + 100).filter(each => each.topic === topic).length
    assert.ok(Math.abs(count('o') - 70) <= 1 && Math.abs(count('m') - 20) <= 1, `${count('o')}, ${count('m')}`)
  }
})

test('what a class does not use the others get, and it has its share back at once', async () => {
  const { clock, sent, saturate } = worldOf({ concurrency: 2, priorities: CLASSES })
  for (let partition = 0; partition < 5; partition += 1) void saturate({ topic: 'r', partition }, {})
  await clock.advance(1000)
  assert.ok(sent.length >= 198, `${sent.length} batches`) // both slots all the time
  const before = sent.length
  for (let partition = 0; partition < 5; partition += 1) void saturate({ topic: 'o', partition }, {})
  await clock.advance(200)
  const orders = sent.slice(before).filter(({ topic }) => topic === 'o').length
  assert.ok(orders >= 34 && orders <= 36, `${orders} of ${sent.length - before}: 70 to 10`)
})

test('a class with a limit of its own leaves the rest to the others', async () => {
  const classes = CLASSES.map(each => (each.name === 'reports' ? { ...each, concurrency: 1 } : each))
  const { clock, slots, saturate } = worldOf({ concurrency: 4, priorities: classes })
  for (let partition = 0; partition < 8; partition += 1) void saturate({ topic: 'r', partition }, { takesMs: 10_000 })
  await clock.advance(100)
  assert.equal(slots.inFlight, 1)
  void saturate({ topic: 'o', partition: 0 }, {})
  await clock.advance(100)
  const { classes: described } = slots.describe()
  assert.deepEqual(
    described.map(({ name, inFlight, waiting }) => [name, inFlight, waiting]),
    [
      ['orders', 1, 0],
      ['mails', 0, 0],
      ['reports', 1, 7]
    ]
  )
})

test('a class that waits too long while others go on is reported once, until it goes on', async () => {
  const classes = [
    { name: 'orders', topics: ['o'], share: 999 },
    { name: 'reports', topics: ['r'], share: 1 }
  ]
  const { clock, slots, lines, saturate } = worldOf({ concurrency: 1, priorities: classes, starvationMs: 1000 })
  for (const partition of [0, 1]) void saturate({ topic: 'o', partition }, {})
  for (const partition of [0, 1]) void saturate({ topic: 'r', partition }, {})
  await clock.advance(2000)
  assert.equal(lines.filter(line => line.includes('"class":"reports"')).length, 1)
  assert.deepEqual(
    slots.describe().classes.map(({ isStarved }) => isStarved),
    [false, true]
  )
  await clock.advance(9000)
  assert.ok((slots.describe().classes[1]?.given ?? 0) >= 1)
})

test('a breaker opens by the share of failures, and new limits of it hold at once', async () => {
  const breaker = { failuresMax: 1000, openMs: 1000, failureRatio: 0.6, windowMs: 1000, samplesMin: 10 }
  const { clock, slots, saturate } = worldOf({ concurrency: 2, breaker })
  void saturate({ topic: 't', partition: 0 }, { result: { kind: 'answered' } })
  void saturate({ topic: 't', partition: 1 }, { result: { kind: 'failed' }, takesMs: 12 })
  await clock.advance(2000)
  assert.equal(slots.describe().breaker.failureRatio === null, false)
  assert.equal(slots.breakerState, 'closed') // 45 %
  slots.configure({ breaker: { ...breaker, failureRatio: 0.4 } })
  await clock.advance(500)
  assert.equal(slots.breakerState, 'open')
})

test('throttles lower an adaptive limit and do not open the breaker before it is at its lowest', async () => {
  const adaptiveConcurrency = { mode: 'on' as const, min: 1 }
  const { clock, slots } = worldOf({ concurrency: 20, adaptiveConcurrency, breaker: { failuresMax: 3, openMs: 1000 } })
  /** Takes six at once and throttles the others. */
  const work = async (partition: number): Promise<void> => {
    for (;;) {
      const slot = await slots.acquire(never, { topic: 't', partition })
      const isThrottled = slots.inFlight > 6
      slot?.charge({ records: 10, bytes: 10 })
      await new Promise<void>(resolve => clock.after(isThrottled ? 1 : 50, resolve))
      slot?.release(isThrottled ? { kind: 'failed', isThrottled: true } : { kind: 'answered' })
      slot?.end()
      if (isThrottled) await new Promise<void>(resolve => clock.after(100, resolve))
    }
  }
  for (let partition = 0; partition < 20; partition += 1) void work(partition)
  let openings = 0
  for (let step = 0; step < 200; step += 1) {
    await clock.advance(50)
    if (slots.breakerState !== 'closed') openings += 1
  }
  const { limit } = slots.describe().concurrency
  assert.equal(openings, 0)
  assert.ok(limit >= 4 && limit <= 8, `limit ${limit}`)
})

test('switched on, it sends what the service works on at once, and as much is done as without a limit', async () => {
  const doneWith = async (mode: 'off' | 'on'): Promise<{ done: number; waitedMs: number; limit: number }> => {
    const { clock, slots } = worldOf({ concurrency: 32, adaptiveConcurrency: { mode, min: 1 } })
    const freeAtMs = [0, 0, 0, 0] // four workers
    let done = 0
    let waitedMs = 0
    const work = async (partition: number): Promise<void> => {
      for (;;) {
        const slot = await slots.acquire(never, { topic: 't', partition })
        slot?.charge({ records: 100, bytes: 100 })
        const nowMs = clock.monotonicMs()
        const startMs = Math.max(nowMs, Math.min(...freeAtMs))
        freeAtMs[freeAtMs.indexOf(Math.min(...freeAtMs))] = startMs + 50
        await new Promise<void>(resolve => clock.after(startMs + 50 - nowMs, resolve))
        slot?.release({ kind: 'answered' })
        slot?.end()
        done += 1
        waitedMs += startMs - nowMs
      }
    }
    for (let partition = 0; partition < 32; partition += 1) void work(partition)
    await clock.advance(20_000)
    return { done, waitedMs: waitedMs / done, limit: slots.describe().concurrency.limit }
  }
  const off = await doneWith('off')
  const on = await doneWith('on')
  assert.ok(on.limit >= 4 && on.limit <= 9, `limit ${on.limit} for four workers`)
  assert.ok(on.done > off.done * 0.95, `${on.done} batches, ${off.done} without`)
  assert.ok(on.waitedMs < off.waitedMs / 4, `${on.waitedMs} ms in the line of the service, ${off.waitedMs} without`)
})

test('a dry run sends as much as before and tells the log what it would do', async () => {
  const { clock, slots, lines } = worldOf({
    concurrency: 16,
    adaptiveConcurrency: { mode: 'dryRun', min: 1 }
  })
  let atTarget = 0
  let most = 0
  /** Works on four at once; each beyond that makes all wait in proportion. */
  const work = async (partition: number): Promise<void> => {
    for (;;) {
      const slot = await slots.acquire(never, { topic: 't', partition })
      slot?.charge({ records: 10, bytes: 10 })
      atTarget += 1
      most = Math.max(most, atTarget)
      await new Promise<void>(resolve => clock.after(40 * Math.max(1, atTarget / 4), resolve))
      atTarget -= 1
      slot?.release({ kind: 'answered' })
      slot?.end()
    }
  }
  for (let partition = 0; partition < 2; partition += 1) void work(partition)
  await clock.advance(2000)
  for (let partition = 2; partition < 20; partition += 1) void work(partition)
  await clock.advance(10_000)
  const { limit, wouldBe } = slots.describe().concurrency
  assert.deepEqual([limit, most], [16, 16])
  assert.ok(wouldBe !== null && wouldBe >= 4 && wouldBe <= 9, `would be ${wouldBe}`)
  assert.ok(lines.some(line => line.includes('(dry run)')))
})

/**
 * `kafkaBatch` under random handlers, against a caller that does exactly what the answers say.
 *
 * The caller keeps a log, sends what is not done, reads the answer as AWS or Comporta's dispatcher would, and sends the
 * rest again. Whatever handlers do (succeed now or later, throw anything, hang past the deadline):
 *
 * - a record counts as done only if a handler was done with it, or said what is to become of it
 * - a record is begun only when all earlier ones of its scope are done, or are before it in the same list
 * - no more calls run at a time than allowed, and no two of one scope
 * - with a guard nothing is handled again that a handler was done with
 * - in an invocation in which nothing goes wrong every record is done
 *
 * `TEST_SEED=<n>` runs one seed again, `SEEDS=<n>` runs more.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { randomInt, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import {
  type BatchGuard,
  DeadLetterRecord,
  kafkaBatch,
  type KafkaBatchOptions,
  type KafkaBatchResponse,
  type ComportaResponse,
  type KafkaRecord,
  RetryRecord,
  SkipRecord
} from '../../src/lambda/function.ts'
import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'

const ROUNDS_MAX = 400
const INVOCATION_MS = 1_000
const RESERVE_MS = 100

interface LogRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
}

type Fate = 'open' | 'handled' | 'skipped' | 'dead'

interface Tracked extends LogRecord {
  /** What handlers made of it. */
  fate: Fate
  /** Whether the caller takes it for done. */
  isDone: boolean
  attempts: number
  /** A handler was done with it when the answer had left already: nobody knows. */
  isLate: boolean
}

interface World {
  readonly random: SeededRandom
  readonly clock: VirtualClock
  readonly format: 'json' | 'esm'
  readonly options: KafkaBatchOptions & { order: 'partition' | 'key' | 'none'; concurrency: number; batch: boolean }
  readonly guard: BatchGuard | undefined
  /** By `topic-partition`. */
  readonly log: ReadonlyMap<string, readonly Tracked[]>
  readonly running: Map<string, KafkaRecord>
  runningCalls: number
  isQuiet: boolean
  /** A handler that throws is only tried again, so what must not be is kept here. */
  violation: unknown
}

function between(random: SeededRandom, from: number, to: number): number {
  return from + randomInt(random, to - from + 1)
}

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  const item = list[between(random, 0, list.length - 1)]
  assert.ok(item !== undefined)
  return item
}

function worldOf(seed: number): World {
  const random = new SeededRandom(seed)
  const clock = new VirtualClock()
  const format = pick(random, ['json', 'esm'] as const)
  const order = pick(random, ['partition', 'key', 'none'] as const)
  const isBatch = pick(random, [false, false, true])
  const log = new Map<string, Tracked[]>()
  const partitionCount = format === 'json' ? 1 : between(random, 1, 3)
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const records: Tracked[] = []
    let offset = between(random, 0, 5)
    for (let count = between(random, 1, 12); count > 0; count -= 1) {
      const key = pick(random, ['a', 'b', 'c', '', null])
      records.push({ topic: 'a-1', partition, offset, key, fate: 'open', isDone: false, attempts: 0, isLate: false })
      offset += pick(random, [1, 1, 1, 3])
    }
    log.set(`a-1-${partition}`, records)
  }
  const guard = pick(random, [false, true])
    ? createBatchGuard({ store: { type: 'memory' }, namespace: 'test' }, { clock, random })
    : undefined
  const concurrency = between(random, 1, 4)
  const isAside = pick(random, [false, true])
  const options = {
    order,
    concurrency,
    batch: isBatch,
    ...(isBatch && pick(random, [false, true]) ? { recordsMax: between(random, 1, 4) } : {}),
    ...(isAside ? { deadLetter: () => undefined } : {}),
    ...(guard === undefined ? {} : { guard }),
    reserveMs: RESERVE_MS,
    logger: { warn: () => undefined },
    clock
  }
  return {
    random,
    clock,
    format,
    options,
    guard,
    log,
    running: new Map(),
    runningCalls: 0,
    isQuiet: false,
    violation: undefined
  }
}

function trackedOf(world: World, record: KafkaRecord): Tracked {
  const found = world.log.get(`${record.topic}-${record.partition}`)?.find(each => each.offset === record.offset)
  assert.ok(found, `${record.id} was not sent`)
  return found
}

function scopeOf(world: World, record: LogRecord): string {
  const { order } = world.options
  if (order === 'none') return `${record.partition}:${record.offset}`
  if (order === 'partition') return String(record.partition)
  return record.key === null ? `${record.partition}:${record.offset}` : `${record.partition}/${record.key}`
}

function begin(world: World, records: readonly KafkaRecord[]): void {
  world.runningCalls += 1
  try {
    checkBegin(world, records)
  } catch (error) {
    world.violation ??= error
  }
}

/** What must be true when a handler is called. */
function checkBegin(world: World, records: readonly KafkaRecord[]): void {
  assert.ok(world.runningCalls <= world.options.concurrency, 'too many calls at a time')
  const inCall = new Set(records.map(record => record.offset))
  for (const record of records) {
    const tracked = trackedOf(world, record)
    tracked.attempts += 1
    assert.equal(record.key?.text() ?? null, tracked.key)
    assert.ok(!tracked.isDone, `${record.id} is done and was handled again`)
    if (world.guard !== undefined && !tracked.isLate)
      assert.notEqual(tracked.fate, 'handled', `${record.id} is known to the guard`)
    const scope = scopeOf(world, tracked)
    const before = (world.log.get(`a-1-${tracked.partition}`) ?? []).filter(
      each => each.offset < tracked.offset && scopeOf(world, each) === scope
    )
    for (const earlier of before) {
      assert.ok(
        earlier.fate !== 'open' || inCall.has(earlier.offset),
        `${record.id} was begun before offset ${earlier.offset} was done`
      )
    }
    if (!world.options.batch) {
      assert.ok(!world.running.has(scope), `two records of ${scope} at a time`)
      world.running.set(scope, record)
    }
  }
}

function end(world: World, records: readonly KafkaRecord[]): void {
  world.runningCalls -= 1
  for (const record of records) world.running.delete(scopeOf(world, trackedOf(world, record)))
}

/** What the handler of one record does. `undefined`: it is done. */
function errorFor(world: World): unknown {
  if (world.isQuiet) return undefined
  const word = between(world.random, 0, 19)
  if (word === 0) return new Error('broken')
  if (word === 1) return new RetryRecord('locked', { retryAfterMs: 50, unavailable: word % 2 === 0 })
  if (word === 2) return new DeadLetterRecord('bad')
  if (word === 3) return new SkipRecord('not for us')
  return word === 4 ? 'a text' : undefined
}

function settle(world: World, record: KafkaRecord, error: unknown): void {
  const tracked = trackedOf(world, record)
  if (error === undefined) tracked.fate = 'handled'
  else if (error instanceof SkipRecord) tracked.fate = 'skipped'
  else if (error instanceof DeadLetterRecord) {
    // In AWS's event it is only put aside by the option.
    if (world.format === 'json' || world.options.deadLetter !== undefined) tracked.fate = 'dead'
  }
}

async function work(world: World, signal: AbortSignal): Promise<void> {
  for (let turns = between(world.random, 0, 3); turns > 0; turns -= 1) await nextTurn()
  if (world.isQuiet || between(world.random, 0, 40) > 0) return
  // Hangs until time is up.
  const isOfNoUse = between(world.random, 0, 1) === 0
  await new Promise<void>((resolve, reject) => {
    const giveUp = (): void => (isOfNoUse ? reject(new Error('gave up')) : resolve())
    signal.addEventListener('abort', giveUp, { once: true })
  })
}

function functionOf(
  world: World
): (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<unknown> {
  const { batch, ...options } = world.options
  if (!batch) {
    return kafkaBatch(async (record, _context, { signal }) => {
      begin(world, [record])
      try {
        await work(world, signal)
        if (signal.aborted) trackedOf(world, record).isLate = true
        const error = errorFor(world)
        settle(world, record, error)
        if (error !== undefined) throw error
      } finally {
        end(world, [record])
      }
    }, options)
  }
  const handler = async (records: readonly KafkaRecord[], _context: unknown, { signal }: { signal: AbortSignal }) => {
    begin(world, records)
    try {
      await work(world, signal)
      if (signal.aborted) for (const record of records) trackedOf(world, record).isLate = true
      if (!world.isQuiet && between(world.random, 0, 9) === 0) throw new Error('the whole list')
      const failed = records
        .map(record => ({ record, error: errorFor(world) }))
        .filter(each => each.error !== undefined)
      // What comes behind a record that must come again is done for the handler, and comes again all the same.
      const blocked = new Set<string>()
      for (const record of records) {
        const error = failed.find(each => each.record === record)?.error
        const scope = scopeOf(world, trackedOf(world, record))
        if (!blocked.has(scope)) settle(world, record, error)
        if (trackedOf(world, record).fate === 'open') blocked.add(scope)
      }
      return failed
    } finally {
      end(world, records)
    }
  }
  return kafkaBatch(handler, { ...options, batch: true })
}

function eventOf(world: World, due: ReadonlyMap<string, readonly Tracked[]>): unknown {
  if (world.format === 'json') {
    const records = [...due.values()].flat()
    return {
      topic: 'a-1',
      partition: 0,
      messages: records.map(each => ({ n: each.offset })),
      offsets: records.map(each => each.offset),
      keys: records.map(each => each.key)
    }
  }
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const lists = [...due].map(([name, records]) => [
    name,
    records.map(({ topic, partition, offset, key }) => ({
      topic,
      partition,
      offset,
      timestamp: 1,
      timestampType: 'CREATE_TIME',
      ...(key === null ? {} : { key: base64(key) }),
      value: base64('{}'),
      headers: []
    }))
  ])
  return { eventSource: 'SelfManagedKafka', bootstrapServers: 'b:9092', records: Object.fromEntries(lists) }
}

/** What the caller takes for done by an answer; each must be done indeed. */
function readAnswer(world: World, due: ReadonlyMap<string, readonly Tracked[]>, answer: unknown): void {
  const again = new Set<Tracked>()
  if (world.format === 'json') {
    const { failures = [] } = answer as ComportaResponse
    for (const { offset, action } of failures) {
      const tracked = due.get('a-1-0')?.find(each => each.offset === offset)
      assert.ok(tracked)
      if (action === 'retry') again.add(tracked)
      else assert.equal(tracked.fate, action === 'skip' ? 'skipped' : 'dead')
    }
  } else {
    for (const { itemIdentifier } of (answer as KafkaBatchResponse).batchItemFailures) {
      const list = due.get(itemIdentifier.partition)
      assert.ok(
        list?.some(each => each.offset === itemIdentifier.offset),
        'an identifier that is not in the event'
      )
      for (const each of list ?? []) if (each.offset >= itemIdentifier.offset) again.add(each)
    }
  }
  for (const tracked of [...due.values()].flat()) {
    if (again.has(tracked)) continue
    assert.notEqual(tracked.fate, 'open', `offset ${tracked.offset} counts as done and is not`)
    tracked.isDone = true
  }
  // AWS's own attempts are at an end at some time: the record goes to the on-failure destination.
  if (world.format === 'json' || world.options.deadLetter !== undefined) return
  for (const list of due.values()) {
    const head = list.find(each => !each.isDone)
    if (head !== undefined && head.attempts > 8) Object.assign(head, { isDone: true, fate: 'dead' })
  }
}

async function run(seed: number): Promise<void> {
  const world = worldOf(seed)
  const handle = functionOf(world)
  for (let round = 0; ; round += 1) {
    assert.ok(round < ROUNDS_MAX, 'it does not come to an end')
    world.isQuiet = round > ROUNDS_MAX / 2 || between(world.random, 0, 3) === 0
    const due = new Map([...world.log].map(([name, list]) => [name, list.filter(each => !each.isDone)]))
    for (const [name, list] of due) if (list.length === 0) due.delete(name)
    if (due.size === 0) return
    const deadlineMs = world.clock.now() + INVOCATION_MS
    const context = { getRemainingTimeInMillis: () => deadlineMs - world.clock.now() }
    let answer: { readonly value: unknown } | undefined
    const answered = handle(eventOf(world, due), context).then(value => {
      answer = { value }
    })
    for (let turn = 0; answer === undefined && turn < 2_000; turn += 1) {
      await nextTurn()
      // Slowly, so that what only needs turns is done long before time is up.
      if (turn > 60) await world.clock.advance(20)
    }
    await answered
    if (world.violation !== undefined) throw world.violation
    assert.ok(context.getRemainingTimeInMillis() > 0, 'the answer came after the end of the invocation')
    readAnswer(world, due, answer?.value)
    if (world.isQuiet)
      for (const list of due.values())
        assert.ok(
          list.every(each => each.isDone),
          'not all was handled'
        )
    // What hung has given up by now.
    for (let turn = 0; world.runningCalls > 0 && turn < 50; turn += 1) await nextTurn()
    await world.clock.advance(INVOCATION_MS + 1_100)
  }
}

test('nothing counts as done that is not, in order, whatever handlers do and whoever calls', async t => {
  const given = process.env['TEST_SEED']
  const first = given === undefined ? 1 + Math.floor(Math.random() * 1e9) : Number(given)
  const count = given === undefined ? Number(process.env['SEEDS'] ?? 80) : 1
  t.diagnostic(`TEST_SEED=${first} and the ${count - 1} after it`)
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      await run(seed)
    } catch (error) {
      throw new Error(`TEST_SEED=${seed}`, { cause: error })
    }
  }
})

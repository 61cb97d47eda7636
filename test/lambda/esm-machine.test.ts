/** The state machine of event source mappings: batching, retries, bisection, destinations, what may be committed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, randomInt, SeededRandom } from '../../src/core/index.ts'
import { type EsmRecord, EventWriter } from '../../src/lambda/esm/event-text.ts'
import { type Action, type InvokeOutcome, MappingMachine, type MachineOptions } from '../../src/lambda/esm/machine.ts'

const writer = new EventWriter({ topic: 't', eventSourceArn: undefined, bootstrapServers: 'b:1' })
const response = { statusCode: 200, executedVersion: '$LATEST', functionError: null }
const failed: InvokeOutcome = { kind: 'failed', response: { ...response, functionError: 'Unhandled' } }
const ok: InvokeOutcome = { kind: 'ok', response }
const noJitter: Random = { next: () => 0.5 }

function machineWith(options: Partial<MachineOptions> = {}): MappingMachine {
  return new MappingMachine({
    writer,
    batchSize: 100,
    windowMs: 500,
    eventBytesMax: 6_291_456,
    pollersMin: 1,
    pollersMax: 2000,
    invocationsPerPoller: 5,
    retriesMax: Number.POSITIVE_INFINITY,
    recordAgeMaxMs: Number.POSITIVE_INFINITY,
    isBisected: false,
    hasDestination: false,
    backoff: { initialMs: 1000, maxMs: 60_000 },
    random: noJitter,
    ...options
  })
}

interface RecordOptions {
  readonly bytes?: number
  readonly arrivedMs?: number
  readonly timestampMs?: number
}

function records(partition: number, offsets: readonly number[], options: RecordOptions = {}): EsmRecord[] {
  const { bytes = 10, arrivedMs = 0, timestampMs = 0 } = options
  return offsets.map(offset => ({ partition, offset, timestampMs, text: 'x'.repeat(bytes), bytes, arrivedMs }))
}

const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, index) => first + index)
const named = (action: Action | undefined): string[] =>
  (action?.records ?? []).map(({ partition, offset }) => `${partition}/${offset}`)

function only(actions: readonly Action[]): Action {
  assert.equal(actions.length, 1)
  return actions[0] as Action
}

test('a batch is closed by the number of records, and holds whole runs of several partitions', () => {
  const machine = machineWith({ batchSize: 5 })
  machine.assign(0, 0)
  machine.assign(1, 0)
  machine.add(0, records(0, from(0, 3)), 3)
  assert.deepEqual(machine.next(0, 0), [])
  machine.add(1, records(1, from(7, 3)), 10)
  assert.deepEqual(named(only(machine.next(0, 0))), ['0/0', '0/1', '0/2', '1/7', '1/8'])
})

test('a batch is closed once its oldest record has waited for the window', () => {
  const machine = machineWith({ windowMs: 500 })
  machine.assign(0, 0)
  machine.add(0, records(0, [4], { arrivedMs: 100 }), 5)
  assert.equal(machine.wakeAtMs(), 600)
  assert.deepEqual(machine.next(599, 0), [])
  assert.deepEqual(named(only(machine.next(600, 0))), ['0/4'])
})

test('an event never passes its limit of bytes, counted as it is encoded', () => {
  // {"eventSource":"SelfManagedKafka","bootstrapServers":"b:1","records":{"t-0":[…]}} is 80 bytes without records.
  const machine = machineWith({ eventBytesMax: 80 + 3 * 100 + 2, windowMs: 0 })
  machine.assign(0, 0)
  machine.add(0, records(0, from(0, 4), { bytes: 100 }), 4)
  const action = only(machine.next(0, 0))
  assert.equal(Buffer.byteLength(writer.write(action.records)), 382)
  assert.deepEqual(named(action), ['0/0', '0/1', '0/2'])
})

test('a partition takes part in one invocation at a time', () => {
  const machine = machineWith({ batchSize: 2 })
  machine.assign(0, 0)
  machine.add(0, records(0, from(0, 6)), 6)
  const first = only(machine.next(0, 0))
  assert.deepEqual(machine.next(0, 0), [])
  machine.settle(first.id, ok, 0)
  assert.equal(machine.committable(0), 2)
  assert.deepEqual(named(only(machine.next(0, 0))), ['0/2', '0/3'])
})

test('a poller has at most five invocations at once, two pollers ten', () => {
  for (const [pollersMin, invocations] of [
    [1, 5],
    [2, 10]
  ] as const) {
    const machine = machineWith({ batchSize: 1, pollersMin })
    for (let partition = 0; partition < 12; partition += 1) {
      machine.assign(partition, 0)
      machine.add(partition, records(partition, [0]), 1)
    }
    assert.equal(machine.next(0, 0).length, invocations)
  }
})

test('a batch whose function failed comes again as it was, after a wait that grows', () => {
  const machine = machineWith()
  machine.assign(0, 0)
  machine.add(0, records(0, from(0, 3)), 3)
  const first = only(machine.next(500, 0))
  machine.settle(first.id, failed, 1000)
  assert.equal(machine.wakeAtMs(), 2000)
  assert.deepEqual(machine.next(1999, 0), [])
  const second = only(machine.next(2000, 0))
  assert.deepEqual(named(second), named(first))
  machine.settle(second.id, failed, 3000)
  assert.equal(machine.wakeAtMs(), 5000)
  assert.equal(machine.committable(0), 0)
})

test('throttles cost no retry, and wait as long as they ask for', () => {
  const machine = machineWith({ retriesMax: 0, hasDestination: true })
  machine.assign(0, 0)
  machine.add(0, records(0, [0]), 1)
  let now = 500
  for (let round = 0; round < 20; round += 1) {
    const action = only(machine.next(now, 0))
    assert.equal(action.kind, 'invoke')
    machine.settle(action.id, { kind: 'notInvoked', isThrottled: true, retryAfterMs: 90_000 }, now)
    now += 90_000
    assert.equal(machine.wakeAtMs(), now)
  }
})

test('without retries left a batch goes to the destination, and is committed once that has it', () => {
  const machine = machineWith({ retriesMax: 1, hasDestination: true })
  machine.assign(0, 0)
  machine.add(0, records(0, from(5, 2)), 7)
  machine.settle(only(machine.next(500, 0)).id, failed, 500)
  machine.settle(only(machine.next(1500, 0)).id, failed, 1500)
  const send = only(machine.next(1500, 0))
  assert.equal(send.kind, 'send')
  assert.equal(send.condition, 'RetryAttemptsExhausted')
  assert.equal(send.invocations, 2)
  assert.equal(send.response?.functionError, 'Unhandled')
  machine.sent(send.id, false, 1500)
  assert.equal(machine.committable(0), 5)
  const again = only(machine.next(2500, 0))
  machine.sent(again.id, true, 2500)
  assert.equal(machine.committable(0), 7)
})

test('without a destination it is dropped', () => {
  const machine = machineWith({ retriesMax: 0 })
  machine.assign(0, 0)
  machine.add(0, records(0, from(5, 2)), 7)
  machine.settle(only(machine.next(500, 0)).id, failed, 500)
  assert.equal(only(machine.next(500, 0)).kind, 'drop')
  assert.equal(machine.committable(0), 7)
})

test('bisection finds the bad record, costs no retry, and keeps the order', () => {
  const machine = machineWith({ retriesMax: 0, isBisected: true, hasDestination: true })
  machine.assign(0, 0)
  machine.add(0, records(0, from(0, 8)), 8)
  const log: string[] = []
  for (let now = 500; now < 600; now += 1) {
    for (const action of machine.next(now, 0)) {
      const offsets = action.records.map(each => each.offset)
      log.push(`${action.kind} ${offsets.join('')}`)
      if (action.kind === 'send') machine.sent(action.id, true, now)
      else machine.settle(action.id, offsets.includes(5) ? failed : ok, now)
    }
  }
  assert.deepEqual(log, [
    'invoke 01234567',
    'invoke 0123',
    'invoke 4567',
    'invoke 45',
    'invoke 4',
    'invoke 5',
    'send 5',
    'invoke 67'
  ])
  assert.equal(machine.committable(0), 8)
})

test('a partial answer commits what is done and frees its partitions', () => {
  const machine = machineWith({ windowMs: 0 })
  machine.assign(0, 0)
  machine.assign(1, 0)
  machine.add(0, records(0, from(0, 4)), 4)
  machine.add(1, records(1, from(0, 4)), 4)
  const first = only(machine.next(0, 0))
  machine.settle(first.id, { kind: 'ok', response, resumeAt: new Map([[1, 2]]) }, 0)
  assert.equal(machine.committable(0), 4)
  assert.equal(machine.committable(1), 2)
  machine.add(0, records(0, [4]), 5)
  assert.deepEqual(named(only(machine.next(0, 0))), ['0/4'])
  assert.deepEqual(named(only(machine.next(1000, 0))), ['1/2', '1/3'])
})

test('records that are too old are set aside before they are sent, the others go', () => {
  const machine = machineWith({ recordAgeMaxMs: 60_000, hasDestination: true, windowMs: 0 })
  machine.assign(0, 0)
  machine.add(0, [...records(0, [0], { timestampMs: 1000 }), ...records(0, [1], { timestampMs: 90_000 })], 2)
  const send = only(machine.next(0, 100_000))
  assert.deepEqual(
    [send.kind, send.condition, send.invocations, named(send)],
    ['send', 'RecordAgeExceeded', 0, ['0/0']]
  )
  machine.sent(send.id, true, 0)
  assert.deepEqual(named(only(machine.next(0, 100_000))), ['0/1'])
})

test('a record that is too large alone goes alone to the destination, without an invocation', () => {
  const machine = machineWith({ eventBytesMax: 500, windowMs: 0, hasDestination: true })
  machine.assign(0, 0)
  machine.add(0, [...records(0, [0]), ...records(0, [1], { bytes: 600 }), ...records(0, [2])], 3)
  machine.settle(only(machine.next(0, 0)).id, ok, 0)
  const send = only(machine.next(0, 0))
  assert.deepEqual([send.kind, send.condition, named(send)], ['send', 'MaximumPayloadSizeExceeded', ['0/1']])
  assert.equal(send.response, null)
})

test('a partition that is given back during an invocation is committed as far as that came', () => {
  const machine = machineWith({ windowMs: 0, batchSize: 4 })
  machine.assign(0, 0)
  machine.add(0, records(0, from(0, 6)), 6)
  const action = only(machine.next(0, 0))
  machine.close([0])
  assert.equal(machine.isBusy(0), true)
  machine.settle(action.id, { kind: 'ok', response, resumeAt: new Map([[0, 3]]) }, 0)
  assert.equal(machine.isBusy(0), false)
  assert.equal(machine.committable(0), 3)
  assert.deepEqual(machine.next(100_000, 0), [])
})

test('a partition that is lost takes no part in the retry of the batch it was in', () => {
  const machine = machineWith({ windowMs: 0 })
  machine.assign(0, 0)
  machine.assign(1, 0)
  machine.add(0, records(0, [0]), 1)
  machine.add(1, records(1, [0]), 1)
  const action = only(machine.next(0, 0))
  machine.remove(0)
  machine.settle(action.id, failed, 0)
  assert.deepEqual(named(only(machine.next(1000, 0))), ['1/0'])
})

test('pollers double while lag grows, go back when there is none, and are halved by throttles on demand only', () => {
  const machine = machineWith({ windowMs: 0 })
  for (let partition = 0; partition < 6; partition += 1) machine.assign(partition, 0)
  const pollers = (): number => machine.counts().pollers
  machine.scale(1000, false)
  assert.equal(pollers(), 2)
  machine.scale(2000, false)
  machine.scale(3000, false)
  assert.equal(pollers(), 6) // as many as partitions, not 8
  machine.add(0, records(0, [0]), 1)
  machine.settle(only(machine.next(0, 0)).id, { kind: 'notInvoked', isThrottled: true }, 0)
  machine.scale(4000, false)
  assert.equal(pollers(), 3)
  machine.scale(0, false)
  assert.equal(pollers(), 2)
})

/** One run with everything at random; checks what must hold at every step and in the end. */
class World {
  readonly random: Random
  readonly machine: MappingMachine
  readonly options: MachineOptions
  readonly produced = new Map<number, number>()
  readonly ended = new Map<string, string>()
  readonly lastDone = new Map<number, number>()
  readonly committed = new Map<number, number>()
  readonly open = new Map<number, Action>()
  readonly invocations = new Map<string, number>()
  now = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const pick = <T>(...values: readonly T[]): T => values[randomInt(this.random, values.length)] as T
    this.options = {
      writer,
      batchSize: pick(1, 3, 10, 100),
      windowMs: pick(0, 500, 1000),
      eventBytesMax: pick(300, 2000, 100_000),
      pollersMin: pick(1, 2, 5),
      pollersMax: pick(5, 200),
      invocationsPerPoller: 5,
      retriesMax: pick(0, 1, 4, Number.POSITIVE_INFINITY),
      recordAgeMaxMs: pick(Number.POSITIVE_INFINITY, 5000),
      isBisected: pick(true, false),
      hasDestination: pick(true, false),
      backoff: { initialMs: 10, maxMs: 1000 },
      random: this.random
    }
    this.machine = new MappingMachine(this.options)
    for (let partition = 0; partition < pick(1, 3, 8); partition += 1) {
      this.machine.assign(partition, 0)
      this.produced.set(partition, 0)
      this.committed.set(partition, 0)
    }
  }

  produce(): void {
    for (const [partition, next] of this.produced) {
      const count = randomInt(this.random, 6)
      const added: EsmRecord[] = []
      let offset = next
      for (let index = 0; index < count; index += 1) {
        offset += 1 + (this.random.next() < 0.1 ? 3 : 0) // gaps of filtered and compacted records
        const bytes = this.random.next() < 0.02 ? 400 : 10 + randomInt(this.random, 60)
        added.push(...records(partition, [offset], { bytes, arrivedMs: this.now, timestampMs: this.now }))
      }
      this.produced.set(partition, offset + 1)
      this.machine.add(partition, added, offset + 1)
    }
  }

  act(isCalm: boolean): void {
    for (const action of this.machine.next(this.now, this.now)) {
      if (action.kind === 'drop') this.end(action, 'dropped')
      else this.open.set(action.id, action)
      if (action.kind === 'invoke') this.checkInvocation(action)
    }
    for (const [id, action] of this.open) {
      if (!isCalm && this.random.next() < 0.5) continue
      this.open.delete(id)
      if (action.kind === 'send') {
        const isTaken = isCalm || this.random.next() < 0.7
        if (isTaken) this.end(action, 'sent')
        this.machine.sent(id, isTaken, this.now)
      } else this.answer(action, isCalm)
    }
    this.checkCommits()
  }

  checkInvocation(action: Action): void {
    const { batchSize, eventBytesMax } = this.options
    assert.ok(action.records.length >= 1 && action.records.length <= batchSize)
    const bytes = Buffer.byteLength(writer.write(action.records))
    assert.equal(bytes, writer.bytesOf(action.records))
    assert.ok(bytes <= eventBytesMax)
    const partitions = new Set(action.records.map(each => each.partition))
    for (const other of this.open.values()) {
      if (other.id !== action.id) assert.ok(!other.records.some(each => partitions.has(each.partition)))
    }
    for (const record of action.records) {
      const name = `${record.partition}/${record.offset}`
      assert.equal(this.ended.get(name), undefined, `${name} comes again although it has ended`)
      this.invocations.set(name, (this.invocations.get(name) ?? 0) + 1)
    }
    const runs = action.records.filter((each, index) => each.partition !== action.records[index - 1]?.partition)
    assert.equal(runs.length, partitions.size, 'records of one partition stand together')
  }

  answer(action: Action, isCalm: boolean): void {
    const dice = isCalm ? 1 : this.random.next()
    if (dice < 0.25) return this.machine.settle(action.id, failed, this.now)
    if (dice < 0.4) return this.machine.settle(action.id, { kind: 'notInvoked', isThrottled: true }, this.now)
    if (dice < 0.6) {
      const at = action.records[randomInt(this.random, action.records.length)] as EsmRecord
      const resumeAt = new Map([[at.partition, at.offset]])
      const done = action.records.filter(each => each.partition !== at.partition || each.offset < at.offset)
      this.end({ ...action, records: done }, 'done')
      return this.machine.settle(action.id, { kind: 'ok', response, resumeAt }, this.now)
    }
    this.end(action, 'done')
    return this.machine.settle(action.id, ok, this.now)
  }

  end(action: Action, how: string): void {
    for (const { partition, offset } of action.records) {
      assert.equal(this.ended.get(`${partition}/${offset}`), undefined)
      this.ended.set(`${partition}/${offset}`, how)
      if (how !== 'done') continue
      // Only what was given up for its age may be overtaken: order of processing is that of the log.
      assert.ok(offset > (this.lastDone.get(partition) ?? -1))
      this.lastDone.set(partition, offset)
    }
  }

  checkCommits(): void {
    for (const [partition, before] of this.committed) {
      const offset = this.machine.committable(partition)
      assert.ok(offset >= before, 'a committed offset moves back')
      this.committed.set(partition, offset)
      for (const name of this.invocations.keys()) {
        const [at, recordOffset] = name.split('/').map(Number)
        if (at === partition && (recordOffset ?? 0) < offset) assert.notEqual(this.ended.get(name), undefined)
      }
    }
  }
}

test('whatever happens, nothing is lost, order holds, and limits are kept', () => {
  const seeds = Number(process.env['SEEDS'] ?? 40)
  const first = Number(process.env['TEST_SEED'] ?? 1)
  for (let seed = first; seed < first + seeds; seed += 1) {
    try {
      const world = new World(seed)
      for (let step = 0; step < 40; step += 1) {
        if (step < 25) world.produce()
        world.now += randomInt(world.random, 400)
        if (world.random.next() < 0.1) world.machine.scale(randomInt(world.random, 500), world.random.next() < 0.5)
        world.act(false)
      }
      for (let step = 0; step < 3000 && (world.machine.wakeAtMs() !== undefined || world.open.size > 0); step += 1) {
        world.now = Math.max(world.now + 1, world.machine.wakeAtMs() ?? 0)
        world.act(true)
      }
      world.act(true)
      for (const [partition, end] of world.produced) assert.equal(world.machine.committable(partition), end)
      for (const name of world.invocations.keys()) assert.notEqual(world.ended.get(name), undefined)
    } catch (error) {
      throw new Error(`TEST_SEED=${seed}`, { cause: error })
    }
  }
})

/**
 * Delivery under random failures of any kind of sink: order, completeness and honesty of the answers.
 *
 * `TEST_SEED=<n>` runs one seed again.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type Random, randomInt, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { MemoryStore } from '../../src/lambda/idempotency/memory-store.ts'
import type { Distributor, DistributorOptions, DistributorResponse, ComportaFailure } from '../../src/lambda/index.ts'
import type { RecordSink, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from '../../src/targets/sinks/index.ts'
import { distributorFor } from './support.ts'

const CODES = [1, 2, 3, 4]

interface Message {
  readonly codigo: number
  readonly size: string
  readonly isPoison: boolean
}

interface Sent {
  readonly offset: number
  readonly key: string | null
  readonly message: Message
}

interface World {
  readonly random: Random
  readonly order: 'partition' | 'key'
  isCalm: boolean
}

/** A sink with moods that keeps what it has taken, in order, and checks what it is sent. */
class MoodySink implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly taken: number[] = []
  /** Taken in a request whose answer was lost: these may come again. */
  readonly ambiguous = new Set<number>()
  readonly refused = new Set<number>()
  readonly #world: World
  #isBusy = false

  constructor(name: string, limits: SinkLimits, world: World) {
    this.name = name
    this.limits = limits
    this.#world = world
  }

  async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    assert.equal(this.#isBusy, false, 'requests of one partition come one after the other')
    this.#isBusy = true
    try {
      this.#check(request)
      // Not at once: whatever else is under way goes on.
      await new Promise(resolve => setImmediate(resolve))
      return await this.#answer(request, signal)
    } finally {
      this.#isBusy = false
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #check(request: SinkRequest): void {
    const { recordsMax, bytesMax, recordBytesMax = Number.POSITIVE_INFINITY, isKeyOncePerRequest } = this.limits
    const sizes = request.texts.map(text => Buffer.byteLength(text))
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    assert.ok(request.offsets.length <= recordsMax && (request.offsets.length === 1 || bytes <= bytesMax))
    assert.ok(sizes.every(size => size <= recordBytesMax))
    assert.deepEqual(
      request.recordIds,
      request.offsets.map(offset => `t-0-${offset}`)
    )
    const keys = (request.keys ?? []).filter(key => key !== null)
    if (isKeyOncePerRequest === true) assert.equal(new Set(keys).size, keys.length, 'a key at most once')
  }

  async #answer(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const { random, isCalm } = this.#world
    const poison = request.texts.some(text => text.includes('"isPoison":true'))
    if (poison) return { kind: 'rejected', reason: 'poison' }
    const mood = isCalm ? 9 : randomInt(random, 12)
    switch (mood) {
      case 0:
        return { kind: 'unavailable', reason: 'down' }
      case 1:
        return { kind: 'unavailable', reason: 'throttled', retryAfterMs: randomInt(random, 3_000) }
      case 2:
        this.#take(request.offsets, true)
        return { kind: 'unavailable', reason: 'cut', isSuspect: true }
      case 3:
        this.#take(request.offsets, true)
        throw new Error('a sink that rejects although it must not')
      case 4:
        if (randomInt(random, 2) === 0) this.#take(request.offsets, true)
        await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
        return { kind: 'unavailable', reason: String(signal.reason), isSuspect: true }
      case 5:
      case 6:
        return this.#failSome(request)
      default:
        this.#take(request.offsets, false)
        return { kind: 'ok' }
    }
  }

  /** Fails some records; does nothing for the later ones of their scope, unless it keeps no order. */
  #failSome(request: SinkRequest): SinkOutcome {
    const { random, order } = this.#world
    const failures = new Map<number, SinkFailure>()
    const blocked = new Set<string>()
    let isStopped = false
    for (const [index, offset] of request.offsets.entries()) {
      const key = request.keys?.[index] ?? null
      const isWaiting = isStopped || (key !== null && blocked.has(key))
      const chance = randomInt(random, 4)
      if (isWaiting && this.limits.isUnordered !== true) continue
      if (chance > 0) this.#take([offset], false)
      else if (randomInt(random, 5) === 0) {
        this.refused.add(offset)
        failures.set(index, { action: 'deadLetter', reason: 'refused' })
      } else {
        failures.set(index, { action: 'retry', reason: 'not now' })
        if (order === 'partition') isStopped = true
        else if (key !== null) blocked.add(key)
      }
    }
    return failures.size === 0 ? { kind: 'ok' } : { kind: 'partial', failures }
  }

  #take(offsets: readonly number[], isLost: boolean): void {
    this.taken.push(...offsets)
    for (const offset of offsets) if (isLost) this.ambiguous.add(offset)
  }
}

function randomLimits(random: Random): SinkLimits {
  return {
    recordsMax: 1 + randomInt(random, 12),
    bytesMax: 100 + randomInt(random, 400),
    ...(randomInt(random, 3) === 0 ? { recordBytesMax: 150 } : {}),
    ...(randomInt(random, 3) === 0 ? { isKeyOncePerRequest: true } : {}),
    ...(randomInt(random, 4) === 0 ? { isUnordered: true } : {})
  }
}

function randomBatch(random: Random, firstOffset: number): Sent[] {
  let offset = firstOffset
  return Array.from({ length: 1 + randomInt(random, 25) }, () => {
    offset += 1 + (randomInt(random, 8) === 0 ? randomInt(random, 5) : 0)
    const message = {
      codigo: CODES[randomInt(random, CODES.length)] ?? 1,
      size: 'x'.repeat(randomInt(random, 10) === 0 ? 120 : randomInt(random, 20)),
      isPoison: randomInt(random, 30) === 0
    }
    return { offset, key: randomInt(random, 6) === 0 ? null : `k${randomInt(random, 4)}`, message }
  })
}

type Format = 'json' | 'esm'

function eventOf(batch: readonly Sent[], format: Format): object {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  if (format === 'json') {
    return {
      topic: 't',
      partition: 0,
      messages: batch.map(each => each.message),
      offsets: batch.map(each => each.offset),
      keys: batch.map(each => each.key)
    }
  }
  const records = batch.map(({ offset, key, message }) => {
    const value = base64(JSON.stringify(message))
    return { topic: 't', partition: 0, offset, value, ...(key === null ? {} : { key: base64(key) }) }
  })
  return { eventSource: 'aws:kafka', records: { 't-0': records } }
}

async function invoke(distribute: Distributor, event: object, clock: VirtualClock): Promise<DistributorResponse> {
  const deadlineMs = clock.now() + 20_000
  let isDone = false
  const pending = distribute(event, { getRemainingTimeInMillis: () => deadlineMs - clock.now() }).finally(() => {
    isDone = true
  })
  while (!isDone) {
    // Requests first, then time: a pause must not pass while a sink is at work.
    for (let turn = 0; turn < 4 && !isDone; turn += 1) await new Promise(resolve => setImmediate(resolve))
    if (!isDone) await clock.advance(50)
  }
  return pending
}

interface Answered {
  readonly well: readonly Sent[]
  readonly dead: readonly Sent[]
  readonly again: readonly Sent[]
}

/** What the caller makes of an answer. */
function readAnswer(response: DistributorResponse, batch: readonly Sent[]): Answered {
  if ('batchItemFailures' in response) {
    const resume = response.batchItemFailures[0]?.itemIdentifier.offset ?? Number.POSITIVE_INFINITY
    assert.ok(resume === Number.POSITIVE_INFINITY || batch.some(each => each.offset === resume))
    const again = batch.filter(each => each.offset >= resume)
    return { well: batch.filter(each => each.offset < resume), dead: [], again }
  }
  const listed: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
  const actions = new Map(listed.map(each => [each.offset, each.action]))
  for (const offset of actions.keys()) assert.ok(batch.some(each => each.offset === offset))
  return {
    well: batch.filter(each => !actions.has(each.offset)),
    dead: batch.filter(each => actions.get(each.offset) === 'deadLetter'),
    again: batch.filter(each => actions.get(each.offset) === 'retry')
  }
}

const routesOf = (sinks: readonly MoodySink[]): { values: number[]; targets: string[] }[] =>
  CODES.map((code, index) => ({
    values: [code],
    targets: sinks.filter((_, at) => (code >> at) % 2 === 1 || at === index % sinks.length).map(each => each.name)
  }))

async function run(t: TestContext, seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const world: World = { random, order: randomInt(random, 3) === 0 ? 'partition' : 'key', isCalm: false }
  const sinks = ['red', 'green', 'blue'].map(name => new MoodySink(name, randomLimits(random), world))
  const clock = new VirtualClock()
  const routes = routesOf(sinks)
  const format = randomInt(random, 3) === 0 ? 'esm' : 'json'
  // Every invocation in a new environment over one store, or all in one environment with its own memory.
  const store = randomInt(random, 2) === 0 ? new MemoryStore({}) : undefined
  const options: DistributorOptions = {
    sinks: Object.fromEntries(sinks.map(each => [each.name, each])),
    routes,
    order: world.order,
    retry: { attemptsMax: 1 + randomInt(random, 4), backoffMs: 1 + randomInt(random, 200) },
    timeoutMs: 2_000,
    bisectRequestsMax: 2 + randomInt(random, 30),
    clock,
    random
  }
  const only = distributorFor(t, options)
  const environment = (): Distributor => {
    if (store === undefined) return only
    const guard = createBatchGuard({ store: { type: 'memory' } }, { store, clock, random })
    return distributorFor(t, { ...options, guard })
  }
  const all: Sent[] = []
  const dead = new Set<number>()
  for (let round = 0; round < 5; round += 1) {
    let left: readonly Sent[] = randomBatch(random, all.at(-1)?.offset ?? 0)
    all.push(...left)
    for (let attempt = 1; left.length > 0; attempt += 1) {
      world.isCalm = attempt > 15
      assert.ok(attempt < 80, 'the batch never settles')
      const answered = readAnswer(await invoke(environment(), eventOf(left, format), clock), left)
      for (const { offset, message } of answered.well) assertDelivered(offset, message, { sinks, routes })
      for (const { offset } of answered.dead) dead.add(offset)
      const isStuck = format === 'esm' && attempt > 20 && answered.again.length === left.length
      // AWS gives up the record that it cannot get past, and sends it to the mapping's destination.
      if (isStuck) dead.add(answered.again[0]?.offset ?? -1)
      left = isStuck ? answered.again.slice(1) : answered.again
    }
  }
  for (const sink of sinks) assertSink(sink, { all, dead, routes, order: world.order })
}

/** What the answer calls well was taken by every sink that it is routed to. */
function assertDelivered(
  offset: number,
  { codigo }: Message,
  { sinks, routes }: { sinks: readonly MoodySink[]; routes: ReturnType<typeof routesOf> }
): void {
  for (const sink of sinks) {
    if (routes.find(route => route.values.includes(codigo))?.targets.includes(sink.name) !== true) continue
    assert.ok(sink.taken.includes(offset), `${offset} is called well and ${sink.name} never took it`)
  }
}

interface Expected {
  readonly all: readonly Sent[]
  readonly dead: ReadonlySet<number>
  readonly routes: ReturnType<typeof routesOf>
  readonly order: World['order']
}

function assertSink(sink: MoodySink, { all, dead, routes, order }: Expected): void {
  const codes = routes.filter(route => route.targets.includes(sink.name)).flatMap(route => route.values)
  const { recordBytesMax = Number.POSITIVE_INFINITY } = sink.limits
  const isDue = ({ offset, message }: Sent): boolean =>
    codes.includes(message.codigo) &&
    !message.isPoison &&
    !sink.refused.has(offset) &&
    Buffer.byteLength(JSON.stringify(message)) <= recordBytesMax
  const due = all.filter(isDue).map(each => each.offset)
  const taken = new Set(sink.taken)
  assert.deepEqual(
    due.filter(offset => !taken.has(offset)),
    [],
    `${sink.name} is missing something`
  )
  const strange = [...taken].filter(offset => !due.includes(offset) && !sink.refused.has(offset))
  assert.deepEqual(strange, [], `${sink.name} got what was not for it`)
  for (const { offset, message } of all) {
    const isBad = message.isPoison || Buffer.byteLength(JSON.stringify(message)) > recordBytesMax
    if (isBad && codes.includes(message.codigo)) assert.ok(dead.has(offset), `${offset} was not dead-lettered`)
  }
  const again = sink.taken.filter((offset, index) => sink.taken.indexOf(offset) < index)
  assert.deepEqual(
    again.filter(offset => !sink.ambiguous.has(offset)),
    [],
    `${sink.name} got a record twice though its answer had arrived`
  )
  if (sink.limits.isUnordered === true) return
  const first = sink.taken.filter((offset, index) => sink.taken.indexOf(offset) === index)
  // One that was taken, and refused when it came again, has not come last.
  const isLast = (offset: number, index: number): boolean =>
    sink.taken.lastIndexOf(offset) === index && !sink.refused.has(offset)
  const last = sink.taken.filter(isLast)
  const keyOf = new Map(all.map(each => [each.offset, each.key]))
  for (const key of ['k0', 'k1', 'k2', 'k3']) {
    assertAscending(
      first.filter(offset => keyOf.get(offset) === key),
      `${sink.name}, ${key}, first deliveries`
    )
    assertAscending(
      last.filter(offset => keyOf.get(offset) === key),
      `${sink.name}, ${key}, last deliveries`
    )
  }
  if (order !== 'partition') return
  assertAscending(first, `${sink.name}, first deliveries`)
  assertAscending(last, `${sink.name}, last deliveries`)
}

function assertAscending(offsets: readonly number[], what: string): void {
  for (const [index, offset] of offsets.entries()) {
    assert.ok(index === 0 || (offsets[index - 1] ?? 0) < offset, `${what}: ${offset} after ${offsets[index - 1]}`)
  }
}

const given = process.env['TEST_SEED']
const count = Number(process.env['DISTRIBUTOR_SEEDS'] ?? 6)
const seeds =
  given === undefined ? Array.from({ length: count }, (_, index) => (Date.now() + index * 7919) >>> 0) : [Number(given)]

test('whatever sinks do: what is called well was delivered, in order, twice only if an answer was lost', async t => {
  for (const seed of seeds) {
    try {
      await run(t, seed)
    } catch (error) {
      t.diagnostic(`TEST_SEED=${seed}`)
      throw error
    }
  }
})

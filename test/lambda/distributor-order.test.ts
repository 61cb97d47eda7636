/**
 * Order and delivery under random failures: real services fail in every way
 * they can, a caller sends again what it is told to, and at the end every record
 * has arrived everywhere it belongs, in order.
 *
 * `TEST_SEED=<n>` runs one seed again.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type Random, randomInt, SeededRandom } from '../../src/core/index.ts'
import type { Distributor, ComportaFailure } from '../../src/lambda/index.ts'
import { type Answer, contextWith, distributorFor, type Received, startService } from './support.ts'

const SERVICES = ['red', 'green', 'blue']
const ROUTES = [
  { values: [1], targets: ['red'] },
  { values: [2], targets: ['green', 'blue'] },
  { values: [3], targets: ['red', 'green', 'blue'] }
]

interface Message {
  readonly codigo: number
  readonly key: string
  readonly isPoison: boolean
}

interface Sent {
  readonly message: Message
  readonly offset: number
}

/** What one service has done, as an idempotent service would keep it. */
interface Books {
  /** Offsets in the order in which they were first applied. */
  readonly applied: number[]
  /** Offsets applied in a request whose answer was lost: these may come again. */
  readonly ambiguous: Set<number>
  readonly again: number[]
}

interface World {
  readonly random: Random
  readonly order: 'partition' | 'key'
  isCalm: boolean
}

function apply(books: Books, offsets: readonly number[]): void {
  for (const offset of offsets) {
    if (books.applied.includes(offset)) books.again.push(offset)
    else books.applied.push(offset)
  }
}

/** A service with moods: well, down, cut off after its work, refusing poison, failing single records. */
function behave(world: World, books: Books, { body }: Received): Answer {
  const messages = body.messages as readonly Message[]
  if (messages.some(each => each.isPoison)) return { status: 422 }
  const mood = world.isCalm ? 9 : randomInt(world.random, 10)
  if (mood <= 1) return mood === 0 ? { status: 500 } : 'cut'
  if (mood <= 3) {
    apply(books, body.offsets)
    for (const offset of body.offsets) books.ambiguous.add(offset)
    return mood === 2 ? { status: 502 } : 'cut'
  }
  if (mood > 5) {
    apply(books, body.offsets)
    return {}
  }
  // It fails one record and, as it must, does nothing for what has to come after that one.
  const failed = randomInt(world.random, body.offsets.length)
  const isAfter = (index: number): boolean =>
    index >= failed && (world.order === 'partition' || messages[index]?.key === messages[failed]?.key)
  apply(
    books,
    body.offsets.filter((_, index) => !isAfter(index))
  )
  return { body: { failures: [{ offset: body.offsets[failed], action: 'retry', reason: 'not now' }] } }
}

/** Sends a batch until nothing is left to retry, as the dispatcher does. */
async function settle(distribute: Distributor, batch: readonly Sent[], world: World): Promise<number[]> {
  const dead: number[] = []
  let left = batch
  for (let attempt = 1; left.length > 0; attempt += 1) {
    world.isCalm = attempt > 25
    assert.ok(attempt < 40, 'the batch never settles')
    const event = {
      topic: 't',
      partition: 0,
      messages: left.map(each => each.message),
      offsets: left.map(each => each.offset),
      keys: left.map(each => each.message.key)
    }
    const response = await distribute(event, contextWith(60_000))
    const failures: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
    const actions = new Map(failures.map(each => [each.offset, each.action]))
    for (const offset of actions.keys())
      assert.ok(
        left.some(each => each.offset === offset),
        `${offset} was not sent`
      )
    dead.push(...left.filter(each => actions.get(each.offset) === 'deadLetter').map(each => each.offset))
    left = left.filter(each => actions.get(each.offset) === 'retry')
  }
  return dead
}

function randomBatch(random: Random): Message[] {
  return Array.from({ length: 1 + randomInt(random, 30) }, () => ({
    codigo: 1 + randomInt(random, 3),
    key: `k${randomInt(random, 4)}`,
    isPoison: randomInt(random, 25) === 0
  }))
}

function assertOrdered(offsets: readonly number[], what: string): void {
  for (const [index, offset] of offsets.entries()) {
    assert.ok(index === 0 || (offsets[index - 1] ?? 0) < offset, `${what}: ${offset} after ${offsets[index - 1]}`)
  }
}

async function run(t: TestContext, seed: number, order: 'partition' | 'key'): Promise<void> {
  const world: World = { random: new SeededRandom(seed), order, isCalm: false }
  const books = new Map<string, Books>(SERVICES.map(name => [name, { applied: [], ambiguous: new Set(), again: [] }]))
  const targets: Record<string, string> = {}
  for (const [name, own] of books) targets[name] = (await startService(t, seen => behave(world, own, seen))).url
  const recordsMax = 1 + randomInt(world.random, 12)
  const distribute = distributorFor(t, { targets, routes: ROUTES, order, recordsMax })

  const all = new Map<number, Message>()
  const dead = new Set<number>()
  for (let round = 0; round < 6; round += 1) {
    const batch = randomBatch(world.random)
    const firstOffset = all.size
    const sent = batch.map((message, index) => ({ message, offset: firstOffset + index }))
    for (const { message, offset } of sent) all.set(offset, message)
    for (const offset of await settle(distribute, sent, world)) dead.add(offset)
  }

  const poison = [...all].filter(([, message]) => message.isPoison).map(([offset]) => offset)
  assert.deepEqual(
    [...dead].toSorted((a, b) => a - b),
    poison,
    'exactly the poisonous records are dead-lettered'
  )
  for (const [name, own] of books) {
    const codes = ROUTES.filter(route => route.targets.includes(name)).flatMap(route => route.values)
    const due = [...all].filter(([, each]) => !each.isPoison && codes.includes(each.codigo)).map(([offset]) => offset)
    assert.deepEqual(
      own.applied.toSorted((a, b) => a - b),
      due,
      `${name} got what is routed to it`
    )
    if (order === 'partition') assertOrdered(own.applied, name)
    for (const key of new Set([...all.values()].map(each => each.key))) {
      assertOrdered(
        own.applied.filter(offset => all.get(offset)?.key === key),
        `${name}, ${key}`
      )
    }
    const unexplained = own.again.filter(offset => !own.ambiguous.has(offset))
    assert.deepEqual(unexplained, [], `${name} got a record twice though its answer had arrived`)
  }
}

const given = process.env['TEST_SEED']
const seeds =
  given === undefined ? Array.from({ length: 12 }, (_, index) => (Date.now() + index * 7919) >>> 0) : [Number(given)]

for (const order of ['partition', 'key'] as const) {
  test(`whatever services do, records arrive in order by ${order}, and twice only if an answer was lost`, async t => {
    for (const seed of seeds) {
      t.diagnostic(`TEST_SEED=${seed}`)
      await t.test(`seed ${seed}`, inner => run(inner, seed, order))
    }
  })
}

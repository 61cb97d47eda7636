import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { PipelineError, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import type { BatchGuard, GuardedBatch, GuardedPartition } from '../../../src/lambda/idempotency/batch-guard.ts'
import { createBatchGuard } from '../../../src/lambda/idempotency/create-guard.ts'
import { DynamoDbStore } from '../../../src/lambda/idempotency/dynamo-db-store.ts'
import { MemoryStore } from '../../../src/lambda/idempotency/memory-store.ts'
import type { IdempotencySettings } from '../../../src/lambda/idempotency/settings.ts'
import { type ClaimStore, storeError } from '../../../src/lambda/idempotency/store.ts'
import { runProcess } from '../../support/child-process.ts'
import { createClaimTable, startDynalite } from '../../support/dynalite.ts'

const TTL = 80_000

interface World {
  readonly clock: VirtualClock
  readonly store: ClaimStore
  readonly guard: (more?: Partial<IdempotencySettings> & { readonly clock?: VirtualClock }) => BatchGuard
}

function world(store: ClaimStore = new MemoryStore()): World {
  const clock = new VirtualClock()
  return {
    clock,
    store,
    guard: ({ clock: own = clock, ...more } = {}) =>
      createBatchGuard(
        { store: { type: 'memory' }, namespace: 'trips', ttlMs: TTL, ...more },
        { clock: own, store, random: new SeededRandom(1) }
      )
  }
}

function offsets(from: number, count: number, partition = 3): GuardedPartition {
  return {
    topic: 'mt-c300',
    partition,
    offsets: Array.from({ length: count }, (_, index) => from + index),
    ids: undefined
  }
}

function ids(...given: (string | null)[]): GuardedPartition {
  return { ...offsets(100, given.length), ids: given }
}

function states(batch: GuardedBatch, count: number, partition = 0): string {
  return Array.from({ length: count }, (_, index) => batch.state(partition, index)[0] ?? '').join('')
}

const allDone = (): { isDone: boolean; targetsDone: string[] } => ({ isDone: true, targetsDone: [] })
const noneDone = (): { isDone: boolean; targetsDone: string[] } => ({ isDone: false, targetsDone: [] })

for (const [name, batchOf] of [
  ['offset', (): GuardedPartition => offsets(4_090, 10)],
  ['business id', (): GuardedPartition => ids(...'abcdefghij'.split(''))]
] as const) {
  test(`by ${name}: what was done is done for every other environment, until the time to live is over`, async () => {
    const { clock, guard } = world()
    const first = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(states(first, 10), 'cccccccccc')
    await first.finish((_, index) => ({ isDone: index !== 4, targetsDone: index === 4 ? ['alerts'] : [] }))

    const second = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(states(second, 10), 'ddddcddddd')
    assert.deepEqual([...second.targetsDone(0, 4)], ['alerts'])
    assert.deepEqual([...second.targetsDone(0, 5)], [])
    await second.finish(allDone)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'dddddddddd')

    await clock.advance(TTL - 1)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'dddddddddd')
    // An eighth longer at most, and by id for the rest of the lease.
    await clock.advance(TTL / 8 + 31_001)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: while one is at a batch others are held, and free when its lease has ended`, async () => {
    const { clock, guard } = world()
    await guard({ graceMs: 1_000 }).begin([batchOf()], clock.now() + 30_000)
    const second = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(states(second, 10), 'hhhhhhhhhh')
    assert.equal(second.heldForMs(0, 0), 31_000)
    await second.finish(() => assert.fail('nothing of it is ours'))

    await clock.advance(30_999)
    const third = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(third.heldForMs(0, 9), 1)
    await clock.advance(1)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: what is given back is free at once`, async () => {
    const { clock, guard } = world()
    const first = await guard().begin([batchOf()], clock.now() + 900_000)
    await first.finish(noneDone)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: a late finisher whose records another has taken changes nothing and is told`, async () => {
    const { clock, guard } = world()
    const late = await guard().begin([batchOf()], clock.now() + 1_000)
    await clock.advance(2_000)
    const taker = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(states(taker, 10), 'cccccccccc')

    await assert.rejects(late.finish(allDone), error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_LEASE_LOST'))
      assert.deepEqual(error.fields, { count: 10 })
      return true
    })
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'hhhhhhhhhh')
    await taker.finish(noneDone)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: a late finisher whose records nobody has taken marks them all the same`, async () => {
    const { clock, guard } = world()
    const late = await guard().begin([batchOf()], clock.now() + 1_000)
    await clock.advance(5_000)
    await late.finish(allDone)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'dddddddddd')
  })

  test(`by ${name}: a claim of the same environment whose end was never stored is not waited for`, async () => {
    const { clock, store } = world()
    let isDown = false
    const failing: ClaimStore = {
      read: (...given) => store.read(...given),
      swap: async (...given) => (isDown ? Promise.reject(storeError('denied', 'revoked')) : store.swap(...given)),
      point: (...given) => store.point(...given),
      close: () => store.close()
    }
    const own = createBatchGuard({ store: { type: 'memory' }, namespace: 'trips' }, { clock, store: failing })
    const first = await own.begin([batchOf()], clock.now() + 900_000)
    isDown = true
    await assert.rejects(first.finish(allDone), error => PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
    isDown = false
    assert.equal(states(await own.begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: a clock that is days ahead holds records for one lease, not for days`, async () => {
    const { clock, store, guard } = world()
    const ahead = new VirtualClock(clock.now() + 2 * 86_400_000)
    const other = createBatchGuard({ store: { type: 'memory' }, namespace: 'trips' }, { clock: ahead, store })
    await other.begin([batchOf()], ahead.now() + 30_000)

    const held = await guard().begin([batchOf()], clock.now() + 30_000)
    assert.equal(states(held, 10), 'hhhhhhhhhh')
    assert.equal(held.heldForMs(0, 0), 31_000)
    await clock.advance(31_000)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'cccccccccc')
  })

  test(`by ${name}: clocks that differ by less than the grace never let two at a record`, async () => {
    const { clock, store, guard } = world()
    const behind = new VirtualClock(clock.now() - 900)
    const other = createBatchGuard({ store: { type: 'memory' }, namespace: 'trips' }, { clock: behind, store })
    await other.begin([batchOf()], behind.now() + 30_000)
    await clock.advance(30_000)
    assert.equal(states(await guard().begin([batchOf()], clock.now() + 30_000), 10), 'hhhhhhhhhh')
  })
}

test('the same business id twice in one batch is delivered once, whatever partition it comes in', async () => {
  const { clock, guard } = world()
  const given = [ids('a', 'b', 'a', null), { ...ids('b', 'c', null), partition: 4 }]
  const batch = await guard().begin(given, clock.now() + 30_000)
  // Without an id a record is known by its offset.
  assert.equal(states(batch, 4), 'ccdc')
  assert.equal(states(batch, 3, 1), 'dcc')
  await batch.finish((partition, index) => ({ isDone: !(partition === 0 && index === 0), targetsDone: [] }))
  const again = await guard().begin(given, clock.now() + 30_000)
  assert.equal(states(again, 4), 'cddd')
  assert.equal(states(again, 3, 1), 'ddd')
})

test('while an id is held, its repetition in the same batch is held as well', async () => {
  const { clock, guard } = world()
  await guard().begin([ids('a')], clock.now() + 30_000)
  assert.equal(states(await guard().begin([ids('a', 'a')], clock.now() + 30_000), 2), 'hh')
})

test('a business id is known in other topics, an offset is not, and nothing is in other namespaces', async () => {
  const { clock, guard } = world()
  await (await guard().begin([ids('a', null)], clock.now() + 30_000)).finish(allDone)
  const moved = { ...ids('a', null), topic: 'mt-c301', partition: 8 }
  assert.equal(states(await guard().begin([moved], clock.now() + 30_000), 2), 'dc')
  const elsewhere = await guard({ namespace: 'trips-2' }).begin([ids('a', null)], clock.now() + 30_000)
  assert.equal(states(elsewhere, 2), 'cc')
})

test('two functions that share a table do not take each other’s records for done', async () => {
  const { clock, store } = world()
  const guardOf = (name: string): BatchGuard =>
    createBatchGuard({ store: { type: 'memory' } }, { clock, store, environment: { AWS_LAMBDA_FUNCTION_NAME: name } })
  await (await guardOf('alerts').begin([offsets(0, 3)], clock.now() + 30_000)).finish(allDone)
  assert.equal(states(await guardOf('billing').begin([offsets(0, 3)], clock.now() + 30_000), 3), 'ccc')
  assert.equal(states(await guardOf('alerts').begin([offsets(0, 3)], clock.now() + 30_000), 3), 'ddd')
})

test('overlapping batches: each gets what the other has not', async () => {
  const { clock, guard } = world()
  const first = await guard().begin([offsets(0, 6)], clock.now() + 30_000)
  const second = await guard().begin([offsets(3, 6)], clock.now() + 30_000)
  assert.equal(states(first, 6), 'cccccc')
  assert.equal(states(second, 6), 'hhhccc')
  await first.finish(allDone)
  await second.finish(allDone)
  assert.equal(states(await guard().begin([offsets(0, 10)], clock.now() + 30_000), 10), 'dddddddddc')
})

test('the same offset twice in one event is delivered once', async () => {
  const { clock, guard } = world()
  const batch = await guard().begin([{ ...offsets(0, 3), offsets: [7, 7, 8] }], clock.now() + 30_000)
  assert.equal(states(batch, 3), 'cdc')
})

test('a batch costs one write to claim and one to finish, also after others have been at its block', async () => {
  const { clock, store } = world()
  let calls = 0
  const counted: ClaimStore = {
    read: (...given) => ((calls += 1), store.read(...given)),
    swap: (...given) => ((calls += 1), store.swap(...given)),
    point: (...given) => ((calls += 1), store.point(...given)),
    close: () => store.close()
  }
  const guard = createBatchGuard({ store: { type: 'memory' } }, { clock, store: counted })
  const costs: number[] = []
  // Eight batches and a bit fill a block; the ninth is in two.
  for (let batch = 0; batch < 10; batch += 1) {
    calls = 0
    await (await guard.begin([offsets(batch * 500, 500)], clock.now() + 30_000)).finish(allDone)
    costs.push(calls)
  }
  assert.deepEqual(costs, [2, 2, 2, 2, 2, 2, 2, 2, 4, 2])
})

test('a batch that cannot be claimed as a whole is given back and refused', async () => {
  const { clock, store, guard } = world()
  const broken: ClaimStore = {
    read: (...given) => store.read(...given),
    swap: async (swap, limits) =>
      swap.key.endsWith('|1') ? Promise.reject(storeError('missing', 'no table')) : store.swap(swap, limits),
    point: (...given) => store.point(...given),
    close: () => store.close()
  }
  const failing = createBatchGuard({ store: { type: 'memory' }, namespace: 'trips' }, { clock, store: broken })
  const batch = [{ ...offsets(4_090, 12), ids: ['a', ...Array.from({ length: 11 }, () => null)] }]
  await assert.rejects(failing.begin(batch, clock.now() + 900_000), error => {
    assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
    assert.match(error.message, /no table/)
    return true
  })
  assert.equal(states(await guard().begin(batch, clock.now() + 30_000), 12), 'cccccccccccc')
})

test('what something else wrote under a key is not taken for nothing done', async () => {
  const { clock, store, guard } = world()
  const limits = { nowMs: clock.now(), timeoutMs: 1_000 }
  const swap = { key: 'trips|o|mt-c300|3|0', expected: undefined, version: 'x', expiresMs: clock.now() + 1 }
  await store.swap({ ...swap, text: '{"d":[[1,"0-9999"]]}' }, limits)
  await assert.rejects(guard().begin([offsets(5, 1)], clock.now() + 30_000), error => {
    assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
    assert.match(error.message, /trips\|o\|mt-c300\|3\|0 was written by something else/)
    return true
  })
})

test('settings that cannot work are refused with every problem', () => {
  const given = {
    store: { type: 'dynamoDb', table: 'a', colour: 1 },
    ttlMs: 5,
    namespace: 'a b',
    onStoreError: 'deliver'
  }
  assert.throws(
    // What a program in JavaScript may give.
    () => createBatchGuard(given as unknown as IdempotencySettings),
    error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_OPTIONS_INVALID'))
      assert.deepEqual(error.fields['problems'], [
        'store.colour: is not known',
        'store.table: is not the name or ARN of a table',
        'namespace: is not 1 to 128 letters, digits, ".", "_" or "-"',
        'onStoreError: only "retry" is there: what cannot be claimed is not delivered',
        'ttlMs: is not an integer from 1000 to 31536000000'
      ])
      return true
    }
  )
})

test('DynamoDB: a table that is not there is named, with what to do', async t => {
  const endpoint = await startDynalite(t)
  const guard = createBatchGuard({ store: { type: 'dynamoDb', table: 'claims', endpoint } })
  t.after(() => guard.close())
  await assert.rejects(guard.begin([offsets(0, 3)], Date.now() + 30_000), error => {
    assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
    assert.equal(error.retriable, false)
    assert.match(error.message, /there is no table claims .* key "id" of type S/)
    return true
  })
  await createClaimTable(endpoint, 'claims')
  await (await guard.begin([offsets(0, 3), ids('a', 'b')], Date.now() + 30_000)).finish(allDone)
  const other = createBatchGuard({ store: { type: 'dynamoDb', table: 'claims', endpoint } })
  t.after(() => other.close())
  const batch = await other.begin([offsets(0, 4), ids('a', 'b', 'c')], Date.now() + 30_000)
  assert.equal(states(batch, 4), 'dddc')
  assert.equal(states(batch, 3, 1), 'ddc')
})

test('DynamoDB: a table with another key is named as such', async t => {
  const endpoint = await startDynalite(t)
  await createClaimTable(endpoint, 'claims', 'pk')
  const store = new DynamoDbStore({ table: 'claims', endpoint })
  t.after(() => store.close())
  await assert.rejects(store.read('a', { nowMs: 0, timeoutMs: 5_000 }), /its key must be "id" of type S/)
  const fitting = new DynamoDbStore({ table: 'claims', endpoint, keyAttribute: 'pk' })
  t.after(() => fitting.close())
  assert.equal(await fitting.read('a', { nowMs: 0, timeoutMs: 5_000 }), undefined)
})

test("DynamoDB: in Lambda a function with claims does without AWS's SDK", async t => {
  const endpoint = await startDynalite(t)
  await createClaimTable(endpoint, 'claims')
  const { stdout } = await runProcess(process.execPath, [join(import.meta.dirname, 'dynamo-db-worker.ts')], {
    environment: {
      AWS_LAMBDA_FUNCTION_NAME: 'distributor',
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      AWS_SESSION_TOKEN: 'token',
      AWS_ENDPOINT_URL_DYNAMODB: endpoint
    }
  })
  assert.deepEqual(JSON.parse(stdout), { state: 'claimed', loaded: [] })
})

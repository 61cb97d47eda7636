import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { DynamoDbStore } from '../../src/lambda/idempotency/dynamo-db-store.ts'
import { claimStoreCases } from '../support/claim-stores.ts'
import { startDynamoDbLocal } from '../support/dynamodb-local.ts'
import { createClaimTable } from '../support/dynalite.ts'

// Started for the whole file: each case has its own keys.
const endpoint = await startDynamoDbLocal({ after })
await createClaimTable(endpoint, 'claims')

for (const writes of ['transaction', 'single'] as const) {
  claimStoreCases(`DynamoDB Local, ${writes}`, async t => {
    const again = (): DynamoDbStore => {
      const store = new DynamoDbStore({ table: 'claims', endpoint, writes })
      t.after(() => store.close())
      return store
    }
    return { store: again(), again }
  })
}

test('two functions that claim the same 500 business ids at once share them out, and each is done once', async t => {
  const consumed = { read: 0, write: 0 }
  const settings = { store: { type: 'dynamoDb', table: 'claims', endpoint }, namespace: 'rivals' } as const
  const guards = [1, 2].map(() =>
    createBatchGuard(settings, { onCapacity: (kind, units) => (consumed[kind] += units) })
  )
  t.after(() => Promise.all(guards.map(guard => guard.close())))
  const offsets = Array.from({ length: 500 }, (_, index) => index)
  const batch = { topic: 'trips', partition: 0, offsets, ids: offsets.map(offset => `trip-${offset}`) }
  const deliveries = new Map<number, number>()

  for (let round = 0; round < 20; round += 1) {
    const begun = await Promise.all(guards.map(guard => guard.begin([batch], Date.now() + 30_000)))
    const claimed = begun.map(each => offsets.filter(offset => each.state(0, offset) === 'claimed'))
    for (const offset of claimed.flat()) deliveries.set(offset, (deliveries.get(offset) ?? 0) + 1)
    await Promise.all(begun.map(each => each.finish(() => ({ isDone: true, targetsDone: [] }))))
    if (begun.every(each => offsets.every(offset => each.state(0, offset) === 'done'))) break
  }

  assert.equal(deliveries.size, 500)
  assert.deepEqual(new Set(deliveries.values()), new Set([1]))
  assert.ok(consumed.write > 0)
})

test('offsets cost two write units for a batch, business ids one each and one for the batch', async t => {
  const consumed = { read: 0, write: 0 }
  // Of transactions, which cost twice as much, it counts something else than AWS does.
  const settings = {
    store: { type: 'dynamoDb', table: 'claims', endpoint, writes: 'single' },
    namespace: 'costs'
  } as const
  const guard = createBatchGuard(settings, { onCapacity: (kind, units) => (consumed[kind] += units) })
  t.after(() => guard.close())
  const offsets = Array.from({ length: 500 }, (_, index) => index)
  const batch = { topic: 'trips', partition: 0, offsets }

  const byOffset = await guard.begin([{ ...batch, ids: undefined }], Date.now() + 30_000)
  await byOffset.finish(() => ({ isDone: true, targetsDone: [] }))
  assert.deepEqual(consumed, { read: 0, write: 2 })

  consumed.write = 0
  const byId = await guard.begin([{ ...batch, ids: offsets.map(offset => `trip-${offset}`) }], Date.now() + 30_000)
  await byId.finish(() => ({ isDone: true, targetsDone: [] }))
  assert.deepEqual(consumed, { read: 0, write: 501 })
})

test('a table that is not there is named, with what to do, also for business ids', async t => {
  const guard = createBatchGuard({ store: { type: 'dynamoDb', table: 'no-such-table', endpoint } })
  t.after(() => guard.close())
  const batch = { topic: 'trips', partition: 0, offsets: [1], ids: ['a'] }
  await assert.rejects(guard.begin([batch], Date.now() + 30_000), /there is no table no-such-table/)
})

import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { test, type TestContext } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import type { BatchGuard, GuardedPartition } from '../../../src/lambda/idempotency/batch-guard.ts'
import { createBatchGuard } from '../../../src/lambda/idempotency/create-guard.ts'
import { createClaimTable, startDynalite } from '../../support/dynalite.ts'

/** What a request to the table meets on its way. */
type Fate = 'pass' | 'throttle' | 'outage' | 'denied' | 'page' | 'answer lost'

const ANSWERS = {
  throttle: [
    400,
    '{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too fast"}'
  ],
  outage: [500, '{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"down"}'],
  denied: [
    400,
    '{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized: dynamodb:PutItem"}'
  ],
  // Of a proxy that is in the way.
  page: [200, '<html>sign in</html>']
} as const

/** Dynalite behind a proxy that does to each request what is next in `fates`, and then lets all pass. */
async function troubled(t: TestContext): Promise<{ guard: () => BatchGuard; fates: Fate[]; targets: string[] }> {
  const behind = await startDynalite(t)
  await createClaimTable(behind, 'claims')
  const fates: Fate[] = []
  const targets: string[] = []
  const proxy = createServer((incoming, response) => {
    const fate = fates.shift() ?? 'pass'
    targets.push(String(incoming.headers['x-amz-target']).replace(/.*\./, ''))
    if (fate !== 'pass' && fate !== 'answer lost') {
      incoming.resume().on('end', () => response.writeHead(ANSWERS[fate][0]).end(ANSWERS[fate][1]))
      return
    }
    const onward = request(behind, { method: 'POST', headers: incoming.headers }, answer => {
      if (fate === 'answer lost') answer.resume().on('end', () => response.destroy())
      else answer.pipe(response.writeHead(answer.statusCode ?? 502))
    })
    incoming.pipe(onward)
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const address = proxy.address()
  assert.ok(typeof address === 'object' && address !== null)
  const store = {
    type: 'dynamoDb',
    table: 'claims',
    endpoint: `http://127.0.0.1:${address.port}`,
    writes: 'single'
  } as const
  const guard = (): BatchGuard => {
    const made = createBatchGuard({ store, namespace: 'trips' })
    t.after(() => made.close())
    return made
  }
  return { guard, fates, targets }
}

const byOffset: GuardedPartition = { topic: 'mt-c300', partition: 3, offsets: [0, 1, 2], ids: undefined }
const byId: GuardedPartition = { ...byOffset, offsets: [0], ids: ['trip-1'] }
const inAWhile = (): number => Date.now() + 60_000
const allDone = (): { isDone: boolean; targetsDone: string[] } => ({ isDone: true, targetsDone: [] })

for (const [name, batch] of [
  ['offset', byOffset],
  ['business id', byId]
] as const) {
  test(`by ${name}: a throttle, an outage or a stray page is waited out`, async t => {
    const { guard, fates } = await troubled(t)
    fates.push('throttle', 'outage')
    const claims = await guard().begin([batch], inAWhile())
    assert.equal(claims.state(0, 0), 'claimed')
    fates.push('page')
    await claims.finish(allDone)
    assert.equal((await guard().begin([batch], inAWhile())).state(0, 0), 'done')
  })

  test(`by ${name}: a write whose answer was lost is one's own, and not another's`, async t => {
    const { guard, fates } = await troubled(t)
    fates.push('answer lost')
    const claims = await guard().begin([batch], inAWhile())
    assert.equal(claims.state(0, 0), 'claimed')
    fates.push('answer lost')
    await claims.finish(allDone)
    assert.equal((await guard().begin([batch], inAWhile())).state(0, 0), 'done')
  })

  test(`by ${name}: a table that stays throttled refuses the batch, and the next attempt has it`, async t => {
    const { guard, fates, targets } = await troubled(t)
    fates.push('throttle', 'throttle', 'throttle')
    const own = guard()
    await assert.rejects(own.begin([batch], inAWhile()), error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
      assert.equal(error.fields['trouble'], 'throttled')
      assert.match(error.message, /ProvisionedThroughputExceededException: too fast/)
      return true
    })
    assert.equal(targets.slice(0, 3).join(), 'PutItem,PutItem,PutItem')
    assert.equal((await own.begin([batch], inAWhile())).state(0, 0), 'claimed')
  })

  test(`by ${name}: a right that is missing is told at once, with the guide`, async t => {
    const { guard, fates, targets } = await troubled(t)
    fates.push('denied')
    await assert.rejects(guard().begin([batch], inAWhile()), error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
      assert.equal(error.retriable, false)
      assert.match(
        error.message,
        /AccessDeniedException: not authorized: .* rights that the guide to idempotency lists/
      )
      return true
    })
    assert.equal(targets.slice(0, 1).join(), 'PutItem')
  })
}

test('no request goes on when the invocation has no time left', async t => {
  const { guard, targets } = await troubled(t)
  await assert.rejects(guard().begin([byOffset], Date.now() + 5), /no time is left/)
  assert.deepEqual(targets, [])
})

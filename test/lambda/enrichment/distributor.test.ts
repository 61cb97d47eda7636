/** What the distributor makes of records that could not be enriched. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { createDistributor } from '../../../src/lambda/distributor/distributor.ts'
import type { DistributorOptions } from '../../../src/lambda/distributor/options.ts'
import { byHttp, startLookupService } from './support.ts'

const CONTEXT = { getRemainingTimeInMillis: () => 30_000 }

interface Delivered {
  readonly messages: readonly unknown[]
  readonly offsets: readonly number[]
}

/** A distributor with one target, whose look-ups fail for the key "bad" and find nothing for "none". */
async function world(
  t: TestContext,
  more: Parameters<typeof byHttp>[1] = {}
): Promise<{ distribute: ReturnType<typeof createDistributor>; delivered: () => Delivered[]; bodies: () => string[] }> {
  const target = await startLookupService(t, () => ({}))
  const lookups = await startLookupService(t, ({ path }) => {
    if (path === '/bad') return { status: 403 }
    return path === '/none' ? { status: 404 } : { body: `{"of":${JSON.stringify(path.slice(1))}}` }
  })
  const options: DistributorOptions = {
    targets: { target: target.url },
    otherwise: ['target'],
    enrich: [byHttp(`${lookups.url}/{key}`, more)]
  }
  const distribute = createDistributor(options)
  t.after(() => distribute.close())
  const bodies = (): string[] => target.requests.map(each => each.body)
  return { distribute, bodies, delivered: () => bodies().map(body => JSON.parse(body) as Delivered) }
}

const EVENT = {
  topic: 'trucks',
  partition: 3,
  messages: ['a', 'bad', 'b', 'none', 'c'].map(id => ({ driver_id: id })),
  offsets: [10, 11, 12, 13, 14],
  keys: ['k1', 'k2', 'k2', 'k3', null]
}

test('a record that cannot be looked up comes again, and so do the later ones of its key', async t => {
  const { distribute, delivered } = await world(t)

  const answer = await distribute(EVENT, CONTEXT)

  assert.deepEqual(
    delivered().flatMap(each => each.offsets),
    [10, 13, 14]
  )
  assert.deepEqual(delivered()[0]?.messages, [
    { driver_id: 'a', driver: { of: 'a' } },
    { driver_id: 'none' },
    { driver_id: 'c', driver: { of: 'c' } }
  ])
  assert.ok('failures' in answer)
  const brief = answer.failures?.map(({ offset, action, unavailable }) => [offset, action, unavailable])
  assert.deepEqual(brief, [
    [11, 'retry', true],
    [12, 'retry', true]
  ])
  assert.match(answer.failures?.[0]?.reason ?? '', /^enrichment driver: service .* answered 403$/)
})

test('missing: deadLetter is the answer for its record alone', async t => {
  const { distribute, delivered } = await world(t, { missing: 'deadLetter', onError: 'pass' })

  const answer = await distribute(EVENT, CONTEXT)

  assert.deepEqual(
    delivered().flatMap(each => each.offsets),
    [10, 11, 12, 14]
  )
  const reason = 'enrichment: there is no driver for its key'
  assert.deepEqual(answer, { failures: [{ offset: 13, action: 'deadLetter', reason }] })
})

test('in AWS’s event values are byte for byte what was produced, with the member behind them', async t => {
  const { distribute, bodies } = await world(t)
  const record = (offset: number, value: string): object => {
    return { topic: 'trucks', partition: 3, offset, value: Buffer.from(value).toString('base64') }
  }
  const values = ['{ "n" : 12345678901234567890, "driver_id":"a" }\n', '{"driver_id":"bad"}', '{}']
  const records = { 'trucks-3': values.map((value, index) => record(10 + index, value)) }

  const answer = await distribute({ eventSource: 'SelfManagedKafka', records }, CONTEXT)

  // Where AWS goes on: what has no key waits for nothing, but comes again with the rest.
  assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: { partition: 'trucks-3', offset: 11 } }] })
  const text = '{ "n" : 12345678901234567890, "driver_id":"a","driver":{"of":"a"}}'
  assert.ok(bodies()[0]?.includes(`"messages":[${text},{}]`), bodies()[0])
})

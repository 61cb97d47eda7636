/** Enrichment while its source is slow, down, wrong or hostile. */

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'

import { VirtualClock } from '../../../src/core/index.ts'
import type { EnrichmentCounts, EnrichmentFailure } from '../../../src/lambda/enrichment/enricher.ts'
import { byHttp, enricherFor, enrichOne, type LookupAnswer, recordsOf, startLookupService } from './support.ts'

/** What becomes of a record whose look-up is answered so. */
async function failureFor(
  t: TestContext,
  answer: LookupAnswer,
  more: Parameters<typeof byHttp>[1] = {}
): Promise<EnrichmentFailure | undefined> {
  const service = await startLookupService(t, () => answer)
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, more)])
  const enriched = await enrichOne(enricher, ['{"driver_id":"a"}'])
  assert.equal(enriched.texts.size, 0)
  const failure = enriched.failures.get(0)
  return failure && { ...failure, reason: failure.reason.replace(/127\.0\.0\.1:\d+/, 'HOST') }
}

const FAULT = { action: 'retry', isUnavailable: true } as const

test('each status has its outcome', async t => {
  const prefix = 'enrichment driver: service HOST answered'
  // The address, the rights, a deployment: no record is at fault.
  for (const status of [301, 401, 403, 405, 407]) {
    assert.deepEqual(await failureFor(t, { status }), { ...FAULT, reason: `${prefix} ${status}` })
  }
  // The key.
  for (const status of [400, 409, 413, 422]) {
    assert.deepEqual(await failureFor(t, { status }), { action: 'retry', reason: `${prefix} ${status}` })
  }
  for (const status of [204, 404, 410]) assert.equal(await failureFor(t, { status }), undefined)
  assert.equal(await failureFor(t, { status: 200, body: '' }), undefined)
  assert.deepEqual(await failureFor(t, { status: 429, headers: { 'retry-after': '7' } }), {
    ...FAULT,
    reason: `${prefix} 429`,
    retryAfterMs: 7_000
  })
})

test('a source in trouble is asked again, then the record comes again; the key may be the cause of a 500', async t => {
  for (const [status, suspect] of [
    [503, {}],
    [500, { isSuspect: true }]
  ] as const) {
    const service = await startLookupService(t, () => ({ status }))
    const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`)])

    const { failures } = await enrichOne(enricher, ['{"driver_id":"a"}'])

    const reason = `enrichment driver: service ${new URL(service.url).host} answered ${status}`
    assert.deepEqual(failures.get(0), { ...FAULT, reason, ...suspect })
    assert.equal(service.requests.length, 3)
  }
})

test('a source that fails for a moment is not noticed', async t => {
  let count = 0
  const service = await startLookupService(t, () => ((count += 1) < 3 ? { status: 503 } : { body: '1' }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`)])

  assert.equal((await enrichOne(enricher, ['{"driver_id":"a"}'])).texts.size, 1)
})

test('onError: pass delivers the record without what could not be looked up', async t => {
  const service = await startLookupService(t, () => ({ status: 403 }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { onError: 'pass', missing: 'deadLetter' })])

  const enriched = await enrichOne(enricher, ['{"driver_id":"a"}'])

  assert.equal(enriched.texts.size + enriched.failures.size, 0)
})

test('answers that are no JSON, too large or too deep never get into an event', async t => {
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const notJson = 'enrichment driver: service HOST answered something that is not JSON'
  for (const body of ['<html>', '{"a":1', '1,"x":2', '{"a":1}}', 'NaN', '\u00a0 ']) {
    assert.deepEqual(await failureFor(t, { body }), { ...FAULT, isSuspect: true, reason: notJson }, body)
  }
  assert.match((await failureFor(t, { body: deep(65) }))?.reason ?? '', /nested deeper than 64/)
  assert.match((await failureFor(t, { body: deep(30_000) }))?.reason ?? '', /nested deeper than 64/)
  const large = `"${'x'.repeat(99)}"`
  assert.match((await failureFor(t, { body: large }, { valueBytesMax: 100 }))?.reason ?? '', /more than 100 bytes/)
  const answer = await failureFor(t, { body: large }, { from: { answerBytesMax: 50 } })
  assert.deepEqual(answer, {
    action: 'retry',
    reason: 'enrichment driver: service HOST answered more than 50 bytes'
  })
})

test('a batch answer of another form is taken for no answer', async t => {
  for (const body of ['{}', '[]', '{"items":[1]}', '{"items":[1,2,3]}', '{"items":7}']) {
    const service = await startLookupService(t, () => ({ body }))
    const enricher = enricherFor(t, [byHttp(service.url, { from: { batch: true } })])

    const { failures, texts } = await enrichOne(enricher, ['{"driver_id":"a"}', '{"driver_id":"b"}'])

    assert.equal(texts.size, 0)
    assert.deepEqual(
      [...failures.values()].map(each => [each.isUnavailable, each.isSuspect]),
      [
        [true, true],
        [true, true]
      ]
    )
  }
})

test('hostile names in an answer are names and nothing else', async t => {
  const body = '{"items":{"a":{"__proto__":{"isAdmin":true},"constructor":1},"__proto__":{"isAdmin":true}}}'
  const service = await startLookupService(t, () => ({ body }))
  const enricher = enricherFor(t, [byHttp(service.url, { from: { batch: true } })])
  const keys = ['a', '__proto__', 'constructor', 'toString']

  const enriched = await enrichOne(
    enricher,
    keys.map(key => `{"driver_id":"${key}"}`)
  )

  assert.equal(enriched.texts.get(0), '{"driver_id":"a","driver":{"__proto__":{"isAdmin":true},"constructor":1}}')
  assert.equal(enriched.texts.get(1), '{"driver_id":"__proto__","driver":{"isAdmin":true}}')
  assert.equal(enriched.texts.size, 2)
  assert.equal(Reflect.get({}, 'isAdmin'), undefined)
  assert.equal(Object.getPrototypeOf(enriched.added(0, 'driver')), Object.prototype)
})

test('what does not answer in time fails alone; what was answered counts, and is known the next time', async t => {
  const service = await startLookupService(t, ({ path }) => (path === '/slow' ? undefined : { body: '1' }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { timeoutMs: 60 })])

  const enriched = await enrichOne(
    enricher,
    ['slow', 'a', 'b'].map(key => `{"driver_id":"${key}"}`)
  )

  assert.deepEqual([...enriched.texts.keys()], [1, 2])
  const failure = enriched.failures.get(0)
  assert.deepEqual([enriched.failures.size, failure?.isUnavailable, failure?.isSuspect], [1, true, true])
  service.requests.splice(0)
  await enrichOne(enricher, ['{"driver_id":"a"}'])
  assert.equal(service.requests.length, 0)
})

test('keys that nobody had time to ask for are not suspected', async t => {
  const service = await startLookupService(t, () => undefined)
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { timeoutMs: 40, concurrency: 1 })])

  const { failures } = await enrichOne(enricher, ['{"driver_id":"a"}', '{"driver_id":"b"}'])

  assert.deepEqual([failures.get(0)?.isSuspect, failures.get(1)?.isSuspect], [true, undefined])
  // Without time nothing is asked at all.
  service.requests.splice(0)
  assert.equal((await enrichOne(enricher, ['{"driver_id":"c"}'], 0)).failures.size, 1)
})

test('a connection that is refused is no reason to suspect a key', async t => {
  const enricher = enricherFor(t, [byHttp(`http://127.0.0.1:${await freedPort()}/{key}`)])

  const failure = (await enrichOne(enricher, ['{"driver_id":"a"}'])).failures.get(0)

  assert.deepEqual([failure?.action, failure?.isUnavailable, failure?.isSuspect], ['retry', true, undefined])
})

async function freedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

test('an old value stands in while the source fails, for staleMs, and not every event asks again', async t => {
  const clock = new VirtualClock()
  let isDown = false
  const service = await startLookupService(t, () => (isDown ? { status: 403 } : { body: '1' }))
  const counts: EnrichmentCounts[] = []
  const cache = { ttlMs: 1_000, staleMs: 5_000 }
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { cache })], {
    clock,
    onEnriched: each => counts.push(each)
  })
  const requestsAfter = async (ms: number): Promise<readonly [number, boolean]> => {
    await clock.advance(ms)
    service.requests.splice(0)
    const enriched = await enrichOne(enricher, ['{"driver_id":"a"}'])
    return [service.requests.length, enriched.texts.size === 1]
  }

  assert.deepEqual(await requestsAfter(0), [1, true])
  isDown = true
  assert.deepEqual(await requestsAfter(1_000), [1, true])
  assert.deepEqual(await requestsAfter(999), [0, true])
  assert.deepEqual(await requestsAfter(1), [1, true])
  assert.deepEqual(await requestsAfter(3_999), [1, true])
  assert.deepEqual(await requestsAfter(1), [1, false])
  isDown = false
  assert.deepEqual(await requestsAfter(0), [1, true])
  assert.deepEqual(
    counts.map(each => each.stale),
    [0, 1, 0, 1, 1, 0, 0]
  )
})

test('a source that fails all the time is left alone for a second', async t => {
  const clock = new VirtualClock()
  let isDown = true
  const service = await startLookupService(t, () => (isDown ? { status: 401 } : { body: '1' }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { concurrency: 1 })], { clock })
  const texts = Array.from({ length: 20 }, (_, index) => `{"driver_id":${index}}`)

  const { failures } = await enrichOne(enricher, texts)

  assert.equal(service.requests.length, 8)
  assert.equal(failures.size, 20)
  assert.equal(failures.get(19)?.retryAfterMs, 1_000)
  await clock.advance(999)
  await enrichOne(enricher, texts.slice(0, 1))
  assert.equal(service.requests.length, 8)
  isDown = false
  await clock.advance(1)
  assert.equal((await enrichOne(enricher, texts)).texts.size, 20)
})

test('what is added to one event is bounded; the records beyond it come again', async t => {
  const value = `"${'x'.repeat(1_000_000)}"`
  const service = await startLookupService(t, () => ({ body: value }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { valueBytesMax: 1_048_576 })])
  const texts = Array.from({ length: 70 }, () => '{"driver_id":1}')

  const { failures, texts: enriched } = await enrichOne(enricher, texts)

  // 67,108,864 bytes are the most.
  assert.equal(enriched.size, 67)
  assert.deepEqual([...failures.keys()], [67, 68, 69])
  assert.deepEqual([failures.get(67)?.action, failures.get(67)?.isUnavailable], ['retry', true])
})

test('records that are not wanted are not looked up', async t => {
  const service = await startLookupService(t, () => ({ body: '1' }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { missing: 'deadLetter' })])
  const partition = {
    ...recordsOf(['{"driver_id":1}', '{}', '{"driver_id":2}']),
    isWanted: (index: number) => index > 1
  }

  const [enriched] = await enricher.enrich([partition], 1_000)

  assert.deepEqual([...(enriched?.texts.keys() ?? [])], [2])
  assert.equal(enriched?.failures.size, 0)
  assert.equal(service.requests.length, 1)
})

test('an event that cannot be enriched at all comes again as a whole', async t => {
  const service = await startLookupService(t, () => ({ body: '1' }))
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`)])
  const broken = {
    ...recordsOf(['{"driver_id":1}', '{}']),
    textOf: (): string => {
      throw new Error('unreadable')
    }
  }

  const [enriched] = await enricher.enrich([broken], 1_000)

  const reason = 'the enrichment failed: unreadable'
  assert.deepEqual(
    [...(enriched?.failures ?? [])],
    [
      [0, { ...FAULT, reason }],
      [1, { ...FAULT, reason }]
    ]
  )
})

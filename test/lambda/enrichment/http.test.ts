/** Enrichment by HTTP, against real servers. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError, VirtualClock } from '../../../src/core/index.ts'
import type { EnrichmentCounts } from '../../../src/lambda/enrichment/enricher.ts'
import { createEnricher } from '../../../src/lambda/enrichment/create-enricher.ts'
import {
  byHttp,
  deliveredTexts,
  enricherFor,
  enrichOne,
  linesLogger,
  recordsOf,
  startLookupService,
  startTableService
} from './support.ts'

test('each distinct key of an event is asked for once, and all its records get the value', async t => {
  const service = await startTableService(t, { 'D-1': '{"name":"Ana"}', 'D-2': ' {"name":"Rui"}\n' })
  const enricher = enricherFor(t, [byHttp(`${service.url}/drivers/{key}`)])
  const texts = ['{"driver_id":"D-1","v":1.50}', '{"driver_id":"D-2"}', '{"driver_id":"D-1"}']

  const enriched = await enrichOne(enricher, texts)

  assert.deepEqual(deliveredTexts(texts, enriched), [
    '{"driver_id":"D-1","v":1.50,"driver":{"name":"Ana"}}',
    '{"driver_id":"D-2","driver":{"name":"Rui"}}',
    '{"driver_id":"D-1","driver":{"name":"Ana"}}'
  ])
  assert.deepEqual(service.requests.map(each => each.path).toSorted(), ['/drivers/D-1', '/drivers/D-2'])
  assert.deepEqual(enriched.added(2, 'driver'), { name: 'Ana' })
  assert.equal(enriched.added(2, 'vehicle'), undefined)
  assert.deepEqual([...enricher.names], ['driver'])
})

test('partitions of one event share what is looked up', async t => {
  const service = await startTableService(t, { a: '1' })
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`)])

  const both = await enricher.enrich([recordsOf(['{"driver_id":"a"}']), recordsOf(['{"driver_id":"a"}'])], 1_000)

  assert.deepEqual(
    both.map(each => each.texts.get(0)),
    ['{"driver_id":"a","driver":1}', '{"driver_id":"a","driver":1}']
  )
  assert.equal(service.requests.length, 1)
})

test('a batch is one POST; its answer is an object by key or a list in the order of the keys', async t => {
  for (const items of [
    '{"b":{"n":12345678901234567890},"c":null,"x":1}',
    '[ null , {"n":12345678901234567890},null]'
  ]) {
    const service = await startLookupService(t, () => ({ body: `{"items":${items}}` }))
    const enricher = enricherFor(t, [byHttp(`${service.url}/find`, { from: { batch: true } })])
    const texts = ['a', 'b', 'c'].map(key => `{"driver_id":"${key}"}`)

    const enriched = await enrichOne(enricher, texts)

    assert.deepEqual([...enriched.texts], [[1, '{"driver_id":"b","driver":{"n":12345678901234567890}}']])
    assert.deepEqual(
      service.requests.map(({ method, body }) => [method, body]),
      [['POST', '{"keys":["a","b","c"]}']]
    )
  }
})

test('a batch is cut by batchMax', async t => {
  const service = await startLookupService(t, () => ({ body: '{"items":{}}' }))
  const enricher = enricherFor(t, [byHttp(service.url, { from: { batch: true }, batchMax: 2 })])

  await enrichOne(
    enricher,
    ['a', 'b', 'c', 'd', 'e'].map(key => `{"driver_id":"${key}"}`)
  )

  assert.deepEqual(service.requests.map(each => each.body).toSorted(), [
    '{"keys":["a","b"]}',
    '{"keys":["c","d"]}',
    '{"keys":["e"]}'
  ])
})

test('one bad key fails its record alone, whatever it is batched with', async t => {
  const service = await startLookupService(t, ({ body }) => {
    const { keys } = JSON.parse(body) as { keys: string[] }
    if (keys.includes('bad')) return { status: 422 }
    return { body: JSON.stringify({ items: Object.fromEntries(keys.map(key => [key, 1])) }) }
  })
  const enricher = enricherFor(t, [byHttp(service.url, { from: { batch: true } })])

  const enriched = await enrichOne(
    enricher,
    ['a', 'b', 'bad', 'c', 'd'].map(key => `{"driver_id":"${key}"}`)
  )

  assert.deepEqual([...enriched.texts.keys()], [0, 1, 3, 4])
  // The key is at fault: the attempt counts, and the record ends in the dead letters.
  const host = new URL(service.url).host
  assert.deepEqual(
    [...enriched.failures],
    [[2, { action: 'retry', reason: `enrichment driver: service ${host} answered 422` }]]
  )
})

test('the path and headers hold keys and secrets as they must', async t => {
  const service = await startLookupService(t, () => ({ status: 404 }))
  const headers = { authorization: { env: 'TOKEN' }, 'x-plain': 'yes' }
  const url = `${service.url}/d/{key}/profile?of={key}&x=1`
  const enricher = enricherFor(t, [byHttp(url, { from: { headers } })], { environment: { TOKEN: 'Bearer s3cret' } })

  await enrichOne(enricher, ['{"driver_id":"../a b/ç?&#\\r\\n"}', '{"driver_id":".."}', '{"driver_id":"\\ud800"}'])

  assert.equal(service.requests.length, 1)
  const [request] = service.requests
  const key = '..%2Fa%20b%2F%C3%A7%3F%26%23%0D%0A'
  assert.equal(request?.path, `/d/${key}/profile?of=${key}&x=1`)
  assert.equal(request.headers.authorization, 'Bearer s3cret')
  assert.equal(request.headers['x-plain'], 'yes')
  assert.equal(request.headers.host, new URL(service.url).host)
})

// Symptom: a key of one dot led a request out of its folder. Cause: only keys that are all of a step were looked at.
test('no key makes a step between folders, also together with what stands beside it', async t => {
  const service = await startLookupService(t, () => ({ status: 404 }))
  const texts = ['.', '..', 'a'].map(key => `{"driver_id":"${key}"}`)
  for (const path of ['/a/.{key}/b', '/a/{key}', '/a/%2e{key}']) {
    await enrichOne(enricherFor(t, [byHttp(`${service.url}${path}`)]), texts)
  }
  await enrichOne(enricherFor(t, [byHttp(`${service.url}/q?of={key}`)]), texts)

  const paths = service.requests.map(each => each.path).toSorted()
  assert.deepEqual(
    paths,
    ['/a/%2ea', '/a/%2e..', '/a/.../b', '/a/.a/b', '/a/a', '/q?of=.', '/q?of=..', '/q?of=a'].toSorted()
  )
})

test('a header whose variable is not set keeps the function from starting', () => {
  const settings = byHttp('http://127.0.0.1:1/{key}', { from: { headers: { authorization: { env: 'TOKEN' } } } })

  assert.throws(
    () => createEnricher([settings]),
    error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'))
      assert.match(error.message, /TOKEN/)
      return true
    }
  )
})

test('what is missing passes, becomes null, or is dead-lettered, as is configured', async t => {
  const service = await startTableService(t, { known: '1', nothing: 'null' })
  const texts = ['{}', '{"driver_id":"unknown"}', '{"driver_id":"nothing"}', '{"driver_id":"known"}', '7']
  const outcomeOf = async (missing: 'pass' | 'null' | 'deadLetter'): Promise<unknown[]> => {
    const enriched = await enrichOne(enricherFor(t, [byHttp(`${service.url}/{key}`, { missing })]), texts)
    return texts.map((text, index) => enriched.failures.get(index)?.action ?? enriched.texts.get(index) ?? text)
  }

  const known = '{"driver_id":"known","driver":1}'
  assert.deepEqual(await outcomeOf('pass'), [...texts.slice(0, 3), known, '7'])
  assert.deepEqual(await outcomeOf('null'), [
    '{"driver":null}',
    '{"driver_id":"unknown","driver":null}',
    '{"driver_id":"nothing","driver":null}',
    known,
    // Nothing can be added to a value that is no object.
    '7'
  ])
  assert.deepEqual(await outcomeOf('deadLetter'), ['deadLetter', 'deadLetter', 'deadLetter', known, 'deadLetter'])
})

test('a member of that name stays without a look-up, or gives way', async t => {
  const service = await startTableService(t, { a: '{"n":1}' })
  const texts = ['{"driver_id":"a", "dri\\u0076er" : {"own":[1,"}"]}, "z":1e400}', '{"driver_id":"a"}']

  const kept = await enrichOne(enricherFor(t, [byHttp(`${service.url}/{key}`)]), texts.slice(0, 1))
  assert.equal(kept.texts.size, 0)
  assert.equal(service.requests.length, 0)

  const replaced = await enrichOne(enricherFor(t, [byHttp(`${service.url}/{key}`, { onConflict: 'replace' })]), texts)
  assert.equal(replaced.texts.get(0), '{"driver_id":"a","z":1e400,"driver":{"n":1}}')
  assert.equal(replaced.texts.get(1), '{"driver_id":"a","driver":{"n":1}}')
})

test('an enrichment whose key another one adds comes after it; others are made at the same time', async t => {
  const together = Promise.withResolvers<void>()
  let sites = 0
  const service = await startLookupService(t, async ({ path }) => {
    if (path.startsWith('/drivers/')) return { body: '{"home":"S-9"}' }
    if (path.startsWith('/sites/')) return { body: `"${path}"` }
    // Both are under way before either is answered.
    sites += 1
    if (sites === 2) together.resolve()
    await together.promise
    return { body: '1' }
  })
  const from = (path: string): { type: 'http'; url: string } => ({ type: 'http', url: `${service.url}${path}` })
  const enricher = enricherFor(t, [
    { into: 'driver', key: 'driver_id', from: from('/drivers/{key}') },
    { into: 'site', key: '{driver.home}-{zone}', from: from('/sites/{key}') },
    { into: 'x', key: 'driver_id', from: from('/x/{key}') },
    { into: 'y', key: 'driver_id', from: from('/y/{key}') }
  ])

  const enriched = await enrichOne(enricher, ['{"driver_id":"D-1","zone":4}'])

  const added = '"driver":{"home":"S-9"},"site":"/sites/S-9-4","x":1,"y":1'
  assert.equal(enriched.texts.get(0), `{"driver_id":"D-1","zone":4,${added}}`)
})

test('a cache serves warm invocations until its time is over, also for what is not there', async t => {
  const clock = new VirtualClock()
  const service = await startTableService(t, { a: '1' })
  const counts: EnrichmentCounts[] = []
  const cache = { ttlMs: 1_000, negativeTtlMs: 100 }
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { cache })], {
    clock,
    onEnriched: each => counts.push(each)
  })
  const texts = ['{"driver_id":"a"}', '{"driver_id":"b"}']
  const pathsAfter = async (ms: number): Promise<string[]> => {
    await clock.advance(ms)
    service.requests.splice(0)
    await enrichOne(enricher, texts)
    return service.requests.map(each => each.path).toSorted()
  }

  assert.deepEqual(await pathsAfter(0), ['/a', '/b'])
  assert.deepEqual(await pathsAfter(99), [])
  assert.deepEqual(await pathsAfter(1), ['/b'])
  assert.deepEqual(await pathsAfter(900), ['/a', '/b'])
  const brief = counts.map(({ records, keys, hits, misses, absent, failed }) =>
    [records, keys, hits, misses, absent, failed].join(' ')
  )
  assert.deepEqual(brief, ['2 2 0 2 1 0', '2 2 2 0 1 0', '2 2 1 1 1 0', '2 2 0 2 1 0'])
})

test('a key that is being asked for is not asked for again', async t => {
  const go = Promise.withResolvers<void>()
  const service = await startLookupService(t, async () => {
    await go.promise
    return { body: '1' }
  })
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`)])

  const calls = [enrichOne(enricher, ['{"driver_id":"a"}']), enrichOne(enricher, ['{"driver_id":"a"}'])]
  go.resolve()
  const both = await Promise.all(calls)

  assert.equal(service.requests.length, 1)
  assert.deepEqual(
    both.map(each => each.texts.size),
    [1, 1]
  )
})

test('at most `concurrency` requests are under way', async t => {
  let active = 0
  let most = 0
  const service = await startLookupService(t, async () => {
    active += 1
    most = Math.max(most, active)
    await new Promise(resolve => setImmediate(resolve))
    active -= 1
    return { body: '1' }
  })
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}`, { concurrency: 3 })])
  const texts = Array.from({ length: 12 }, (_, index) => `{"driver_id":${index}}`)

  const enriched = await Promise.all([enrichOne(enricher, texts.slice(0, 6)), enrichOne(enricher, texts.slice(6))])

  assert.deepEqual(
    enriched.map(each => each.texts.size),
    [6, 6]
  )
  assert.ok(most <= 3, `${most} at once`)
})

test('a setting that only somebody can mend is logged loudly, once, and never holds keys or values', async t => {
  const service = await startLookupService(t, () => ({ status: 403, body: '{"secret":"x"}' }))
  const logger = linesLogger()
  const enricher = enricherFor(t, [byHttp(`${service.url}/{key}?token=t0ken`)], { logger })

  const first = await enrichOne(enricher, ['{"driver_id":"private-key"}'])
  await enrichOne(enricher, ['{"driver_id":"private-key"}'])

  const host = new URL(service.url).host
  const reason = `enrichment driver: service ${host} answered 403`
  assert.deepEqual(first.failures.get(0), { action: 'retry', reason, isUnavailable: true })
  assert.equal(logger.lines.filter(each => each[0] === 'error').length, 1)
  assert.doesNotMatch(JSON.stringify(logger.lines), /private-key|secret|t0ken/)
})

/** The distributor against real HTTP services: routing, replies, failures, deadlines. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError, systemClock, VirtualClock } from '../../src/core/index.ts'
import { createDistributor, type DistributorResponse, type ComportaFailure } from '../../src/lambda/index.ts'
import { type Answer, batchOf, contextWith, distributorFor, startService } from './support.ts'

const PLENTY = contextWith(60_000)

/** Offsets and actions of an answer. */
function verdicts(response: DistributorResponse): string[] {
  const failures: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
  return failures.map(each => `${each.offset} ${each.action}`)
}

function failuresOf(response: DistributorResponse): readonly ComportaFailure[] {
  return 'failures' in response ? (response.failures ?? []) : []
}

const truck = (codigo: number | string, truckId = 't1'): object => ({ codigo, truck_id: truckId })

test('records go to the services of their code, in order, one request for each service', async t => {
  const [alerts, telemetry] = [await startService(t), await startService(t)]
  const distribute = distributorFor(t, {
    targets: {
      alerts: alerts.url,
      telemetry: { type: 'http', url: telemetry.url, headers: { authorization: 'Bearer test' } }
    },
    routes: [
      { values: [300], targets: ['alerts', 'telemetry'] },
      { values: ['301', 302], targets: ['telemetry'] }
    ]
  })
  const event = batchOf([truck(300), truck(301), truck('300'), truck(302)])

  assert.deepEqual(await distribute(event, PLENTY), {})
  assert.equal(alerts.received.length, 1)
  assert.deepEqual(alerts.received[0]?.body, {
    source: { topic: 'mt-c300', partition: 3 },
    messages: [truck(300), truck('300')],
    offsets: [100, 102],
    idempotencyKeys: ['mt-c300-3-100', 'mt-c300-3-102']
  })
  assert.deepEqual(telemetry.offsets(), [100, 101, 102, 103])
  assert.equal(telemetry.received[0]?.headers.authorization, 'Bearer test')
  assert.equal(telemetry.received[0]?.headers['content-type'], 'application/json')
})

test('the idempotency key names the records: without gaps by their range, with gaps by a digest too', async t => {
  const service = await startService(t)
  const distribute = distributorFor(t, {
    targets: { s: service.url },
    otherwise: 'skip',
    routes: [{ values: [1], targets: ['s'] }]
  })

  await distribute(batchOf([truck(1), truck(1), truck(1)]), PLENTY)
  await distribute(batchOf([truck(1), truck(2), truck(1)]), PLENTY)
  await distribute({ ...batchOf([truck(1), truck(1)]), offsets: [100, 102] }, PLENTY)
  const [range, gap, sameGap] = service.received.map(each => String(each.headers['idempotency-key']))
  assert.equal(range, 'mt-c300-3-100-102-s')
  assert.match(gap ?? '', /^mt-c300-3-100-102-[0-9a-f]{12}-s$/)
  assert.equal(sameGap, gap)
})

test('codes without a route go where the options say', async t => {
  const service = await startService(t)
  const messages = [truck(1), truck(9), { truck_id: 'no code' }, 'no object', null, { codigo: { nested: true } }]
  const withOtherwise = async (otherwise: 'deadLetter' | 'skip' | string[]): Promise<DistributorResponse> => {
    const routes = [{ values: [1], targets: ['s'] }]
    return distributorFor(t, { targets: { s: service.url }, routes, otherwise })(batchOf(messages), PLENTY)
  }

  const dead = await withOtherwise('deadLetter')
  assert.deepEqual(
    verdicts(dead),
    ['101', '102', '103', '104', '105'].map(offset => `${offset} deadLetter`)
  )
  assert.equal(failuresOf(dead)[0]?.reason, 'no route for this codigo')
  assert.equal(failuresOf(dead)[1]?.reason, 'the event has no codigo to route it by')
  assert.deepEqual(
    verdicts(await withOtherwise('skip')),
    ['101', '102', '103', '104', '105'].map(offset => `${offset} skip`)
  )
  assert.deepEqual(service.offsets(), [100, 100])
  assert.deepEqual(await withOtherwise(['s']), {})
  assert.deepEqual(service.offsets().slice(2), [100, 101, 102, 103, 104, 105])
})

test('the routing field may lie deep, and names of Object are not codes', async t => {
  const service = await startService(t)
  const routes = [{ values: ['Object', 7], targets: ['s'] }]
  const messages = [{ meta: { code: 7 } }, { meta: {} }, {}]
  const distribute = distributorFor(t, { field: 'meta.code', targets: { s: service.url }, routes })
  assert.deepEqual(verdicts(await distribute(batchOf(messages), PLENTY)), ['101 deadLetter', '102 deadLetter'])

  const inherited = distributorFor(t, { field: 'constructor.name', targets: { s: service.url }, routes })
  assert.deepEqual(verdicts(await inherited(batchOf([{}]), PLENTY)), ['100 deadLetter'])
})

test('requests are cut by count and by bytes, and one large record goes alone', async t => {
  const service = await startService(t)
  const base = { targets: { s: service.url }, otherwise: ['s'] }
  const sizes = (): number[] => service.received.splice(0).map(each => each.body.offsets.length)

  await distributorFor(t, { ...base, recordsMax: 2 })(batchOf([1, 2, 3, 4, 5]), PLENTY)
  assert.deepEqual(sizes(), [2, 2, 1])
  const texts = ['a'.repeat(30), 'b'.repeat(30), 'c'.repeat(300), 'é'.repeat(20)]
  await distributorFor(t, { ...base, bytesMax: 100 })(batchOf(texts), PLENTY)
  assert.deepEqual(sizes(), [2, 1, 1])
})

test('what a service says of single records is passed on', async t => {
  const failures = [
    { offset: 101, action: 'deadLetter', reason: 'unknown truck' },
    { offset: 102, action: 'skip', reason: 'seen before' }
  ]
  const service = await startService(t, () => ({ body: { failures } }))
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })

  assert.deepEqual(failuresOf(await distribute(batchOf([1, 2, 3, 4]), PLENTY)), [
    { offset: 101, action: 'deadLetter', reason: 'target s: unknown truck' },
    { offset: 102, action: 'skip', reason: 'target s: seen before' }
  ])
})

test('ordered by partition, a record to be tried again takes all later ones of its service with it', async t => {
  const failures = [{ offset: 101, action: 'retry', reason: 'locked', retryAfterMs: 300 }]
  const slow = await startService(t, each => (each.body.offsets.includes(101) ? { body: { failures } } : {}))
  const other = await startService(t)
  const routes = [{ values: [1], targets: ['slow'] }]
  const options = { targets: { slow: slow.url, other: other.url }, routes, otherwise: ['other'], recordsMax: 3 }
  // The event has no keys, so nothing finer than the partition can be kept.
  const event = batchOf([1, 1, 2, 1, 2, 1, 1].map(code => truck(code)))

  const response = await distributorFor(t, options)(event, PLENTY)
  assert.deepEqual(verdicts(response), ['101 retry', '103 retry', '105 retry', '106 retry'])
  const [own, behind] = failuresOf(response)
  assert.deepEqual(own, { offset: 101, action: 'retry', reason: 'target slow: locked', retryAfterMs: 300 })
  // Waiting behind another record says nothing against this one.
  assert.partialDeepStrictEqual(behind, { offset: 103, retryAfterMs: 300, unavailable: true })
  assert.equal(slow.received.length, 1, 'the second request of the service waits for the retry')
  assert.deepEqual(other.offsets(), [102, 104])
})

test('ordered by key, only later records of the same key wait, and those without a key for nobody', async t => {
  const failures = [101, 102].map(offset => ({ offset, action: 'retry', reason: 'locked' }))
  const service = await startService(t, each => (each.body.offsets.includes(101) ? { body: { failures } } : {}))
  const event = batchOf([1, 2, 3, 4, 5, 6], 100, { keys: ['a', 'b', null, 'b', null, 'b'] })
  const options = { targets: { s: service.url }, otherwise: ['s'], recordsMax: 4 }

  const waiting = ['101 retry', '102 retry', '103 retry', '105 retry']
  assert.deepEqual(verdicts(await distributorFor(t, options)(event, PLENTY)), waiting)
  assert.deepEqual(service.offsets(), [100, 101, 102, 103, 104])
  service.received.length = 0
  const strict = distributorFor(t, { ...options, order: 'partition' })
  assert.deepEqual(verdicts(await strict(event, PLENTY)), [...waiting.slice(0, 3), '104 retry', '105 retry'])
  assert.deepEqual(service.offsets(), [100, 101, 102, 103])
})

test('a service that is down makes its records wait, and nobody else’s', async t => {
  const answers: Answer[] = [
    { status: 500 },
    { status: 503, headers: { 'retry-after': '7' } },
    { status: 429, headers: { 'retry-after': '2' } },
    { status: 404 },
    { status: 401 },
    { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
    'cut'
  ]
  for (const answer of answers) {
    const [down, well] = [await startService(t, () => answer), await startService(t)]
    const options = { targets: { down: down.url, well: well.url }, recordsMax: 2 }
    const routes = [{ values: [1], targets: ['down'] }]
    const distribute = distributorFor(t, { ...options, routes, otherwise: ['well'] })
    const response = await distribute(batchOf([truck(1), truck(2), truck(1), truck(1)]), PLENTY)

    const name = JSON.stringify(answer)
    assert.deepEqual(verdicts(response), ['100 retry', '102 retry', '103 retry'], name)
    for (const failure of failuresOf(response)) assert.equal(failure.unavailable, true, name)
    const seconds = typeof answer === 'string' ? undefined : answer.headers?.['retry-after']
    const expected = seconds === undefined ? undefined : Number(seconds) * 1_000
    assert.equal(failuresOf(response)[0]?.retryAfterMs, expected, name)
    assert.equal(down.received.length, 1, name)
    assert.deepEqual(well.offsets(), [101], name)
  }
})

test('a service that broke, hung up or spoke nonsense is suspect: its records may be the cause', async t => {
  const suspectOf = async (answer: Answer): Promise<boolean | undefined> => {
    const service = await startService(t, () => answer)
    const response = await distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })(batchOf([1]), PLENTY)
    assert.deepEqual(verdicts(response), ['100 retry'])
    return failuresOf(response)[0]?.suspect
  }

  for (const answer of [{ status: 500 }, { status: 502 }, 'cut' as const, { body: '{"failures":' }]) {
    assert.equal(await suspectOf(answer), true, JSON.stringify(answer))
  }
  for (const status of [503, 429, 401, 404]) assert.equal(await suspectOf({ status }), undefined, String(status))
})

test('an event that can be read but not written harms itself only', async t => {
  const service = await startService(t)
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })
  const depth = 100_000
  const text = JSON.stringify(batchOf([1, 'deep', 3])).replace('"deep"', `${'['.repeat(depth)}${']'.repeat(depth)}`)

  assert.deepEqual(failuresOf(await distribute(JSON.parse(text), PLENTY)), [
    { offset: 101, action: 'deadLetter', reason: 'the event is nested too deeply to be written again' }
  ])
  assert.deepEqual(service.offsets(), [100, 102])
})

test('a service that cannot be reached makes its records wait', async t => {
  const distribute = distributorFor(t, { targets: { s: 'http://127.0.0.1:1/' }, otherwise: ['s'] })
  const response = await distribute(batchOf([1, 2]), PLENTY)

  assert.deepEqual(verdicts(response), ['100 retry', '101 retry'])
  assert.match(failuresOf(response)[0]?.reason ?? '', /target s: .*ECONNREFUSED/)
  assert.equal(failuresOf(response)[0]?.suspect, undefined)
})

test('the bad record of a refused request is found, dead-lettered, and the others go on in order', async t => {
  const isBad = (offset: number): boolean => offset === 117 || offset === 142
  const service = await startService(t, each => {
    const isRefused = each.body.offsets.some(isBad)
    return isRefused ? { status: 422, body: { message: 'speed is negative' } } : {}
  })
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })
  const response = await distribute(batchOf(Array.from({ length: 64 }, (_, index) => index)), PLENTY)

  assert.deepEqual(failuresOf(response), [
    { offset: 117, action: 'deadLetter', reason: 'target s answered 422: speed is negative' },
    { offset: 142, action: 'deadLetter', reason: 'target s answered 422: speed is negative' }
  ])
  const taken = service.received.filter(each => !each.body.offsets.some(isBad)).flatMap(each => each.body.offsets)
  assert.deepEqual(
    taken,
    Array.from({ length: 64 }, (_, index) => 100 + index).filter(offset => !isBad(offset))
  )
  assert.ok(service.received.length <= 2 * 2 * 6 + 1, `${service.received.length} requests`)
})

test('looking for bad records has a limit; the rest is tried again', async t => {
  const service = await startService(t, () => ({ status: 400 }))
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], bisectRequestsMax: 8 })
  const response = await distribute(batchOf([1, 2, 3, 4, 5, 6, 7, 8]), PLENTY)

  assert.deepEqual(verdicts(response), [
    ...['100', '101', '102', '103'].map(offset => `${offset} deadLetter`),
    ...['104', '105', '106', '107'].map(offset => `${offset} retry`)
  ])
  // The first request, then 8: two each for 8 records, 4, 2 and 2.
  assert.equal(service.received.length, 9)
})

test('no request goes on past the end of the invocation', async t => {
  const clock = new VirtualClock()
  const start = clock.now()
  const service = await startService(t, () => 'hang')
  const distribute = distributorFor(t, {
    targets: { s: service.url },
    otherwise: ['s'],
    clock,
    timeoutMs: 60_000,
    recordsMax: 1
  })
  const context = { getRemainingTimeInMillis: () => start + 3_000 - clock.now() }
  const pending = distribute(batchOf([1, 2]), context)
  let isDone = false
  void pending.finally(() => (isDone = true))

  await clock.advance(2_700)
  assert.equal(isDone, false)
  // 250 ms are kept for the answer.
  await clock.advance(60)
  const response = await pending
  assert.deepEqual(verdicts(response), ['100 retry', '101 retry'])
  assert.equal(failuresOf(response)[0]?.reason, 'target s: no reply within 2750 ms')
  assert.equal(service.received.length, 1)

  const late = await distribute(batchOf([1]), contextWith(260))
  assert.match(failuresOf(late)[0]?.reason ?? '', /no time was left/)
  assert.equal(service.received.length, 1)
})

test('a slow service is given up after its own time', async t => {
  const clock = new VirtualClock()
  const service = await startService(t, () => 'hang')
  const targets = { s: { type: 'http', url: service.url, timeoutMs: 1_000 } } as const
  const distribute = distributorFor(t, { targets, otherwise: ['s'], clock, timeoutMs: 60_000 })
  const pending = distribute(batchOf([1]), PLENTY)
  let isDone = false
  void pending.finally(() => (isDone = true))
  while (!isDone) await clock.advance(100)

  assert.equal(failuresOf(await pending)[0]?.reason, 'target s: no reply within 1000 ms')
})

test('replies that cannot be trusted are not taken for success', async t => {
  const bodies = [
    '{"failures":',
    '{"failures":"none"}',
    '{"failures":[{"offset":999,"action":"skip"}]}',
    '{"failures":[7]}'
  ]
  bodies.push('{"failures":[{"action":"skip"}]}', '{"failures":[{"offset":null}]}', `"${'x'.repeat(1_100_000)}"`)
  for (const body of bodies) {
    const service = await startService(t, () => ({ body }))
    const response = await distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })(
      batchOf([1, 2], 0),
      PLENTY
    )
    assert.deepEqual(verdicts(response), ['0 retry', '1 retry'], body.slice(0, 50))
  }
  const fine = ['', 'null', '{}', '[]', '"ok"', '{"failures":[]}', '{"status":"done"}']
  for (const body of fine) {
    const service = await startService(t, () => ({ body }))
    assert.deepEqual(
      await distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })(batchOf([1]), PLENTY),
      {},
      body
    )
  }
  const html = await startService(t, () => ({ headers: { 'content-type': 'text/html' }, body: '<p>thanks' }))
  assert.deepEqual(await distributorFor(t, { targets: { s: html.url }, otherwise: ['s'] })(batchOf([1]), PLENTY), {})
})

test('a failure with an unknown action is tried again', async t => {
  const service = await startService(t, () => ({ body: { failures: [{ offset: 100, action: 'explode' }] } }))
  const response = await distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })(batchOf([1]), PLENTY)

  assert.deepEqual(failuresOf(response), [{ offset: 100, action: 'retry', reason: 'target s: no reason given' }])
})

test('after a fan-out only the service that failed gets the record again', async t => {
  let isDown = true
  const [well, ill] = [await startService(t), await startService(t, () => (isDown ? { status: 503 } : {}))]
  const refuses = await startService(t, () => ({
    body: { failures: [{ offset: 100, action: 'deadLetter', reason: 'old' }] }
  }))
  const targets = { well: well.url, ill: ill.url, refuses: refuses.url }
  const distribute = distributorFor(t, { targets, otherwise: ['well', 'ill', 'refuses'] })
  const event = batchOf([1])

  assert.deepEqual(verdicts(await distribute(event, PLENTY)), ['100 retry'])
  assert.deepEqual(verdicts(await distribute(event, PLENTY)), ['100 retry'])
  isDown = false
  // What the third service said at first still holds.
  assert.deepEqual(failuresOf(await distribute(event, PLENTY)), [
    { offset: 100, action: 'deadLetter', reason: 'target refuses: old' }
  ])
  assert.deepEqual([well.offsets(), ill.offsets(), refuses.offsets()], [[100], [100, 100, 100], [100]])
  // Once settled it is forgotten: the same offset again is a replay, and is delivered.
  await distribute(event, PLENTY)
  assert.deepEqual(well.offsets(), [100, 100])
})

test('what services said is forgotten after its time and beyond its limit', async t => {
  const clock = new VirtualClock()
  const [well, ill] = [await startService(t), await startService(t, () => ({ status: 503 }))]
  const options = { targets: { well: well.url, ill: ill.url }, otherwise: ['well', 'ill'], clock }
  const timed = distributorFor(t, { ...options, ledgerTtlMs: 1_000 })
  await timed(batchOf([1]), PLENTY)
  await clock.advance(999)
  await timed(batchOf([1]), PLENTY)
  assert.deepEqual(well.offsets().splice(0), [100])
  await clock.advance(1_000)
  await timed(batchOf([1]), PLENTY)
  assert.deepEqual(well.offsets(), [100, 100])

  well.received.length = 0
  const small = distributorFor(t, { ...options, ledgerMax: 2 })
  await small(batchOf([1, 2, 3]), PLENTY)
  await small(batchOf([1, 2, 3]), PLENTY)
  assert.deepEqual(well.offsets(), [100, 101, 102, 100])
})

test('what services said is forgotten although the monotonic clock has rested with a frozen environment', async t => {
  const [well, ill] = [await startService(t), await startService(t, () => ({ status: 503 }))]
  let frozenMs = 0
  const clock = { ...systemClock, now: () => Date.now() + frozenMs, monotonicMs: () => 0 }
  const options = { targets: { well: well.url, ill: ill.url }, otherwise: ['well', 'ill'], clock }
  const distribute = distributorFor(t, options)
  for (const ms of [0, 299_000, 2_000]) {
    frozenMs += ms
    await distribute(batchOf([1]), PLENTY)
  }
  assert.deepEqual(well.offsets(), [100, 100])
})

test('AWS resumes at the lowest offset that is undone, in whatever order the event has the records', async t => {
  const service = await startService(t, ({ body }) => {
    const failures = body.offsets.filter(offset => offset !== 6).map(offset => ({ offset, action: 'retry' }))
    return { body: { failures } }
  })
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'] })
  const records = [7, 6, 5, 8].map(offset => ({ topic: 't', partition: 0, offset, value: 'MQ==' }))

  const item = { itemIdentifier: { partition: 't-0', offset: 5 } }
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    assert.deepEqual(await distribute({ records: { 't-0': records } }, PLENTY), { batchItemFailures: [item] })
  }
  // 6 comes again because it is behind 5; it is not delivered again.
  assert.deepEqual(service.offsets(), [7, 6, 5, 8, 7, 5, 8])
})

test('an event of another shape is an error, not a success', async t => {
  const distribute = distributorFor(t, { targets: { s: 'http://127.0.0.1:1/' }, otherwise: ['s'] })
  const events = [null, [], 'text', {}, { Records: [] }, { messages: [1] }, { records: [] }, { records: { x: [] } }]
  const withoutOffsets = { ...batchOf([1, 2]), offsets: [1] }
  for (const event of [...events, withoutOffsets, { ...batchOf([1]), offsets: ['1'] }, { records: { 't-0': [{}] } }]) {
    await assert.rejects(distribute(event, PLENTY), { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' }, JSON.stringify(event))
  }
  assert.deepEqual(await distribute(batchOf([]), PLENTY), {})
  assert.deepEqual(await distribute({ records: {} }, PLENTY), { batchItemFailures: [] })
})

test('options that cannot work are refused, every problem at once', () => {
  const options = {
    field: '',
    targets: {
      bad: 'ftp://x',
      worse: 7,
      'two words': 'http://x',
      split: { type: 'http', url: 'http://x', headers: { 'x-a': 'b\r\nx-c: d' } }
    },
    routes: [
      { values: [], targets: ['bad'] },
      { values: [1, null], targets: ['absent'] }
    ],
    otherwise: ['nowhere'],
    order: 'random',
    recordsMax: 0
  }
  // Boundary: what JSON might hold.
  assert.throws(
    () => createDistributor(options as never),
    error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'))
      const { message } = error
      for (const part of [
        'targets.bad',
        'targets.worse',
        'targets.two words',
        'targets.split.headers',
        'field',
        'routes.0',
        'routes.1.values',
        '"absent"',
        '"nowhere"',
        'order',
        'recordsMax'
      ]) {
        assert.ok(message.includes(part), `${part} in: ${message}`)
      }
      return true
    }
  )
  assert.throws(() => createDistributor({ targets: {} }), { code: 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID' })
})

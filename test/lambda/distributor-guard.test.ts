/** The distributor with a guard, with an enricher, and with somebody who watches. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import type {
  DistributorObserver,
  DistributorOptions,
  DistributorResponse,
  ComportaFailure
} from '../../src/lambda/index.ts'
import type { BatchGuard, GuardedBatch } from '../../src/lambda/idempotency/batch-guard.ts'
import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { MemoryStore } from '../../src/lambda/idempotency/memory-store.ts'
import type { RecordSink, SinkOutcome } from '../../src/targets/sinks/index.ts'
import { startLookupService } from './enrichment/support.ts'
import { batchOf, contextWith, distributorFor, memoryLogger, startService, until } from './support.ts'

const PLENTY = contextWith(60_000)

function verdicts(response: DistributorResponse): string[] {
  const failures: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
  return failures.map(each => `${each.offset} ${each.action}: ${each.reason}`)
}

/** Guards of different environments over one store. */
function guards(): () => BatchGuard {
  const store = new MemoryStore({})
  return () => createBatchGuard({ store: { type: 'memory' } }, { store })
}

test('what was done in one environment is not done again in another; only the failed target is repeated', async t => {
  let isDown = true
  const [well, ill] = [await startService(t), await startService(t, () => (isDown ? { status: 503 } : {}))]
  const refuses = await startService(t, each => {
    const failures = [{ offset: 101, action: 'deadLetter', reason: 'old' }]
    return each.body.offsets.includes(101) ? { body: { failures } } : {}
  })
  const options: DistributorOptions = {
    targets: { well: well.url, ill: ill.url, refuses: refuses.url },
    routes: [
      { values: [1], targets: ['well', 'ill'] },
      { values: [2], targets: ['well', 'refuses'] }
    ]
  }
  const guard = guards()
  const event = batchOf([{ codigo: 1 }, { codigo: 2 }, { codigo: 2 }, { codigo: 9 }])

  const first = await distributorFor(t, { ...options, guard: guard() })(event, PLENTY)
  const expected = ['101 deadLetter: target refuses: old', '103 deadLetter: no route for this codigo']
  assert.deepEqual(verdicts(first), ['100 retry: target ill answered 503', ...expected])
  isDown = false
  // The answer may have been lost: a dead letter is answered until the caller has acted on it.
  const second = await distributorFor(t, { ...options, guard: guard() })(event, PLENTY)
  assert.deepEqual(verdicts(second), expected)
  assert.deepEqual(
    [well.offsets(), ill.offsets(), refuses.offsets()],
    [
      [100, 101, 102],
      [100, 100],
      [101, 102, 101]
    ]
  )
})

// Remembered for as long as it comes again, a refusal would last for ever: a mapping without a limit of attempts stands
// at the record, and correcting the service would not help.
test('in AWS a refusal is forgotten after a while, so that a service that was corrected gets the record', async t => {
  const store = new MemoryStore({})
  const clock = new VirtualClock()
  const answers: SinkOutcome[] = [{ kind: 'rejected', reason: 'a bug' }]
  let requestCount = 0
  const sink: RecordSink = {
    name: 's',
    limits: { recordsMax: 500, bytesMax: 1_000_000 },
    deliver: () => {
      requestCount += 1
      return Promise.resolve(answers.shift() ?? { kind: 'ok' })
    },
    close: () => Promise.resolve()
  }
  const records = { 't-0': [{ topic: 't', partition: 0, offset: 5, value: 'MQ==' }] }
  const resumes = { batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 5 } }] }
  const seen: unknown[] = []
  for (let minute = 0; minute <= 6; minute += 1) {
    const guard = createBatchGuard({ store: { type: 'memory' } }, { store, clock })
    const distribute = distributorFor(t, { sinks: { s: sink }, otherwise: ['s'], guard, clock })
    seen.push(await distribute({ records }, PLENTY))
    await clock.advance(60_000)
  }

  assert.deepEqual(
    seen.slice(0, 5),
    Array.from({ length: 5 }, () => resumes)
  )
  assert.deepEqual([seen.at(-1), requestCount], [{ batchItemFailures: [] }, 2])
})

test('a store that fails delivers nothing, and every record comes again', async t => {
  const service = await startService(t)
  const seen: unknown[] = []
  const failing: BatchGuard = {
    begin: () => Promise.reject(new PipelineError('ERR_LAMBDA_IDEMPOTENCY_STORE', 'the table does not answer')),
    close: () => Promise.resolve()
  }
  const observer = { storeFailed: (error: unknown) => void seen.push(error) }
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], guard: failing, observer })

  const response = await distribute(batchOf([1, 2]), PLENTY)
  const reason = 'retry: the idempotency store failed: the table does not answer'
  assert.deepEqual(verdicts(response), [`100 ${reason}`, `101 ${reason}`])
  assert.partialDeepStrictEqual(response, { failures: [{ unavailable: true }, { unavailable: true }] })
  assert.equal(service.received.length, 0)
  assert.ok(PipelineError.is(seen[0], 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
  const records = { 't-0': [{ topic: 't', partition: 0, offset: 5, value: 'MQ==' }] }
  const items = [{ itemIdentifier: { partition: 't-0', offset: 5 } }]
  assert.deepEqual(await distribute({ eventSource: 'aws:kafka', records }, PLENTY), { batchItemFailures: items })
})

test('a store that fails afterwards changes nothing of the answer', async t => {
  const service = await startService(t)
  const seen: unknown[] = []
  const claimed: GuardedBatch = {
    state: () => 'claimed',
    heldForMs: () => 0,
    targetsDone: () => new Set(),
    finish: () => Promise.reject(new Error('gone'))
  }
  const guard: BatchGuard = { begin: () => Promise.resolve(claimed), close: () => Promise.resolve() }
  const observer = { storeFailed: (error: unknown) => void seen.push(error) }
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], guard, observer })

  assert.deepEqual(await distribute(batchOf([1]), PLENTY), {})
  assert.deepEqual([service.offsets(), seen.length], [[100], 1])
})

test('a record that another invocation holds comes again, and so do those behind it', async t => {
  const service = await startService(t)
  const states = ['done', 'held', 'claimed', 'claimed', 'claimed'] as const
  const claimed: GuardedBatch = {
    state: (_, index) => states[index] ?? 'claimed',
    heldForMs: () => 1_234.5,
    targetsDone: () => new Set(),
    finish: () => Promise.resolve()
  }
  const guard: BatchGuard = { begin: () => Promise.resolve(claimed), close: () => Promise.resolve() }
  const options = { targets: { s: service.url }, otherwise: ['s'], guard }
  const event = batchOf([1, 2, 3, 4, 5], 100, { keys: ['a', 'b', 'a', 'b', null] })

  const response = await distributorFor(t, options)(event, PLENTY)
  assert.deepEqual(response, {
    failures: [
      {
        offset: 101,
        action: 'retry',
        reason: 'another invocation is delivering this record',
        retryAfterMs: 1_235,
        unavailable: true
      },
      { offset: 103, action: 'retry', reason: 'waits behind an earlier record that comes again', unavailable: true }
    ]
  })
  assert.deepEqual(service.offsets(), [102, 104])
  service.received.length = 0
  await distributorFor(t, { ...options, order: 'partition' })(event, PLENTY)
  assert.deepEqual(service.offsets(), [])
})

test('a guard by business id is given the field’s text, and none for records without it', async t => {
  const service = await startService(t)
  const idempotency = { store: { type: 'memory' }, key: { field: 'order.id' } } as const
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], idempotency })
  const orders = [{ order: { id: 7 } }, { order: { id: '8' } }, { order: {} }]

  assert.deepEqual(await distribute(batchOf(orders), PLENTY), {})
  // Produced twice: other offsets, the same orders. The one without an id is another record.
  assert.deepEqual(await distribute(batchOf(orders, 200), PLENTY), {})
  assert.deepEqual(service.offsets(), [100, 101, 102, 202])
})

// An id that two records share by accident makes the second one "done", and nobody delivers it: JSON.parse rounds
// 9007199254740993 to 9007199254740992, 1e400 to Infinity, and a producer without an id writes an empty text.
test('what may be the id of several records is none: they are told apart by their offsets', async t => {
  const service = await startService(t)
  const idempotency = { store: { type: 'memory' }, key: { field: 'id' } } as const
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], idempotency })
  const texts = ['9007199254740992', '9007199254740993', '1e400', '2e400', '0.1', '0.10000000000000000001', '""', '""']
  const records = [...texts, String.raw`"\ud800"`, String.raw`"\ud801"`].map((id, offset) => ({
    topic: 't',
    partition: 0,
    offset,
    value: Buffer.from(`{"id":${id}}`).toString('base64')
  }))

  await distribute({ eventSource: 'aws:kafka', records: { 't-0': records } }, PLENTY)
  assert.deepEqual(service.offsets(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

// Lambda would end the invocation, the answer with all that was delivered would be lost, and all of it come again.
test('a store that hangs holds no answer up: nothing is delivered, or the answer stays', async t => {
  const service = await startService(t)
  const seen: unknown[] = []
  const observer = { storeFailed: (error: unknown) => void seen.push(error) }
  const options = { targets: { s: service.url }, otherwise: ['s'], observer }
  const claim = Promise.withResolvers<GuardedBatch>()
  const givenBack: unknown[] = []
  const claimed: GuardedBatch = {
    state: () => 'claimed',
    heldForMs: () => 0,
    targetsDone: () => new Set(['other']),
    finish: resultOf => {
      givenBack.push(resultOf(0, 0))
      return new Promise(() => {})
    }
  }
  const late: BatchGuard = { begin: () => claim.promise, close: () => Promise.resolve() }
  const response = await distributorFor(t, { ...options, guard: late, reserveMs: 250 })(batchOf([1]), contextWith(280))
  assert.match(verdicts(response)[0] ?? '', /^100 retry: the idempotency store failed: .*no answer/)
  claim.resolve(claimed)
  await until(() => givenBack.length > 0)
  assert.deepEqual([service.offsets(), givenBack, seen.length], [[], [{ isDone: false, targetsDone: ['other'] }], 1])

  const guard: BatchGuard = { begin: () => Promise.resolve(claimed), close: () => Promise.resolve() }
  assert.deepEqual(await distributorFor(t, { ...options, guard })(batchOf([1]), contextWith(350)), {})
  assert.deepEqual([service.offsets(), seen.length], [[100], 2])
  assert.ok(PipelineError.is(seen[1], 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
})

test('routes see what was added, targets get it, and what could not be enriched takes others along', async t => {
  const [north, south] = [await startService(t), await startService(t)]
  const drivers = new Map([
    ['d1', '{"id":"d1","region":"north"}'],
    ['d2', '{"id":"d2","region":"south"}']
  ])
  const table = await startLookupService(t, ({ path }) => {
    const text = drivers.get(path.slice(1))
    if (path === '/broken') return { status: 500 }
    return text === undefined ? { status: 404 } : { body: text }
  })
  const distribute = distributorFor(t, {
    targets: { north: north.url, south: south.url },
    field: 'driver.region',
    routes: [
      { values: ['north'], targets: ['north'] },
      { when: { 'driver.region': ['south'] }, targets: ['south'] }
    ],
    enrich: [
      {
        into: 'driver',
        key: 'driver_id',
        from: { type: 'http', url: `${table.url}/{key}` },
        onError: 'retry',
        missing: 'deadLetter'
      }
    ]
  })
  const ids = ['d1', 'd2', 'd9', 'broken', 'd1', 'd2']
  const keys = ['a', 'b', 'c', 'a', 'a', 'b']
  const response = await distribute(
    batchOf(
      ids.map(driver_id => ({ driver_id })),
      100,
      { keys }
    ),
    PLENTY
  )

  assert.deepEqual(
    verdicts(response).map(each => each.split(':')[0]),
    ['102 deadLetter', '103 retry', '104 retry']
  )
  assert.deepEqual([north.offsets(), south.offsets()], [[100], [101, 105]])
  assert.deepEqual(north.received[0]?.body.messages, [{ driver_id: 'd1', driver: { id: 'd1', region: 'north' } }])
})

test('an enricher that rejects although it must not makes all records come again, and frees the claim', async t => {
  const service = await startService(t)
  const enricher = {
    names: new Set<string>(),
    enrich: () => Promise.reject(new Error('a bug')),
    close: () => Promise.resolve()
  }
  const guard = guards()
  const options = { targets: { s: service.url }, otherwise: ['s'] }
  const first = await distributorFor(t, { ...options, guard: guard(), enricher })(batchOf([1]), PLENTY)

  assert.deepEqual(verdicts(first), ['100 retry: the enrichment failed: a bug'])
  // Another environment need not wait for the end of the lease.
  assert.deepEqual(await distributorFor(t, { ...options, guard: guard() })(batchOf([1]), PLENTY), {})
  assert.deepEqual(service.offsets(), [100])
})

// In AWS the answer has no reasons: without a word in the log nobody would know why a mapping stands still.
test('what only a change of set-up helps against is in the log, with nobody watching', async t => {
  const logger = memoryLogger()
  const timeoutMs = 200
  const kafka = { type: 'kafka', bootstrapServers: ['127.0.0.1:1'], topic: 'a', timeoutMs } as const
  await distributorFor(t, { targets: { kafka }, otherwise: ['kafka'], logger })(batchOf([1]), PLENTY)
  const guard: BatchGuard = {
    begin: () => Promise.reject(new PipelineError('ERR_LAMBDA_IDEMPOTENCY_STORE', 'there is no table')),
    close: () => Promise.resolve()
  }
  const options = { targets: { s: 'http://127.0.0.1:1' }, otherwise: ['s'], logger, guard }
  const distribute = distributorFor(t, options)
  for (let batch = 0; batch < 3; batch += 1) await distribute(batchOf([1]), PLENTY)

  const errors = logger.lines.filter(({ level }) => level === 'error').map(({ message }) => message)
  assert.match(errors[0] ?? '', /^target kafka: /)
  assert.deepEqual(errors.slice(1), ['there is no table'])
  assert.throws(() => distributorFor(t, { ...options, logger: 'console' as never }), /logger: is none/)
})

test('an observer that never ends costs no answer', async t => {
  const service = await startService(t)
  const observer: DistributorObserver = { invocationEnded: () => new Promise(() => {}) }
  const distribute = distributorFor(t, { targets: { s: service.url }, otherwise: ['s'], observer })
  assert.deepEqual(await distribute(batchOf([1]), contextWith(350)), {})
  assert.deepEqual(service.offsets(), [100])
})

test('an observer hears of the batch, of requests, failures and the result, and cannot break anything', async t => {
  const service = await startService(t, () => ({ body: { failures: [{ offset: 101, action: 'skip' }] } }))
  const seen: [string, unknown][] = []
  const note =
    (name: string) =>
    (what: unknown): void => {
      seen.push([name, what])
      throw new Error('a metric that does not work')
    }
  const observer: DistributorObserver = {
    invocationStarted: note('started'),
    requestDone: note('request'),
    recordsFailed: note('failed'),
    invocationEnded: note('ended'),
    invocationFailed: note('invocationFailed')
  }
  const routes = [{ values: [1], targets: ['s'] }]
  const distribute = distributorFor(t, { targets: { s: service.url }, routes, observer })
  const codes = [1, 1, 9, 8].map(codigo => ({ codigo }))

  assert.deepEqual(verdicts(await distribute(batchOf(codes), PLENTY)).length, 3)
  assert.deepEqual(
    seen.map(([name]) => name),
    ['started', 'request', 'failed', 'failed', 'ended']
  )
  const [started, request, , dead, ended] = seen.map(([, what]) => what)
  assert.deepEqual(started, {
    format: 'json',
    topics: ['mt-c300'],
    partitionCount: 1,
    partitions: [{ topic: 'mt-c300', partition: 3, firstOffset: 100, lastOffset: 103 }],
    recordCount: 4
  })
  assert.partialDeepStrictEqual(request, { target: 's', recordCount: 2, bytes: 24, attempt: 1, outcome: 'partial' })
  assert.partialDeepStrictEqual(dead, { action: 'deadLetter', recordCount: 2, firstOffset: 102 })
  assert.partialDeepStrictEqual(ended, {
    recordCount: 4,
    deliveredCount: 1,
    retriedCount: 0,
    deadLetteredCount: 2,
    skippedCount: 1,
    repeatedCount: 0
  })
  await assert.rejects(distribute({}, PLENTY), { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' })
  assert.equal(seen.at(-1)?.[0], 'invocationFailed')
})

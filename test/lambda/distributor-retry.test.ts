/** Attempts within one invocation: only the target that failed, only what failed, only while there is time. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import type { BatchGuard } from '../../src/lambda/idempotency/batch-guard.ts'
import {
  createDistributor,
  type DistributorOptions,
  type DistributorResponse,
  type ObservedRequest
} from '../../src/lambda/index.ts'
import type { RecordSink, SinkLimits, SinkOutcome, SinkRequest } from '../../src/targets/sinks/index.ts'
import { batchOf, contextWith, type Received, startService } from './support.ts'

const LIMITS: SinkLimits = { recordsMax: 500, bytesMax: 1_000_000 }

/** A sink that gives its answers one after the other, and then only good ones. */
function scripted(
  outcomes: readonly SinkOutcome[] = [],
  limits: Partial<SinkLimits> = {}
): RecordSink & { readonly requests: SinkRequest[] } {
  const left = [...outcomes]
  const requests: SinkRequest[] = []
  return {
    name: 's',
    limits: { ...LIMITS, ...limits },
    requests,
    deliver: request => {
      requests.push(request)
      return Promise.resolve(left.shift() ?? { kind: 'ok' })
    },
    close: () => Promise.resolve()
  }
}

const offsetsOf = (requests: readonly SinkRequest[]): (readonly number[])[] => requests.map(each => each.offsets)

/** Runs one invocation, moving the clock whenever nothing else happens; the answer and how long it took. */
async function run(
  options: DistributorOptions,
  event: unknown,
  timeMs = 60_000
): Promise<{ response: DistributorResponse; tookMs: number }> {
  const clock = new VirtualClock()
  const startMs = clock.now()
  const distribute = createDistributor({ ...options, clock, random: { next: () => 0.5 } })
  let isDone = false
  const pending = distribute(event, { getRemainingTimeInMillis: () => startMs + timeMs - clock.now() })
  void pending.finally(() => (isDone = true))
  while (!isDone) {
    await new Promise(resolve => setImmediate(resolve))
    if (!isDone) await clock.advance(5)
  }
  return { response: await pending, tookMs: clock.now() - startMs }
}

const DOWN: SinkOutcome = { kind: 'unavailable', reason: 'down' }

test('a target that is down for a moment is tried again, and the others are not bothered', async () => {
  const [well, ill] = [scripted(), scripted([DOWN])]
  const { response, tookMs } = await run({ sinks: { well, ill }, otherwise: ['well', 'ill'] }, batchOf([1, 2]))

  assert.deepEqual(response, {})
  assert.deepEqual(offsetsOf(well.requests), [[100, 101]])
  assert.deepEqual(offsetsOf(ill.requests), [
    [100, 101],
    [100, 101]
  ])
  // 100 ms, less a quarter: the generator of this test gives one half of one half.
  assert.equal(tookMs, 75)
})

test('pauses double, attempts have a limit, and a target may have its own', async () => {
  const always = Array.from({ length: 20 }, () => DOWN)
  const [few, many] = [scripted(always), scripted(always)]
  const { response, tookMs } = await run(
    { sinks: { few, many }, otherwise: ['few', 'many'], retry: { attemptsMax: 4, backoffMs: 40 } },
    batchOf([1])
  )
  assert.equal(few.requests.length, 4)
  assert.equal(tookMs, 30 + 60 + 120)
  assert.partialDeepStrictEqual(response, { failures: [{ offset: 100, action: 'retry', unavailable: true }] })
})

test('what a target asks to wait for is waited for, unless it is longer than a second', async () => {
  const soon = scripted([{ ...DOWN, retryAfterMs: 700 }])
  assert.deepEqual(await run({ sinks: { soon }, otherwise: ['soon'] }, batchOf([1])), { response: {}, tookMs: 700 })

  const late = scripted([{ ...DOWN, retryAfterMs: 1_001 }])
  const { response, tookMs } = await run({ sinks: { late }, otherwise: ['late'] }, batchOf([1]))
  assert.equal(tookMs, 0)
  assert.partialDeepStrictEqual(response, { failures: [{ offset: 100, action: 'retry', retryAfterMs: 1_001 }] })
})

test('there is no further attempt without time for it', async () => {
  const ill = scripted([DOWN])
  // 250 ms are kept, 75 would be the pause, 20 is the shortest request.
  const enough = await run({ sinks: { ill }, otherwise: ['ill'] }, batchOf([1]), 345)
  assert.deepEqual(enough, { response: {}, tookMs: 75 })
  const again = scripted([DOWN])
  const { tookMs } = await run({ sinks: { again }, otherwise: ['again'] }, batchOf([1]), 344)
  assert.equal(tookMs, 0)
  assert.equal(again.requests.length, 1)
})

test('of a request only the records that failed, and those behind them, are repeated, in order', async () => {
  const failures = new Map([[1, { action: 'retry', reason: 'locked' } as const]])
  const sink = scripted([{ kind: 'partial', failures }])
  const event = batchOf([1, 2, 3, 4, 5, 6], 100, { keys: ['a', 'b', 'a', 'b', null, 'c'] })

  assert.deepEqual((await run({ sinks: { sink }, otherwise: ['sink'] }, event)).response, {})
  assert.deepEqual(offsetsOf(sink.requests), [
    [100, 101, 102, 103, 104, 105],
    [101, 103]
  ])
  const unordered = scripted([{ kind: 'partial', failures }], { isUnordered: true })
  assert.deepEqual((await run({ sinks: { unordered }, otherwise: ['unordered'] }, event)).response, {})
  assert.deepEqual(offsetsOf(unordered.requests).slice(1), [[101]])
})

test('a target that may take a later record and refuse an earlier one gets each key once in a request', async () => {
  const limits = { isKeyOncePerRequest: true, recordsMax: 3 }
  const keyed = scripted([], limits)
  const event = batchOf([1, 2, 3, 4, 5, 6], 100, { keys: ['a', 'a', 'b', 'a', null, null] })
  await run({ sinks: { keyed }, otherwise: ['keyed'] }, event)
  assert.deepEqual(offsetsOf(keyed.requests), [[100, 102, 104], [105], [101], [103]])

  const strict = scripted([], limits)
  await run({ sinks: { strict }, otherwise: ['strict'], order: 'partition' }, event)
  assert.deepEqual(offsetsOf(strict.requests), [[100], [101], [102], [103], [104], [105]])
})

test('a sink may ask for the bytes of keys and for headers, of either event', async () => {
  const ours = scripted()
  const headers = [[], [{ trace: 'abc' }]]
  await run({ sinks: { ours }, otherwise: ['ours'] }, batchOf([1, 2], 100, { keys: [null, 'é'], headers }))
  const aws = scripted()
  const record = { topic: 't', partition: 0, value: 'MQ==' }
  const list = [
    { ...record, offset: 7 },
    { ...record, offset: 8, key: 'w6k=', headers: [{ trace: [97, -1] }] }
  ]
  await run({ sinks: { aws }, otherwise: ['aws'] }, { eventSource: 'aws:kafka', records: { 't-0': list } })

  const [fromOurs, fromAws] = [ours.requests[0]?.source, aws.requests[0]?.source]
  assert.deepEqual([fromOurs?.keyBytes(0), fromAws?.keyBytes(0)], [null, null])
  assert.deepEqual([fromOurs?.keyBytes(1), fromAws?.keyBytes(1)], [Buffer.from('é'), Buffer.from('é')])
  assert.deepEqual([fromOurs?.headers(0), fromAws?.headers(0)], [[], []])
  assert.deepEqual(fromOurs?.headers(1), [{ name: 'trace', value: Buffer.from('abc') }])
  assert.deepEqual(fromAws?.headers(1), [{ name: 'trace', value: Buffer.from([97, 255]) }])
})

test('the limits of a target hold, and the distributor’s own make them smaller', async () => {
  const sink = scripted([], { recordsMax: 4, bytesMax: 100, recordBytesMax: 60 })
  // With their quotes: 22, 22, 62 and 12 bytes.
  const texts = ['a'.repeat(20), 'é'.repeat(10), 'c'.repeat(60), 'd'.repeat(10)]
  const { response } = await run({ sinks: { sink }, otherwise: ['sink'], recordsMax: 2 }, batchOf(texts))

  assert.deepEqual(response, {
    failures: [{ offset: 102, action: 'deadLetter', reason: 'the record has 62 bytes; target sink takes 60' }]
  })
  assert.deepEqual(offsetsOf(sink.requests), [[100, 101], [103]])
})

// AWS waits for nothing: answered at once, all attempts of a mapping would be used up before the lease of an invocation
// that was killed has ended, and its records given up although nobody ever tried them again.
test('AWS is answered when records that another holds are nearly free; the dispatcher waits by itself', async () => {
  const claimed = (heldMs: number): BatchGuard => ({
    begin: () =>
      Promise.resolve({
        state: (_, index) => (index === 0 ? 'claimed' : 'held'),
        heldForMs: () => heldMs,
        targetsDone: () => new Set(),
        finish: () => Promise.resolve()
      }),
    close: () => Promise.resolve()
  })
  const optionsOf = (heldMs: number): DistributorOptions => {
    return { sinks: { s: scripted() }, otherwise: ['s'], guard: claimed(heldMs) }
  }
  const records = [5, 6].map(offset => ({ topic: 't', partition: 0, offset, value: 'MQ==' }))
  const event = { records: { 't-0': records } }
  const tookMs: number[] = []
  for (const [heldMs, timeMs] of [[1_000], [60_000], [1_000, 650]] as const) {
    const { response, ...rest } = await run(optionsOf(heldMs), event, timeMs)
    assert.deepEqual(response, { batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 6 } }] })
    tookMs.push(rest.tookMs)
  }
  // No longer than two seconds, and the answer is there in the time of the invocation less the reserve.
  assert.deepEqual(tookMs, [1_000, 2_000, 400])
  assert.equal((await run(optionsOf(1_000), batchOf([1, 2]))).tookMs, 0)
})

// Beyond 6,291,456 bytes Lambda drops the answer, and all that was delivered comes again.
test('reasons are cut where all of them together would be too large for an answer', async () => {
  const sink = scripted([{ kind: 'unavailable', reason: 'é'.repeat(1_000) }], { recordsMax: 20_000 })
  const options = { sinks: { s: sink }, otherwise: ['s'], retry: { attemptsMax: 1 } }
  const few = await run(
    { ...options, sinks: { s: scripted([{ kind: 'unavailable', reason: 'x'.repeat(1_000) }]) } },
    batchOf([1])
  )
  assert.ok(JSON.stringify(few.response).includes('x'.repeat(1_000)))
  const { response } = await run(options, batchOf(Array.from({ length: 15_000 }, () => 1)))
  const text = JSON.stringify(response)
  assert.ok(Buffer.byteLength(text) < 6_000_000, `${Buffer.byteLength(text)} bytes`)
  assert.equal('failures' in response && response.failures?.length, 15_000)
})

test('a sink that breaks its promise and rejects does not end the function', async () => {
  const broken: RecordSink = { ...scripted(), deliver: () => Promise.reject(new Error('bug')) }
  const { response } = await run({ sinks: { broken }, otherwise: ['broken'] }, batchOf([1]))

  assert.partialDeepStrictEqual(response, { failures: [{ offset: 100, action: 'retry', suspect: true }] })
})

test('a sink that does not give up when it is told to holds nothing up, and is not tried again', async () => {
  const silent: RecordSink = { ...scripted(), deliver: () => new Promise(() => undefined) }
  const well = scripted()
  const { response, tookMs } = await run(
    { sinks: { silent, well }, otherwise: ['silent', 'well'], timeoutMs: 1_000 },
    batchOf([1])
  )
  const reason = 'target silent failed: no reply within 1000 ms, and it goes on'
  assert.partialDeepStrictEqual(response, { failures: [{ offset: 100, action: 'retry', suspect: true, reason }] })
  assert.deepEqual([tookMs, well.requests.length], [1_100, 1])

  const throws: RecordSink = {
    ...scripted(),
    deliver: () => {
      throw new Error('at once')
    }
  }
  const thrown = await run({ sinks: { throws }, otherwise: ['throws'] }, batchOf([1]))
  assert.partialDeepStrictEqual(thrown.response, { failures: [{ reason: 'target throws failed: at once' }] })
})

/** A service whose replies are lost as told. */
async function flaky(
  t: TestContext,
  isLost: (request: number, received: Received) => boolean
): ReturnType<typeof startService> {
  let requests = 0
  return startService(t, received => (isLost((requests += 1), received) ? 'cut' : {}))
}

test('over HTTP, a connection that is cut costs one more attempt and nothing else', async t => {
  const [ill, well] = [await flaky(t, request => request === 1), await startService(t)]
  const seen: ObservedRequest[] = []
  const distribute = createDistributor({
    targets: { ill: { type: 'http', url: ill.url, retry: { attemptsMax: 2, backoffMs: 1 } }, well: well.url },
    otherwise: ['ill', 'well'],
    observer: { requestDone: request => void seen.push(request) }
  })
  t.after(() => distribute.close())

  assert.deepEqual(await distribute(batchOf([1, 2]), contextWith(60_000)), {})
  assert.deepEqual(
    [ill.offsets(), well.offsets()],
    [
      [100, 101, 100, 101],
      [100, 101]
    ]
  )
  const keys = ill.received.map(each => each.headers['idempotency-key'])
  assert.deepEqual(keys, ['mt-c300-3-100-101-ill', 'mt-c300-3-100-101-ill'])
  const ofIll = seen.filter(each => each.target === 'ill')
  assert.deepEqual(
    ofIll.map(({ attempt, outcome, recordCount, bytes }) => [attempt, outcome, recordCount, bytes]),
    [
      [1, 'unavailable', 2, 2],
      [2, 'ok', 2, 2]
    ]
  )
})

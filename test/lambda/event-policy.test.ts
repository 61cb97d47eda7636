/** What becomes of asynchronous invocations, decided without a runtime. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { destinationProblem } from '../../src/lambda/index.ts'
import { destinationRecord, recordKey } from '../../src/lambda/runtime/events/destination-record.ts'
import { afterAttempt, afterThrottle, isTooOld } from '../../src/lambda/runtime/events/event-policy.ts'
import { checkedFaults, FaultState } from '../../src/lambda/runtime/faults.ts'
import { eventSettings } from '../../src/lambda/runtime/settings.ts'

const SIX_HOURS = 21_600_000

test('a failed event is tried twice more, after one and after two minutes, as by Lambda', () => {
  const settings = eventSettings({})
  const after = (attempts: number): unknown =>
    afterAttempt({ arrivedMs: 0, attempts, throttles: 0 }, true, { settings, nowMs: 1_000 })

  assert.deepEqual(after(1), { kind: 'retry', waitMs: 60_000 })
  assert.deepEqual(after(2), { kind: 'retry', waitMs: 120_000 })
  assert.deepEqual(after(3), { kind: 'finish', condition: 'RetriesExhausted' })
  const event = { arrivedMs: 0, attempts: 1, throttles: 0 }
  assert.deepEqual(afterAttempt(event, false, { settings, nowMs: 1 }), { kind: 'finish', condition: 'Success' })
  const none = eventSettings({ retriesMax: 0 })
  assert.deepEqual(afterAttempt(event, true, { settings: none, nowMs: 1 }), {
    kind: 'finish',
    condition: 'RetriesExhausted'
  })
})

test('a throttled event waits 1 s, twice as long each time, at most 5 min, and for 6 h at most', () => {
  const settings = eventSettings({})
  let nowMs = 0
  const waits: number[] = []
  for (let throttles = 1; ; throttles += 1) {
    const step = afterThrottle({ arrivedMs: 0, attempts: 0, throttles }, { settings, nowMs })
    if (step.kind === 'finish') {
      assert.equal(step.condition, 'EventAgeExceeded')
      break
    }
    waits.push(step.waitMs / 1_000)
    nowMs += step.waitMs
  }
  assert.deepEqual(waits.slice(0, 11), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  assert.ok(nowMs < SIX_HOURS && nowMs >= SIX_HOURS - 300_000, String(nowMs))
})

test('whatever happens to an event, it ends in time and within its attempts', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 7)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 2_000; round += 1) {
    const ageMaxMs = 60_000 + Math.floor(random.next() * (SIX_HOURS - 60_000))
    const retriesMax = Math.floor(random.next() * 3)
    const settings = eventSettings({ ageMaxMs, retriesMax })
    const event = { arrivedMs: 0, attempts: 0, throttles: 0 }
    for (let nowMs = 0; ;) {
      assert.equal(isTooOld(event, settings, nowMs), false, `seed ${seed}: tried at ${nowMs} of ${ageMaxMs}`)
      const isThrottled = random.next() < 0.5
      if (isThrottled) event.throttles += 1
      else Object.assign(event, { attempts: event.attempts + 1, throttles: 0 })
      const step = isThrottled
        ? afterThrottle(event, { settings, nowMs })
        : afterAttempt(event, random.next() < 0.8, { settings, nowMs })
      assert.ok(event.attempts <= retriesMax + 1, `seed ${seed}: ${event.attempts} attempts`)
      if (step.kind === 'finish') break
      nowMs += step.waitMs
    }
  }
})

test('the record of an invocation is AWS’s example, member for member', () => {
  // Source: Lambda developer guide, "Example invocation record".
  const text = destinationRecord({
    timestampMs: Date.parse('2019-11-14T18:16:05.568Z'),
    requestId: 'e4b46cbf-b738-xmpl-8880-a18cdf61200e',
    functionArn: 'arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST',
    condition: 'RetriesExhausted',
    invokeCount: 3,
    requestPayload: '{"ORDER_IDS":[12345678901234567890]}',
    response: {
      executedVersion: '$LATEST',
      isFailed: true,
      payload: '{"errorMessage":"Process exited before completing request"}'
    }
  })

  assert.equal(
    text,
    '{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{' +
      '"requestId":"e4b46cbf-b738-xmpl-8880-a18cdf61200e",' +
      '"functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST",' +
      '"condition":"RetriesExhausted","approximateInvokeCount":3},' +
      '"requestPayload":{"ORDER_IDS":[12345678901234567890]},' +
      '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},' +
      '"responsePayload":{"errorMessage":"Process exited before completing request"}}'
  )
  assert.equal(
    recordKey('my-function', Date.parse('2019-11-14T18:16:05.568Z'), 'uuid'),
    'aws/lambda/async/my-function/2019/11/14/2019-11-14T18.16.05-uuid'
  )
})

// Symptom: records that no consumer could read. Cause: the answer was spliced in as JSON, which a streamed one need not
// be.
test('an answer that is no JSON is a text in the record', () => {
  for (const payload of ['half of it', '"},"condition":"Success', '']) {
    const text = destinationRecord({
      timestampMs: 0,
      requestId: 'id',
      functionArn: 'arn',
      condition: 'Success',
      invokeCount: 1,
      requestPayload: '{}',
      response: { executedVersion: '1', isFailed: false, payload }
    })
    assert.partialDeepStrictEqual(JSON.parse(text), {
      requestContext: { condition: 'Success' },
      responsePayload: payload
    })
  }
})

test('a destination is what Lambda delivers to, and nothing else', () => {
  const good = ['lambda:us-east-1:000000000000:function:f', 'lambda:us-east-1:000000000000:function:f:live']
  good.push('sqs:us-east-1:000000000000:queue', 'sns:us-east-1:000000000000:topic')
  for (const arn of [...good, 'events:us-east-1:000000000000:event-bus/default', 's3:::bucket']) {
    assert.equal(destinationProblem(`arn:aws:${arn}`, 'onFailure'), undefined, arn)
  }
  for (const arn of ['queue', 'arn:aws:kinesis:us-east-1:000000000000:stream/s', 'arn:aws:sqs:x:1:q.fifo']) {
    assert.notEqual(destinationProblem(arn, 'onFailure'), undefined, arn)
  }
  assert.match(String(destinationProblem('arn:aws:s3:::bucket', 'onSuccess')), /failures only/)
  assert.match(String(destinationProblem('arn:aws:s3:::bucket', 'deadLetterTarget')), /SQS queue or an SNS topic/)
})

test('an injected latency has the quantiles that were asked for, and faults end by themselves', () => {
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 3))
  const state = new FaultState()
  state.set(checkedFaults({ latency: { p50Ms: 120, p99Ms: 950 }, failureRatio: 0.25, forMs: 60_000 }), 0)
  const drawn = Array.from({ length: 40_000 }, () => state.draw(59_999, random))

  const sorted = drawn.map(each => each.extraLatencyMs).toSorted((a, b) => a - b)
  const [p50 = 0, p99 = 0] = [sorted[20_000], sorted[39_600]]
  assert.ok(Math.abs(p50 - 120) < 5 && Math.abs(p99 - 950) < 70, `p50 ${p50}, p99 ${p99}`)
  const failures = drawn.filter(each => each.kind === 'failure').length
  assert.ok(Math.abs(failures - 10_000) < 400, String(failures))
  assert.deepEqual(state.draw(60_000, random), { kind: 'none', extraLatencyMs: 0 })
  for (const bad of [null, {}, { latency: { p50Ms: 9, p99Ms: 1 } }, { latency: 5 }, { forMs: 0 }, { crashRatio: 2 }]) {
    assert.throws(() => checkedFaults(bad), { code: 'ERR_LAMBDA_FAULTS_INVALID' })
  }
})

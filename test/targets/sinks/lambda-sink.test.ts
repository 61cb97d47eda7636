/** The Lambda sink: AWS's SDK against the embedded runtime, and against a server that answers as AWS documents. */

import assert from 'node:assert/strict'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { startLambdaRuntime } from '../../../src/lambda/index.ts'
import { LambdaSink, type LambdaSinkOptions } from '../../../src/targets/sinks/lambda-sink.ts'
import type { SinkOutcome } from '../../../src/targets/sinks/index.ts'
import { errorLog, never, serve } from '../support.ts'
import { failuresOf, requestOf } from './requests.ts'

const taskRoot = path.join(import.meta.dirname, 'functions')

function sinkFor(t: TestContext, options: Omit<LambdaSinkOptions, 'name'>): LambdaSink {
  const sink = new LambdaSink({ name: 'other', ...options })
  t.after(() => sink.close())
  return sink
}

/** Asks a function of the embedded runtime to do something. */
async function asking(t: TestContext): Promise<(what: object) => Promise<SinkOutcome>> {
  const runtime = await startLambdaRuntime({ taskRoot, functions: { asked: { handler: 'asked.handler' } } })
  t.after(() => runtime.close())
  const sink = sinkFor(t, { functionName: 'asked', endpoint: runtime.endpoint })
  return what => sink.deliver(requestOf([{ text: JSON.stringify(what), key: 'a' }, { text: '{}' }]), never)
}

test('a function gets the payload of the dispatcher, and what it says of a record is told of it', async t => {
  const ask = await asking(t)
  assert.deepEqual(await ask({}), { kind: 'ok' })
  const shown = await ask({ do: 'show' })
  assert.deepEqual(failuresOf(shown), { 0: 'deadLetter' })
  const reason = shown.kind === 'partial' ? (shown.failures.get(0)?.reason ?? '') : ''
  assert.deepEqual(JSON.parse(reason.replace('target other: ', '')), {
    topic: 'mt-c400',
    partition: 3,
    messages: [{ do: 'show' }, {}],
    offsets: [100, 101],
    timestamps: [1772600767000, 1772600767001],
    keys: ['a', null]
  })
  const retry = { failures: [{ offset: 101, action: 'retry', reason: 'busy', retryAfterMs: 50, unavailable: true }] }
  const answered = await ask({ do: 'answer', answer: retry })
  assert.deepEqual(answered.kind === 'partial' && [...answered.failures], [
    [1, { action: 'retry', reason: 'target other: busy', retryAfterMs: 50, isUnavailable: true }]
  ])
  const resume = { batchItemFailures: [{ itemIdentifier: { partition: 'mt-c400-3', offset: 101 } }] }
  assert.deepEqual(failuresOf(await ask({ do: 'answer', answer: resume })), { 1: 'retry' })
})

test('an answer that cannot be read, and a function that fails as a whole, say nothing against one record', async t => {
  const ask = await asking(t)
  for (const what of [
    { do: 'answer', answer: { failures: [{ offset: 7, action: 'retry' }] } },
    { do: 'answer', answer: { failures: 'all' } },
    { do: 'answer', answer: { batchItemFailures: [{ itemIdentifier: { partition: 'mt-c400-3', offset: 5 } }] } },
    { do: 'throw' },
    { do: 'exit' }
  ]) {
    const outcome = await ask(what)
    assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, true, JSON.stringify(what))
  }
})

test('Event hands the records over, unordered and within 1 MB', async t => {
  const calls: string[] = []
  const server = await serve(t, ({ request, body }, response) => {
    calls.push(`${String(request.headers['x-amz-invocation-type'])} ${request.url} ${body.length}`)
    response.writeHead(202).end()
  })
  const options = { functionName: 'orders', qualifier: 'live', invocationType: 'Event' } as const
  const sink = sinkFor(t, { ...options, endpoint: server.url })
  assert.equal(sink.limits.isUnordered, true)
  assert.ok(sink.limits.bytesMax < 1_048_576)
  assert.deepEqual(await sink.deliver(requestOf([{ text: '1' }]), never), { kind: 'ok' })
  assert.match(calls.join(), /^Event \/2015-03-31\/functions\/orders\/invocations\?Qualifier=live \d+$/)
  const large = requestOf([{ text: '1', key: 'k'.repeat(1_048_576) }])
  const refused = await sink.deliver(large, never)
  assert.match(refused.kind === 'rejected' ? refused.reason : '', /1048576 is the most/)
  assert.equal(calls.length, 1)
})

test('what AWS refuses waits, and is said loudly where only a change of set-up helps', async t => {
  let answer = { status: 429, type: 'TooManyRequestsException', headers: {} }
  const server = await serve(t, (_received, response) => {
    const headers = { 'content-type': 'application/json', 'x-amzn-errortype': answer.type, ...answer.headers }
    response.writeHead(answer.status, headers).end('{"message":"no"}')
  })
  const { logger, errors } = errorLog()
  const sink = sinkFor(t, { functionName: 'orders', endpoint: server.url, logger })
  const ask = async (status: number, type: string, headers = {}): Promise<SinkOutcome> => {
    answer = { status, type, headers }
    return await sink.deliver(requestOf([{ text: '1' }]), never)
  }
  const throttled = await ask(429, 'TooManyRequestsException', { 'retry-after': '2' })
  assert.equal(throttled.kind === 'unavailable' && throttled.retryAfterMs, 2000)
  assert.equal((await ask(500, 'ServiceException')).kind, 'unavailable')
  assert.deepEqual(errors, [])
  assert.equal((await ask(413, 'RequestTooLargeException')).kind, 'rejected')
  assert.equal((await ask(404, 'ResourceNotFoundException')).kind, 'unavailable')
  assert.equal((await ask(403, 'AccessDeniedException')).kind, 'unavailable')
  assert.match(errors.join(), /target other: ResourceNotFoundException.*target other: AccessDeniedException/)

  const hanging = await serve(t, () => undefined)
  const slow = sinkFor(t, { functionName: 'orders', endpoint: hanging.url })
  const controller = new AbortController()
  const given = slow.deliver(requestOf([{ text: '1' }]), controller.signal)
  setImmediate(() => controller.abort())
  assert.equal((await given).kind, 'unavailable')
})

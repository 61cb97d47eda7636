/** The Lambda target: AWS's SDK against the embedded runtime, and against a server that answers as AWS documents. */

import assert from 'node:assert/strict'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { type FunctionOptions, startLambdaRuntime } from '../../src/lambda/index.ts'
import { createTarget, functionErrorOutcome, LambdaTarget, type TargetOutcome } from '../../src/targets/index.ts'
import { batchOf, errorLog, never, serve } from './support.ts'

const taskRoot = path.join(import.meta.dirname, 'functions')

async function runtimeTarget(t: TestContext, options: Partial<FunctionOptions> = {}, functionName = 'f') {
  const runtime = await startLambdaRuntime({ taskRoot, functions: { f: { handler: 'handler.handler', ...options } } })
  t.after(() => runtime.close())
  const target = await createTarget({ type: 'lambda', functionName, endpoint: runtime.endpoint, timeoutMs: 30_000 })
  t.after(() => target.close())
  const invoke = (what: string): Promise<TargetOutcome> =>
    target.invoke(batchOf({ body: Buffer.from(JSON.stringify({ messages: [{ do: what }] })) }), never)
  return { target, invoke }
}

test('a function of the embedded runtime takes a batch, and its reply counts', async t => {
  const { target, invoke } = await runtimeTarget(t)
  assert.equal(target.name, 'lambda:f')
  assert.deepEqual(await invoke('nothing'), { kind: 'ok' })
  assert.deepEqual(await invoke('resume'), { kind: 'partial', failures: [], resumeFrom: 14n })
  assert.deepEqual(await invoke('partial'), {
    kind: 'partial',
    failures: [{ offset: 14n, action: 'skip', reason: 'old' }]
  })
})

test('an error of the function refuses the batch, its death is suspect', async t => {
  const { invoke } = await runtimeTarget(t, { timeoutMs: 300 })
  assert.deepEqual(await invoke('throw'), {
    kind: 'rejected',
    reason: 'TypeError: codigo is missing',
    errorClass: 'TypeError'
  })
  const exited = await invoke('exit')
  assert.equal(exited.kind === 'unavailable' && exited.isSuspect, true)
  const hung = await invoke('hang')
  assert.equal(hung.kind === 'unavailable' && hung.isSuspect, true)
  assert.match(hung.kind === 'unavailable' ? hung.reason : '', /timed out/i)
})

test('a function that does not exist is waited for, and said loudly', async t => {
  const runtime = await startLambdaRuntime({ taskRoot, functions: { f: { handler: 'handler.handler' } } })
  t.after(() => runtime.close())
  const { logger, errors } = errorLog()
  const target = new LambdaTarget({ functionName: 'absent', endpoint: runtime.endpoint, logger })
  t.after(() => target.close())
  const outcome = await target.invoke(batchOf(), never)
  assert.equal(outcome.kind, 'unavailable')
  assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, undefined)
  assert.match(errors[0] ?? '', /refuses to invoke absent/)
})

interface Answer {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

/** A server that answers as the Lambda service does. */
async function serviceTarget(t: TestContext) {
  const { logger, errors } = errorLog()
  const state: { answer: Answer } = { answer: { status: 200 } }
  const server = await serve(t, (_received, response) => {
    const { status, headers = {}, body } = state.answer
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? '' : JSON.stringify(body))
  })
  const target = new LambdaTarget({ functionName: 'orders', qualifier: 'live', endpoint: server.url, logger })
  t.after(() => target.close())
  const invoke = (answer: Answer): Promise<TargetOutcome> => {
    state.answer = answer
    return target.invoke(batchOf(), never)
  }
  return { server, target, invoke, errors }
}

test('the request is the Invoke API’s, synchronous, signed, once', async t => {
  const { server, invoke } = await serviceTarget(t)
  assert.deepEqual(await invoke({ status: 200, body: null }), { kind: 'ok' })
  await invoke({ status: 500, headers: { 'x-amzn-errortype': 'ServiceException' }, body: {} })
  assert.equal(server.received.length, 2) // no retries of the SDK's own
  const [received] = server.received
  assert.equal(received?.request.url, '/2015-03-31/functions/orders/invocations?Qualifier=live')
  assert.equal(received.request.headers['x-amz-invocation-type'], 'RequestResponse')
  assert.match(received.request.headers.authorization ?? '', /^AWS4-HMAC-SHA256 /)
  assert.equal(received.body, batchOf().body.toString())
})

test('what the Lambda service answers is told apart', async t => {
  const { invoke, errors } = await serviceTarget(t)
  const error = (status: number, type: string, headers: Record<string, string> = {}): Promise<TargetOutcome> =>
    invoke({ status, headers: { 'x-amzn-errortype': type, ...headers }, body: { Type: 'User', message: 'why' } })

  const throttled = await error(429, 'TooManyRequestsException', { 'retry-after': '3' })
  assert.equal(throttled.kind === 'unavailable' && throttled.retryAfterMs, 3000)
  for (const [status, type] of [
    [502, 'EC2ThrottledException'],
    [500, 'ServiceException'],
    [503, 'UnknownThing'],
    [502, 'ENILimitReachedException']
  ] as const) {
    const outcome = await error(status, type)
    assert.equal(outcome.kind, 'unavailable', type)
  }
  assert.deepEqual(errors, [])

  const large = await error(413, 'RequestTooLargeException')
  assert.equal(large.kind === 'rejected' && large.errorClass, 'PayloadTooLarge')
  const content = await error(400, 'InvalidRequestContentException')
  assert.equal(content.kind === 'rejected' && content.errorClass, 'InvalidRequestContentException')

  for (const [status, type] of [
    [404, 'ResourceNotFoundException'],
    [403, 'AccessDeniedException'],
    [403, 'UnrecognizedClientException'],
    [400, 'InvalidParameterValueException']
  ] as const) {
    const outcome = await error(status, type)
    assert.equal(outcome.kind, 'unavailable', type)
    assert.match(errors.pop() ?? '', /refuses to invoke orders/, type)
  }
})

test('what a function died of is told apart', () => {
  const verdict = (errorType: string, errorMessage = ''): string => {
    const outcome = functionErrorOutcome(JSON.stringify({ errorType, errorMessage }))
    if (outcome.kind === 'rejected') return `rejected ${outcome.errorClass}`
    return outcome.kind === 'unavailable' && outcome.isSuspect === true ? 'suspect' : outcome.kind
  }
  assert.equal(verdict('TypeError', 'x is undefined'), 'rejected TypeError')
  assert.equal(verdict('Error'), 'rejected Error')
  assert.equal(verdict('Sandbox.Timedout', 'RequestId: 1 Error: Task timed out after 3.00 seconds'), 'suspect')
  assert.equal(verdict('', '2026-01-01T00:00:00Z 1 Task timed out after 3.00 seconds'), 'suspect')
  assert.equal(verdict('Runtime.ExitError', 'Runtime exited with error: signal: killed'), 'suspect')
  assert.equal(verdict('Runtime.OutOfMemory'), 'suspect')
  assert.equal(verdict('Runtime.ImportModuleError', 'Cannot find module'), 'unavailable')
  assert.equal(verdict('Runtime.HandlerNotFound'), 'unavailable')
  // Node's words for what was not packed; Lambda passes them on.
  assert.equal(verdict('Error', "Cannot find package 'pg' imported from /var/task/index.mjs"), 'suspect')
  assert.equal(verdict('Function.ResponseSizeTooLarge'), 'rejected InvalidReply')
  assert.deepEqual(functionErrorOutcome('not json'), {
    kind: 'rejected',
    reason: 'Unhandled: not json',
    errorClass: 'Unhandled'
  })
})

test('an error of the function comes through the header that AWS uses', async t => {
  const { invoke } = await serviceTarget(t)
  const headers = { 'x-amz-function-error': 'Unhandled' }
  const body = { errorType: 'SyntaxError', errorMessage: 'bad', trace: [] }
  assert.deepEqual(await invoke({ status: 200, headers, body }), {
    kind: 'rejected',
    reason: 'SyntaxError: bad',
    errorClass: 'SyntaxError'
  })
})

test('a service that is not there is unavailable and not suspect', async t => {
  const { server, target } = await serviceTarget(t)
  await server.stop()
  const outcome = await target.invoke(batchOf(), never)
  assert.equal(outcome.kind, 'unavailable')
  assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, undefined)
})

test('an aborted invocation ends at once', async t => {
  const abort = new AbortController()
  const server = await serve(t, () => abort.abort())
  const target = new LambdaTarget({ functionName: 'orders', endpoint: server.url })
  t.after(() => target.close())
  assert.equal((await target.invoke(batchOf(), abort.signal)).kind, 'unavailable')
})

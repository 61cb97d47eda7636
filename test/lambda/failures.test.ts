/** What a function can do to itself, and that it does it to nobody else. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { InvokeCommand, TooManyRequestsException } from '@aws-sdk/client-lambda'

import { VirtualClock } from '../../src/core/index.ts'
import { basic, memoryLogger, sdkFor, startRuntime, until } from './support.ts'

/** A file whose creation lets the function `waitsForFile` go on. */
async function gate(t: TestContext): Promise<{ path: string; open(): Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-lambda-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = path.join(folder, 'open')
  return { path: file, open: () => writeFile(file, '') }
}

for (const name of ['hangs', 'spins']) {
  test(`a handler that ${name} past its timeout is ended and answered as by Lambda`, async t => {
    const clock = new VirtualClock()
    const functions = { late: basic(name, { timeoutMs: 3_000 }), sync: basic('sync') }
    const logger = memoryLogger()
    const runtime = await startRuntime(t, { functions, clock, logger })
    const client = sdkFor(t, runtime)
    assert.equal((await client.invoke('sync', { value: 2 })).payload, 4)

    const pending = client.invoke('late', {}, { LogType: 'Tail' })
    await until(() => logger.lines.some(line => line.message === 'before the hang'))
    await clock.advance(2_999)
    assert.equal(runtime.status()[0]?.timeouts, 0)
    await clock.advance(1)
    const { output, payload, log } = await pending

    const requestId = output.$metadata.requestId
    assert.equal(output.FunctionError, 'Unhandled')
    assert.deepEqual(payload, {
      errorType: 'Sandbox.Timedout',
      errorMessage: `RequestId: ${requestId} Error: Task timed out after 3.00 seconds`
    })
    assert.match(log, new RegExp(`^\\S+Z ${requestId} Task timed out after 3\\.00 seconds\n`, 'm'))
    // The next invocation gets a new environment, other functions never noticed.
    assert.equal((await client.invoke('sync', { value: 3 })).payload, 6)
    assert.partialDeepStrictEqual(runtime.status()[0], { timeouts: 1, errors: 1, idleCount: 0, busyCount: 0 })
  })
}

test('a handler that takes too long to load gets a second chance, within the timeout of the invocation', async t => {
  const clock = new VirtualClock()
  const runtime = await startRuntime(t, { functions: { slow: { handler: 'hangs-on-load.handler' } }, clock })
  const pending = sdkFor(t, runtime).invoke('slow', {}, { LogType: 'Tail' })
  while (runtime.status()[0]?.timeouts === 0) await clock.advance(1_000)

  const { payload, log } = await pending
  assert.partialDeepStrictEqual(payload, { errorType: 'Sandbox.Timedout' })
  assert.match(JSON.stringify(payload), /Task timed out after 3\.00 seconds/)
  assert.match(log, /INIT_REPORT Init Duration: 10000\.00 ms\tPhase: init\tStatus: timeout\n/)
  assert.match(log, /INIT_REPORT Init Duration: 3000\.00 ms\tPhase: invoke\tStatus: timeout\n/)
  assert.match(log, /REPORT RequestId: \S+\tDuration: 3000\.00 ms\tBilled Duration: 3000 ms\t.*\tStatus: timeout\n$/)
})

test('a module that ends its environment while it is loaded is reported twice and answered once', async t => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-lambda-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(path.join(folder, 'exits.mjs'), 'process.exit(3); export const handler = async () => 1')
  const runtime = await startRuntime(t, { functions: { exits: { handler: 'exits.handler' } }, taskRoot: folder })
  const { output, payload, log } = await sdkFor(t, runtime).invoke('exits', {}, { LogType: 'Tail' })

  assert.deepEqual(payload, {
    errorType: 'Runtime.ExitError',
    errorMessage: `RequestId: ${output.$metadata.requestId} Error: Runtime exited with error: exit status 3`
  })
  const reports = [
    ...log.matchAll(/^INIT_REPORT Init Duration: [\d.]+ ms\tPhase: (\w+)\tStatus: error\tError Type: (\S+)$/gm)
  ]
  assert.deepEqual(
    reports.map(([, phase, type]) => [phase, type]),
    [
      ['init', 'Runtime.ExitError'],
      ['invoke', 'Runtime.ExitError']
    ]
  )
  assert.match(log, /\tStatus: error\tError Type: Runtime\.ExitError\n$/)
})

test('a function that exhausts its memory is ended, and the process goes on', async t => {
  const functions = { leaks: basic('exhaustsMemory', { memoryMb: 48, timeoutMs: 120_000 }), sync: basic('sync') }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const { output, payload } = await client.invoke('leaks', {})

  assert.equal(output.FunctionError, 'Unhandled')
  assert.deepEqual(payload, {
    errorType: 'Runtime.OutOfMemory',
    errorMessage: `RequestId: ${output.$metadata.requestId} Error: Runtime exited with error: signal: killed`
  })
  assert.equal((await client.invoke('sync', { value: 1 })).payload, 2)
})

test('process.exit in a handler ends its environment only', async t => {
  const runtime = await startRuntime(t, { functions: { exits: basic('exits') } })
  const client = sdkFor(t, runtime)

  const failed = await client.invoke('exits', { code: 3 }, { LogType: 'Tail' })
  assert.deepEqual(failed.payload, {
    errorType: 'Runtime.ExitError',
    errorMessage: `RequestId: ${failed.output.$metadata.requestId} Error: Runtime exited with error: exit status 3`
  })
  assert.match(failed.log, /before the exit/)
  const quiet = await client.invoke('exits', { code: 0 })
  assert.deepEqual(quiet.payload, {
    errorType: 'Runtime.ExitError',
    errorMessage: `RequestId: ${quiet.output.$metadata.requestId} Error: Runtime exited without providing a reason`
  })
  assert.equal(runtime.status()[0]?.coldStarts, 2)
})

test('failures outside the handler’s promise end the environment and answer the invocation', async t => {
  const functions = { rejects: basic('rejectsAside'), throws: basic('throwsAside'), sync: basic('sync') }
  const runtime = await startRuntime(t, { functions })
  const client = sdkFor(t, runtime)

  const rejected = await client.invoke('rejects', {})
  assert.equal(rejected.output.FunctionError, 'Unhandled')
  assert.partialDeepStrictEqual(rejected.payload, {
    errorType: 'Runtime.UnhandledPromiseRejection',
    errorMessage: 'Error: nobody waits for this'
  })
  const thrown = await client.invoke('throws', {})
  assert.partialDeepStrictEqual(thrown.payload, { errorType: 'RangeError', errorMessage: 'thrown in a timer' })
  assert.equal((await client.invoke('sync', { value: 5 })).payload, 10)
  assert.deepEqual(
    runtime.status().map(each => each.idleCount),
    [0, 0, 1]
  )
})

test('a function that meddles with the runtime’s port or handlers harms nobody else', async t => {
  const functions = { meddles: basic('meddles'), throws: basic('throwsNothing') }
  const runtime = await startRuntime(t, { functions })
  const client = sdkFor(t, runtime)

  for (let round = 1; round <= 2; round += 1) assert.equal((await client.invoke('meddles', {})).payload, 'done')
  const { payload } = await client.invoke('throws', {})
  assert.partialDeepStrictEqual(payload, { errorType: 'Runtime.ExitError' })
  assert.equal(runtime.status()[0]?.coldStarts, 1)
})

test('a result that cannot be written as JSON, or is larger than 6 MB, is an error of the function', async t => {
  const functions = { circular: basic('circular'), large: basic('large') }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  const circular = await client.invoke('circular', {})
  assert.partialDeepStrictEqual(circular.payload, { errorMessage: 'Unable to stringify response body' })
  // Two quotes around it make 6,291,556 bytes, Lambda's limit.
  const largest = await client.invoke('large', { bytes: 6_291_554 })
  assert.equal(largest.output.FunctionError, undefined)
  assert.equal(largest.output.Payload?.byteLength, 6_291_556)
  const tooLarge = await client.invoke('large', { bytes: 6_291_555 })
  assert.equal(tooLarge.output.FunctionError, 'Unhandled')
  assert.deepEqual(tooLarge.payload, {
    errorType: 'Function.ResponseSizeTooLarge',
    errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).'
  })
})

test('above its concurrency a function is throttled, and only then', async t => {
  const held = await gate(t)
  const functions = { waits: basic('waitsForFile', { concurrency: 2 }), sync: basic('sync') }
  const runtime = await startRuntime(t, { functions })
  const client = sdkFor(t, runtime)
  const running = [client.invoke('waits', { path: held.path }), client.invoke('waits', { path: held.path })]
  await until(() => runtime.status()[0]?.busyCount === 2)

  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await assert.rejects(client.invoke('waits', { path: held.path }), error => {
      assert.ok(error instanceof TooManyRequestsException)
      assert.equal(error.$metadata.httpStatusCode, 429)
      assert.equal(error.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded')
      assert.equal(error.retryAfterSeconds, '1')
      return true
    })
  }
  assert.equal((await client.invoke('sync', { value: 1 })).payload, 2)
  await held.open()
  assert.deepEqual(
    (await Promise.all(running)).map(each => each.payload),
    ['released', 'released']
  )
  assert.equal((await client.invoke('waits', { path: held.path })).payload, 'released')
  assert.partialDeepStrictEqual(runtime.status()[0], { throttles: 3, coldStarts: 2, invocations: 3, idleCount: 2 })
})

test('with a wait in line an invocation is throttled only after it, and lines are served in order', async t => {
  const held = await gate(t)
  const clock = new VirtualClock()
  const functions = { waits: basic('waitsForFile', { concurrency: 1, timeoutMs: 900_000 }), counts: basic('counts') }
  const runtime = await startRuntime(t, { functions, clock, throttleWaitMs: 250 })
  const client = sdkFor(t, runtime)
  const running = client.invoke('waits', { path: held.path })
  await until(() => runtime.status()[0]?.busyCount === 1)

  const late = client.invoke('waits', { path: held.path })
  let isSettled = false
  const settled = assert.rejects(late, TooManyRequestsException).finally(() => (isSettled = true))
  await until(() => runtime.status()[0]?.waitingCount === 1)
  await clock.advance(249)
  assert.equal(isSettled, false)
  await clock.advance(1)
  await settled

  const inTime = client.invoke('waits', { path: held.path })
  await until(() => runtime.status()[0]?.waitingCount === 1)
  await held.open()
  assert.equal((await running).payload, 'released')
  assert.equal((await inTime).payload, 'released')
  assert.partialDeepStrictEqual(runtime.status()[0], { throttles: 1, coldStarts: 1, busyCount: 0, waitingCount: 0 })

  const many = await Promise.all(Array.from({ length: 40 }, () => client.invoke('counts', {})))
  assert.deepEqual(runtime.status()[1]?.throttles, 0)
  assert.ok((runtime.status()[1]?.coldStarts ?? 0) <= 10, 'never more environments than the concurrency')
  assert.equal(many.length, 40)
})

test('a warm environment is used again, one at a time, and retires when it is idle for long', async t => {
  const clock = new VirtualClock()
  const functions = { counts: basic('counts') }
  const runtime = await startRuntime(t, { functions, clock, idleTimeoutMs: 60_000 })
  const client = sdkFor(t, runtime)

  for (const expected of [1, 2, 3]) assert.equal((await client.invoke('counts', {})).payload, expected)
  await clock.advance(45_000)
  assert.equal((await client.invoke('counts', {})).payload, 4)
  await clock.advance(90_000)
  assert.equal(runtime.status()[0]?.idleCount, 0)
  assert.equal((await client.invoke('counts', {})).payload, 1)
  assert.equal(runtime.status()[0]?.coldStarts, 2)
})

test('an invocation of type Event is accepted at once and runs when an environment is free', async t => {
  const held = await gate(t)
  const functions = { waits: basic('waitsForFile', { concurrency: 1 }) }
  const runtime = await startRuntime(t, { functions, eventQueueMax: 1 })
  const client = sdkFor(t, runtime)
  const event = { Payload: JSON.stringify({ path: held.path }), InvocationType: 'Event' as const }
  const send = async (FunctionName: string, more = {}): Promise<number | undefined> =>
    (await client.send(new InvokeCommand({ FunctionName, ...event, ...more }))).StatusCode

  assert.equal(await send('waits'), 202)
  await until(() => runtime.status()[0]?.busyCount === 1)
  assert.equal(await send('waits'), 202)
  await assert.rejects(send('waits'), { name: 'TooManyRequestsException' })
  await assert.rejects(send('waits', { Payload: 'not json' }), { name: 'InvalidRequestContentException' })
  await held.open()
  await until(() => runtime.status()[0]?.invocations === 2 && runtime.status()[0]?.busyCount === 0)
  assert.equal(runtime.status()[0]?.errors, 0)
})

test('a dry run is answered without running the function', async t => {
  const runtime = await startRuntime(t, { functions: { sync: basic('sync') } })
  const output = await sdkFor(t, runtime).send(new InvokeCommand({ FunctionName: 'sync', InvocationType: 'DryRun' }))

  assert.equal(output.StatusCode, 204)
  assert.equal(runtime.status()[0]?.invocations, 0)
})

test('injected faults slow a function down or make it fail, until they are taken back', async t => {
  const runtime = await startRuntime(t, { functions: { sync: basic('sync', { timeoutMs: 200 }) } })
  const client = sdkFor(t, runtime)

  runtime.setFaults('sync', { failureRatio: 1 })
  const failed = await client.invoke('sync', { value: 1 })
  assert.partialDeepStrictEqual(failed.payload, { errorType: 'Runtime.InjectedFailure' })
  runtime.setFaults('sync', { failureRatio: 0, extraLatencyMs: 900_000 })
  const late = await client.invoke('sync', { value: 1 })
  assert.partialDeepStrictEqual(late.payload, { errorType: 'Sandbox.Timedout' })
  assert.partialDeepStrictEqual(runtime.setFaults('sync', { extraLatencyMs: 0 }), {
    extraLatencyMs: 0,
    failureRatio: 0
  })
  assert.equal((await client.invoke('sync', { value: 1 })).payload, 2)

  assert.throws(() => runtime.setFaults('absent', { failureRatio: 1 }), { code: 'ERR_LAMBDA_FUNCTION_UNKNOWN' })
  assert.throws(() => runtime.setFaults('sync', { failureRatio: 2 }), { code: 'ERR_LAMBDA_FAULTS_INVALID' })
  assert.throws(() => runtime.setFaults('sync', {}), { code: 'ERR_LAMBDA_FAULTS_INVALID' })
})

test('draining lets running invocations finish and refuses new ones', async t => {
  const held = await gate(t)
  const runtime = await startRuntime(t, { functions: { waits: basic('waitsForFile') } })
  const client = sdkFor(t, runtime)
  const running = client.invoke('waits', { path: held.path })
  await until(() => runtime.status()[0]?.busyCount === 1)

  const drained = runtime.drain(60_000)
  await assert.rejects(client.invoke('waits', { path: held.path }), { name: 'ServiceException' })
  await held.open()
  assert.equal((await running).payload, 'released')
  await drained
  await assert.rejects(fetch(runtime.endpoint))
  await runtime.close()
})

test('closing ends what still runs, with an answer', async t => {
  const runtime = await startRuntime(t, { functions: { hangs: basic('hangs') } })
  const running = sdkFor(t, runtime).invoke('hangs', {})
  await until(() => runtime.status()[0]?.busyCount === 1)
  await runtime.close()

  assert.partialDeepStrictEqual((await running).payload, { errorType: 'Runtime.ExitError' })
})

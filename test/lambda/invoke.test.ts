/** Invocations through AWS's own SDK: what handlers get and what callers get. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'

import {
  GetFunctionCommand,
  InvalidRequestContentException,
  InvokeCommand,
  ListFunctionsCommand,
  ResourceNotFoundException
} from '@aws-sdk/client-lambda'

import { basic, memoryLogger, sdkFor, startRuntime, until } from './support.ts'

test('an async handler gets the event and its answer comes back', async t => {
  const runtime = await startRuntime(t, { functions: { echo: basic('handler') } })
  const { output, payload } = await sdkFor(t, runtime).invoke('echo', { name: 'São Paulo', list: [1, null, true] })

  assert.deepEqual(payload, { event: { name: 'São Paulo', list: [1, null, true] } })
  assert.equal(output.StatusCode, 200)
  assert.equal(output.ExecutedVersion, '$LATEST')
  assert.equal(output.FunctionError, undefined)
  assert.equal(output.LogResult, undefined)
})

test('handlers may return a value, call back, or return nothing', async t => {
  const functions = { sync: basic('sync'), callback: basic('callback'), nothing: basic('nothing') }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  assert.equal((await client.invoke('sync', { value: 21 })).payload, 42)
  assert.equal((await client.invoke('callback', {})).payload, 'by callback')
  assert.equal((await client.invoke('nothing', {})).payload, null)
  const failed = await client.invoke('callback', { error: 'bad argument' })
  assert.equal(failed.output.FunctionError, 'Unhandled')
  assert.partialDeepStrictEqual(failed.payload, { errorType: 'TypeError', errorMessage: 'bad argument' })
})

test('an invocation without a payload gives the handler an empty object, as Lambda does', async t => {
  const runtime = await startRuntime(t, { functions: { echo: basic('handler') } })
  const output = await sdkFor(t, runtime).send(new InvokeCommand({ FunctionName: 'echo' }))

  assert.equal(Buffer.from(output.Payload ?? []).toString(), '{"event":{}}')
})

test('a handler is found with or without its extension, by export, by the name handler, and as a default', async t => {
  const handlers = ['basics.handler', 'basics.ts', 'basics.ts.handler', 'commonjs.handler', 'commonjs.cjs']
  handlers.push('nested/module.mjs', 'nested/module.api.deep', 'plain.js')
  const functions = Object.fromEntries(handlers.map((handler, index) => [`f${index}`, { handler }]))
  const client = sdkFor(t, await startRuntime(t, { functions }))

  for (const [index, handler] of handlers.entries()) {
    const { payload, output } = await client.invoke(`f${index}`, {})
    assert.equal(output.FunctionError, undefined, `${handler}: ${JSON.stringify(payload)}`)
  }
})

test('an error of the handler comes back with its type, message and stack', async t => {
  const runtime = await startRuntime(t, { functions: { fails: basic('fails'), text: basic('throwsText') } })
  const client = sdkFor(t, runtime)
  const { output, payload } = await client.invoke('fails', { message: 'no such truck' })

  assert.equal(output.StatusCode, 200)
  assert.equal(output.FunctionError, 'Unhandled')
  const error = payload as { errorType: string; errorMessage: string; trace: string[] }
  assert.deepEqual(Object.keys(error), ['errorType', 'errorMessage', 'trace'])
  assert.equal(error.errorType, 'CustomError')
  assert.equal(error.errorMessage, 'no such truck')
  assert.equal(error.trace[0], 'CustomError: no such truck')
  assert.match(error.trace[1] ?? '', /basics\.ts/)
  assert.deepEqual((await client.invoke('text', {})).payload, {
    errorType: 'string',
    errorMessage: 'just text',
    trace: []
  })
  // The environment is sound after an error of the handler: it is used again.
  await client.invoke('fails', { message: 'again' })
  assert.partialDeepStrictEqual(runtime.status()[0], { name: 'fails', invocations: 2, errors: 2, coldStarts: 1 })
})

test('handlers that cannot be loaded answer in the words of Lambda', async t => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-lambda-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(path.join(folder, 'broken-syntax.mjs'), 'export const handler = async ( => 1')
  const functions = {
    file: { handler: 'absent.handler' },
    export: basic('missing'),
    kind: basic('notAFunction'),
    syntax: { handler: path.join(folder, 'broken-syntax.handler') },
    dependency: { handler: 'broken-import.handler' },
    throws: { handler: 'broken-init.handler' }
  }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const errorOf = async (name: string): Promise<unknown> => {
    const { output, payload } = await client.invoke(name, {})
    assert.equal(output.FunctionError, 'Unhandled', name)
    const { errorType, errorMessage } = payload as { errorType: string; errorMessage: string }
    return `${errorType}: ${errorMessage.split('\n')[0]}`
  }

  assert.equal(await errorOf('file'), "Runtime.ImportModuleError: Error: Cannot find module 'absent'")
  assert.equal(await errorOf('export'), 'Runtime.HandlerNotFound: basics.missing is undefined or not exported')
  assert.equal(await errorOf('kind'), 'Runtime.HandlerNotFound: basics.notAFunction is not a function')
  assert.match(String(await errorOf('syntax')), /^Runtime\.UserCodeSyntaxError: SyntaxError: /)
  assert.match(String(await errorOf('dependency')), /^Runtime\.ImportModuleError: Error.*no-such-package/)
  assert.equal(await errorOf('throws'), 'Error: failed while it was loaded')
})

test('the context tells the handler who it is and how much time is left', async t => {
  const functions = { context: basic('context', { memoryMb: 192, timeoutMs: 20_000 }) }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const clientContext = Buffer.from(JSON.stringify({ custom: { origin: 'test' } })).toString('base64')
  const { output, payload } = await client.invoke('context', {}, { ClientContext: clientContext })

  const { remainingMs, ...context } = payload as { remainingMs: number }
  assert.deepEqual(context, {
    awsRequestId: output.$metadata.requestId,
    functionName: 'context',
    memoryLimitInMB: '192',
    invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:context',
    logGroupName: '/aws/lambda/context',
    clientContext: { custom: { origin: 'test' } }
  })
  assert.ok(remainingMs > 10_000 && remainingMs <= 20_000, String(remainingMs))
})

test('a function sees its own environment variables and none of this process', async t => {
  process.env['COMPORTA_TEST_SECRET'] = 'of this process'
  t.after(() => delete process.env['COMPORTA_TEST_SECRET'])
  const environment = { STAGE: 'test', AWS_LAMBDA_FUNCTION_NAME: 'cannot be changed' }
  const runtime = await startRuntime(t, {
    functions: { env: basic('environment', { environment }) },
    region: 'sa-east-1'
  })
  const { payload } = await sdkFor(t, runtime).invoke('env', {})

  assert.partialDeepStrictEqual(payload, {
    STAGE: 'test',
    AWS_LAMBDA_FUNCTION_NAME: 'env',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_REGION: 'sa-east-1',
    LAMBDA_TASK_ROOT: runtimeTaskRoot()
  })
  assert.equal(JSON.stringify(payload).includes('of this process'), false)
  assert.equal('PATH' in (payload as object), false)
})

test('the log tail holds what the function wrote, between Lambda’s own lines', async t => {
  const logger = memoryLogger()
  const client = sdkFor(t, await startRuntime(t, { functions: { prints: basic('prints') }, logger }))
  const { output, log } = await client.invoke('prints', { lines: 2 }, { LogType: 'Tail' })

  const requestId = output.$metadata.requestId
  const lines = log.split('\n')
  const withoutTime = lines.slice(0, 5).map(line => line.replace(/^20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}Z\t/, 'TIME\t'))
  assert.deepEqual(withoutTime, [
    `START RequestId: ${requestId} Version: $LATEST`,
    `TIME\t${requestId}\tINFO\tline 1`,
    `TIME\t${requestId}\tINFO\tline 2`,
    `TIME\t${requestId}\tERROR\ton standard error`,
    `END RequestId: ${requestId}`
  ])
  assert.match(
    lines[5] ?? '',
    /^REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB/
  )
  await until(() => logger.lines.some(line => line.message === 'on standard error'))
  assert.partialDeepStrictEqual(logger.lines[0], { level: 'info', fields: { function: 'prints', requestId } })
})

test('the log tail is the last 4 KB, and output beyond its limit is dropped with a word', async t => {
  const client = sdkFor(t, await startRuntime(t, { functions: { prints: basic('prints') } }))

  const { log } = await client.invoke('prints', { lines: 2_000 }, { LogType: 'Tail' })
  assert.ok(Buffer.byteLength(log) <= 4_096 && Buffer.byteLength(log) > 4_000, String(Buffer.byteLength(log)))
  assert.match(log, /line 2000\n\S+\t\S+\tERROR\ton standard error\nEND/)
  const flood = await client.invoke('prints', { lines: 50_000 }, { LogType: 'Tail' })
  assert.match(flood.log, /\[more output of this invocation was dropped\]\nEND/)
  assert.equal(flood.output.FunctionError, undefined)
})

test('functions are told apart, and named by name, ARN or with $LATEST', async t => {
  const runtime = await startRuntime(t, { functions: { sync: basic('sync'), context: basic('context') } })
  const client = sdkFor(t, runtime)
  const arn = 'arn:aws:lambda:us-east-1:000000000000:function:sync'

  for (const name of ['sync', 'sync:$LATEST', arn, `${arn}:$LATEST`, '000000000000:function:sync']) {
    assert.equal((await client.invoke(name, { value: 1 })).payload, 2, name)
  }
  assert.equal((await client.invoke('sync', { value: 1 }, { Qualifier: '$LATEST' })).payload, 2)
  assert.partialDeepStrictEqual((await client.invoke('context', {})).payload, { functionName: 'context' })
})

test('an unknown function, version or alias is not found', async t => {
  const client = sdkFor(t, await startRuntime(t, { functions: { sync: basic('sync') } }))

  for (const name of ['absent', 'sync:prod', 'sync:7', '__proto__', 'constructor']) {
    await assert.rejects(client.invoke(name, {}), error => {
      assert.ok(error instanceof ResourceNotFoundException, name)
      assert.equal(error.$metadata.httpStatusCode, 404)
      assert.match(error.message, /^Function not found: arn:aws:lambda:us-east-1:000000000000:function:/)
      return true
    })
  }
  await assert.rejects(client.invoke('sync', {}, { Qualifier: 'prod' }), ResourceNotFoundException)
})

test('an event that is not JSON is refused before the handler runs', async t => {
  const runtime = await startRuntime(t, { functions: { counts: basic('counts') } })
  const client = sdkFor(t, runtime)
  await client.invoke('counts', {})

  const bad = ['value', '{"a":', '{}{}', '\uFEFF{}', Buffer.from([0x22, 0xff, 0x22])]
  for (const Payload of bad) {
    await assert.rejects(client.invoke('counts', {}, { Payload }), error => {
      assert.ok(error instanceof InvalidRequestContentException)
      assert.equal(error.$metadata.httpStatusCode, 400)
      assert.match(error.message, /^Could not parse request body into json: /)
      return true
    })
  }
  await assert.rejects(client.invoke('counts', {}, { ClientContext: 'e30x' }), InvalidRequestContentException)
  assert.equal((await client.invoke('counts', {})).payload, 2)
})

test('functions can be listed and looked at', async t => {
  const runtime = await startRuntime(t, { functions: { one: basic('sync', { memoryMb: 256 }), two: basic('counts') } })
  const client = sdkFor(t, runtime)

  const list = await client.send(new ListFunctionsCommand({}))
  assert.deepEqual(
    list.Functions?.map(each => [each.FunctionName, each.MemorySize]),
    [
      ['one', 256],
      ['two', 128]
    ]
  )
  const { Configuration } = await client.send(new GetFunctionCommand({ FunctionName: 'one' }))
  assert.partialDeepStrictEqual(Configuration, { Handler: 'basics.sync', Timeout: 30, Version: '$LATEST' })
  await assert.rejects(client.send(new GetFunctionCommand({ FunctionName: 'three' })), ResourceNotFoundException)
})

function runtimeTaskRoot(): string {
  return `${import.meta.dirname}/functions`
}

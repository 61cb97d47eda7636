/** Versions, aliases, limits over functions, streamed answers, log formats, layers. */

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'

import {
  GetAliasCommand,
  InvokeWithResponseStreamCommand,
  ListAliasesCommand,
  ListVersionsByFunctionCommand,
  paginateListFunctions,
  ResourceNotFoundException
} from '@aws-sdk/client-lambda'

import { SeededRandom } from '../../src/core/index.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { basic, type Sdk, sdkFor, startRuntime, until } from './support.ts'

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function'

test('versions and aliases run their own code and say who they are', async t => {
  const functions = {
    orders: basic('context', {
      versions: { '1': { environment: { STAGE: 'old' }, handler: 'basics.environment' }, '2': {} },
      aliases: { live: '2', canary: { version: '2', weights: { '1': 0.25 } } }
    })
  }
  const runtime = await startRuntime(t, { functions, random: new SeededRandom(11) })
  const client = sdkFor(t, runtime)

  const live = await client.invoke('orders:live', {}, { LogType: 'Tail' })
  assert.equal(live.output.ExecutedVersion, '2')
  assert.partialDeepStrictEqual(live.payload, { invokedFunctionArn: `${ARN}:orders:live` })
  assert.match(live.log, /^START RequestId: \S+ Version: 2\n/)
  const old = await client.invoke('orders', {}, { Qualifier: '1' })
  assert.equal(old.output.ExecutedVersion, '1')
  assert.partialDeepStrictEqual(old.payload, { STAGE: 'old', AWS_LAMBDA_FUNCTION_VERSION: '1' })
  assert.match(String((old.payload as { AWS_LAMBDA_LOG_STREAM_NAME: string }).AWS_LAMBDA_LOG_STREAM_NAME), /\/\[1\]/)
  assert.equal((await client.invoke('orders', {})).output.ExecutedVersion, '$LATEST')
  const versions: (string | undefined)[] = []
  for (let count = 0; count < 60; count += 1) {
    versions.push((await client.invoke('orders:canary', {})).output.ExecutedVersion)
  }
  const share = versions.filter(each => each === '1').length
  assert.ok(share >= 6 && share <= 26, `${share} of 60`)

  for (const name of ['orders:3', 'orders:prod', 'absent:1']) {
    await assert.rejects(client.invoke(name, {}), { message: `Function not found: ${ARN}:${name}` })
  }
  await assert.rejects(client.invoke('orders:1', {}, { Qualifier: '2' }), { name: 'InvalidParameterValueException' })
})

test('versions and aliases are listed in pages', async t => {
  const orders = basic('sync', { versions: { '1': {}, '2': {} }, aliases: { live: '2' } })
  const functions = { orders, ...Object.fromEntries(['b', 'c', 'd'].map(name => [name, basic('sync')])) }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const named = { FunctionName: 'orders' }

  const versions = await client.send(new ListVersionsByFunctionCommand({ ...named, MaxItems: 2 }))
  assert.deepEqual(
    versions.Versions?.map(each => each.FunctionArn),
    [`${ARN}:orders:$LATEST`, `${ARN}:orders:1`]
  )
  assert.equal(versions.NextMarker, '2')
  const aliases = await client.send(new ListAliasesCommand(named))
  assert.partialDeepStrictEqual(aliases.Aliases, [{ Name: 'live', FunctionVersion: '2' }])
  assert.equal((await client.send(new GetAliasCommand({ ...named, Name: 'live' }))).AliasArn, `${ARN}:orders:live`)
  await assert.rejects(client.send(new GetAliasCommand({ ...named, Name: 'x' })), ResourceNotFoundException)
  const names: (string | undefined)[] = []
  for await (const page of paginateListFunctions({ client, pageSize: 3 }, {})) {
    names.push(...(page.Functions ?? []).map(each => each.FunctionName))
  }
  assert.deepEqual(names, ['orders', 'b', 'c', 'd'])
})

test('all functions together run no more than the account allows', async t => {
  const file = path.join(temporaryFolder(t), 'open')
  const functions = { one: basic('waitsForFile'), two: basic('waitsForFile') }
  const runtime = await startRuntime(t, { functions, accountConcurrency: 2 })
  const client = sdkFor(t, runtime)
  const running = ['one', 'two'].map(name => client.invoke(name, { path: file }))
  await until(() => runtime.status().every(each => each.busyCount === 1))

  await assert.rejects(client.invoke('one', { path: file }), {
    name: 'TooManyRequestsException',
    Reason: 'ConcurrentInvocationLimitExceeded'
  })
  await client.invoke('two', { path: file }, { InvocationType: 'Event' })
  await writeFile(file, '')
  await Promise.all(running)
  await until(() => runtime.status()[1]?.invocations === 2 && runtime.status()[1]?.busyCount === 0)
})

async function streamed(
  client: Sdk,
  FunctionName: string,
  event: unknown
): Promise<{ chunks: string[]; end: unknown }> {
  const command = new InvokeWithResponseStreamCommand({ FunctionName, Payload: JSON.stringify(event) })
  const output = await client.send(command)
  const chunks: string[] = []
  let end: unknown
  for await (const each of output.EventStream ?? []) {
    if (each.PayloadChunk !== undefined) chunks.push(Buffer.from(each.PayloadChunk.Payload ?? []).toString('utf8'))
    if (each.InvokeComplete !== undefined) end = each.InvokeComplete
  }
  return { chunks, end }
}

test('a streamed answer arrives in pieces, or whole where it was not asked for as a stream', async t => {
  const stream = (name: string): { handler: string } => ({ handler: `streams.${name}` })
  const functions = {
    words: stream('words'),
    page: stream('page'),
    breaks: stream('breaks'),
    much: stream('much'),
    notAsync: stream('notAsync'),
    plain: basic('sync')
  }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  const words = await streamed(client, 'words', { words: ['ab', 'cd'] })
  assert.equal(words.chunks.join(''), 'abcd{"last":true}')
  assert.equal((words.end as { ErrorCode?: string }).ErrorCode, undefined)
  const page = await streamed(client, 'page', {})
  assert.equal(page.chunks.join(''), '{"statusCode":201}\0\0\0\0\0\0\0\0created')
  const breaks = await streamed(client, 'breaks', {})
  assert.equal(breaks.chunks.join(''), 'half of ')
  assert.partialDeepStrictEqual(breaks.end, { ErrorCode: 'Unhandled' })
  assert.match((breaks.end as { ErrorDetails: string }).ErrorDetails, /"errorType":"RangeError"/)
  const much = await streamed(client, 'much', { mb: 7 })
  assert.equal(
    much.chunks.reduce((sum, each) => sum + each.length, 0),
    7_340_032
  )
  assert.deepEqual((await streamed(client, 'plain', { value: 4 })).chunks, ['8'])
  const whole = await client.invoke('words', { words: ['{"a":', '1},'] }, {}).catch((error: unknown) => error)
  assert.ok(whole instanceof SyntaxError, 'the pieces were put together: {"a":1},{"last":true} is no JSON')
  assert.equal((await client.invoke('much', { mb: 7 }, {})).output.FunctionError, 'Unhandled')
  assert.deepEqual((await client.invoke('notAsync', {})).payload, {
    errorType: 'string',
    errorMessage: 'Streaming does not support non-async handlers.',
    trace: []
  })
})

test('the console writes as in Lambda: text with time, request and level, or JSON from a level on', async t => {
  const json = { logFormat: 'json', logLevel: 'WARN' } as const
  const functions = { text: basic('logs'), json: basic('logs', json), cause: basic('failsWithCause') }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  const text = await client.invoke('text', {}, { LogType: 'Tail' })
  const id = text.output.$metadata.requestId
  const lines = text.log.split('\n').map(line => line.replace(/^20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}Z/, 'TIME'))
  assert.deepEqual(lines.slice(1, 6), [
    `TIME\t${id}\tTRACE\ttrace`,
    `TIME\t${id}\tDEBUG\tdebug`,
    `TIME\t${id}\tINFO\tinfo of 2`,
    `TIME\t${id}\tWARN\ttwo`,
    'lines'
  ])
  assert.ok(lines.includes('as it is'))

  const events = (await client.invoke('json', {}, { LogType: 'Tail' })).log.split('\n').filter(Boolean)
  const [start, warn, error, raw, report] = events.map(line =>
    line === 'as it is' ? line : (JSON.parse(line) as object)
  )
  assert.partialDeepStrictEqual(start, { type: 'platform.start', record: { version: '$LATEST' } })
  assert.partialDeepStrictEqual(warn, { level: 'WARN', message: 'two\nlines' })
  assert.partialDeepStrictEqual(error, { level: 'ERROR', errorType: 'TypeError', errorMessage: 'inner' })
  assert.equal(raw, 'as it is')
  assert.partialDeepStrictEqual(report, { type: 'platform.report', record: { status: 'success' } })

  const failed = await client.invoke('cause', {}, { LogType: 'Tail' })
  assert.deepEqual(Object.keys(failed.payload as object), ['errorType', 'errorMessage', 'trace'])
  const logged = /\tERROR\tInvoke Error \t(\{.*\})\n/.exec(failed.log)?.[1] ?? ''
  // Source: AWS's Lambda Node.js runtime interface client: enumerable members, errors in them, and no cause.
  const described = JSON.parse(logged) as Record<string, unknown>
  assert.partialDeepStrictEqual(described, {
    errorType: 'Error',
    errorMessage: 'outer',
    code: 'E_OUTER',
    truck: 7,
    nested: { errorType: 'RangeError', errorMessage: 'inner' }
  })
  assert.equal(Object.hasOwn(described, 'cause'), false)
})

test('provisioned environments are started ahead, and their first invocation reports no init', async t => {
  const functions = { ready: basic('environment', { provisioned: 2 }) }
  const runtime = await startRuntime(t, { functions })
  assert.partialDeepStrictEqual(runtime.status()[0], { coldStarts: 2, idleCount: 2 })

  const { payload, log } = await sdkFor(t, runtime).invoke('ready', {}, { LogType: 'Tail' })
  assert.partialDeepStrictEqual(payload, { AWS_LAMBDA_INITIALIZATION_TYPE: 'provisioned-concurrency' })
  assert.equal(log.includes('Init Duration'), false)
  assert.equal(runtime.status()[0]?.coldStarts, 2)
})

test('CommonJS finds packages in layers', async t => {
  const folder = temporaryFolder(t)
  await mkdir(path.join(folder, 'layer/nodejs/node_modules/shared'), { recursive: true })
  await writeFile(path.join(folder, 'layer/nodejs/node_modules/shared/index.js'), 'exports.word = "from a layer"')
  await writeFile(path.join(folder, 'uses.cjs'), 'exports.handler = async () => require("shared").word')
  const functions = { uses: { handler: 'uses.handler', layers: [path.join(folder, 'layer')] } }
  const client = sdkFor(t, await startRuntime(t, { functions, taskRoot: folder }))

  assert.equal((await client.invoke('uses', {})).payload, 'from a layer')
})

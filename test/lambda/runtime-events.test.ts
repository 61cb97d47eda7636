/** Asynchronous invocations in a running runtime: retries, destinations, what a stop does to them. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'

import {
  DeleteFunctionConcurrencyCommand,
  DeleteFunctionEventInvokeConfigCommand,
  GetFunctionEventInvokeConfigCommand,
  InvokeCommand,
  ListFunctionEventInvokeConfigsCommand,
  PutFunctionConcurrencyCommand,
  PutFunctionEventInvokeConfigCommand,
  ResourceNotFoundException,
  UpdateFunctionEventInvokeConfigCommand
} from '@aws-sdk/client-lambda'

import { VirtualClock } from '../../src/core/index.ts'
import type { LambdaRuntime } from '../../src/lambda/index.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { basic, memoryLogger, type Sdk, sdkFor, startRuntime, until } from './support.ts'

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function'

async function send(client: Sdk, FunctionName: string, event: unknown): Promise<string | undefined> {
  const command = new InvokeCommand({ FunctionName, Payload: JSON.stringify(event), InvocationType: 'Event' })
  const { StatusCode, $metadata } = await client.send(command)
  assert.equal(StatusCode, 202)
  return $metadata.requestId
}

function recordsIn(file: string): unknown[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter(Boolean).map(line => JSON.parse(line) as unknown)
}

function statusOf(runtime: LambdaRuntime, name: string): ReturnType<LambdaRuntime['status']>[number] {
  const found = runtime.status().find(each => each.name === name)
  assert.ok(found)
  return found
}

test('a failed event is tried again after 1 and 2 minutes, and its end is told to another function', async t => {
  const folder = temporaryFolder(t)
  const clock = new VirtualClock()
  const file = path.join(folder, 'records')
  const destinations = { onSuccess: `${ARN}:records`, onFailure: `${ARN}:records` }
  const functions = {
    flaky: basic('failsAtFirst', { events: destinations }),
    records: basic('records', { environment: { RECORDS: file } })
  }
  const runtime = await startRuntime(t, { functions, clock })
  const client = sdkFor(t, runtime)
  const passes = { path: path.join(folder, 'passes'), times: 2 }
  const requestId = await send(client, 'flaky', passes)

  await until(() => statusOf(runtime, 'flaky').eventsWaiting === 1)
  await clock.advance(59_999)
  assert.equal(statusOf(runtime, 'flaky').invocations, 1)
  await clock.advance(1)
  await until(() => statusOf(runtime, 'flaky').invocations === 2 && statusOf(runtime, 'flaky').eventsWaiting === 1)
  await clock.advance(119_999)
  assert.equal(statusOf(runtime, 'flaky').invocations, 2)
  await clock.advance(1)
  await until(() => recordsIn(file).length === 1)

  const [record] = recordsIn(file)
  assert.partialDeepStrictEqual(record, {
    version: '1.0',
    requestContext: { requestId, functionArn: `${ARN}:flaky:$LATEST`, condition: 'Success', approximateInvokeCount: 3 },
    requestPayload: passes,
    responseContext: { statusCode: 200, executedVersion: '$LATEST' },
    responsePayload: 3
  })
  assert.equal(JSON.stringify(record).includes('functionError'), false)
  await send(client, 'flaky', { path: path.join(folder, 'fails'), times: 9 })
  for (const waitMs of [60_000, 120_000]) {
    await until(() => statusOf(runtime, 'flaky').eventsWaiting === 1)
    await clock.advance(waitMs)
  }
  await until(() => recordsIn(file).length === 2)
  assert.partialDeepStrictEqual(recordsIn(file)[1], {
    requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
    responseContext: { functionError: 'Unhandled' },
    responsePayload: { errorType: 'Error', errorMessage: 'attempt 3' }
  })
})

test('events of a function that may not run go to the destination at once; a throttled one waits', async t => {
  const file = path.join(temporaryFolder(t), 'records')
  const clock = new VirtualClock()
  const functions = {
    sync: basic('sync', { events: { onFailure: `${ARN}:records` } }),
    records: basic('records', { environment: { RECORDS: file } })
  }
  const runtime = await startRuntime(t, { functions, clock })
  const client = sdkFor(t, runtime)

  await client.send(new PutFunctionConcurrencyCommand({ FunctionName: 'sync', ReservedConcurrentExecutions: 0 }))
  await assert.rejects(client.invoke('sync', { value: 1 }), {
    name: 'TooManyRequestsException',
    Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded'
  })
  await send(client, 'sync', { value: 1 })
  await until(() => recordsIn(file).length === 1)
  const [record] = recordsIn(file)
  assert.partialDeepStrictEqual(record, {
    requestContext: { condition: 'ZeroReservedConcurrency', approximateInvokeCount: 0 }
  })
  assert.equal(Object.hasOwn(record as object, 'responsePayload'), false)
  await client.send(new DeleteFunctionConcurrencyCommand({ FunctionName: 'sync' }))

  runtime.setFaults('sync', { throttleRatio: 1, forMs: 2_000 })
  await send(client, 'sync', { value: 2 })
  // Waits of 1 s and 2 s: the faults are over before the third attempt.
  await clock.advance(3_000)
  await until(() => statusOf(runtime, 'sync').invocations === 1)
  assert.partialDeepStrictEqual(statusOf(runtime, 'sync'), { throttles: 3, errors: 0, eventsWaiting: 0 })
})

test('functions that call each other through destinations are stopped after 16 rounds', async t => {
  const logger = memoryLogger()
  const functions = { again: basic('nothing', { events: { onSuccess: `${ARN}:again` } }) }
  const runtime = await startRuntime(t, { functions, logger })
  await send(sdkFor(t, runtime), 'again', {})

  await until(() => logger.lines.some(line => line.message === 'the outcome of an event could not be delivered'))
  assert.equal(statusOf(runtime, 'again').invocations, 17)
})

// Symptom: the process ended, out of stack. Cause: each event that was given up went to the other queue within the one
// before it. Reach: two functions that may not run and are each other's destination, and some hundred events.
test('two functions that may not run and send each other their failures come to an end', async t => {
  const logger = memoryLogger()
  const functions = {
    first: basic('waitsForFile', { concurrency: 1, events: { onFailure: `${ARN}:second` } }),
    second: basic('nothing', { concurrency: 0, events: { onFailure: `${ARN}:first` } })
  }
  const runtime = await startRuntime(t, { functions, logger, eventQueueMax: 5_000 })
  const client = sdkFor(t, runtime)
  await send(client, 'first', { path: '/nowhere' })
  for (let count = 0; count < 600; count += 50) {
    await Promise.all(Array.from({ length: 50 }, async () => await send(client, 'first', {})))
  }
  assert.equal(statusOf(runtime, 'first').eventsWaiting, 600)
  await client.send(new PutFunctionConcurrencyCommand({ FunctionName: 'first', ReservedConcurrentExecutions: 0 }))

  assert.deepEqual(
    runtime.status().map(each => each.eventsWaiting),
    [0, 0]
  )
  await until(() => logger.lines.filter(each => each.level === 'error').length >= 600)
  const errors = new Set(logger.lines.filter(each => each.level === 'error').map(each => each.fields['error']))
  assert.deepEqual([...errors], ['functions have called each other 16 times'])
})

test('a stop finishes what can run and says how many events that wait are lost', async t => {
  const folder = temporaryFolder(t)
  const logger = memoryLogger()
  const runtime = await startRuntime(t, { functions: { flaky: basic('failsAtFirst') }, logger })
  const client = sdkFor(t, runtime)
  await send(client, 'flaky', { path: path.join(folder, 'fails'), times: 9 })
  await until(() => statusOf(runtime, 'flaky').eventsWaiting === 1)
  await runtime.drain(10_000)

  const lost = logger.lines.find(line => line.message === 'the runtime stops: events that waited are lost')
  assert.partialDeepStrictEqual(lost, { level: 'error', fields: { function: 'flaky', events: 1 } })
})

// Symptom: memory grew with every event while a destination did not answer. Cause: an event stopped to count when its
// function was done, not when its outcome had arrived. Reach: any destination in AWS that hangs.
test('events whose outcome cannot be delivered fill the queue, and a stop says that they are lost', async t => {
  const hanging = createServer(() => undefined)
  await new Promise<void>(resolve => hanging.listen(0, '127.0.0.1', resolve))
  t.after(() => hanging.close().closeAllConnections())
  const destinationEndpoint = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`
  const functions = { told: basic('nothing', { events: { onSuccess: 'arn:aws:sqs:us-east-1:000000000000:told' } }) }
  const logger = memoryLogger()
  const runtime = await startRuntime(t, { functions, logger, destinationEndpoint, eventQueueMax: 3 })
  const client = sdkFor(t, runtime)
  for (let count = 1; count <= 3; count += 1) {
    await send(client, 'told', {})
    await until(() => statusOf(runtime, 'told').invocations === count && statusOf(runtime, 'told').busyCount === 0)
  }

  await assert.rejects(send(client, 'told', {}), { name: 'TooManyRequestsException' })
  await runtime.close()
  await until(() => logger.lines.length >= 3)
  const lost = logger.lines.filter(each => each.message === 'the outcome of an event could not be delivered')
  assert.equal(lost.length, 3)
})

test('how events are retried can be set and read through the API', async t => {
  const functions = { sync: basic('sync', { versions: { '1': {} } }) }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const named = { FunctionName: 'sync', Qualifier: '1' }

  await assert.rejects(client.send(new GetFunctionEventInvokeConfigCommand(named)), ResourceNotFoundException)
  const DestinationConfig = { OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:failed' } }
  const put = await client.send(
    new PutFunctionEventInvokeConfigCommand({ ...named, MaximumRetryAttempts: 1, DestinationConfig })
  )
  assert.partialDeepStrictEqual(put, { FunctionArn: `${ARN}:sync:1`, MaximumRetryAttempts: 1 })
  await client.send(new UpdateFunctionEventInvokeConfigCommand({ ...named, MaximumEventAgeInSeconds: 90 }))
  assert.partialDeepStrictEqual(await client.send(new GetFunctionEventInvokeConfigCommand(named)), {
    MaximumRetryAttempts: 1,
    MaximumEventAgeInSeconds: 90,
    DestinationConfig
  })
  const list = await client.send(new ListFunctionEventInvokeConfigsCommand({ FunctionName: 'sync' }))
  assert.equal(list.FunctionEventInvokeConfigs?.length, 1)
  for (const bad of [{ MaximumRetryAttempts: 3 }, { MaximumEventAgeInSeconds: 59 }]) {
    const command = new PutFunctionEventInvokeConfigCommand({ ...named, ...bad })
    await assert.rejects(client.send(command), { name: 'InvalidParameterValueException' })
  }
  await client.send(new DeleteFunctionEventInvokeConfigCommand(named))
  await assert.rejects(client.send(new GetFunctionEventInvokeConfigCommand(named)), ResourceNotFoundException)
})

/** The distributor as a function of the runtime: options, cold and warm, through AWS's SDK. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'

import { builtinDistributor, startLambdaRuntime } from '../../src/lambda/index.ts'
import { batchOf, sdkFor, startRuntime, startService } from './support.ts'

test('builtin:distributor delivers what it is invoked with', async t => {
  const [alerts, telemetry] = [await startService(t), await startService(t, () => ({ status: 503 }))]
  const distributor = {
    targets: { alerts: alerts.url, telemetry: telemetry.url },
    routes: [{ values: [300], targets: ['alerts'] }],
    otherwise: ['telemetry']
  }
  const runtime = await startRuntime(t, {
    functions: { distributor: { handler: 'builtin:distributor', timeoutMs: 30_000, distributor } }
  })
  const client = sdkFor(t, runtime)

  const event = batchOf([{ codigo: 300 }, { codigo: 301 }, { codigo: 300 }])
  const { payload, output } = await client.invoke('distributor', event)
  assert.equal(output.FunctionError, undefined)
  assert.partialDeepStrictEqual(payload, { failures: [{ offset: 101, action: 'retry', unavailable: true }] })
  assert.deepEqual(alerts.offsets(), [100, 102])
  // The same environment keeps its connections and its ledger.
  await client.invoke('distributor', batchOf([{ codigo: 301 }], 101))
  // Each invocation tries a target twice.
  assert.deepEqual(telemetry.offsets(), [101, 101, 101, 101])
  assert.equal(runtime.status()[0]?.coldStarts, 1)
})

test('options may come as JSON in the environment', async t => {
  const service = await startService(t)
  const environment = { COMPORTA_DISTRIBUTOR: JSON.stringify({ targets: { s: service.url }, otherwise: ['s'] }) }
  const functions = { distributor: { handler: 'builtin:distributor', timeoutMs: 30_000, environment } }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  assert.deepEqual((await client.invoke('distributor', batchOf([1, 2]))).payload, {})
  assert.deepEqual(service.offsets(), [100, 101])
})

test('the distributor’s secrets are variables of the function, and its options may be a file', async t => {
  const service = await startService(t)
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-builtin-'))
  t.after(() => rm(folder, { recursive: true }))
  const headers = { authorization: { env: 'TOKEN' } }
  const distributor = { targets: { s: { type: 'http', url: service.url, headers } }, otherwise: ['s'] } as const
  const common = { handler: 'builtin:distributor', timeoutMs: 30_000 }
  await writeFile(path.join(folder, 'routes.json'), JSON.stringify(distributor))
  const functions = {
    direct: { ...common, distributor, environment: { TOKEN: 'Bearer one' } },
    file: { ...common, environment: { COMPORTA_DISTRIBUTOR_FILE: 'routes.json', TOKEN: 'Bearer two' } }
  }
  const client = sdkFor(t, await startRuntime(t, { functions, taskRoot: folder }))

  assert.deepEqual((await client.invoke('direct', batchOf([1]))).payload, {})
  assert.deepEqual((await client.invoke('file', batchOf([1]))).payload, {})
  assert.deepEqual(
    service.received.map(each => each.headers.authorization),
    ['Bearer one', 'Bearer two']
  )
  for (const environment of [{}, { TOKEN: '' }]) {
    await assert.rejects(startLambdaRuntime({ functions: { f: { ...common, distributor, environment } } }), {
      code: 'ERR_LAMBDA_OPTIONS_INVALID',
      message:
        /functions\.f\.distributor\.targets\.s\.headers\.authorization: the environment variable TOKEN is not set/
    })
  }
})

test('an event for nobody is an error of the function', async t => {
  const distributor = { targets: { s: 'http://127.0.0.1:1/' } }
  const functions = { distributor: { handler: 'builtin:distributor', timeoutMs: 30_000, distributor } }
  const { output, payload } = await sdkFor(t, await startRuntime(t, { functions })).invoke('distributor', {
    Records: []
  })

  assert.equal(output.FunctionError, 'Unhandled')
  assert.partialDeepStrictEqual(payload, { errorType: 'PipelineError' })
})

test('a runtime whose options cannot work does not start, and names every problem', async () => {
  const functions = {
    'bad name': { handler: 'x.handler' },
    slow: { handler: '', timeoutMs: 0, memoryMb: 1, concurrency: 1.5 },
    unknown: { handler: 'builtin:mystery' },
    unrouted: { handler: 'builtin:distributor' },
    misrouted: { handler: 'builtin:distributor', distributor: { targets: { s: 'nowhere' } } },
    hurried: { handler: 'builtin:distributor', timeoutMs: 200, distributor: { targets: { s: 'http://127.0.0.1' } } },
    garbled: { handler: 'builtin:distributor', environment: { COMPORTA_DISTRIBUTOR: '{' } },
    other: { handler: 'x.handler', distributor: { targets: { s: 'http://127.0.0.1' } } }
  }
  await assert.rejects(startLambdaRuntime({ functions, port: 70_000, accountId: '1' }), error => {
    const { code, message } = error as Error & { code: string }
    assert.equal(code, 'ERR_LAMBDA_OPTIONS_INVALID')
    const parts = [
      'functions.bad name',
      'functions.slow.handler',
      'slow.timeoutMs',
      'slow.memoryMb',
      'slow.concurrency'
    ]
    parts.push(
      'builtin:mystery',
      'unrouted.distributor',
      'misrouted.distributor.targets.s',
      'port',
      'accountId',
      'hurried.timeoutMs'
    )
    for (const part of [...parts, 'garbled.environment.COMPORTA_DISTRIBUTOR', 'functions.other.distributor']) {
      assert.ok(message.includes(part), `${part} in: ${message}`)
    }
    return true
  })
  await assert.rejects(startLambdaRuntime({ functions: {} }), { code: 'ERR_LAMBDA_OPTIONS_INVALID' })
})

test('a port that is taken is named, and nothing stays behind', async t => {
  const functions = { f: { handler: 'x.handler' } }
  const runtime = await startRuntime(t, { functions })

  await assert.rejects(startLambdaRuntime({ functions, port: runtime.port }), { code: 'ERR_LAMBDA_LISTEN_FAILED' })
})

test('the environment variable of the distributor is checked', () => {
  const code = 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'

  assert.throws(() => builtinDistributor({}), { code })
  assert.throws(() => builtinDistributor({ COMPORTA_DISTRIBUTOR: '{' }), { code })
  assert.throws(() => builtinDistributor({ COMPORTA_DISTRIBUTOR: '[]' }), { code })
})

/** Functions with `kafkaBatch` where they run: as they were written, bundled, and in the embedded runtime. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { build } from 'esbuild'

import { contextWith, sdkFor, startRuntime } from '../lambda/support.ts'

const BUNDLE_BYTES_MAX = 30_000
const source = path.join(import.meta.dirname, '../lambda/functions/kafka-batch.ts')
const PLENTY = contextWith(60_000)

const ours = {
  topic: 'mt',
  partition: 3,
  messages: [{ codigo: 1 }, { codigo: 503 }],
  offsets: [7, 8],
  keys: ['a', 'b']
}
const oursAnswer = { failures: [{ offset: 8, action: 'retry', reason: 'busy', retryAfterMs: 100 }] }
const aws = {
  eventSource: 'SelfManagedKafka',
  bootstrapServers: 'b:9092',
  records: {
    'mt-3': ours.messages.map((message, index) => ({
      topic: 'mt',
      partition: 3,
      offset: 7 + index,
      timestamp: 1,
      timestampType: 'CREATE_TIME',
      value: Buffer.from(JSON.stringify(message)).toString('base64'),
      headers: []
    }))
  }
}
const awsAnswer = { batchItemFailures: [{ itemIdentifier: { partition: 'mt-3', offset: 8 } }] }

let made: Promise<{ readonly file: string; readonly bytes: number; readonly inputs: readonly string[] }> | undefined
const folder = mkdtempSync(path.join(tmpdir(), 'kafka-batch-'))
after(() => rmSync(folder, { recursive: true }))

/** Bundled once, with the options of an ordinary user: nothing is said of packages, loaders or externals. */
function bundle(): NonNullable<typeof made> {
  made ??= build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    metafile: true,
    outfile: path.join(folder, 'index.mjs'),
    logLevel: 'silent',
    // As if a package were not installed that only a distributor with traces needs.
    alias: { '@aws-lambda-powertools/tracer': '@aws-lambda-powertools/not-installed' }
  }).then(({ metafile }) => {
    const [[file, output] = []] = Object.entries(metafile.outputs)
    assert.ok(file !== undefined && output !== undefined)
    const used = Object.entries(output.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    return { file: path.resolve(file), bytes: output.bytes, inputs: used.map(([name]) => name) }
  })
  return made
}

test('a bundled function has less than 30 KB, and nothing in it but what it uses', async () => {
  const { file, bytes, inputs } = await bundle()

  assert.ok(bytes < BUNDLE_BYTES_MAX, `${bytes} bytes`)
  const foreign = inputs.filter(name => !/src\/(?:core|lambda\/(?:event|kafka-batch|function))|functions\//.test(name))
  assert.deepEqual(foreign, [])
  const imports = (await readFile(file, 'utf8')).match(/\bfrom"[^"]+"|\bimport\("[^"]+"\)|require\("[^"]+"\)/g) ?? []
  assert.ok(
    imports.every(each => each.includes('node:')),
    imports.join()
  )
})

test('it runs as a module, bundled and as it was written', async t => {
  t.mock.method(console, 'log', () => undefined)
  t.mock.method(console, 'warn', () => undefined)
  const modules: unknown[] = [
    await import(pathToFileURL(source).href),
    await import(pathToFileURL((await bundle()).file).href)
  ]
  for (const module of modules) {
    const { handler } = module as { handler: (event: unknown, context: unknown) => Promise<unknown> }
    assert.deepEqual(await handler(ours, PLENTY), oursAnswer)
    assert.deepEqual(await handler(aws, PLENTY), awsAnswer)
  }
})

test('the embedded runtime runs the bundle and the example of the guide', async t => {
  const alerts: unknown[] = []
  const service = createServer((request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const alert = JSON.parse(body) as { truck: string }
      alerts.push(alert)
      response.writeHead(alert.truck === 'TR00021' ? 503 : alert.truck === 'TR00022' ? 404 : 204).end()
    })
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.after(() => service.close())
  const { file } = await bundle()
  const options = { timeoutMs: 20_000, concurrency: 1 }
  const address = `http://127.0.0.1:${(service.address() as AddressInfo).port}/`
  const runtime = await startRuntime(t, {
    functions: {
      bundled: { handler: file, ...options },
      alerts: {
        handler: path.join(import.meta.dirname, '../../examples/lambda/truck-alerts.ts'),
        environment: { ALERTS_URL: address },
        ...options
      }
    }
  })
  const sdk = sdkFor(t, runtime)

  const { payload: answer, log } = await sdk.invoke('bundled', ours, { LogType: 'Tail' })
  assert.deepEqual(answer, oursAnswer)
  assert.match(log, /done: mt-3-7/)
  assert.deepEqual((await sdk.invoke('bundled', aws)).payload, awsAnswer)

  const trucks = ['TR00017', 'TR00021', 'TR00022', 'TR00017', 'TR00021']
  const { payload } = await sdk.invoke('alerts', {
    topic: 'mt-c400',
    partition: 3,
    messages: [...trucks.map((truck, index) => ({ truck_id: truck, speed: index === 0 ? 90 : 120 })), { speed: 1 }],
    offsets: [1, 2, 3, 4, 5, 6],
    keys: [...trucks, 'TR00030']
  })
  assert.deepEqual(payload, {
    failures: [
      { offset: 2, action: 'retry', reason: '503', unavailable: true },
      { offset: 3, action: 'deadLetter', reason: 'the alert was refused with 404' },
      { offset: 5, action: 'retry', reason: 'waits behind offset 2, which must come again', unavailable: true },
      {
        offset: 6,
        action: 'deadLetter',
        reason: 'the value is not as the schema says: truck_id: Invalid input: expected string, received undefined'
      }
    ]
  })
  assert.deepEqual(
    alerts.map(alert => (alert as { id: string }).id).toSorted((left, right) => left.localeCompare(right)),
    ['mt-c400-3-2', 'mt-c400-3-3', 'mt-c400-3-4']
  )
})

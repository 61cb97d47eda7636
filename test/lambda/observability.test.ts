/** What a distributor tells by Powertools: metrics as CloudWatch reads them, and log lines. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { Logger } from '@aws-lambda-powertools/logger'
import { Metrics } from '@aws-lambda-powertools/metrics'

import { PipelineError } from '../../src/core/index.ts'
import type { DistributorContext } from '../../src/lambda/distributor/context.ts'
import { createDistributor } from '../../src/lambda/distributor/distributor.ts'
import type { DistributorOptions } from '../../src/lambda/distributor/options.ts'
import { createObserver } from '../../src/lambda/observability/create-observer.ts'
import { powertoolsObserver } from '../../src/lambda/observability/powertools-observer.ts'
import type { PowertoolsMetrics } from '../../src/lambda/observability/powertools.ts'
import { observabilityProblems } from '../../src/lambda/observability/settings.ts'
import { startLookupService } from './enrichment/support.ts'
import { type EmfDocument, readEmf } from './observability-support.ts'

// Powertools writes to the console then, where a test can listen, and not to the standard output by itself.
process.env['POWERTOOLS_DEV'] = 'true'
process.env['POWERTOOLS_METRICS_DISABLED'] = 'false'
process.env['AWS_LAMBDA_INITIALIZATION_TYPE'] = 'on-demand'

interface Output {
  readonly emf: EmfDocument[]
  readonly logs: Record<string, unknown>[]
}

/** Collects what Powertools writes. */
function listen(t: TestContext): Output {
  const output: Output = { emf: [], logs: [] }
  const take = (line: unknown): void => {
    const text = String(line)
    if (text.includes('"_aws"')) output.emf.push(readEmf(text))
    else output.logs.push(JSON.parse(text) as Record<string, unknown>)
  }
  for (const name of ['log', 'debug', 'info', 'warn', 'error'] as const) t.mock.method(console, name, take)
  return output
}

const CONTEXT = {
  getRemainingTimeInMillis: () => 30_000,
  awsRequestId: 'r-1',
  functionName: 'distributor',
  functionVersion: '$LATEST',
  memoryLimitInMB: '256',
  invokedFunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:distributor'
} satisfies DistributorContext & Record<string, unknown>

/** Runs a distributor whose observer is this one. */
function distributorOf(t: TestContext, options: DistributorOptions): ReturnType<typeof createDistributor> {
  const distributor = createDistributor(options)
  t.after(() => distributor.close())
  return distributor
}

const EVENT = {
  topic: 'mt-c300',
  partition: 3,
  messages: [{ codigo: 300, id: 'a' }, { codigo: 300, id: 'a' }, { codigo: 7, id: 'b' }, { codigo: 9 }],
  offsets: [100, 101, 102, 103]
}

test('an invocation, its targets and its look-ups are one metric document each', async t => {
  const good = await startLookupService(t, () => ({}))
  const bad = await startLookupService(t, () => ({ status: 401 }))
  const lookups = await startLookupService(t, ({ path }) => (path === '/a' ? { body: '1' } : { status: 404 }))
  const output = listen(t)
  const metrics = new Metrics({ namespace: 'Trucks', serviceName: 'distributor' })
  const distributor = distributorOf(t, {
    targets: { good: good.url, bad: bad.url },
    routes: [
      { values: [300], targets: ['good'] },
      { values: [7], targets: ['bad'] }
    ],
    enrich: [{ into: 'driver', key: 'id', from: { type: 'http', url: `${lookups.url}/{key}` } }],
    retry: { attemptsMax: 1 },
    observer: powertoolsObserver({ metrics })
  })

  await distributor(EVENT, CONTEXT)
  await distributor(EVENT, CONTEXT)

  assert.deepEqual([...new Set(output.emf.map(each => each.namespace))], ['Trucks'])
  const [cold, first, ...rest] = output.emf
  assert.deepEqual(cold?.metrics, { ColdStart: 1 })
  assert.deepEqual(first?.dimensions, { service: 'distributor' })
  const { BatchDuration, ...counts } = first?.metrics ?? {}
  assert.ok(typeof BatchDuration === 'number' && BatchDuration > 0)
  assert.equal(first?.units['BatchDuration'], 'Milliseconds')
  assert.deepEqual(counts, {
    Batches: 1,
    Records: 4,
    RecordsDelivered: 2,
    RecordsRetried: 1,
    RecordsDeadLettered: 1,
    RecordsSkipped: 0,
    RecordsRepeated: 0,
    StoreFailures: 0
  })
  const byTarget = Object.groupBy(rest, each => each.dimensions['target'] ?? each.dimensions['enrichment'] ?? 'none')
  assert.deepEqual(Object.keys(byTarget).toSorted(), ['bad', 'driver', 'good', 'none'])
  assert.partialDeepStrictEqual(byTarget['good']?.[0]?.metrics, { Requests: 1, RequestFailures: 0, RecordsSent: 2 })
  assert.equal(byTarget['good']?.[0]?.units['BytesSent'], 'Bytes')
  assert.partialDeepStrictEqual(byTarget['bad']?.[0]?.metrics, { Requests: 1, RequestFailures: 1, RecordsSent: 1 })
  const looked = { EnrichedRecords: 3, KeysStale: 0, KeysFailed: 0, KeysAbsent: 1 }
  assert.partialDeepStrictEqual(byTarget['driver']?.[0]?.metrics, { ...looked, CacheHits: 0, CacheMisses: 2 })
  assert.partialDeepStrictEqual(byTarget['driver']?.[1]?.metrics, { ...looked, CacheHits: 2, CacheMisses: 0 })
  // Nothing that grows with topics, partitions, keys or time is a dimension.
  const names = new Set(output.emf.flatMap(each => Object.keys(each.dimensions)))
  assert.deepEqual([...names].toSorted(), ['enrichment', 'function_name', 'service', 'target'])
})

test('hundreds of requests are cut into documents that CloudWatch takes, and targets beyond 50 share a name', t => {
  const output = listen(t)
  const observer = powertoolsObserver({ metrics: new Metrics({ namespace: 'Trucks', serviceName: 's' }) })
  const request = {
    topic: 't',
    partition: 0,
    recordCount: 2,
    bytes: 10,
    attempt: 1,
    outcome: 'ok',
    reason: undefined
  } as const
  for (let index = 0; index < 205; index += 1) observer.requestDone?.({ ...request, target: 'busy', durationMs: index })
  for (let index = 0; index < 80; index += 1) observer.requestDone?.({ ...request, target: `t${index}`, durationMs: 1 })

  void observer.invocationEnded?.(
    {
      durationMs: 1,
      recordCount: 0,
      deliveredCount: 0,
      retriedCount: 0,
      deadLetteredCount: 0,
      skippedCount: 0,
      repeatedCount: 0
    },
    CONTEXT
  )

  const busy = output.emf.filter(each => each.dimensions['target'] === 'busy')
  const durations = busy.flatMap(each => each.metrics['RequestDuration'] ?? [])
  assert.deepEqual(
    durations,
    Array.from({ length: 205 }, (_, index) => index)
  )
  assert.deepEqual(
    busy.flatMap(each => each.metrics['Requests'] ?? []),
    [205]
  )
  const targets = new Set(output.emf.map(each => each.dimensions['target'] ?? ''))
  assert.equal(targets.size, 52)
  const other = output.emf.find(each => each.dimensions['target'] === 'other')
  assert.equal(other?.metrics['Requests'], 31)
})

test('log lines have the request id, the batch and reasons, and never what is in a record', async t => {
  const bad = await startLookupService(t, () => ({ status: 401, body: '{"message":"no"}' }))
  const output = listen(t)
  const distributor = distributorOf(t, {
    targets: { bad: { type: 'http', url: bad.url, headers: { authorization: 'Bearer s3cret' } } },
    routes: [{ values: [300], targets: ['bad'] }],
    retry: { attemptsMax: 1 },
    observer: powertoolsObserver({ logger: new Logger({ serviceName: 'trucks', logLevel: 'INFO' }) })
  })
  const event = { ...EVENT, keys: ['truck-7', null, null, null], messages: [{ codigo: 300, pin: 'p1n' }, {}, {}, {}] }

  await distributor(event, CONTEXT)
  await assert.rejects(distributor({ Records: [] }, { ...CONTEXT, awsRequestId: 'r-2' }))

  const brief = output.logs.map(({ level, message, batch, function_request_id: id, cold_start: isCold }) => {
    return [level, message, batch, id, isCold]
  })
  const batch = 'mt-c300-3-100-103'
  assert.deepEqual(brief.slice(0, -1), [
    ['WARN', 'request failed', batch, 'r-1', true],
    ['WARN', 'records not delivered', batch, 'r-1', true],
    ['WARN', 'records not delivered', batch, 'r-1', true],
    ['INFO', 'batch done', batch, 'r-1', true]
  ])
  assert.partialDeepStrictEqual(output.logs[3], { service: 'trucks', records: 4, retried: 1, deadLettered: 3 })
  const failed = output.logs.at(-1)
  assert.deepEqual([failed?.['level'], failed?.['code']], ['ERROR', 'ERR_LAMBDA_EVENT_UNRECOGNISED'])
  // The keys of an invocation end with it.
  assert.equal(failed?.['batch'], undefined)
  assert.doesNotMatch(JSON.stringify(output.logs), /p1n|truck-7|s3cret/)
})

test('an event of many partitions names ten of them', t => {
  const output = listen(t)
  const observer = powertoolsObserver({ logger: new Logger({ logLevel: 'INFO' }) })
  const partitions = Array.from({ length: 12 }, (_, partition) => {
    return { topic: 't', partition, firstOffset: 1, lastOffset: 2 }
  })

  observer.invocationStarted?.(
    { format: 'esm', topics: ['t'], partitionCount: 12, partitions, recordCount: 24 },
    CONTEXT
  )
  observer.storeFailed?.(new PipelineError('ERR_LAMBDA_EVENT_UNRECOGNISED', 'x'.repeat(300)))

  const [line = {}] = output.logs
  assert.deepEqual([(line['batch'] as string[]).length, line['batch_count']], [10, 12])
  assert.equal((line['reason'] as string).length, 200)
})

test('what happens before Powertools is loaded is told to it afterwards', async t => {
  const output = listen(t)
  const { observer, ready } = createObserver(
    { logs: true, metrics: { namespace: 'Trucks' } },
    { AWS_LAMBDA_FUNCTION_NAME: 'distributor' }
  )
  observer.invocationStarted?.(
    { format: 'json', topics: ['t'], partitionCount: 0, partitions: [], recordCount: 0 },
    CONTEXT
  )

  await observer.invocationFailed?.(new Error('early'), CONTEXT)
  await ready

  assert.deepEqual(
    output.emf.map(each => each.metrics),
    [{ ColdStart: 1 }, { InvocationFailures: 1 }]
  )
  assert.equal(output.emf[1]?.dimensions['service'], 'distributor')
  assert.partialDeepStrictEqual(output.logs[0], {
    message: 'the invocation failed',
    reason: 'early',
    service: 'distributor'
  })
})

test('what a program has added to its metrics goes with those of the invocation', t => {
  const output = listen(t)
  const metrics = new Metrics({ namespace: 'Trucks', serviceName: 's' })
  // Structural: the package stays optional.
  const observer = powertoolsObserver({ metrics: metrics satisfies PowertoolsMetrics })
  metrics.addMetric('Own', 'Count', 7)

  void observer.invocationFailed?.(new Error('x'), CONTEXT)

  assert.deepEqual(
    output.emf.map(each => each.metrics),
    [{ Own: 7, InvocationFailures: 1 }]
  )
})

test('settings that cannot work are named', () => {
  assert.deepEqual(
    observabilityProblems({ logs: true, metrics: { namespace: 'A/b.c_d#e:f-g', service: 's' }, traces: false }),
    []
  )
  assert.deepEqual(observabilityProblems({ metrics: false }), [])
  assert.deepEqual(observabilityProblems(7), ['is not an object'])
  const wrong = { logs: 1, traces: 'x', metrics: { namespace: 'a b', service: '', x: 1 }, more: 1 }
  assert.deepEqual(
    observabilityProblems(wrong).map(each => each.split(':')[0]),
    ['more', 'logs', 'traces', 'metrics.namespace', 'metrics.service', 'metrics.x']
  )
  assert.deepEqual(observabilityProblems({ metrics: true }), [
    'metrics: is neither false nor an object with a namespace'
  ])
})

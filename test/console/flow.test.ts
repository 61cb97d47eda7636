/** What processes say of themselves becomes the page of breakers and limiters; what they do not say stays unknown. */

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'

import { createInstanceWatch } from '../../src/console/flow/instance-watch.ts'
import type { Instance, InstanceLook } from '../../src/console/flow/instance-types.ts'
import { flowOf } from '../../src/console/flow/flow-view.ts'
import { readPrometheusText } from '../../src/console/flow/prometheus-text.ts'
import { systemClock } from '../../src/core/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

const freshness = { takenAtMs: 1, durationMs: 1, problems: [] }
const instance: Instance = { name: 'dispatcher', role: 'dispatcher', url: 'http://127.0.0.1:1' }

/** As `Dispatcher.describe()` writes it. */
const description = {
  groupId: 'orders',
  routes: [
    {
      name: 'default',
      target: 'lambda:orders',
      inFlight: 3,
      waiting: 2,
      blockedBy: 'breaker',
      concurrency: { mode: 'on', limit: 4, max: 10, wouldBe: null, latencyRatio: 1.2, batchRecordsMax: 500 },
      breaker: { state: 'open', failures: 5, failureRatio: null, openForMs: 4000 },
      rate: { recordsPerSecond: 1000, bytesPerSecond: null, waitMs: 0 },
      inFlightLimits: { records: 1500, bytes: 30_000, recordsMax: null },
      classes: [{ name: 'default', oldestWaitMs: 700 }],
      pausedPartitions: ['mt-c400-3']
    }
  ],
  partitions: []
}

function lookOf(change: Partial<InstanceLook>): InstanceLook {
  return {
    instance,
    takenAtMs: 1,
    problem: null,
    isReady: true,
    startedAtMs: 5000,
    description,
    metrics: [],
    ...change
  }
}

test('a dispatcher’s breaker, limits and paused partitions are told as it says them', () => {
  const [route] = flowOf([lookOf({})], freshness).routes
  assert.deepEqual(route, {
    instance: 'dispatcher',
    groupId: 'orders',
    target: 'lambda:orders',
    breaker: 'open',
    breakerRetryInMs: 4000,
    failureRatio: null,
    concurrencyLimit: 4,
    adaptiveLimit: 4,
    inFlight: 3,
    inFlightRecords: 1500,
    inFlightBytes: 30_000,
    waiting: 2,
    oldestWaitMs: 700,
    ratePerSecond: 1000,
    blockedBy: 'breaker',
    pausedPartitions: ['mt-c400-3']
  })
})

test('a description of another form leaves what it does not say unknown', () => {
  for (const said of [undefined, null, 'text', [], { routes: 7 }, { routes: [{ breaker: { state: 'molten' } }] }]) {
    const { routes, instances } = flowOf([lookOf({ description: said })], freshness)
    for (const route of routes) assert.equal(route.breaker, null)
    assert.equal(instances.length, 1)
  }
})

test('partitions that stand still are added up by reason, limiters come from the producer’s metrics', () => {
  const metrics = readPrometheusText(
    [
      '# TYPE comporta_dispatcher_held_up gauge',
      'comporta_dispatcher_held_up{group="orders",reason="rate"} 2',
      'comporta_dispatcher_held_up{group="orders",reason="breaker"} 5 1700000000000',
      'comporta_producer_rate_tokens{limit="a\\"b\\\\c",unit="records"} -12.5',
      'comporta_producer_rate_waiting{limit="a\\"b\\\\c"} 3'
    ].join('\n')
  )
  const producer: Instance = { ...instance, name: 'producer', role: 'producer' }
  const flow = flowOf([lookOf({ metrics, instance: producer, description: {} })], freshness)
  assert.deepEqual(flow.heldUp, [
    { reason: 'breaker', partitions: 5 },
    { reason: 'rate', partitions: 2 }
  ])
  assert.deepEqual(flow.limiters, [
    { instance: 'producer', limit: 'a"b\\c', unit: 'records', tokens: -12.5, waiting: 3 }
  ])
})

let server: Server
let url = ''
const orders: { path: string; token: string; body: string }[] = []

before(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => (body += String(chunk)))
    request.on('end', () => {
      const path = request.url ?? ''
      if (path.startsWith('/control')) {
        orders.push({ path, token: request.headers.authorization ?? '', body })
        response
          .writeHead(body.includes('"gone"') ? 409 : 204)
          .end(body.includes('"gone"') ? '{"reason":"not mine"}' : '')
      } else if (path === '/health/ready') response.writeHead(503).end('{"isReady":false,"reason":"stands still"}')
      else if (path === '/describe') response.end(JSON.stringify(description))
      else if (path === '/health/live') response.end('{"isLive":true,"startedAtMs":5000}')
      else response.end('up 1\n')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

after(() => {
  server.closeAllConnections()
  server.close()
})

test('processes are asked after a look; one that is away does not hide the others', async () => {
  let look = (): void => undefined
  const watch = createInstanceWatch({
    instances: () => [{ ...instance, url }, instance],
    world: {
      onLook: listener => {
        look = () => listener(undefined, null)
        return () => undefined
      }
    },
    clock: systemClock,
    logger: silentLogger
  })
  look()
  while (watch.latest().length === 0) await new Promise(resolve => setImmediate(resolve))
  const { instances } = flowOf(watch.latest(), freshness)
  assert.deepEqual(
    instances.map(({ health, startedAtMs }) => ({ health, startedAtMs })),
    [
      { health: 'warn', startedAtMs: 5000 },
      { health: 'bad', startedAtMs: null }
    ]
  )
  assert.equal(instances[0]?.problem, 'stands still')
  await watch.close()
})

test('an order goes with the token of the process; a refusal and a missing token are said', async () => {
  const world = { onLook: () => () => undefined }
  const watch = createInstanceWatch({ instances: () => [], world, clock: systemClock, logger: silentLogger })
  const known = { ...instance, url, controlToken: 's3cret' }
  await watch.control(known, 'pause', { topic: 'mt-c400', partition: 3 })
  assert.deepEqual(orders, [
    { path: '/control/pause', token: 'Bearer s3cret', body: '{"topic":"mt-c400","partition":3}' }
  ])
  const gone = watch.control(known, 'pause', { topic: 'gone', partition: 3 })
  await assert.rejects(gone, { code: 'ERR_CONSOLE_INSTANCE', message: /refused with 409: not mine/ })
  const without = watch.control({ ...instance, url }, 'resume', { topic: 'a', partition: 0 })
  await assert.rejects(without, { code: 'ERR_CONSOLE_INSTANCE', message: /takes no orders/ })
  const away = watch.control({ ...instance, controlToken: 'x' }, 'resume', { topic: 'a', partition: 0 })
  await assert.rejects(away, { code: 'ERR_CONSOLE_INSTANCE', message: /does not answer/ })
  await watch.close()
})

/** A dispatcher that is killed without a word: nothing is lost, and only what was in flight comes twice. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import path from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { ModuleTarget } from '../../src/targets/index.ts'
import { dispatcherConfig } from './support.ts'

interface Delivery {
  readonly partition: number
  readonly offsets: readonly number[]
  readonly messages: readonly { readonly n: number }[]
}

const KEY_COUNT = 50

/** In either protocol of groups. */
const SHORT_SESSIONS = {
  'group.min.session.timeout.ms': '1000',
  'group.consumer.heartbeat.interval.ms': '200',
  'group.consumer.min.heartbeat.interval.ms': '200',
  'group.consumer.min.session.timeout.ms': '1000',
  'group.consumer.session.timeout.ms': '1000'
}

/** An HTTP service that takes batches, a little slowly, and keeps what it took. */
async function startService(t: TestContext): Promise<{ url: string; deliveries: Delivery[] }> {
  const deliveries: Delivery[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      deliveries.push(JSON.parse(Buffer.concat(chunks).toString()) as Delivery)
      setTimeout(() => response.end('{}'), 3)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}/`, deliveries }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000
  while (!(await condition())) {
    assert.ok(performance.now() < endMs, 'not within a minute')
    await tick(5)
  }
}

/** How many different records there are, once their first deliveries are found to come in order. */
function recordsInOrder(deliveries: readonly Delivery[], order: 'partition' | 'key'): number {
  const seen = new Map<string, number>()
  const newest = new Map<string, number>()
  for (const { partition, offsets, messages } of deliveries) {
    for (const [index, offset] of offsets.entries()) {
      const name = `${partition}@${offset}`
      const count = seen.get(name) ?? 0
      seen.set(name, count + 1)
      // The first delivery of each record comes in order, whatever was repeated in between.
      if (count > 0) continue
      const what = order === 'partition' ? `partition ${partition}` : `key ${(messages[index]?.n ?? 0) % KEY_COUNT}`
      assert.ok(offset > (newest.get(what) ?? -1), `${what}: ${offset} after ${newest.get(what)}`)
      newest.set(what, offset)
    }
  }
  return seen.size
}

async function killOneOfTwo(t: TestContext, order: 'partition' | 'key'): Promise<void> {
  const recordCount = order === 'partition' ? 4000 : 3000
  const partitionCount = 6
  const broker = await startBroker({ config: SHORT_SESSIONS })
  t.after(() => broker.close())
  const service = await startService(t)
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([
    { topic: 'trucks', partitionCount },
    { topic: 'trucks-dead', partitionCount: 1 }
  ])
  const appender = new Appender({ cluster })
  const listener = { delivered: () => undefined, failed: (error: unknown) => assert.fail(String(error)) }
  for (let index = 0; index < recordCount; index += 1) {
    const record = {
      topic: 'trucks',
      key: Buffer.from(`k${index % KEY_COUNT}`),
      value: Buffer.from(`{"n":${index}}`)
    }
    while (!appender.append(record, listener)) await appender.room()
  }
  await appender.close()

  const start = () => {
    const file = path.join(import.meta.dirname, 'dispatcher-process.ts')
    const args = [file, broker.bootstrapServers, 'trucks', 'g', service.url, order]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  const recordsSeen = (): number => service.deliveries.reduce((sum, { offsets }) => sum + offsets.length, 0)
  const victim = start()
  await until(() => recordsSeen() > 200)
  const survivor = start()
  await until(() => recordsSeen() > 1000)
  victim.kill('SIGKILL')

  const ends = await admin.listOffsets(
    Array.from({ length: partitionCount }, (_, partition) => ({ topic: 'trucks', partition, at: 'latest' as const }))
  )
  await until(async () => {
    const committed = await admin.fetchGroupOffsets('g')
    return ends.every(
      ({ partition, offset }) =>
        offset === 0n || committed.find(found => found.partition === partition)?.offset === offset
    )
  })
  survivor.stdin.end()
  await new Promise(resolve => survivor.once('exit', resolve))

  assert.equal(recordsInOrder(service.deliveries, order), recordCount)
  const duplicates = recordsSeen() - recordCount
  // At most 4 batches of 20 in flight, and twice as many that may run ahead of their commit.
  assert.ok(duplicates <= 240, `${duplicates} duplicates`)
}

async function stopWithoutBroker(t: TestContext): Promise<void> {
  const broker = await startBroker({ config: SHORT_SESSIONS })
  t.after(() => broker.close())
  const patience = { requestTimeoutMs: 2000, connectTimeoutMs: 500, bootstrapTimeoutMs: 500 }
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], ...patience })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 'trucks', partitionCount: 1 }])
  const target = new ModuleTarget({ name: 'm', handler: () => undefined })
  const given = dispatcherConfig({ topic: 'trucks', groupId: 'g' })
  const dispatcher = await startDispatcher({ config: given, cluster, target })
  await until(() => dispatcher.status().partitions.length === 1)
  await broker.close()
  const startMs = performance.now()
  await dispatcher.drain(100)
  assert.ok(performance.now() - startMs < 25_000)
  assert.equal(dispatcher.status().state, 'closed')
}

// They mostly wait for sessions and requests to end: side by side they take as long as the longest.
describe('a dispatcher in trouble', { concurrency: true }, () => {
  for (const order of ['partition', 'key'] as const) {
    const name = `kill -9 loses nothing and repeats at most what was in flight; order by ${order} holds`
    test(name, t => killOneOfTwo(t, order))
  }
  test('a dispatcher whose broker is gone still stops in bounded time', stopWithoutBroker)
})

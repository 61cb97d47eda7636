/** The network of the experiments, and their wrong clock. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { KafkaProxy } from '../../src/cli/chaos/kafka-proxy.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { systemClock, within } from '../../src/core/index.ts'

test('a client stays behind the proxy, whatever brokers say of themselves; cut off, it hears nothing', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const proxy = await KafkaProxy.open([broker.bootstrapServers])
  t.after(() => proxy.close())
  const options = { bootstrapServers: [...proxy.bootstrapServers], clientId: 'x', requestTimeoutMs: 1000 }
  const cluster = await Cluster.connect(options)
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([{ topic: 'a', partitionCount: 3, replicationFactor: 1 }])

  // Produce goes to the leader, offsets of a group to the coordinator: both found by what the broker has answered.
  const appender = new Appender({ cluster })
  const value = Buffer.alloc(300_000, 'x')
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  for (let index = 0; index < 5; index += 1) appender.append({ topic: 'a', key: null, value }, listener)
  await appender.close()
  const [committed] = await admin.alterGroupOffsets('g', [{ topic: 'a', partition: 0, offset: 1n }])
  assert.equal(committed?.errorCode, 0)
  const { brokers } = await admin.listTopics()
  assert.deepEqual(
    brokers.map(({ host, port }) => `${host}:${port}`),
    proxy.bootstrapServers
  )

  proxy.treat('swallow')
  assert.equal(await within(systemClock, 200, admin.listTopics()), undefined, 'half open: no answer and no error')
  assert.ok(proxy.harmedCount > 0)
  proxy.treat('cut')
  await assert.rejects(admin.listTopics())
  assert.ok(proxy.harmedCount > 0, 'somebody was cut off')
  proxy.treat('pass')
  assert.equal(proxy.harmedCount, 0)
  assert.ok((await admin.listTopics()).topics.some(each => each.topic === 'a'))
  const startMs = systemClock.monotonicMs()
  proxy.treat({ delayMs: 60 })
  await admin.listTopics()
  assert.ok(systemClock.monotonicMs() - startMs >= 119, 'late in each direction')
})

test('a wrong clock moves the time of day in a process and leaves monotonic time and timers alone', () => {
  const preload = new URL('../../src/cli/chaos/skewed-date.ts', import.meta.url).href
  const script = `
    const start = performance.now()
    setTimeout(() => console.log(JSON.stringify({
      now: Date.now(), made: new Date().getTime(), text: Date.parse(Date()), fixed: new Date(5).getTime(),
      isDate: new Date() instanceof Date, utc: Date.UTC(1970, 0, 2), waitedMs: performance.now() - start
    })), 20)`
  const hourMs = 3_600_000
  const env = { ...process.env, COMPORTA_CLOCK_SKEW_MS: String(12 * hourMs) }
  const out = execFileSync(process.execPath, ['--import', preload, '-e', script], { env, encoding: 'utf8' })
  // Printed by the line above.
  const seen = JSON.parse(out) as Record<string, number | boolean>

  for (const name of ['now', 'made', 'text']) {
    const skewMs = Number(seen[name]) - systemClock.now()
    assert.ok(Math.abs(skewMs - 12 * hourMs) < 60_000, `${name} is off by ${skewMs} ms`)
  }
  assert.deepEqual([seen['fixed'], seen['isDate'], seen['utc']], [5, true, 24 * hourMs])
  assert.ok(Number(seen['waitedMs']) < 60_000)
})

/**
 * A dispatcher whose clock is hours ahead could not write dead letters: Kafka refuses records from the future
 * (`message.timestamp.after.max.ms`, one hour), so the first bad record stopped its partition for good. Found by
 * `comporta chaos run clock-skew` on Apache Kafka.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster, Fetcher } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { type Clock, systemClock } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'

const hoursAhead: Clock = { ...systemClock, now: () => systemClock.now() + 12 * 3_600_000 }

test('a dispatcher whose clock is ahead writes dead letters with the time of their origin, and goes on', async t => {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const connect = async (clock: Clock): Promise<Cluster> => {
    const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'x', clock })
    t.after(() => cluster.close())
    return cluster
  }
  const cluster = await connect(systemClock)
  const counts = { partitionCount: 1, replicationFactor: 1 }
  await new Admin(cluster).createTopics(['a', 'dead'].map(topic => ({ topic, ...counts })))
  const appender = new Appender({ cluster })
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  const timestampMs = 1_760_000_000_000
  for (const text of ['not JSON', '1'])
    appender.append({ topic: 'a', key: null, value: Buffer.from(text), timestampMs }, listener)
  await appender.close()

  const target = { type: 'http', url: 'http://127.0.0.1:1' } as const
  const config = dispatcherConfig({ groupId: 'g', topics: ['a'], deadLetterTopic: 'dead', target })
  const arrived = Promise.withResolvers<void>()
  const invoke = (): Promise<{ kind: 'ok' }> => {
    arrived.resolve()
    return Promise.resolve({ kind: 'ok' })
  }
  const sink = { name: 's', bodyBytesMax: 10_000, timeoutMs: 1000, invoke, close: () => Promise.resolve() }
  const dispatcher = await startDispatcher({
    config,
    cluster: await connect(hoursAhead),
    clock: hoursAhead,
    target: sink
  })
  t.after(() => dispatcher.close())
  await arrived.promise

  const letter = Promise.withResolvers<{ value: string; timestampMs: number }>()
  const cursor = new RecordCursor()
  const fetcher = new Fetcher({
    cluster,
    onRecords: ({ records }) => {
      cursor.reset(records)
      if (!cursor.nextBatch() || !cursor.nextRecord()) return
      letter.resolve({ value: String(cursor.value()), timestampMs: cursor.timestampMs })
    },
    onPartitionError: ({ error }) => letter.reject(error)
  })
  t.after(() => fetcher.close())
  fetcher.add({ topic: 'dead', partition: 0, offset: 0n })
  fetcher.start()
  assert.deepEqual(await letter.promise, { value: 'not JSON', timestampMs })
})

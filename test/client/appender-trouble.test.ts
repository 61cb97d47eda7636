import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { KAFKA_ERRORS, produceApi } from '../../src/protocol/index.ts'
import { type Logger, silentLogger } from '../../src/telemetry/index.ts'

test('a partition that goes on failing is logged once, and its records arrive when it is well', async t => {
  let failuresLeft = 8
  const broker = await startBroker({
    onRequest: ({ apiKey }) => {
      if (apiKey !== produceApi.key || failuresLeft === 0) return undefined
      failuresLeft -= 1
      return { errorCode: KAFKA_ERRORS.NOT_LEADER_OR_FOLLOWER.code }
    }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const warnings: unknown[] = []
  const logger: Logger = { ...silentLogger, warn: fields => warnings.push(fields) }

  const appender = new Appender({ cluster, logger, retryBackoffMs: 1, retryBackoffMaxMs: 2 })
  await new Promise<void>((resolve, reject) => {
    const listener = { delivered: () => resolve(), failed: reject }
    appender.append({ topic: 't', key: null, value: Buffer.from('x') }, listener)
  })
  await appender.close()

  assert.deepEqual(warnings, [{ topic: 't', partition: 0, failures: 5, code: 'ERR_CLIENT_KAFKA' }])
})

/*
 * Symptom: a process that appends to more than a thousand new topics at once stands still for ever, at full load of its
 * CPU. Cause: each topic is looked up by a request of its own; the thousand-and-first is refused at once, and was asked
 * again at once, so that no answer was ever read. Reach: producers with many topics, at their start.
 */
test('more topics at once than requests may wait: all are found', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const topics = Array.from({ length: 30 }, (_, index) => `t-${index}`)
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], waitingMax: 2 })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics(topics.map(topic => ({ topic, partitionCount: 1 })))
  const delivered: string[] = []
  const appender = new Appender({ cluster })

  for (const topic of topics) {
    const listener = {
      delivered: () => void delivered.push(topic),
      failed: (error: unknown) => assert.fail(String(error))
    }
    appender.append({ topic, key: null, value: Buffer.from('x') }, listener)
  }
  await appender.close()

  assert.deepEqual(delivered.sort(), topics.sort())
})

/** What a topic target has written exactly once, as Java's consumer of committed records reads it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Appender, Cluster, TransactionalAppender } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { type TopicInput, TopicTarget } from '../../src/targets/index.ts'
import { brokerWithTools } from './tools.ts'

const COUNT = 300

test('a Java consumer of committed records reads each output once, in order, and nothing that was aborted', async t => {
  const { broker, tool } = await brokerWithTools(t)
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const topics = ['in', 'out', 'dead'].map(topic => ({ topic, partitionCount: 1 }))
  await new Admin(cluster).createTopics(topics)
  const appender = new Appender({ cluster })
  const failed = (error: Error): never => assert.fail(error)
  for (let n = 0; n < COUNT; n += 1) {
    appender.append({ topic: 'in', key: null, value: Buffer.from(String(n)) }, { delivered: () => undefined, failed })
  }
  await appender.close()

  // Between the transactions of the dispatcher lie those of somebody who aborts.
  const other = new TransactionalAppender({ cluster, transactionalId: 'other' })
  t.after(() => other.close())
  await other.start()
  let callCount = 0
  const transform = async (records: readonly TopicInput[]) => {
    callCount += 1
    if (callCount % 3 === 0) {
      other.begin()
      const record = { topic: 'out', key: null, value: Buffer.from('aborted') }
      await new Promise<void>(resolve => other.append(record, { delivered: () => resolve(), failed }))
      await other.abortTransaction()
    }
    if (callCount % 5 === 0) throw Object.assign(new Error('not now'), { retriable: true })
    return records
  }
  const target = new TopicTarget({ name: 'out', cluster, route: { topic: 'out' }, isExactlyOnce: true, transform })
  const config = dispatcherConfig({
    groupId: 'g',
    topics: ['in'],
    deadLetterTopic: 'dead',
    batch: { recordsMax: 10, ageMs: 5 },
    retry: { initialMs: 1, maxMs: 5 },
    breaker: { failuresMax: 100 },
    target: { type: 'topic', topic: 'out', exactlyOnce: true }
  })
  const dispatcher = await startDispatcher({ config, cluster, target })
  t.after(() => dispatcher.close())

  const args = `--topic out --from-beginning --max-messages ${COUNT} --timeout-ms 30000`
  const read = await tool('kafka-console-consumer', `${args} --isolation-level read_committed`)
  await dispatcher.drain()

  const expected = Array.from({ length: COUNT }, (_, n) => String(n))
  assert.deepEqual(read.trim().split('\n'), expected)
  const offsets = await tool('kafka-consumer-groups', '--describe --group g --offsets')
  assert.match(offsets, new RegExp(`\\sin\\s+0\\s+${COUNT}\\s+${COUNT}\\s+0\\s`))
})

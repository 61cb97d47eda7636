/**
 * A commit whose answer is lost before another producer takes the id over: nobody can say any more what became of the
 * transaction but the group's offset. Whether it was done or not, each record is in the output once.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster, Fetcher, TransactionalAppender } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { KAFKA_ERRORS, RecordCursor } from '../../src/protocol/index.ts'
import { TopicTarget } from '../../src/targets/index.ts'
import { createLogger } from '../../src/telemetry/index.ts'

const COUNT = 60

/** The committed values of a partition, until there are as many as expected and the end is reached. */
async function readAll(cluster: Cluster, topic: string): Promise<number[]> {
  const [end] = await new Admin(cluster).listOffsets([{ topic, partition: 0, at: 'latest' }])
  const values: number[] = []
  await new Promise<void>((resolve, reject) => {
    const fetcher = new Fetcher({
      cluster,
      isReadCommitted: true,
      maxWaitMs: 20,
      onPartitionError: ({ error }) => reject(error),
      onRecords: ({ records, nextOffset }) => {
        const cursor = new RecordCursor()
        cursor.reset(records)
        while (cursor.nextBatch()) while (cursor.nextRecord()) values.push(Number(cursor.value()?.toString()))
        if (nextOffset >= (end?.offset ?? 0n)) void fetcher.close().then(resolve)
      }
    })
    fetcher.add({ topic, partition: 0, offset: 0n })
    fetcher.start()
  })
  return values
}

for (const fault of ['close', 'closeAfter'] as const) {
  const what = fault === 'close' ? 'was not done' : 'was done'
  test(`a commit of unknown outcome that ${what} is followed by what the group's offset says`, async t => {
    const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
    t.after(() => broker.close())
    const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
    t.after(() => cluster.close())
    await new Admin(cluster).createTopics(['in', 'out', 'dead'].map(topic => ({ topic, partitionCount: 1 })))
    const appender = new Appender({ cluster })
    for (let n = 0; n < COUNT; n += 1) {
      const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
      appender.append({ topic: 'in', key: null, value: Buffer.from(String(n)) }, listener)
    }
    await appender.close()

    // The third commit gets no answer; its retries are put off until somebody else has the id.
    const loading = { errorCode: KAFKA_ERRORS.COORDINATOR_LOAD_IN_PROGRESS.code }
    const lost = broker.faults.inject({ api: 'EndTxn', nth: 3, fault })
    const putOff = broker.faults.inject({ api: 'EndTxn', nth: 4, times: Infinity, fault: loading })
    const lines: string[] = []
    const config = dispatcherConfig({
      groupId: 'g',
      topics: ['in'],
      deadLetterTopic: 'dead',
      batch: { recordsMax: 7, ageMs: 5 },
      concurrency: 1,
      target: { type: 'topic', topic: 'out', exactlyOnce: true, transactionalIdPrefix: 'p' }
    })
    const target = new TopicTarget({ name: 'out', cluster, route: { topic: 'out' }, isExactlyOnce: true })
    const logger = createLogger({ level: 'error', destination: { write: (line: string) => void lines.push(line) } })
    const dispatcher = await startDispatcher({ config, cluster, target, logger })
    t.after(() => dispatcher.close())
    await lost.untilApplied()
    const thief = new TransactionalAppender({ cluster, transactionalId: 'p-0' })
    await thief.start()
    await thief.close()
    putOff.remove()
    while (dispatcher.status().partitions[0]?.committed !== BigInt(COUNT)) {
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    const { producers } = dispatcher.describe()
    assert.deepEqual(
      producers.map(({ transactionalId, phase }) => [transactionalId, phase]),
      [['p-0', 'ready']]
    )
    await dispatcher.drain()

    assert.deepEqual(
      await readAll(cluster, 'out'),
      Array.from({ length: COUNT }, (_, n) => n)
    )
    assert.ok(lines.join('').includes('can no longer be learned'), lines.join(''))
  })
}

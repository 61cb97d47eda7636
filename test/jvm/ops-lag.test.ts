/** Lag in records, compared with what Kafka's own tool says of the same group at the same time. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { LagMonitor } from '../../src/ops/index.ts'
import { brokerWithTools, linesOf } from './tools.ts'

test('the lag of every partition is what kafka-consumer-groups --describe says', async t => {
  const { broker, tool } = await brokerWithTools(t)
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  const topics = ['orders', 'payments']
  await admin.createTopics(topics.map(topic => ({ topic, partitionCount: 4 })))
  const appender = new Appender({ cluster, lingerMs: 1 })
  t.after(() => appender.close())
  const listener = { delivered: () => undefined, failed: () => undefined }
  for (let index = 0; index < 400; index++) {
    const topic = topics[index % 3 === 0 ? 1 : 0] ?? ''
    appender.append({ topic, key: Buffer.from(`k${index}`), value: Buffer.alloc(10) }, listener)
  }
  await appender.flush()
  const groups = ['billing', 'search']
  for (const [index, groupId] of groups.entries()) {
    const offsets = topics.flatMap(topic =>
      [0, 1, 2, 3].map(partition => ({ topic, partition, offset: BigInt(partition * (index + 1)) }))
    )
    await admin.alterGroupOffsets(groupId, offsets.slice(index))
  }
  const report = await new LagMonitor({ cluster, groups }).look()
  const ours = report.groups.flatMap(({ groupId, partitions }) =>
    partitions.map(each =>
      [groupId, each.topic, each.partition, each.committed, each.endOffset, each.lagRecords].join(' ')
    )
  )
  const text = await tool('kafka-consumer-groups', '--describe --all-groups')
  const theirs = linesOf(text)
    .map(line => line.trim().split(/\s+/u))
    .filter(([group = '']) => groups.includes(group))
    // Group, topic, partition, committed, end, lag; then the owner.
    .map(columns => columns.slice(0, 6).join(' '))
  assert.deepEqual(ours.toSorted(), theirs.toSorted())
  assert.equal(ours.length, 15)
})

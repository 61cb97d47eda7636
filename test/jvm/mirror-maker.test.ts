/** MirrorMaker 2 between two of our brokers: records, the topic's settings, and where the groups stand. */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import kafkajs, { type Admin } from 'kafkajs'
import { temporaryFolder } from '../support/comporta.ts'
import { startKafkaApplication } from '../support/kafka-jvm.ts'
import { brokerWithTools, eventually, inShortRun, linesOf, watch } from './tools.ts'

const everySecond = [
  'refresh.topics.interval',
  'refresh.groups.interval',
  'sync.topic.configs.interval',
  'emit.checkpoints.interval',
  'sync.group.offsets.interval',
  'emit.heartbeats.interval'
]
const topicsOfItsOwn = ['checkpoints.topic', 'heartbeats.topic', 'offset-syncs.topic']
const topicsOfConnect = ['offset.storage', 'status.storage', 'config.storage']

function mirrorProperties(from: string, to: string): string {
  return [
    'clusters=A, B',
    `A.bootstrap.servers=${from}`,
    `B.bootstrap.servers=${to}`,
    'A->B.enabled=true',
    'A->B.topics=orders',
    'A->B.groups=readers',
    'B->A.enabled=false',
    'replication.factor=1',
    ...[...topicsOfItsOwn, ...topicsOfConnect].map(name => `${name}.replication.factor=1`),
    ...everySecond.map(name => `${name}.seconds=1`),
    'sync.group.offsets.enabled=true',
    'offset.lag.max=0',
    'plugin.discovery=service_load',
    ''
  ].join('\n')
}

test(
  'MirrorMaker 2 copies records, settings, new partitions and group offsets to another broker',
  { skip: inShortRun },
  async t => {
    const [source, target] = [await brokerWithTools(t), await brokerWithTools(t)]
    const file = join(temporaryFolder(t), 'mirror.properties')
    await writeFile(file, mirrorProperties(source.broker.bootstrapServers, target.broker.bootstrapServers))
    await source.tool('kafka-topics', '--create --topic orders --partitions 2 --config retention.ms=7200000')
    await source.tool('kafka-verifiable-producer', '--topic orders --max-messages 300 --repeating-keys 20')
    await source.tool('kafka-verifiable-consumer', '--topic orders --group-id readers --max-messages 300')
    const [from, to] = [await adminOf(t, source), await adminOf(t, target)]
    const committed = await groupOffsets(from, 'orders')

    const mirror = watch(t, await startKafkaApplication('org.apache.kafka.connect.mirror.MirrorMaker', [file]))
    await eventually('the offsets of the group are mirrored', async () => {
      const mirrored = await groupOffsets(to, 'A.orders').catch(() => [])
      return String(mirrored) === String(committed)
    })
    await source.tool('kafka-topics', '--alter --topic orders --partitions 4')
    await source.tool('kafka-verifiable-producer', '--topic orders --max-messages 100 --repeating-keys 20')
    await eventually('the second load is mirrored', async () => sumOf(await endOffsets(to, 'A.orders')) === 400)
    const described = await target.tool('kafka-topics', '--describe --topic A.orders')
    const ends = [await endOffsets(from, 'orders'), await endOffsets(to, 'A.orders')]
    const read = '--from-beginning --timeout-ms 3000 --formatter-property print.partition=true'
    const contents = await Promise.all([
      source.tool('kafka-console-consumer', `--topic orders ${read}`),
      target.tool('kafka-console-consumer', `--topic A.orders ${read}`)
    ])
    await mirror.stop('SIGTERM')

    assert.equal(sumOf(committed), 300)
    assert.match(described, /PartitionCount: 4\s.*retention\.ms=7200000/)
    assert.deepEqual(ends[1], ends[0])
    assert.equal(linesOf(contents[0]).length, 400)
    assert.deepEqual(byPartition(contents[1]), byPartition(contents[0]))
  }
)

type Side = Awaited<ReturnType<typeof brokerWithTools>>

/** A client that answers at once, where a Java tool takes a second to start. */
async function adminOf(t: TestContext, side: Side): Promise<Admin> {
  const client = new kafkajs.Kafka({ brokers: [side.broker.bootstrapServers], logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  return admin
}

/** Committed offsets of the group `readers` in the order of the partitions; -1 where there is none. */
async function groupOffsets(admin: Admin, topic: string): Promise<number[]> {
  const [offsets] = await admin.fetchOffsets({ groupId: 'readers', topics: [topic] })
  return inOrder(offsets?.partitions ?? [])
}

/** End offsets in the order of the partitions. */
async function endOffsets(admin: Admin, topic: string): Promise<number[]> {
  return inOrder(await admin.fetchTopicOffsets(topic))
}

function inOrder(rows: readonly { partition: number; offset: string }[]): number[] {
  return rows.toSorted((a, b) => a.partition - b.partition).map(row => Number(row.offset))
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0)
}

/** The printed records of each partition, in their order. */
function byPartition(printed: string): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(linesOf(printed), line => line.split('\t')[0] ?? '')).map(([partition, lines]) => [
      partition,
      lines ?? []
    ])
  )
}

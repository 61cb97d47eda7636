/** Kafka's own consumer with `group.protocol=consumer` (KIP-848) on our broker, and the tools for its group. */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConsumerGroupRecord } from '../../src/broker/groups/consumer-group-records.ts'
import { ConsumerGroupRecords } from '../../src/broker/groups/consumer-group-state.ts'
import { withoutEpochs } from '../../src/broker/groups/index.ts'
import { startBroker } from '../../src/broker/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { describe, GroupMember, groupReady, settle } from '../conformance/consumer-group-support.ts'
import { createTopic } from '../conformance/support.ts'
import { uniqueName } from '../support/cluster.ts'
import { KAFKA_TOOLS, runKafkaTool, startKafkaJvm } from '../support/kafka-jvm.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { brokerWithTools, eventually, linesOf, inShortRun } from './tools.ts'

const CONSUMER = '--command-property group.protocol=consumer --command-property auto.offset.reset=earliest'

function values(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `value ${from + index}`)
}

test('a consumer of the new protocol reads everything, and the tools describe its group', async t => {
  const { tool, start } = await brokerWithTools(t)
  await tool('kafka-topics', '--create --topic orders --partitions 4')
  await tool('kafka-console-producer', '--topic orders', { stdin: `${values(200).join('\n')}\n` })

  const first = await start('kafka-console-consumer', `--topic orders --group g ${CONSUMER}`)
  await first.until(lines => lines.length === 200)
  assert.deepEqual(new Set(first.lines), new Set(values(200)))
  const second = await start('kafka-console-consumer', `--topic orders --group g ${CONSUMER}`)
  await eventually('two members are stable', async () => {
    const state = await tool('kafka-consumer-groups', '--describe --group g --state')
    return /^g\s+\S+\s+\(1\)\s+uniform\s+Stable\s+2/m.test(state)
  })
  const members = await tool('kafka-consumer-groups', '--describe --group g --members --verbose')
  const listed = await tool('kafka-consumer-groups', '--list --type consumer --state Stable')
  const groups = await tool('kafka-groups', '--list --consumer')
  await tool('kafka-console-producer', '--topic orders', { stdin: `${values(200, 200).join('\n')}\n` })
  const isAllRead = (): boolean => first.lines.length + second.lines.length === 400
  await Promise.race([first.until(isAllRead), second.until(isAllRead)])
  await first.stop('SIGTERM')
  await second.stop('SIGTERM')

  const rows = linesOf(members).filter(line => /^g\s.*\s2\s+(\d+)\s+orders:(\d,\d)\s+\1\s+orders:\2\s*$/.test(line))
  assert.equal(rows.length, 2, members)
  assert.match(listed, /^g\s+Consumer\s+Stable/m)
  assert.match(groups, /^g\s+Consumer\s+consumer/m)
  assert.deepEqual(new Set([...first.lines, ...second.lines]), new Set(values(400)))
  const offsets = await tool('kafka-consumer-groups', '--describe --group g')
  const lags = linesOf(offsets)
    .filter(line => line.startsWith('g '))
    .map(line => line.split(/\s+/)[5])
  assert.deepEqual(lags, ['0', '0', '0', '0'])
  await tool('kafka-consumer-groups', '--delete --group g')
  assert.doesNotMatch(await tool('kafka-consumer-groups', '--list'), /^g\b/m)
})

test('a group changes to the new protocol and back while it reads', { skip: inShortRun }, async t => {
  const { tool, start } = await brokerWithTools(t)
  await tool('kafka-topics', '--create --topic orders --partitions 4')
  const old = '--command-property auto.offset.reset=earliest --command-property session.timeout.ms=6000'
  const cooperative = 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor'
  const strategy = `--command-property partition.assignment.strategy=${cooperative}`
  const heartbeat = '--command-property heartbeat.interval.ms=500'
  const classic = await start(
    'kafka-console-consumer',
    `--topic orders --group g ${old} ${strategy} ${heartbeat} --command-property group.protocol=classic`
  )
  const isSharedBy = async (count: number): Promise<boolean> => {
    const members = await tool('kafka-consumer-groups', '--describe --group g --members --verbose')
    const rows = linesOf(members).filter(line => /\borders(?::\d(?:,\d)*|\(\d)/.test(line))
    return rows.length === count && !members.includes('is rebalancing')
  }
  await eventually('the classic member has everything', () => isSharedBy(1))
  await tool('kafka-console-producer', '--topic orders', { stdin: `${values(100).join('\n')}\n` })
  await classic.until(lines => lines.length === 100)

  const modern = await start('kafka-console-consumer', `--topic orders --group g ${CONSUMER}`)
  await eventually('both protocols share the topic', () => isSharedBy(2))
  assert.match(await tool('kafka-consumer-groups', '--list --type consumer'), /^g\s/m)
  await tool('kafka-console-producer', '--topic orders', { stdin: `${values(100, 100).join('\n')}\n` })
  const isAllRead = (): boolean => classic.lines.length + modern.lines.length === 200
  await Promise.race([classic.until(isAllRead), modern.until(isAllRead)])

  await modern.stop('SIGTERM')
  await eventually('the classic member has everything again', () => isSharedBy(1))
  assert.match(await tool('kafka-consumer-groups', '--list --type classic'), /^g\s/m)
  await tool('kafka-console-producer', '--topic orders', { stdin: `${values(100, 200).join('\n')}\n` })
  await classic.until(() => classic.lines.length + modern.lines.length === 300)
  assert.deepEqual(new Set([...classic.lines, ...modern.lines]), new Set(values(300)))
})

test("Kafka's dump tool reads the records of the group", async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-test-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const config = { 'offsets.topic.num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' }
  const broker = await startBroker({ dataDir, config })
  const server = ['--bootstrap-server', broker.bootstrapServers]
  const run = async (name: keyof typeof KAFKA_TOOLS, args: string, stdin = ''): Promise<string> =>
    (await runKafkaTool(KAFKA_TOOLS[name], [...server, ...args.split(' ')], { stdin })).stdout
  await run('kafka-topics', '--create --topic orders --partitions 2')
  await run('kafka-console-producer', '--topic orders', 'one\ntwo\n')
  const read = await run('kafka-console-consumer', `--topic orders --group g ${CONSUMER} --max-messages 2`)
  const connection = await RawConnection.open(t, broker)
  const member = new GroupMember(connection, { groupId: 'g' })
  await member.join({ subscribedTopicRegex: 'ord.*' })
  await broker.close()

  const folder = join(dataDir, '__consumer_offsets-0')
  const segments = (await readdir(folder)).filter(name => name.endsWith('.log')).map(name => join(folder, name))
  const args = ['--offsets-decoder', '--files', segments.join(',')]
  const dumped = (await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], args)).stdout

  assert.deepEqual(linesOf(read).toSorted(), ['one', 'two'])
  for (const [type, field] of [
    [3, '"epoch":'],
    [5, '"subscribedTopicRegex":'],
    [6, '"assignmentEpoch":'],
    [7, '"topicPartitions":'],
    [8, '"memberEpoch":'],
    [16, '"topics":["orders"]'],
    [1, '"offset":']
  ] as const) {
    const line = linesOf(dumped).find(each => each.includes(`"type":"${type}"`) && each.includes(field))
    assert.ok(line !== undefined, `no record of type ${type} with ${field} in\n${dumped}`)
  }
})

async function recordsOfGroup(dataDir: string, groupId: string): Promise<ConsumerGroupRecords> {
  const known = new ConsumerGroupRecords()
  const cursor = new RecordCursor()
  cursor.reset(await readFile(join(dataDir, '__consumer_offsets-0', '00000000000000000000.log')))
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      const read = readConsumerGroupRecord(cursor.key() ?? Buffer.alloc(0), cursor.value())
      if (read?.groupId === groupId) known.apply(read.record)
    }
  }
  return known
}

test('our reader understands what Apache Kafka writes about a group', async t => {
  const kafka = await startKafkaJvm({ overrides: { 'offsets.topic.num.partitions': '1' } })
  t.after(() => kafka.close())
  const cluster = { bootstrapServers: kafka.bootstrapServers, isEmbedded: false, uniqueName }
  const peer = { cluster, connection: await RawConnection.open(t, cluster) }
  const topic = await createTopic(peer, { partitions: 3 })
  const groupId = uniqueName('group')
  await groupReady(peer, groupId)
  const first = new GroupMember(peer.connection, { groupId, instanceId: 'i' })
  const second = new GroupMember(peer.connection, { groupId })
  await first.join({ subscribedTopicNames: [topic.name], rackId: 'r' })
  await second.join({ subscribedTopicRegex: `${topic.name}.*`, serverAssignor: 'range' })
  // The group looks at the pattern's topics in its own time, and begins another epoch when it has.
  let described = await describe(peer, groupId)
  let known = new ConsumerGroupRecords()
  while (known.state !== 'Stable' || known.epoch !== described.groupEpoch) {
    await settle([first, second], 3)
    described = await describe(peer, groupId)
    known = await recordsOfGroup(kafka.dataDir, groupId)
  }

  assert.deepEqual([known.epoch, known.assignmentEpoch], [described.groupEpoch, described.assignmentEpoch])
  for (const member of described.members) {
    const ours = known.member(member.memberId)
    assert.ok(ours !== undefined)
    assert.deepEqual(
      [ours.epoch, ours.instanceId, ours.rackId, ours.topicNames, ours.topicRegex],
      [member.memberEpoch, member.instanceId, member.rackId, member.subscribedTopicNames, member.subscribedTopicRegex]
    )
    const owned = member.assignment.topicPartitions.map(each => [each.topicId, each.partitions])
    assert.deepEqual([...withoutEpochs(ours.assigned)], owned)
    assert.deepEqual([...known.target(member.memberId)], owned)
  }
  assert.deepEqual(known.regexes.get(`${topic.name}.*`)?.topics, [topic.name])
})

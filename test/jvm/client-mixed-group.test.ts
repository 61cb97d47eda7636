/**
 * Our group member and Kafka's Java consumer in one group: cooperative with
 * either of them leading, in the consumer protocol, and each in its own one.
 * They share the partitions, and take over from each other.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from '../../src/client/index.ts'
import { type ClientPeer, clientForTest, TestAppender, TestMember } from '../conformance/client-support.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'

const assignor = 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor'
const consumedCount = 5

const settings = {
  classic: [`partition.assignment.strategy=${assignor}`, 'heartbeat.interval.ms=500'],
  consumer: ['group.protocol=consumer']
}

/** A Java consumer that joins, reads a few records, commits and leaves. Resolves with what it printed. */
async function javaConsumer(
  { server }: ClientPeer,
  { topic, group, protocol = 'classic' }: { topic: string; group: string; protocol?: keyof typeof settings }
): Promise<string[]> {
  const options = [
    `--bootstrap-server ${server.bootstrapServers} --topic ${topic} --group ${group}`,
    `--max-messages ${consumedCount} --timeout-ms 60000`,
    '--command-property auto.offset.reset=earliest',
    ...settings[protocol].map(setting => `--command-property ${setting}`)
  ]
  const result = await runKafkaTool(KAFKA_TOOLS['kafka-console-consumer'], options.join(' ').split(' '))
  return result.stdout.split('\n').filter(line => line !== '')
}

async function append(writer: TestAppender, topic: string): Promise<void> {
  const records = Array.from({ length: 200 }, (_, index) => ({
    topic,
    key: Buffer.from(`key ${index}`),
    value: Buffer.from(`value ${index}`)
  }))
  await writer.append(...records)
}

/** How many partitions each member of a stable group has. */
async function shares(admin: Admin, group: string): Promise<number[]> {
  const [description] = await admin.describeGroups([group])
  if (description?.state !== 'Stable') return []
  return description.members.map(({ assignment }) => assignment.length)
}

test('we lead: a Java consumer gets its share, and when it leaves we get it back', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(6)
  const groupId = peer.server.uniqueName('mixed')
  const member = new TestMember(t, {
    cluster: peer.cluster,
    groupId,
    topics: [topic],
    assignors: ['cooperative-sticky']
  })
  await member.watch.until(() => member.held.size === 6)

  const java = javaConsumer(peer, { topic, group: groupId })
  await member.watch.until(() => member.held.size === 3)
  await append(new TestAppender(t, peer.cluster), topic)

  assert.equal((await java).length, consumedCount)
  await member.watch.until(() => member.held.size === 6)
  assert.deepEqual(member.calls, ['assigned 0,1,2,3,4,5', 'revoking 0,1,2', 'revoked 0,1,2', 'assigned 0,1,2'])
  const offsets = [...member.held.values()].map(({ offset }) => offset)
  assert.equal(
    offsets.reduce((sum, offset) => sum + offset, 0n),
    BigInt(consumedCount)
  )
})

test('a Java consumer leads: we get our share, and when it leaves we get all', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(6)
  const groupId = peer.server.uniqueName('mixed')
  const java = javaConsumer(peer, { topic, group: groupId })
  while ((await shares(peer.admin, groupId)).join() !== '6') await delay(100)

  const member = new TestMember(t, {
    cluster: peer.cluster,
    groupId,
    topics: [topic],
    assignors: ['cooperative-sticky']
  })
  await member.watch.until(() => member.held.size === 3)
  await append(new TestAppender(t, peer.cluster), topic)

  assert.equal((await java).length, consumedCount)
  await member.watch.until(() => member.held.size === 6)
  assert.deepEqual(
    member.calls.filter(call => !call.startsWith('assigned')),
    []
  )
})

for (const [ours, java] of [
  ['consumer', 'consumer'],
  ['classic', 'consumer'],
  ['auto', 'classic']
] as const) {
  test(`we speak ${ours}, Java ${java}: it gets its share, and when it leaves we get it back`, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(6)
    const groupId = peer.server.uniqueName('mixed')
    const member = new TestMember(t, { cluster: peer.cluster, groupId, topics: [topic], groupProtocol: ours })
    await member.watch.until(() => member.held.size === 6)

    const read = javaConsumer(peer, { topic, group: groupId, protocol: java })
    await member.watch.until(() => member.held.size === 3)
    await append(new TestAppender(t, peer.cluster), topic)

    assert.equal((await read).length, consumedCount)
    await member.watch.until(() => member.held.size === 6)
    assert.deepEqual(
      member.calls.filter(call => call.startsWith('lost')),
      []
    )
    const offsets = [...member.held.values()].map(({ offset }) => offset)
    assert.equal(
      offsets.reduce((sum, offset) => sum + offset, 0n),
      BigInt(consumedCount)
    )
  })
}

test('Java has a classic group, we join by auto: the group is upgraded while both work', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(6)
  const groupId = peer.server.uniqueName('mixed')
  const java = javaConsumer(peer, { topic, group: groupId })
  while ((await shares(peer.admin, groupId)).join() !== '6') await delay(100)

  const member = new TestMember(t, { cluster: peer.cluster, groupId, topics: [topic], groupProtocol: 'auto' })
  await member.watch.until(() => member.held.size === 3)
  assert.equal(member.member.protocol, 'consumer')
  await append(new TestAppender(t, peer.cluster), topic)

  assert.equal((await java).length, consumedCount)
  await member.watch.until(() => member.held.size === 6)
  assert.deepEqual(
    member.calls.filter(call => !call.startsWith('assigned')),
    []
  )
})

/** Bad situations, built on whatever cluster is under test, are found as the test knows them; good ones are not. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig, kafkaConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { type DoctorFinding, runDoctor } from '../../src/ops/index.ts'
import { type ClientPeer, clientForTest, TestAppender, TestMember } from './client-support.ts'

type Pipeline = NonNullable<Parameters<typeof runDoctor>[0]['pipeline']>

/** Findings of a check that speak of a name: other tests leave topics and groups in a cluster that is shared. */
function about(findings: readonly DoctorFinding[], id: string, name: string): DoctorFinding[] {
  const isIll = ({ severity }: DoctorFinding): boolean => severity !== 'ok' && severity !== 'unknown'
  return findings.filter(
    each =>
      each.id === id && isIll(each) && [each.title, ...each.evidence, each.reason].some(text => text.includes(name))
  )
}

function one(findings: readonly DoctorFinding[], id: string, name: string): DoctorFinding {
  const [found] = about(findings, id, name)
  assert.ok(found !== undefined, `${id} says nothing of ${name}`)
  return found
}

/** Sets offsets of a group without members, to the same in each partition. */
async function commit(
  { admin }: ClientPeer,
  groupId: string,
  { topic, offset, count = 2 }: { topic: string; offset: bigint; count?: number }
): Promise<void> {
  const offsets = Array.from({ length: count }, (_, partition) => ({ topic, partition, offset }))
  for (const { errorCode } of await admin.alterGroupOffsets(groupId, offsets)) assert.equal(errorCode, 0)
}

/** A member that owns nothing hears nothing: the coordinator is asked. */
async function untilStable({ admin }: ClientPeer, groupId: string, count: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const [group] = await admin.describeGroups([groupId])
    if (group?.state === 'Stable' && group.members.length === count) return
    await sleep(systemClock, 50)
  }
  assert.fail(`${groupId} did not settle`)
}

function pipelineOf(peer: ClientPeer, topic: string, deadLetterTopic: string): Pipeline {
  const target = { type: 'http', url: 'http://127.0.0.1:1/', timeoutMs: 30_000 } as const
  const groupId = peer.server.uniqueName('pipeline')
  return {
    kafka: kafkaConfig({ bootstrapServers: peer.server.bootstrapServers }),
    topics: { [topic]: { partitions: 5, replicationFactor: -1, config: {} } },
    producer: undefined,
    dispatcher: dispatcherConfig({ groupId, topics: [topic], deadLetterTopic, target, rebalanceTimeoutMs: 20_000 })
  }
}

test('the doctor finds what is wrong with groups, topics, records and settings, and what is not', async t => {
  const peer = await clientForTest(t)
  const { admin, cluster, server } = peer
  const odd = { 'retention.ms': '600000', 'segment.ms': '604800000', 'unclean.leader.election.enable': 'true' }
  const topic = await peer.topic(2, odd)
  const sound = await peer.topic(2, { 'segment.ms': '86400000' })
  const single = await peer.topic(1)
  const letters = `${topic}-dlq`
  await admin.createTopics([{ topic: letters, partitionCount: 1, replicationFactor: 1 }])

  const appender = new TestAppender(t, cluster)
  const record = (key: string, to = topic) => ({ topic: to, key: Buffer.from(key), value: Buffer.from('{}') })
  const dated = { ...record('late', single), timestampMs: systemClock.now() + 3_540_000 }
  await appender.append(...Array.from({ length: 300 }, () => record('truck-4711')))
  await appender.append(...Array.from({ length: 300 }, (_, index) => record(`even-${index}`, sound)))
  await appender.append(dated, record('x', letters))
  const offset = 0n
  const base = server.uniqueName('app')
  const names = [`${base}-pod-1`, `${base}-pod-2`]
  for (const name of names) await commit(peer, name, { topic, offset })
  const lost = server.uniqueName('lost')
  await commit(peer, lost, { topic: sound, offset: 10n })
  const ahead = server.uniqueName('ahead')
  await commit(peer, ahead, { topic: single, offset: 500n, count: 1 })
  await admin.deleteRecords([{ topic: sound, partition: 0, beforeOffset: 60n }])
  // One partition, two members: the second has nothing to do.
  const idle = server.uniqueName('idle')
  for (let count = 1; count <= 2; count += 1) new TestMember(t, { cluster, groupId: idle, topics: [single] })
  await untilStable(peer, idle, 2)

  const findings = await runDoctor({
    cluster,
    bootstrapServers: server.bootstrapServers.split(','),
    pipeline: pipelineOf(peer, topic, letters),
    intervalMs: 0,
    sampleSeconds: 0
  })

  assert.deepEqual(one(findings, 'group-per-instance', names[0] ?? '').evidence.length, 2)
  one(findings, 'group-without-members', names[1] ?? '')
  assert.match(one(findings, 'data-loss', lost).title, /never read 50 records/)
  assert.match(one(findings, 'offset-ahead-of-log', ahead).evidence[0] ?? '', /-0: committed 500, log ends at 1$/)
  assert.match(one(findings, 'idle-members', idle).title, /has 2 members for 1 partitions$/)
  assert.match(one(findings, 'hot-partition', topic).title, /keeps 100 % of the records/)
  const [key] = one(findings, 'hot-keys', topic).evidence
  assert.match(key ?? '', /^"tru…" \(murmur2 [0-9a-f]{8}\): 100 % of 300 records$/)
  one(findings, 'segment-retention', topic)
  one(findings, 'unclean-leader-election', topic)
  assert.match(one(findings, 'dead-letters', letters).title, /has 1 dead letter$/)
  // Almost the hour that Kafka allows, so that it stands before what other tests have dated ahead.
  const skewed = one(findings, 'clock-skew', single).evidence.find(line => line.startsWith(`${single}-0: `))
  assert.match(skewed ?? '', /: 5[89](?:\.\d)? min ahead$/)
  assert.match(one(findings, 'topic-drift', topic).evidence.join(), /2 partitions, the file says 5/)
  assert.match(one(findings, 'timeouts', 'rebalanceTimeoutMs').title, /longer than a rebalance/)
  for (const id of ['hot-partition', 'segment-retention', 'unclean-leader-election', 'hot-keys']) {
    assert.deepEqual(about(findings, id, sound), [], `${id} of a sound topic`)
  }
  const said = (id: string): string | undefined => findings.find(each => each.id === id)?.severity
  for (const id of ['broker-version', 'disk-space', 'hanging-transactions', 'controller', 'partitions-per-broker']) {
    assert.equal(said(id), 'ok', id)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type DoctorFacts, known } from '../../../src/ops/doctor/facts.ts'
import { DENIED, factsOf, findingsOf, group, scanned, scanOf, settings, topicOf } from './facts.ts'

function metadata(...topics: DoctorFacts['metadata']['topics']): Pick<DoctorFacts, 'metadata'> {
  return { metadata: { ...factsOf().metadata, topics } }
}

test('two replicas on three brokers are a warning, one is an error, on one broker it is a note', () => {
  const replicas = (count: number) => topicOf('orders', 3, { replicas: [1, 2].slice(0, count) })
  assert.equal(findingsOf('replication-factor', metadata(replicas(2)))[0]?.severity, 'warn')
  assert.equal(findingsOf('replication-factor', metadata(replicas(1)))[0]?.severity, 'error')
  const { brokers } = factsOf().metadata
  const alone = { metadata: { ...factsOf().metadata, brokers: brokers.slice(0, 1), topics: [replicas(1)] } }
  assert.equal(findingsOf('replication-factor', alone)[0]?.severity, 'info')
})

test('min.insync.replicas of 1 undoes acks=all, of 3 of 3 stops writes at every restart', () => {
  const [weak] = findingsOf('min-insync-replicas', { topicConfigs: settings({ 'min.insync.replicas': '1' }) })
  assert.match(weak?.title ?? '', /min.insync.replicas is 1 for 1 topics/)
  const [stiff] = findingsOf('min-insync-replicas', { topicConfigs: settings({ 'min.insync.replicas': '3' }) })
  assert.match(stiff?.title ?? '', /need every replica/)
  assert.equal(findingsOf('min-insync-replicas', { topicConfigs: DENIED })[0]?.severity, 'unknown')
})

test('a partition without a leader', () => {
  const [found] = findingsOf('offline-partitions', metadata(topicOf('orders', 2, { leaderId: -1 })))
  assert.equal(found?.severity, 'error')
  assert.equal(found.evidence[0], 'orders-0: replicas 1, 2, 3')
})

test('replicas that are behind: a warning, and below min.insync.replicas an error', () => {
  const behind = metadata(topicOf('orders', 1, { inSyncReplicas: [1, 2] }))
  assert.equal(findingsOf('under-replicated', behind)[0]?.severity, 'warn')
  const below = metadata(topicOf('orders', 1, { inSyncReplicas: [1] }))
  assert.equal(findingsOf('under-replicated', below)[0]?.severity, 'error')
})

test('leaders that are not the preferred ones, and leaders that gather', () => {
  const [strayed, ...others] = findingsOf('leader-imbalance', metadata(topicOf('orders', 3, { leaderId: 2 })))
  assert.equal(strayed?.title, '2 of 3 leaders are not the preferred replica')
  assert.deepEqual(others, [], 'three partitions are too few to speak of a spread')
  const gathered = metadata(topicOf('orders', 12, { leaderId: 1, replicas: [1, 2, 3] }))
  const [found] = findingsOf('leader-imbalance', gathered)
  assert.equal(found?.title, 'leaders are spread unevenly over the brokers')
  assert.deepEqual(found.evidence, ['broker 1: 12 leaders', 'broker 2: 0 leaders', 'broker 3: 0 leaders'])
})

test('a partition with more than twice its share of what came in between two looks is hot', () => {
  const later = known(scanOf([scanned('orders', [1000, 150, 150])]))
  const [found] = findingsOf('hot-partition', { later })
  // 900 of 1,000 new records.
  assert.equal(found?.title, 'orders-0 gets 90 % of the records of orders')
  assert.equal(found.severity, 'warn')
  const even = known(scanOf([scanned('orders', [400, 450, 500])]))
  assert.deepEqual(findingsOf('hot-partition', { later: even }), [])
})

test('without traffic what is kept tells of a hot partition, as a note; few records tell nothing', () => {
  const kept = (...ends: number[]) => ({ scan: scanOf([scanned('orders', ends)]), later: DENIED })
  assert.equal(findingsOf('hot-partition', kept(900, 50, 50))[0]?.severity, 'info')
  assert.deepEqual(findingsOf('hot-partition', kept(90, 5, 4)), [])
  assert.deepEqual(findingsOf('hot-partition', kept(500, 400, 300)), [])
  assert.deepEqual(findingsOf('hot-partition', kept(5000)), [], 'one partition has no neighbours')
})

test('a segment that is longer than retention deletes late', () => {
  const late = { 'segment.ms': '604800000', 'retention.ms': '3600000' }
  const [found] = findingsOf('segment-retention', { topicConfigs: settings(late) })
  assert.deepEqual(found?.evidence, ['orders: segment.ms 604800000 above retention.ms 3600000'])
  const large = { 'segment.bytes': '1073741824', 'retention.bytes': '104857600' }
  assert.match(
    findingsOf('segment-retention', { topicConfigs: settings(large) })[0]?.evidence[0] ?? '',
    /segment.bytes/
  )
})

test('retention without a bound, or compaction instead of it, has no such trouble', () => {
  for (const change of [
    { 'retention.ms': '-1', 'segment.ms': '604800000' },
    { 'cleanup.policy': 'compact', 'retention.ms': '1000' }
  ]) {
    assert.deepEqual(findingsOf('segment-retention', { topicConfigs: settings(change) }), [])
  }
})

test('unclean leader election', () => {
  const [found] = findingsOf('unclean-leader-election', {
    topicConfigs: settings({ 'unclean.leader.election.enable': 'true' })
  })
  assert.deepEqual(found?.evidence, ['orders'])
})

test('offsets with one replica on three brokers', () => {
  const [found] = findingsOf('internal-topics', metadata(topicOf('__consumer_offsets', 3, { replicas: [1] })))
  assert.equal(found?.severity, 'error')
  assert.match(found.title, /^__consumer_offsets has fewer than three replicas$/)
})

test('evidence of a thousand partitions is ten lines', () => {
  const [found] = findingsOf('offline-partitions', metadata(topicOf('orders', 1000, { leaderId: -1 })))
  assert.equal(found?.evidence.length, 10)
  assert.equal(found.evidence.at(-1), '… and 991 more')
  assert.ok(group('x'))
})

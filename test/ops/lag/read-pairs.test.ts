/** Which partitions count for a group. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readPairs } from '../../../src/ops/lag/read-pairs.ts'
import type { ClusterScan, ScannedGroup, ScannedTopic } from '../../../src/ops/scan/scan-types.ts'

function topicOf(topic: string, count: number, problem?: string): ScannedTopic {
  const numbers = Array.from({ length: count }, (_, partition) => partition)
  const ends = { logStartOffset: 0n, highWatermark: 5n, lastStableOffset: 5n }
  const led = { leaderId: 1, leaderEpoch: 0, replicas: [1], inSyncReplicas: [1] }
  return {
    topic,
    topicId: topic,
    isInternal: false,
    partitions: numbers.map(partition => ({ topic, partition, ...led, ...ends })),
    ...(problem === undefined ? {} : { problem })
  }
}

function scanOf(...topics: readonly ScannedTopic[]): ClusterScan {
  return {
    clusterId: 'c',
    brokers: [],
    controllerId: 1,
    takenAtMs: 0,
    durationMs: 0,
    topics: new Map(topics.map(each => [each.topic, each])),
    groups: [],
    problems: []
  }
}

function groupOf(change: Partial<ScannedGroup>): ScannedGroup {
  const offsets = [{ topic: 'orders', partition: 1, committed: 3n, leaderEpoch: 0, metadata: '' }]
  const who = { groupId: 'billing', state: 'Stable', protocolType: 'consumer', assignor: 'range', coordinatorId: 1 }
  return { ...who, offsets, ...change }
}

const member = {
  memberId: 'm',
  groupInstanceId: null,
  clientId: 'app',
  clientHost: '/10.0.0.1',
  assignment: [
    { topic: 'orders', partition: 1 },
    { topic: 'orders', partition: 2 }
  ]
}

const short = (pairs: ReturnType<typeof readPairs>): unknown[] =>
  pairs.map(({ topic, partition, committed, owner, flags }) => [`${topic}-${partition}`, committed, owner, ...flags])

test('a subscriber reads all partitions of its topics: committed, owned, and those that were added since', () => {
  const pairs = readPairs(scanOf(topicOf('orders', 4), topicOf('other', 1)), groupOf({ members: [member] }), undefined)
  assert.deepEqual(short(pairs), [
    ['orders-0', undefined, '', 'unassigned'],
    ['orders-1', 3n, 'app@10.0.0.1'],
    ['orders-2', undefined, 'app@10.0.0.1'],
    ['orders-3', undefined, '', 'unassigned']
  ])
})

test('of a reader that picks its partitions itself only what it has committed counts', () => {
  const pairs = readPairs(scanOf(topicOf('orders', 4)), groupOf({ protocolType: '', members: [] }), undefined)
  assert.deepEqual(short(pairs), [['orders-1', 3n, '']])
})

test('members that were not asked for leave open who owns what', () => {
  const pairs = readPairs(scanOf(topicOf('orders', 2)), groupOf({}), undefined)
  assert.deepEqual(
    pairs.flatMap(({ flags }) => flags),
    []
  )
})

test('a topic that is gone is told from one that may not be seen', () => {
  const gone = readPairs(scanOf(topicOf('orders', 0, 'UNKNOWN_TOPIC_OR_PARTITION')), groupOf({}), undefined)
  assert.deepEqual(gone[0]?.flags, ['noTopic'])
  assert.deepEqual(readPairs(scanOf(), groupOf({}), undefined)[0]?.flags, ['noTopic'])
  const hidden = readPairs(scanOf(topicOf('orders', 0, 'TOPIC_AUTHORIZATION_FAILED')), groupOf({}), undefined)
  assert.deepEqual(hidden[0]?.flags, ['offline'])
})

test('offsets that could not be read are not offsets that nobody has committed', () => {
  const group = groupOf({ offsets: [], members: [member], problem: 'GROUP_AUTHORIZATION_FAILED' })
  assert.deepEqual(readPairs(scanOf(topicOf('orders', 4)), group, undefined), [])
})

test('only the topics that are asked for count', () => {
  assert.deepEqual(readPairs(scanOf(topicOf('orders', 2)), groupOf({}), ['other']), [])
})

/** The eager `sticky` assignor: user data as Kafka's StickyAssignor writes it (StickyData.java), and what it does. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assign, type AssignorMember } from '../../../src/client/assignors.ts'
import { decodeSubscription, encodeSubscription } from '../../../src/client/group-protocol.ts'
import { key, parsePartition, plain } from './support.ts'

const captured = 'AAAAAgABdAAAAAIAAAAAAAAAAgABdQAAAAEAAAABAAAABw=='

function joined(memberId: string, previous: readonly string[], generation: number): AssignorMember {
  const metadata = encodeSubscription('sticky', {
    topics: ['t'],
    owned: [],
    generation: -1,
    previous: { partitions: previous.map(parsePartition), generation },
    rackId: null
  })
  return decodeSubscription({ memberId, groupInstanceId: null, metadata }, 'sticky')
}

test('the user data of a sticky member has the bytes of a Kafka consumer, and they are understood', () => {
  const partitions = ['t/0', 't/2', 'u/1'].map(parsePartition)
  const metadata = encodeSubscription('sticky', {
    topics: ['t', 'u'],
    owned: [],
    generation: -1,
    previous: { partitions, generation: 7 },
    rackId: null
  })
  assert.ok(metadata.includes(Buffer.from(captured, 'base64')))
  const read = decodeSubscription({ memberId: 'm', groupInstanceId: null, metadata }, 'sticky')
  assert.deepEqual(read.owned, [], 'an eager member holds nothing when it joins')
  assert.deepEqual(read.previous?.partitions.map(key), ['t/0', 't/2', 'u/1'])
  assert.equal(read.previous?.generation, 7)
})

test('user data of another kind, or cut off, says nothing and harms nobody', () => {
  const metadata = encodeSubscription('cooperative-sticky', { topics: ['t'], owned: [], generation: 3, rackId: null })
  const read = decodeSubscription({ memberId: 'm', groupInstanceId: null, metadata }, 'sticky')
  assert.deepEqual(read.previous?.partitions, [])
  assert.equal(assign('sticky', [read], new Map([['t', 2]])).get('m')?.length, 2)
})

test('sticky leaves members what they had, as Kafka does, and believes the newest generation', () => {
  const members = [
    joined('a', ['t/0', 't/1', 't/2'], 7),
    joined('b', ['t/3', 't/4', 't/5'], 7),
    joined('c', [], -1),
    // Came back late: what it had in an older generation is another member's by now.
    joined('d', ['t/0', 't/5'], 5)
  ]
  const result = plain(assign('sticky', members, new Map([['t', 6]])))
  // Kafka: a [1, 2], b [3, 4], c [5], d [0]. Which of three equals goes is free; how many stay is not.
  assert.deepEqual(
    Object.values(result).map(({ length }) => length),
    [2, 2, 1, 1]
  )
  assert.ok(result['a']?.every(partition => ['t/0', 't/1', 't/2'].includes(partition)))
  assert.ok(result['b']?.every(partition => ['t/3', 't/4', 't/5'].includes(partition)))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeGroup, encodeOffset, readGroupRecord } from '../../../src/broker/groups/group-records.ts'
import { groupPartition, javaHashCode } from '../../../src/broker/groups/java-hash.ts'

test('a committed offset has the bytes of Kafka: OffsetCommitKey 1 and OffsetCommitValue 3', () => {
  const committed = {
    offset: 258n,
    leaderEpoch: 5,
    metadata: 'm',
    commitTimestampMs: 1_700_000_000_000,
    expireTimestampMs: undefined
  }
  const { key, value } = encodeOffset('g', { topic: 'ab', partition: 7 }, committed)
  // type 1 | "g" | "ab" | partition 7
  assert.equal(key.toString('hex'), '0001' + '000167' + '00026162' + '00000007')
  // version 3 | offset 258 | leader epoch 5 | "m" | 1_700_000_000_000 = 0x18bcfe56800
  assert.equal(value?.toString('hex'), '0003' + '0000000000000102' + '00000005' + '00016d' + '0000018bcfe56800')
})

test('an offset with an expiry of its own is written as version 1, which is the one that has it', () => {
  const committed = {
    offset: 1n,
    leaderEpoch: -1,
    metadata: '',
    commitTimestampMs: 2,
    expireTimestampMs: 3
  }
  const { key, value } = encodeOffset('g', { topic: 't', partition: 0 }, committed)
  assert.equal(value?.toString('hex'), '0001' + '0000000000000001' + '0000' + '0000000000000002' + '0000000000000003')
  assert.deepEqual(readGroupRecord(key, value), { kind: 'offset', groupId: 'g', topic: 't', partition: 0, committed })
})

test('a group has the bytes of Kafka: GroupMetadataKey 2 and GroupMetadataValue 3', () => {
  const member = {
    memberId: 'm',
    groupInstanceId: null,
    clientId: 'c',
    clientHost: '/h',
    rebalanceTimeoutMs: 1,
    sessionTimeoutMs: 2,
    subscription: Buffer.from([0xaa]),
    assignment: Buffer.from([0xbb])
  }
  const group = {
    protocolType: 'consumer',
    generation: 9,
    protocolName: 'range',
    leader: 'm',
    stateTimestampMs: 16,
    members: [member]
  }
  const { key, value } = encodeGroup('g', group)
  assert.equal(key.toString('hex'), '0002' + '000167')
  const expected = [
    '0003',
    '0008' + Buffer.from('consumer').toString('hex'),
    '00000009',
    '0005' + Buffer.from('range').toString('hex'),
    '00016d',
    '0000000000000010',
    '00000001',
    '00016d' + 'ffff' + '000163' + '00022f68' + '00000001' + '00000002' + '00000001aa' + '00000001bb'
  ]
  assert.equal(value?.toString('hex'), expected.join(''))
  assert.deepEqual(readGroupRecord(key, value), { kind: 'group', groupId: 'g', group })
})

test('tombstones and records of other group protocols are told apart', () => {
  const { key } = encodeGroup('g', undefined)
  assert.deepEqual(readGroupRecord(key, null), { kind: 'group', groupId: 'g', group: undefined })
  assert.equal(readGroupRecord(Buffer.from('0003000167', 'hex'), null), undefined)
})

test('a group lives in the partition that Java computes', () => {
  // "hello".hashCode() in Java is 99162322; "polygenelubricants".hashCode() is Integer.MIN_VALUE.
  assert.equal(javaHashCode('hello'), 99_162_322)
  assert.equal(groupPartition('hello', 50), 22)
  assert.equal(javaHashCode('polygenelubricants'), -2_147_483_648)
  assert.equal(groupPartition('polygenelubricants', 50), 0)
})

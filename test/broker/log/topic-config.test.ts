import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  brokerConfigProblems,
  describeTopicConfigs,
  resolveTopicConfig,
  TOPIC_CONFIG_NAMES,
  toLogConfig,
  topicConfigProblems
} from '../../../src/broker/log/index.ts'

test("without any setting a log runs with Kafka's defaults", () => {
  const config = toLogConfig()

  assert.equal(config.segmentBytes, 1_073_741_824)
  assert.equal(config.retentionMs, 604_800_000)
  assert.equal(config.retentionBytes, -1)
  assert.equal(config.messageBytesMax, 1_048_588)
  assert.equal(config.timestampAfterMsMax, 3_600_000)
  assert.deepEqual([config.isDeleted, config.isCompacted], [true, false])
})

test('a topic override wins over the broker setting, and that over the default', () => {
  const settings = { 'log.retention.hours': '2' }

  const overridden = resolveTopicConfig('retention.ms', { 'retention.ms': '9' }, settings)
  const fromBroker = resolveTopicConfig('retention.ms', {}, settings)
  const byDefault = resolveTopicConfig('retention.ms', {}, {})

  assert.deepEqual([overridden.value, overridden.source], ['9', 'topic'])
  assert.deepEqual([fromBroker.value, fromBroker.source], ['7200000', 'broker'])
  assert.deepEqual([byDefault.value, byDefault.source], ['604800000', 'default'])
  assert.deepEqual(overridden.synonyms, [
    { name: 'retention.ms', value: '9', source: 'topic' },
    { name: 'log.retention.hours', value: '7200000', source: 'broker' }
  ])
})

test('of several broker settings the finest unit wins, and -1 hours mean no limit', () => {
  const settings = { 'log.retention.hours': '2', 'log.retention.minutes': '3' }

  assert.equal(toLogConfig({}, settings).retentionMs, 180_000)
  assert.equal(toLogConfig({}, { 'log.retention.hours': '-1' }).retentionMs, -1)
})

test('both cleanup policies may apply', () => {
  const config = toLogConfig({ 'cleanup.policy': 'compact, delete' })

  assert.deepEqual([config.isCompacted, config.isDeleted], [true, true])
})

test('values that Kafka refuses are refused, each with the name of its setting', () => {
  const bad = {
    'retention.ms': '-2',
    'segment.bytes': '1000',
    'max.message.bytes': '2147483648',
    'cleanup.policy': 'compact,burn',
    'message.timestamp.type': 'Now',
    'min.cleanable.dirty.ratio': '1.5',
    preallocate: 'yes',
    'compression.gzip.level': '10',
    'flush.ms': '1.5',
    'segment.ms': '',
    'no.such.thing': '1'
  }

  const problems = topicConfigProblems(bad)

  assert.equal(problems.length, Object.keys(bad).length)
  for (const name of Object.keys(bad))
    assert.ok(
      problems.some(problem => problem.includes(name)),
      name
    )
})

test('values that Kafka accepts are accepted', () => {
  const good = {
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'segment.bytes': '1048576',
    'flush.messages': '9223372036854775807',
    'cleanup.policy': 'compact',
    'compression.type': 'zstd',
    preallocate: 'TRUE',
    'min.cleanable.dirty.ratio': '0',
    'min.insync.replicas': '1'
  }

  assert.deepEqual(topicConfigProblems(good), [])
})

test('a compaction lag whose minimum is above its maximum is refused', () => {
  const problems = topicConfigProblems({ 'min.compaction.lag.ms': '10', 'max.compaction.lag.ms': '5' })

  assert.match(problems.join(), /min\.compaction\.lag\.ms \(10\)/)
})

test('broker settings that give topic defaults are checked by the same rules', () => {
  assert.match(brokerConfigProblems({ 'log.segment.bytes': '5' }).join(), /log\.segment\.bytes/)
  assert.deepEqual(brokerConfigProblems({ 'log.segment.bytes': '1048576', 'unrelated.setting': 'x' }), [])
})

test('all settings are listed with a value, a type and a text', () => {
  const rows = describeTopicConfigs({ 'retention.ms': '5' }, {})

  assert.equal(rows.length, TOPIC_CONFIG_NAMES.length)
  assert.equal(rows.length, 33)
  assert.equal(rows.filter(row => row.source === 'topic').length, 1)
})

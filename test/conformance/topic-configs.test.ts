/** What DescribeConfigs tells of a topic: every setting of Kafka 4.3, with its value, origin, type and synonyms. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTopicsApi, describeConfigsApi } from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf } from './support.ts'

const TOPIC_RESOURCE = 2
const LONG_MAX = '9223372036854775807'
const SOURCES: Readonly<Record<number, string>> = { 1: 'TOPIC', 5: 'DEFAULT' }

/** `name | value | source | number of the type | synonyms`, of a topic with two overrides. */
const EXPECTED = [
  'cleanup.policy | compact | TOPIC | 7 | cleanup.policy=compact@1;log.cleanup.policy=delete@5',
  'compression.gzip.level | -1 | DEFAULT | 3 | compression.gzip.level=-1@5',
  'compression.lz4.level | 9 | DEFAULT | 3 | compression.lz4.level=9@5',
  'compression.type | producer | DEFAULT | 2 | compression.type=producer@5',
  'compression.zstd.level | 3 | DEFAULT | 3 | compression.zstd.level=3@5',
  'delete.retention.ms | 86400000 | DEFAULT | 5 | log.cleaner.delete.retention.ms=86400000@5',
  'file.delete.delay.ms | 60000 | DEFAULT | 5 | log.segment.delete.delay.ms=60000@5',
  'flush.messages | 9223372036854775807 | DEFAULT | 5 | log.flush.interval.messages=9223372036854775807@5',
  'flush.ms | 9223372036854775807 | DEFAULT | 5 | ',
  'follower.replication.throttled.replicas |  | DEFAULT | 7 | ',
  'index.interval.bytes | 4096 | DEFAULT | 3 | log.index.interval.bytes=4096@5',
  'leader.replication.throttled.replicas |  | DEFAULT | 7 | ',
  'local.retention.bytes | -2 | DEFAULT | 5 | log.local.retention.bytes=-2@5',
  'local.retention.ms | -2 | DEFAULT | 5 | log.local.retention.ms=-2@5',
  'max.compaction.lag.ms | 9223372036854775807 | DEFAULT | 5 | log.cleaner.max.compaction.lag.ms=9223372036854775807@5',
  'max.message.bytes | 1048588 | DEFAULT | 3 | message.max.bytes=1048588@5',
  'message.timestamp.after.max.ms | 3600000 | DEFAULT | 5 | log.message.timestamp.after.max.ms=3600000@5',
  `message.timestamp.before.max.ms | ${LONG_MAX} | DEFAULT | 5 | log.message.timestamp.before.max.ms=${LONG_MAX}@5`,
  'message.timestamp.type | CreateTime | DEFAULT | 2 | log.message.timestamp.type=CreateTime@5',
  'min.cleanable.dirty.ratio | 0.5 | DEFAULT | 6 | log.cleaner.min.cleanable.ratio=0.5@5',
  'min.compaction.lag.ms | 0 | DEFAULT | 5 | log.cleaner.min.compaction.lag.ms=0@5',
  'preallocate | false | DEFAULT | 1 | log.preallocate=false@5',
  'remote.log.copy.disable | false | DEFAULT | 1 | ',
  'remote.log.delete.on.disable | false | DEFAULT | 1 | ',
  'remote.storage.enable | false | DEFAULT | 1 | ',
  'retention.bytes | -1 | DEFAULT | 5 | log.retention.bytes=-1@5',
  'retention.ms | 60000 | TOPIC | 5 | retention.ms=60000@1',
  'segment.bytes | 1073741824 | DEFAULT | 3 | log.segment.bytes=1073741824@5',
  'segment.index.bytes | 10485760 | DEFAULT | 3 | log.index.size.max.bytes=10485760@5',
  'segment.jitter.ms | 0 | DEFAULT | 5 | ',
  'segment.ms | 604800000 | DEFAULT | 5 | ',
  'unclean.leader.election.enable | false | DEFAULT | 1 | unclean.leader.election.enable=false@5'
]

test('a topic has every setting of Kafka with its default, type and synonyms', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, {
    configs: [
      ['cleanup.policy', 'compact'],
      ['retention.ms', '60000']
    ]
  })

  const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: topic.name, configurationKeys: null }]
  const message = { resources, includeSynonyms: true, includeDocumentation: true }
  const described = await peer.connection.request(describeConfigsApi, { version: 4, message })

  const configs = described.results[0]?.configs ?? []
  const rows = configs
    // Its source is the cluster where a feature of Kafka's controller has set it.
    .filter(({ name }) => name !== 'min.insync.replicas')
    .map(({ name, value, configSource, configType, synonyms }) => {
      const texts = synonyms.map(each => `${each.name}=${each.value ?? ''}@${each.source}`)
      return [name, value ?? '', SOURCES[configSource], configType, texts.join(';')].join(' | ')
    })
  assert.deepEqual(rows.toSorted(), EXPECTED)
  assert.ok(configs.every(({ readOnly, isSensitive }) => !readOnly && !isSensitive))
  assert.ok(configs.every(({ documentation }) => (documentation ?? '').length > 10))
})

const TAKEN: Readonly<Record<string, readonly string[]>> = {
  'cleanup.policy': ['', 'compact,compact', ' compact , delete ', 'compact,delete'],
  'segment.bytes': ['1048576'],
  'segment.ms': ['1'],
  'segment.index.bytes': ['4'],
  'retention.ms': ['-1'],
  'retention.bytes': ['-2'],
  'min.cleanable.dirty.ratio': ['1e-3', ' 0.5 '],
  'delete.retention.ms': [' 5 '],
  preallocate: ['TRUE'],
  'unclean.leader.election.enable': ['true'],
  'remote.storage.enable': ['false'],
  'leader.replication.throttled.replicas': ['*', '0:1,1:1']
}

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'cleanup.policy': ['Compact', 'delete,', 'none'],
  'segment.bytes': ['1048575', '14', ''],
  'segment.ms': ['0'],
  'segment.jitter.ms': ['-1'],
  'segment.index.bytes': ['3'],
  'index.interval.bytes': ['-1'],
  'retention.ms': ['-2', ''],
  'retention.bytes': ['x'],
  'max.message.bytes': ['-1', '2147483648'],
  'min.cleanable.dirty.ratio': ['1.1', '-0.1', 'abc'],
  'min.compaction.lag.ms': ['-1'],
  'max.compaction.lag.ms': ['0'],
  'delete.retention.ms': ['-1'],
  'flush.messages': ['0'],
  'flush.ms': ['-1'],
  'file.delete.delay.ms': ['-1'],
  'compression.type': ['none', 'ZSTD', ''],
  'compression.gzip.level': ['0', '10'],
  'compression.lz4.level': ['0'],
  'compression.zstd.level': ['23'],
  'message.timestamp.type': ['createTime'],
  'message.timestamp.after.max.ms': ['-1'],
  preallocate: ['yes'],
  'min.insync.replicas': ['0'],
  'remote.storage.enable': ['true'],
  'local.retention.ms': ['-3'],
  'leader.replication.throttled.replicas': ['x'],
  'follower.replication.throttled.replicas': ['none'],
  nonsense: ['1'],
  'message.format.version': ['3.0'],
  'message.downconversion.enable': ['true'],
  'message.timestamp.difference.max.ms': ['5']
}

for (const { name, values, error } of [
  { name: 'values that Kafka takes for topic settings are taken', values: TAKEN, error: 'NONE' },
  { name: 'values that Kafka refuses for topic settings are refused', values: REFUSED, error: 'INVALID_CONFIG' }
]) {
  test(name, async t => {
    const { cluster, connection } = await connectForTest(t)
    for (const [setting, texts] of Object.entries(values)) {
      for (const value of texts) {
        const topic = { name: cluster.uniqueName(), numPartitions: 1, replicationFactor: 1 }
        const topics = [{ ...topic, configs: [{ name: setting, value }] }]
        const message = { topics, timeoutMs: 10_000, validateOnly: true }
        const answer = await connection.request(createTopicsApi, { version: 5, message })
        assert.equal(errorOf(answer.topics[0]), error, `${setting}="${value}"`)
      }
    }
  })
}

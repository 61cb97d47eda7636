/** A broker that poses as an older Kafka: what its clients see. Expected ranges: ApiVersions of those releases. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { KAFKA_RELEASES, type KafkaRelease, parseKafkaRelease } from '../../../src/broker/index.ts'
import { apiVersionsApi, fetchApi, metadataApi } from '../../../src/protocol/index.ts'
import { brokerFor, connectTo } from '../support.ts'

const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }

async function highestOf(t: TestContext, release: KafkaRelease): Promise<Map<number, number>> {
  const connection = await connectTo(t, await brokerFor(t, { poseAs: release }))
  const { apiKeys } = await connection.request(apiVersionsApi, { version: 3, message: software })
  return new Map(apiKeys.map(({ apiKey, maxVersion }) => [apiKey, maxVersion]))
}

test('releases are told apart as their own ApiVersions tell them', async t => {
  const [v28, v37, v40] = await Promise.all([highestOf(t, '2.8'), highestOf(t, '3.7'), highestOf(t, '4.0')])
  const [produce, fetch, describeTopics, consumerGroup] = [0, 1, 75, 68]
  assert.deepEqual([v28.get(produce), v28.get(fetch), v28.get(describeTopics)], [9, 12, undefined])
  assert.deepEqual([v37.get(produce), v37.get(fetch), v37.get(consumerGroup)], [10, 16, undefined])
  assert.deepEqual([v40.get(produce), v40.get(fetch), v40.get(describeTopics)], [12, 17, 0])
})

test('a version that the release does not have closes the connection, as an unknown one does', async t => {
  const connection = await connectTo(t, await brokerFor(t, { poseAs: '2.8' }))
  connection.sendOnly(fetchApi, { version: 13, message: { topics: [] } })
  assert.equal(await connection.closed(), 0)
})

test('features come with the release that has them, and no epoch says that there are none', async t => {
  const levels: [KafkaRelease, bigint, string[]][] = [
    ['2.8', -1n, []],
    ['3.7', 1n, ['metadata.version 19']],
    ['4.3', 1n, ['group.version 1', 'metadata.version 30', 'transaction.version 2']]
  ]
  for (const [release, epoch, expected] of levels) {
    const connection = await connectTo(t, await brokerFor(t, { poseAs: release }))
    const answer = await connection.request(apiVersionsApi, { version: 3, message: software })
    const finalized = answer.finalizedFeatures.map(({ name, maxVersionLevel }) => `${name} ${maxVersionLevel}`)
    assert.deepEqual([answer.finalizedFeaturesEpoch, finalized.toSorted()], [epoch, expected])
  }
})

test('a release that nobody knows is refused with those that are known', () => {
  assert.equal(parseKafkaRelease('3.9'), '3.9')
  assert.throws(() => parseKafkaRelease('3.9.1'), { code: 'ERR_BROKER_INVALID_SETTING', message: /"3\.9\.1".*4\.3/ })
})

test('every release can be posed as and still serves its clients', async t => {
  for (const release of KAFKA_RELEASES) {
    const connection = await connectTo(t, await brokerFor(t, { poseAs: release }))
    const { brokers } = await connection.request(metadataApi, { version: 6, message: { topics: [] } })
    assert.equal(brokers.length, 1)
  }
})

/** Feature levels and the quorum: what tells clients whether to use the newer protocols. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiVersionsApi, describeQuorumApi, updateFeaturesApi } from '../../src/protocol/index.ts'
import { connectForTest, errorOf, type Peer } from './support.ts'

const UPGRADE = 1
const SAFE_DOWNGRADE = 2
const software = { clientSoftwareName: 'conformance', clientSoftwareVersion: '1.0' }

interface Change {
  readonly feature: string
  readonly level: number
  readonly upgradeType?: number
  readonly validateOnly?: boolean
}

async function update({ connection }: Peer, change: Change): Promise<{ error: string; message: string | null }> {
  const { feature, level, upgradeType = UPGRADE, validateOnly = false } = change
  const featureUpdates = [{ feature, maxVersionLevel: level, upgradeType }]
  const message = { timeoutMs: 10_000, featureUpdates, validateOnly }
  const response = await connection.request(updateFeaturesApi, { version: 2, message })
  return { error: errorOf(response), message: response.errorMessage }
}

async function levelOf({ connection }: Peer, feature: string): Promise<number | undefined> {
  const { finalizedFeatures } = await connection.request(apiVersionsApi, { version: 4, message: software })
  return finalizedFeatures.find(({ name }) => name === feature)?.maxVersionLevel
}

test('transactions of KIP-890 and groups of KIP-848 are on, with the ranges of Kafka 4.3', async t => {
  const { connection } = await connectForTest(t)
  const answer = await connection.request(apiVersionsApi, { version: 4, message: software })
  const names = ['group.version', 'metadata.version', 'transaction.version']

  const supported = answer.supportedFeatures.filter(({ name }) => names.includes(name))
  const ranges = supported.map(({ name, minVersion, maxVersion }) => `${name} ${minVersion}-${maxVersion}`)
  assert.deepEqual(ranges.toSorted(), ['group.version 0-1', 'metadata.version 7-30', 'transaction.version 0-2'])
  const finalized = answer.finalizedFeatures.filter(({ name }) => names.includes(name))
  const levels = finalized.map(({ name, maxVersionLevel }) => `${name} ${maxVersionLevel}`)
  assert.deepEqual(levels.toSorted(), ['group.version 1', 'metadata.version 30', 'transaction.version 2'])
  assert.ok(answer.finalizedFeaturesEpoch >= 0n)
})

test('before version 4 of ApiVersions a feature that may be off is not told as supported', async t => {
  const { connection } = await connectForTest(t)
  const answer = await connection.request(apiVersionsApi, { version: 3, message: software })
  assert.equal(
    answer.supportedFeatures.find(({ name }) => name === 'group.version'),
    undefined
  )
  assert.ok(answer.finalizedFeatures.some(({ name }) => name === 'group.version'))
})

test('a feature that cannot have a level is refused with the reason', async t => {
  const peer = await connectForTest(t)
  const refusals: [Change, RegExp][] = [
    [{ feature: 'group.version', level: 9 }, /only supports versions 0-1/],
    [{ feature: 'no.version', level: 1 }, /does not support this feature/],
    [{ feature: 'group.version', level: 0 }, /without setting the upgrade type/],
    [{ feature: 'group.version', level: -1, upgradeType: SAFE_DOWNGRADE }, /cannot be less than 0/],
    [{ feature: 'group.version', level: 1, upgradeType: 9 }, /does not support the given upgrade type/],
    [{ feature: 'metadata.version', level: 3, upgradeType: SAFE_DOWNGRADE }, /only supports versions 7-30/],
    [{ feature: 'metadata.version', level: 20, upgradeType: SAFE_DOWNGRADE }, /Unsupported metadata.version downgrade/]
  ]
  for (const [change, reason] of refusals) {
    const { error, message } = await update(peer, change)
    assert.equal(error, 'INVALID_UPDATE_VERSION')
    assert.match(message ?? '', reason)
  }
})

test('a feature goes down and up again, and clients see it; validating changes nothing', async t => {
  const peer = await connectForTest(t)
  const down = { feature: 'transaction.version', level: 1, upgradeType: SAFE_DOWNGRADE }

  assert.deepEqual(await update(peer, { ...down, validateOnly: true }), { error: 'NONE', message: null })
  assert.equal(await levelOf(peer, 'transaction.version'), 2)
  assert.deepEqual(await update(peer, down), { error: 'NONE', message: null })
  try {
    // Kafka's brokers hear of the change a moment after its controller has answered.
    while ((await levelOf(peer, 'transaction.version')) !== 1) await new Promise(setImmediate)
    const newer = await update(peer, { ...down, level: 2 })
    assert.match(newer.message ?? '', /Can't downgrade to a newer version/)
  } finally {
    const up = await update(peer, { feature: 'transaction.version', level: 2 })
    assert.equal(up.error, 'NONE') // the other tests share the cluster
  }
})

test('the quorum answers for its own partition and for nothing else', async t => {
  const { connection } = await connectForTest(t)
  const ask = async (topicName: string) => {
    const topics = [{ topicName, partitions: [{ partitionIndex: 0 }] }]
    const response = await connection.request(describeQuorumApi, { version: 2, message: { topics } })
    return response.topics[0]?.partitions[0]
  }

  const partition = await ask('__cluster_metadata')
  assert.equal(errorOf(partition), 'NONE')
  const voters = partition?.currentVoters.map(({ replicaId, logEndOffset }) => ({ replicaId, logEndOffset }))
  assert.deepEqual(voters, [{ replicaId: partition?.leaderId, logEndOffset: partition?.highWatermark }])
  assert.deepEqual(partition?.observers, [])
  assert.equal(errorOf(await ask('some-topic')), 'UNKNOWN_TOPIC_OR_PARTITION')
})

/** IncrementalAlterConfigs that names a resource twice. Apache Kafka does not even answer such an AlterConfigs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeConfigsApi, incrementalAlterConfigsApi } from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf, type Peer } from './support.ts'

const TOPIC = 2
const SET = 0

async function retentionOf({ connection }: Peer, resourceName: string): Promise<string | null | undefined> {
  const resources = [{ resourceType: TOPIC, resourceName, configurationKeys: ['retention.ms'] }]
  const { results } = await connection.request(describeConfigsApi, { version: 4, message: { resources } })
  return results[0]?.configs[0]?.value
}

test('a resource that is there twice is refused, the others are changed', async t => {
  const peer = await connectForTest(t)
  const [twice, once] = [await createTopic(peer), await createTopic(peer)]
  const change = (name: string, value: string) => ({
    resourceType: TOPIC,
    resourceName: name,
    configs: [{ name: 'retention.ms', configOperation: SET, value }]
  })
  const resources = [change(twice.name, '1000'), change(once.name, '2000'), change(twice.name, '3000')]

  const { responses } = await peer.connection.request(incrementalAlterConfigsApi, {
    version: 1,
    message: { resources }
  })

  const answers = responses.map(each => `${each.resourceName} ${errorOf(each)}`).toSorted()
  const refused = `${twice.name} INVALID_REQUEST`
  assert.deepEqual(answers, [refused, `${once.name} NONE`, refused].toSorted())
  const deadline = performance.now() + 5000
  while ((await retentionOf(peer, once.name)) !== '2000' && performance.now() < deadline);
  assert.equal(await retentionOf(peer, once.name), '2000')
  assert.equal(await retentionOf(peer, twice.name), '604800000')
})

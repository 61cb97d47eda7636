import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Cluster } from '../../src/client/index.ts'
import { ensureTopics } from '../../src/cli/wiring.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { startProducer } from '../../src/producer/index.ts'
import { clusterForTest, uniqueName } from '../support/cluster.ts'

test('error topics are made like the dead letter topic; a topic that a rule names must be there', async t => {
  const { bootstrapServers } = await clusterForTest(t)
  const cluster = await Cluster.connect({ bootstrapServers: bootstrapServers.split(','), clientId: 'topics-test' })
  t.after(() => cluster.close())
  const [dead, invalid, odd, events] = ['dead', 'invalid', 'odd', 'events'].map(uniqueName)
  const text = `name: x
kafka: { bootstrapServers: "127.0.0.1:9092" }
topics: { ${events}: { partitions: 3, replicationFactor: 1 } }
producer:
  deadLetterTopic: ${dead}
  route:
    rules:
      - { when: { fields: { a: [1] } }, topic: ${events}, validate: { required: [b], errorTopic: ${odd} } }
      - { to: [{ topic: ${events}, weight: 1 }, { topic: absent-canary, weight: 1 }] }
  validate:
    errorTopic: ${invalid}
    topics: { ${events}: { required: [c] } }
`
  const pipeline = parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
  const created = await ensureTopics(cluster, pipeline)
  assert.deepEqual(created.toSorted(byName), [dead, invalid, odd, events].map(String).toSorted(byName))
  const { topics } = await new Admin(cluster).describeTopics([String(odd)])
  assert.equal(topics[0]?.partitions.length, 1)

  assert.ok(pipeline.producer)
  const starting = startProducer({ config: pipeline.producer, cluster, topicWaitMs: 0 })
  await assert.rejects(starting, (error: unknown) => {
    assert.ok(PipelineError.is(error, 'ERR_PRODUCER_TOPIC_MISSING'))
    assert.match(error.message, /absent-canary does not exist/)
    return true
  })
})

function byName(a: string, b: string): number {
  return a.localeCompare(b)
}

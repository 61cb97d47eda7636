/** Settings of the broker that clients change while it runs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeClusterApi, describeConfigsApi, incrementalAlterConfigsApi } from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf, type Peer } from './support.ts'

const BROKER = 4
const TOPIC = 2
const SET = 0
const DELETE = 1
/** Kafka's `ConfigSource` numbers. */
const SOURCES = ['unknown', 'topic', 'node', 'cluster', 'static', 'default']

interface Change {
  readonly node: string
  readonly name: string
  /** `null` takes the setting away. */
  readonly value: string | null
}

async function alter({ connection }: Peer, { node, name, value }: Change): Promise<{ error: string; message: string }> {
  const configs = [{ name, configOperation: value === null ? DELETE : SET, value }]
  const resources = [{ resourceType: BROKER, resourceName: node, configs }]
  const response = await connection.request(incrementalAlterConfigsApi, { version: 1, message: { resources } })
  return { error: errorOf(response.responses[0]), message: response.responses[0]?.errorMessage ?? '' }
}

interface Asked {
  readonly type: number
  readonly resourceName: string
  readonly name: string
}

/** `value source` of a setting. */
async function show({ connection }: Peer, { type, resourceName, name }: Asked): Promise<string> {
  const resources = [{ resourceType: type, resourceName, configurationKeys: [name] }]
  const message = { resources, includeSynonyms: true }
  const { results } = await connection.request(describeConfigsApi, { version: 4, message })
  const config = results[0]?.configs.find(each => each.name === name)
  if (config === undefined) return 'none'
  const synonyms = config.synonyms.map(({ value, source }) => `${value} ${SOURCES[source]}`)
  return [`${config.value} ${SOURCES[config.configSource]}`, ...synonyms].join(', ')
}

/** Waits for what Kafka's broker hears from its controller a moment later. */
async function until(ask: () => Promise<string>, expected: string): Promise<void> {
  const deadline = performance.now() + 10_000
  let seen = await ask()
  while (seen !== expected && performance.now() < deadline) seen = await ask()
  assert.equal(seen, expected)
}

async function nodeOf({ connection }: Peer): Promise<string> {
  const { brokers } = await connection.request(describeClusterApi, { version: 0, message: {} })
  return String(brokers[0]?.brokerId)
}

test('a default of topics changes for the cluster and for a node, which wins, and topics follow', async t => {
  const peer = await connectForTest(t)
  const node = await nodeOf(peer)
  const topic = await createTopic(peer)
  const name = 'log.index.interval.bytes'

  assert.equal((await alter(peer, { node: '', name, value: '8192' })).error, 'NONE')
  await until(
    () => show(peer, { type: BROKER, resourceName: node, name: name }),
    '8192 cluster, 8192 cluster, 4096 default'
  )
  assert.equal((await alter(peer, { node, name, value: '16384' })).error, 'NONE')
  await until(
    () => show(peer, { type: BROKER, resourceName: node, name: name }),
    '16384 node, 16384 node, 8192 cluster, 4096 default'
  )
  assert.equal(
    await show(peer, { type: TOPIC, resourceName: topic.name, name: 'index.interval.bytes' }),
    '16384 node, 16384 node, 8192 cluster, 4096 default'
  )
  for (const layer of [node, '']) await alter(peer, { node: layer, name, value: null })
  await until(() => show(peer, { type: BROKER, resourceName: node, name: name }), '4096 default, 4096 default')
})

test('what cannot change while a broker runs is refused by name', async t => {
  const peer = await connectForTest(t)
  const node = await nodeOf(peer)
  for (const name of ['node.id', 'num.partitions', 'group.max.size']) {
    const { error, message } = await alter(peer, { node: '', name, value: '3' })
    assert.equal(error, 'INVALID_REQUEST')
    assert.equal(message, `Cannot update these configs dynamically: [${name}]`)
  }
  const wrong = await alter(peer, { node, name: 'log.retention.ms', value: 'soon' })
  assert.equal(wrong.error, 'INVALID_REQUEST')
  assert.match(wrong.message, /log\.retention\.ms/)
  const other = await alter(peer, { node: '77', name: 'log.retention.ms', value: '1000' })
  assert.deepEqual(other, {
    error: 'INVALID_REQUEST',
    message: `Unexpected broker id, expected ${node}, but received 77`
  })
  const text = await alter(peer, { node: 'one', name: 'log.retention.ms', value: '1000' })
  assert.deepEqual(text, { error: 'INVALID_REQUEST', message: 'Node id must be an integer, but it is: one' })
})

test('a setting that nobody knows is kept, and its value is not shown', async t => {
  const peer = await connectForTest(t)
  assert.equal((await alter(peer, { node: '', name: 'my.own.secret', value: 'xyzzy' })).error, 'NONE')
  await until(() => show(peer, { type: BROKER, resourceName: '', name: 'my.own.secret' }), 'null cluster, null cluster')
  await alter(peer, { node: '', name: 'my.own.secret', value: null })
})

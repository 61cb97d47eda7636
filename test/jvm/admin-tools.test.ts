/**
 * Kafka's administration tools beyond the everyday ones (see
 * `console-tools.test.ts`), each run as its own Java program: what they do is
 * seen by another tool.
 */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { uniqueName } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { brokerWithTools, linesOf, inShortRun } from './tools.ts'

test('kafka-log-dirs names the folder of the broker and the bytes of each partition', async t => {
  const { broker, tool } = await brokerWithTools(t)
  const topic = uniqueName('dirs')
  await tool('kafka-topics', `--create --topic ${topic} --partitions 2`)
  await tool('kafka-console-producer', `--topic ${topic}`, { stdin: 'one\ntwo\n' })

  const printed = await tool('kafka-log-dirs', `--describe --topic-list ${topic}`)

  const description = JSON.parse(linesOf(printed).at(-1) ?? '') as {
    brokers: { broker: number; logDirs: { logDir: string; partitions: { partition: string; size: number }[] }[] }[]
  }
  const [described] = description.brokers
  const [dir] = described?.logDirs ?? []
  assert.equal(described?.broker, 1)
  assert.equal(dir?.logDir, broker.dataDir)
  assert.deepEqual(dir?.partitions.map(each => each.partition).toSorted(), [`${topic}-0`, `${topic}-1`])
  assert.ok(dir?.partitions.some(each => each.size > 0))
})

test('kafka-leader-election finds every preferred leader elected already', async t => {
  const { tool } = await brokerWithTools(t)
  const topic = uniqueName('elected')
  await tool('kafka-topics', `--create --topic ${topic}`)

  const ofOne = await tool('kafka-leader-election', `--election-type preferred --topic ${topic} --partition 0`)
  const ofAll = await tool('kafka-leader-election', '--election-type preferred --all-topic-partitions')

  assert.match(ofOne, new RegExp(`Valid replica already elected for partitions ${topic}-0`))
  assert.doesNotMatch(ofAll, /Error/)
})

test('kafka-reassign-partitions plans, carries out and verifies the move to where the partitions are', async t => {
  const { tool } = await brokerWithTools(t)
  const folder = temporaryFolder(t)
  const topic = uniqueName('moved')
  await tool('kafka-topics', `--create --topic ${topic} --partitions 2`)
  const topics = join(folder, 'topics.json')
  const plan = join(folder, 'plan.json')
  await writeFile(topics, JSON.stringify({ version: 1, topics: [{ topic }] }))

  const toPlan = `--generate --topics-to-move-json-file ${topics} --broker-list 1`
  const generated = await tool('kafka-reassign-partitions', toPlan)
  await writeFile(plan, linesOf(generated).at(-1) ?? '')
  const executed = await tool('kafka-reassign-partitions', `--execute --reassignment-json-file ${plan}`)
  const toVerify = `--verify --reassignment-json-file ${plan}`
  const verified = await tool('kafka-reassign-partitions', toVerify)
  const listed = await tool('kafka-reassign-partitions', '--list')

  assert.match(executed, new RegExp(`Successfully started partition reassignments for ${topic}-0,${topic}-1`))
  assert.match(verified, new RegExp(`Reassignment of partition ${topic}-0 is completed\\.`))
  assert.match(verified, new RegExp(`Reassignment of partition ${topic}-1 is completed\\.`))
  assert.match(listed, /No partition reassignments found/)
})

test('kafka-cluster prints the id of the cluster and its one node', async t => {
  const { broker, tool } = await brokerWithTools(t)

  const id = await tool('kafka-cluster', 'cluster-id', { isCommandFirst: true })
  const endpoints = await tool('kafka-cluster', 'list-endpoints', { isCommandFirst: true })

  assert.equal(id.trim(), `Cluster ID: ${broker.clusterId}`)
  const [header, node, ...more] = linesOf(endpoints).map(line => line.trim().split(/\s+/))
  assert.deepEqual(header, ['ID', 'HOST', 'PORT', 'RACK', 'STATE', 'ENDPOINT_TYPE'])
  assert.deepEqual(node, ['1', broker.host, String(broker.port), 'null', 'unfenced', 'broker'])
  assert.deepEqual(more, [])
})

test(
  'kafka-groups and kafka-consumer-groups see members, states, lag and what a reset would do',
  { skip: inShortRun },
  async t => {
    const { tool, start } = await brokerWithTools(t)
    const topic = uniqueName('watched')
    const group = uniqueName('group')
    await tool('kafka-topics', `--create --topic ${topic} --partitions 3`)
    await tool('kafka-verifiable-producer', `--topic ${topic} --max-messages 30 --repeating-keys 10`)
    const consumer = await start('kafka-verifiable-consumer', `--topic ${topic} --group-id ${group}`)
    await consumer.until(lines => committedOffsets(lines).size === 3 && sumOf(committedOffsets(lines).values()) === 30)

    const [groups, members, state, refused] = await Promise.all([
      tool('kafka-groups', '--list'),
      tool('kafka-consumer-groups', `--describe --group ${group} --members --verbose`),
      tool('kafka-consumer-groups', `--describe --group ${group} --state`),
      tool('kafka-consumer-groups', `--delete --group ${group}`)
    ])
    await consumer.stop('SIGTERM')
    const reset = `--reset-offsets --group ${group} --topic ${topic}`
    const dryRun = await tool('kafka-consumer-groups', `${reset} --to-earliest --dry-run --export`)
    const shifted = await tool('kafka-consumer-groups', `${reset} --shift-by -1 --execute`)
    const deleted = await tool('kafka-consumer-groups', `--delete-offsets --group ${group} --topic ${topic}`)

    assert.match(groups, new RegExp(`^${group}\\s+Classic\\s+consumer`, 'm'))
    assert.match(members, new RegExp(`${group}\\s+consumer-.*\\s3\\s+.*${topic}(:|\\()0,1,2`))
    assert.match(state, new RegExp(`${group}\\s.*range\\s+Stable\\s.*1\\s*$`, 'm'))
    assert.match(refused, /The group is not empty/)
    assert.deepEqual(
      linesOf(dryRun)
        .filter(line => line.includes(topic))
        .toSorted(),
      [0, 1, 2].map(partition => `${topic},${partition},0`)
    )
    for (const [partition, offset] of committedOffsets(consumer.lines)) {
      assert.match(shifted, new RegExp(`^${group}\\s+${topic}\\s+${partition}\\s+${offset - 1}\\s*$`, 'm'))
    }
    assert.match(deleted, new RegExp(`${topic}\\s+0\\s+Successful`))
  }
)

test('the client compatibility test of Kafka finds every feature that it asks for', async t => {
  const { tool } = await brokerWithTools(t)
  const topic = uniqueName('features')
  await tool('kafka-topics', `--create --topic ${topic}`)
  const features = ['offsets-for-times', 'cluster-id', 'create-topics', 'describe-acls', 'describe-configs']
  const supported = [...features, 'idempotent-producer'].map(name => `--${name}-supported true`).join(' ')
  // Before KIP-74, a record larger than the fetch was an error.
  const cluster = '--num-cluster-nodes 1 --expect-record-too-large-exception false'

  const printed = await tool('client-compatibility-test', `--topic ${topic} ${cluster} ${supported}`)

  assert.match(printed, /SUCCESS/)
})

/** The newest committed offset of each partition, as the verifiable consumer reports it. */
function committedOffsets(lines: readonly string[]): Map<number, number> {
  const offsets = new Map<number, number>()
  for (const line of lines) {
    if (!line.includes('"offsets_committed"')) continue
    const event = JSON.parse(line) as { offsets: { partition: number; offset: number }[] }
    for (const { partition, offset } of event.offsets) offsets.set(partition, offset)
  }
  return offsets
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0
  for (const each of numbers) sum += each
  return sum
}

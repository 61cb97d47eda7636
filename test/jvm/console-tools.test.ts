/**
 * Kafka's own console tools, and through them the Java client, talk to our
 * broker: topics, producing and consuming with every compression, groups,
 * offsets, configuration.
 */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { isLongRun } from './tools.ts'

interface ToolRun {
  readonly args: readonly string[]
  readonly stdin?: string
}

type Tool = (name: keyof typeof KAFKA_TOOLS, run: ToolRun) => Promise<string>

/** A cluster, and a function that runs a tool on it and answers its standard output. */
async function toolsForTest(t: TestContext): Promise<{ cluster: TestCluster; tool: Tool }> {
  const cluster = await clusterForTest(t)
  const tool: Tool = async (name, { args, stdin }) => {
    const server = ['--bootstrap-server', cluster.bootstrapServers]
    const result = await runKafkaTool(KAFKA_TOOLS[name], [...server, ...args], { stdin: stdin ?? '' })
    return result.stdout
  }
  return { cluster, tool }
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(line => line !== '')
}

test('kafka-topics creates, lists, describes, grows and deletes a topic', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const name = cluster.uniqueName('topic')
  const topic = ['--topic', name]

  await tool('kafka-topics', { args: ['--create', ...topic, '--partitions', '3', '--config', 'retention.ms=60000'] })
  const listed = await tool('kafka-topics', { args: ['--list'] })
  const created = await tool('kafka-topics', { args: ['--describe', ...topic] })
  await tool('kafka-topics', { args: ['--alter', ...topic, '--partitions', '5'] })
  const grown = await tool('kafka-topics', { args: ['--describe', ...topic] })
  await tool('kafka-topics', { args: ['--delete', ...topic] })
  const remaining = await tool('kafka-topics', { args: ['--list'] })

  assert.ok(linesOf(listed).includes(name))
  assert.match(created, /PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=60000/)
  assert.match(grown, /PartitionCount: 5/)
  assert.ok(!linesOf(remaining).includes(name))
})

test('kafka-topics is told in plain words that a topic exists already', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const args = ['--create', '--topic', cluster.uniqueName('topic')]
  await tool('kafka-topics', { args })

  await assert.rejects(tool('kafka-topics', { args }), /already exists/)
})

for (const codec of isLongRun ? ['none', 'gzip', 'snappy', 'lz4', 'zstd'] : ['zstd']) {
  test(`the console producer's ${codec} batches come back through the console consumer in order`, async t => {
    const { cluster, tool } = await toolsForTest(t)
    const topic = ['--topic', cluster.uniqueName(codec)]
    const lines = Array.from({ length: 1_000 }, (_, index) => `${index} ${'much the same '.repeat(8)}end`)
    const consume = [...topic, '--from-beginning', '--max-messages', '1000', '--timeout-ms', '20000']

    await tool('kafka-topics', { args: ['--create', ...topic, '--partitions', '1'] })
    await tool('kafka-console-producer', {
      args: [...topic, '--compression-codec', codec],
      stdin: `${lines.join('\n')}\n`
    })
    const read = await tool('kafka-console-consumer', { args: consume })

    assert.deepEqual(linesOf(read), lines)
  })
}

test('keys, headers, timestamps and partitions come back as the Java client wrote them', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const topic = ['--topic', cluster.uniqueName('parsed')]
  const parse = ['--reader-property', 'parse.key=true', '--reader-property', 'parse.headers=true']
  const printed = ['key', 'headers', 'offset', 'partition'].flatMap(name => [
    '--formatter-property',
    `print.${name}=true`
  ])

  await tool('kafka-topics', { args: ['--create', ...topic, '--partitions', '1'] })
  await tool('kafka-console-producer', { args: [...topic, ...parse], stdin: 'a:1,b:2\tthe key\tthe value\n' })
  const read = await tool('kafka-console-consumer', {
    args: [...topic, '--from-beginning', '--max-messages', '1', '--timeout-ms', '20000', ...printed]
  })

  assert.equal(read, 'Partition:0\tOffset:0\ta:1,b:2\tthe key\tthe value\n')
})

test('a group of the Java client commits, is described with its lag, reset and deleted', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const topicName = cluster.uniqueName('grouped')
  const groupName = cluster.uniqueName('group')
  const topic = ['--topic', topicName]
  const group = ['--group', groupName]
  const consume = (count: number): string[] => [
    ...topic,
    ...group,
    '--from-beginning',
    '--timeout-ms',
    '20000',
    '--max-messages',
    String(count)
  ]

  await tool('kafka-topics', { args: ['--create', ...topic, '--partitions', '1'] })
  await tool('kafka-console-producer', { args: topic, stdin: '1\n2\n3\n4\n5\n' })
  const first = await tool('kafka-console-consumer', { args: consume(3) })
  const second = await tool('kafka-console-consumer', { args: consume(2) })
  const listed = await tool('kafka-consumer-groups', { args: ['--list'] })
  const reset = ['--reset-offsets', '--to-offset', '1', '--execute']
  await tool('kafka-consumer-groups', { args: [...group, ...topic, ...reset] })
  const described = await tool('kafka-consumer-groups', { args: ['--describe', ...group] })
  const third = await tool('kafka-console-consumer', { args: consume(4) })
  await tool('kafka-consumer-groups', { args: ['--delete', ...group] })
  const remaining = await tool('kafka-consumer-groups', { args: ['--list'] })

  assert.deepEqual(
    [linesOf(first), linesOf(second)],
    [
      ['1', '2', '3'],
      ['4', '5']
    ]
  )
  assert.ok(linesOf(listed).includes(groupName))
  // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG
  assert.match(described, new RegExp(`${groupName}\\s+${topicName}\\s+0\\s+1\\s+5\\s+4\\s`))
  assert.deepEqual(linesOf(third), ['2', '3', '4', '5'])
  assert.ok(!linesOf(remaining).includes(groupName))
})

test('kafka-configs sets, shows and removes the setting of a topic', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const name = cluster.uniqueName('configured')
  const entity = ['--entity-type', 'topics', '--entity-name', name]
  await tool('kafka-topics', { args: ['--create', '--topic', name] })

  await tool('kafka-configs', { args: [...entity, '--alter', '--add-config', 'retention.ms=1234567'] })
  const set = await tool('kafka-configs', { args: [...entity, '--describe'] })
  await tool('kafka-configs', { args: [...entity, '--alter', '--delete-config', 'retention.ms'] })
  const removed = await tool('kafka-configs', { args: [...entity, '--describe'] })
  const all = await tool('kafka-configs', { args: [...entity, '--describe', '--all'] })
  const wrong = tool('kafka-configs', { args: [...entity, '--alter', '--add-config', 'retention.ms=soon'] })

  assert.match(set, /retention\.ms=1234567/)
  assert.doesNotMatch(removed, /1234567/)
  assert.match(all, /retention\.ms=604800000/)
  await assert.rejects(wrong, /retention\.ms/)
})

test('kafka-get-offsets and kafka-delete-records agree on where the log starts and ends', async t => {
  const { cluster, tool } = await toolsForTest(t)
  const name = cluster.uniqueName('offsets')
  await tool('kafka-topics', { args: ['--create', '--topic', name, '--partitions', '1'] })
  await tool('kafka-console-producer', { args: ['--topic', name], stdin: '1\n2\n3\n' })
  const request = { partitions: [{ topic: name, partition: 0, offset: 2 }], version: 1 }
  const file = await jsonFile(t, request)

  const end = await tool('kafka-get-offsets', { args: ['--topic', name] })
  await tool('kafka-delete-records', { args: ['--offset-json-file', file] })
  const start = await tool('kafka-get-offsets', { args: ['--topic', name, '--time', 'earliest'] })

  assert.deepEqual(linesOf(end), [`${name}:0:3`])
  assert.deepEqual(linesOf(start), [`${name}:0:2`])
})

test('kafka-broker-api-versions finds every API that the Java client needs for the above', async t => {
  const { tool } = await toolsForTest(t)

  const versions = await tool('kafka-broker-api-versions', { args: [] })

  for (const api of ['Produce(0)', 'Fetch(1)', 'ListOffsets(2)', 'Metadata(3)', 'OffsetCommit(8)', 'JoinGroup(11)']) {
    const line = linesOf(versions).find(each => each.includes(api)) ?? ''
    assert.match(line, /usable: \d+/, api)
  }
})

async function jsonFile(t: TestContext, content: unknown): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'comporta-tools-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = join(dir, 'request.json')
  await writeFile(file, JSON.stringify(content))
  return file
}

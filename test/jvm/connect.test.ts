/**
 * Kafka Connect on our broker, from a file into a topic and from the topic into
 * another file: a standalone worker and a distributed one, with its own group
 * protocol and three compacted topics, both killed outright on the way.
 */

import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { uniqueName } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { startKafkaApplication } from '../support/kafka-jvm.ts'
import { freePorts } from '../support/ports.ts'
import { brokerWithTools, eventually, inShortRun, linesOf, type RunningTool, watch } from './tools.ts'

function numberedLines(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${from + index}`)
}

async function linesOfFile(file: string): Promise<string[]> {
  return linesOf(await readFile(file, 'utf8').catch(() => ''))
}

function properties(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** What every worker is told. */
function workerSettings(bootstrapServers: string, folder: string, port: number): Record<string, string> {
  return {
    'bootstrap.servers': bootstrapServers,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'offset.flush.interval.ms': '200',
    // A killed worker's member is missed soon.
    'consumer.session.timeout.ms': '6000',
    'consumer.heartbeat.interval.ms': '1000',
    listeners: `http://127.0.0.1:${port}`,
    'plugin.path': join(folder, 'plugins'),
    'plugin.discovery': 'service_load'
  }
}

function connectorsOf(folder: string, topic: string): { source: Record<string, string>; sink: Record<string, string> } {
  const common = { 'tasks.max': '1' }
  return {
    source: {
      ...common,
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector',
      file: join(folder, 'in.txt'),
      topic
    },
    sink: {
      ...common,
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
      file: join(folder, 'out.txt'),
      topics: topic
    }
  }
}

test(
  'a standalone worker copies a file through a topic, and goes on after it was killed',
  { skip: inShortRun },
  async t => {
    const { broker, tool } = await brokerWithTools(t)
    const folder = temporaryFolder(t)
    const topic = uniqueName('lines')
    const [port = 0] = await freePorts(1)
    await mkdir(join(folder, 'plugins'))
    const files = { worker: join(folder, 'worker'), source: join(folder, 'source'), sink: join(folder, 'sink') }
    const { source, sink } = connectorsOf(folder, topic)
    const offsets = { 'offset.storage.file.filename': join(folder, 'offsets') }
    await writeFile(files.worker, properties({ ...workerSettings(broker.bootstrapServers, folder, port), ...offsets }))
    await writeFile(files.source, properties({ name: 'lines-in', ...source }))
    await writeFile(files.sink, properties({ name: 'lines-out', ...sink }))
    const start = async (): Promise<RunningTool> => {
      const main = 'org.apache.kafka.connect.cli.ConnectStandalone'
      return watch(t, await startKafkaApplication(main, [files.worker, files.source, files.sink]))
    }
    await writeFile(join(folder, 'in.txt'), `${numberedLines(0, 1_000).join('\n')}\n`)

    const first = await start()
    await eventually('1,000 lines are copied and committed', async () => {
      const isCopied = (await linesOfFile(join(folder, 'out.txt'))).length === 1_000
      return isCopied && (await readFile(join(folder, 'offsets')).catch(() => '')).length > 0
    })
    const copied = await linesOfFile(join(folder, 'out.txt'))
    await first.stop('SIGKILL')
    await appendFile(join(folder, 'in.txt'), `${numberedLines(1_000, 500).join('\n')}\n`)
    const second = await start()
    await eventually('the rest is copied', async () =>
      (await linesOfFile(join(folder, 'out.txt'))).includes('line 1499')
    )
    await second.stop('SIGTERM')
    const all = await linesOfFile(join(folder, 'out.txt'))
    const groups = await tool('kafka-groups', '--list')

    assert.deepEqual(copied, numberedLines(0, 1_000))
    // Connect delivers at least once: after a kill a line may come twice, but none is missing, and the order is kept.
    assert.deepEqual([...new Set(all)], numberedLines(0, 1_500))
    assert.match(groups, /^connect-lines-out\s+Classic\s+consumer/m)
  }
)

test(
  'a distributed worker with exactly-once sources goes on, after a kill, from its compacted topics',
  { skip: inShortRun },
  async t => {
    const { broker, tool } = await brokerWithTools(t)
    const folder = temporaryFolder(t)
    const topic = uniqueName('lines')
    const [port = 0] = await freePorts(1)
    await mkdir(join(folder, 'plugins'))
    const worker = join(folder, 'worker')
    const kinds = ['config', 'offset', 'status'] as const
    const storage = kinds.map(kind => ({
      [`${kind}.storage.topic`]: `connect-${kind}`,
      [`${kind}.storage.replication.factor`]: '1'
    }))
    const group = {
      'group.id': 'workers',
      'exactly.once.source.support': 'enabled',
      'session.timeout.ms': '6000',
      'heartbeat.interval.ms': '1000',
      'scheduled.rebalance.max.delay.ms': '0'
    }
    const settings = Object.assign(workerSettings(broker.bootstrapServers, folder, port), group, ...storage)
    await writeFile(worker, properties(settings as Record<string, string>))
    await writeFile(join(folder, 'in.txt'), `${numberedLines(0, 200).join('\n')}\n`)
    const { source, sink } = connectorsOf(folder, topic)

    const first = await startWorker(t, worker)
    await eventually('the worker serves its API', () => isOk(fetch(`http://127.0.0.1:${port}/connectors`)))
    await putConnector(port, 'lines-in', { ...source, 'exactly.once.support': 'required' })
    await putConnector(port, 'lines-out', sink)
    await eventually('200 lines are copied', async () => (await linesOfFile(join(folder, 'out.txt'))).length === 200)
    const groups = await tool('kafka-groups', '--list')
    const configs = await Promise.all(kinds.map(kind => tool('kafka-topics', `--describe --topic connect-${kind}`)))
    const transactions = await tool('kafka-transactions', 'list')
    await appendFile(join(folder, 'in.txt'), `${numberedLines(200, 5_000).join('\n')}\n`)
    await first.stop('SIGKILL')
    const second = await startWorker(t, worker)
    await eventually('all lines are copied', async () =>
      (await linesOfFile(join(folder, 'out.txt'))).includes('line 5199')
    )
    await second.stop('SIGTERM')
    const read = `--topic ${topic} --from-beginning --isolation-level read_committed --timeout-ms 3000`
    const records = await tool('kafka-console-consumer', read)

    assert.deepEqual(linesOf(records), numberedLines(0, 5_200))
    assert.match(groups, /^workers\s+Classic\s+connect/m)
    assert.match(transactions, /connect-cluster-workers-lines-in-0|workers-lines-in-0/)
    for (const described of configs) assert.match(described, /cleanup\.policy=compact/)
  }
)

async function startWorker(t: TestContext, settings: string): Promise<RunningTool> {
  return watch(t, await startKafkaApplication('org.apache.kafka.connect.cli.ConnectDistributed', [settings]))
}

async function putConnector(port: number, name: string, config: Readonly<Record<string, string>>): Promise<void> {
  const url = `http://127.0.0.1:${port}/connectors/${name}/config`
  const init = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(config) }
  await eventually(`${name} is taken`, () => isOk(fetch(url, init)))
}

async function isOk(response: Promise<Response>): Promise<boolean> {
  try {
    return (await response).ok
  } catch {
    return false
  }
}

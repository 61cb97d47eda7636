/**
 * kcat, the console client on librdkafka, talks to our broker: every
 * compression both ways, keys, headers, nulls, idempotence, groups.
 *
 * Without kcat on the path the tests are skipped, and say so; with
 * `REQUIRE_KCAT=1`, as in CI, its absence is a failure.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { type RunResult, runProcess, spawnBound } from '../support/child-process.ts'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

const isInstalled = spawnSync('kcat', ['-V']).status === 0
const isRequired = process.env['REQUIRE_KCAT'] === '1'
const skip = isInstalled ? false : 'kcat is not installed (Debian: apt-get install kcat)'

interface KcatRun {
  readonly args: readonly string[]
  readonly stdin?: string
}

function kcat(cluster: TestCluster, run: KcatRun): Promise<RunResult> {
  const args = ['-b', cluster.bootstrapServers, '-X', 'broker.address.family=v4', ...run.args]
  return runProcess('kcat', args, { stdin: run.stdin ?? '', timeoutMs: 30_000 })
}

/** A topic with as many partitions as the broker gives by itself, made by the first metadata request that names it. */
async function topicFor(cluster: TestCluster): Promise<string> {
  const topic = cluster.uniqueName('kcat')
  await kcat(cluster, { args: ['-L', '-t', topic] })
  return topic
}

/** `count` lines, each with its number and enough text that compression has something to do. */
function numberedLines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index} ${'the same words again '.repeat(5)}`)
}

function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1)
}

test('kcat is installed where it has to be', { skip: !isRequired && 'REQUIRE_KCAT is not set' }, () => {
  assert.ok(isInstalled, 'REQUIRE_KCAT=1, but there is no kcat on the path')
})

for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
  test(`produces with compression ${codec} and reads the same records back in order`, { skip }, async t => {
    const cluster = await clusterForTest(t)
    const topic = await topicFor(cluster)
    const lines = numberedLines(2_000)

    await kcat(cluster, { args: ['-P', '-t', topic, '-p', '0', '-z', codec], stdin: `${lines.join('\n')}\n` })
    const read = await kcat(cluster, { args: ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q'] })

    assert.deepEqual(linesOf(read.stdout), lines)
  })
}

test('keys, headers, null values and timestamps come back as they went', { skip }, async t => {
  const cluster = await clusterForTest(t)
  const topic = await topicFor(cluster)
  const produce = ['-P', '-t', topic, '-p', '0', '-K', ':', '-Z', '-H', 'origin=field 7', '-H', 'empty=']

  const before = Date.now()
  await kcat(cluster, { args: produce, stdin: 'a:one\nb:\n:three\n' })
  const after = Date.now()
  const read = await kcat(cluster, { args: ['-C', '-t', topic, '-o', 'beginning', '-e', '-J'] })

  const records = linesOf(read.stdout).map(line => JSON.parse(line) as Record<string, unknown>)
  const headers = ['origin', 'field 7', 'empty', '']
  assert.deepEqual(
    records.map(record => [record['offset'], record['key'], record['payload'], record['headers']]),
    [
      [0, 'a', 'one', headers],
      [1, 'b', null, headers],
      [2, null, 'three', headers]
    ]
  )
  for (const { ts } of records) assert.ok(Number(ts) >= before && Number(ts) <= after, `timestamp ${String(ts)}`)
})

test('an idempotent producer with many batches in flight neither loses, doubles nor reorders', { skip }, async t => {
  const cluster = await clusterForTest(t)
  const topic = await topicFor(cluster)
  const lines = numberedLines(5_000)
  const settings = ['-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50', '-X', 'linger.ms=1']

  await kcat(cluster, { args: ['-P', '-t', topic, '-p', '0', ...settings], stdin: `${lines.join('\n')}\n` })
  const read = await kcat(cluster, { args: ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q'] })

  assert.deepEqual(linesOf(read.stdout), lines)
})

test('a transactional producer commits what it read, and a marker behind it', { skip }, async t => {
  const cluster = await clusterForTest(t)
  const topic = await topicFor(cluster)
  const lines = numberedLines(500)
  const produce = ['-P', '-t', topic, '-p', '0', '-X', `transactional.id=${topic}`, '-X', 'batch.num.messages=50']
  const read = ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-X', 'isolation.level=read_committed']

  const produced = await kcat(cluster, { args: produce, stdin: `${lines.join('\n')}\n` })
  const committed = await kcat(cluster, { args: read })
  const end = await kcat(cluster, { args: ['-Q', '-t', `${topic}:0:-1`] })

  assert.match(produced.stderr, /Transaction successfully committed/)
  assert.deepEqual(linesOf(committed.stdout), lines)
  // The marker takes an offset of its own.
  assert.match(end.stdout, /offset 501$/m)
})

test('two members of a balanced group share the partitions', { skip }, async t => {
  const cluster = await clusterForTest(t, { brokerConfig: { 'num.partitions': '4' } })
  const topic = await topicFor(cluster)
  const strategy = ['-X', 'partition.assignment.strategy=cooperative-sticky', '-X', 'heartbeat.interval.ms=200']
  const group = ['-G', cluster.uniqueName('group'), ...strategy]
  const member = (): ChildProcess => {
    const args = ['-b', cluster.bootstrapServers, '-X', 'broker.address.family=v4', ...group, topic]
    const child = spawnBound('kcat', args)
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  // Cooperative members are told what is added and what is taken: the first one gives two of its four back.
  const first = member()
  await written(first.stderr, /incremental assignment of 4 partition/)
  const hasGivenBack = written(first.stderr, /incremental revoke of 2 partition/)
  const second = member()
  const hasHalf = written(second.stderr, /incremental assignment of 2 partition/)

  await Promise.all([hasGivenBack, hasHalf])
})

/** Resolves when a stream has written what matches. */
function written(stream: NodeJS.ReadableStream | null, pattern: RegExp): Promise<void> {
  let text = ''
  return new Promise((resolve, reject) => {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (pattern.test(text)) resolve()
    })
    stream?.once('end', () => reject(new Error(`the program ended, and wrote: ${text}`)))
  })
}

test('a group goes on where its last member stopped', { skip }, async t => {
  const cluster = await clusterForTest(t)
  const topic = await topicFor(cluster)
  const group = cluster.uniqueName('group')
  const settings = ['-X', 'auto.offset.reset=earliest', '-q']
  const member = (count: number): string[] => ['-G', group, '-c', String(count), ...settings, topic]

  await kcat(cluster, { args: ['-P', '-t', topic, '-p', '0'], stdin: '1\n2\n3\n4\n5\n' })
  const first = await kcat(cluster, { args: member(2) })
  const second = await kcat(cluster, { args: member(3) })

  assert.deepEqual(linesOf(first.stdout), ['1', '2'])
  assert.deepEqual(linesOf(second.stdout), ['3', '4', '5'])
})

test('metadata names the broker and the partitions; offsets are found by time', { skip }, async t => {
  const cluster = await clusterForTest(t)
  const topic = await topicFor(cluster)
  await kcat(cluster, { args: ['-P', '-t', topic, '-p', '0'], stdin: 'one\ntwo\n' })

  const listed = await kcat(cluster, { args: ['-L', '-J', '-t', topic] })
  const atStart = await kcat(cluster, { args: ['-Q', '-t', `${topic}:0:1`] })
  const atEnd = await kcat(cluster, { args: ['-Q', '-t', `${topic}:0:-1`] })

  const metadata = JSON.parse(listed.stdout) as { brokers: { name: string }[]; topics: { topic: string }[] }
  assert.deepEqual(
    metadata.brokers.map(broker => broker.name),
    [cluster.bootstrapServers]
  )
  assert.deepEqual(
    metadata.topics.map(each => each.topic),
    [topic]
  )
  assert.match(atStart.stdout, /offset 0$/m)
  assert.match(atEnd.stdout, /offset 2$/m)
})

test('records of one key stay in order on one partition of many', { skip }, async t => {
  const cluster = await clusterForTest(t, { brokerConfig: { 'num.partitions': '4' } })
  const topic = await topicFor(cluster)
  const stdin = Array.from({ length: 400 }, (_, index) => `key-${index % 10}:${index}\n`).join('')

  await kcat(cluster, { args: ['-P', '-t', topic, '-K', ':', '-X', 'partitioner=murmur2_random'], stdin })
  const read = await kcat(cluster, { args: ['-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%k %p %s\n'] })

  assertOrderedByKey(read.stdout)
})

function assertOrderedByKey(output: string): void {
  const last = new Map<string, { partition: string; value: number }>()
  const lines = linesOf(output)
  assert.equal(lines.length, 400)
  for (const line of lines) {
    const [key = '', partition = '', value] = line.split(' ')
    const before = last.get(key)
    if (before !== undefined) assert.ok(before.partition === partition && before.value < Number(value), line)
    last.set(key, { partition, value: Number(value) })
  }
}

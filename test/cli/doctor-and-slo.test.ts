/** `comporta doctor`, `comporta slo` and `comporta lag --keda` as people and scripts use them. */

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { runComporta, startComporta } from '../support/comporta.ts'

let brokers = ''
let folder = ''
let end: (() => Promise<void>) | undefined

/** Ten records, and a group that has lost five of them. */
before(async () => {
  const broker = await startBroker()
  brokers = broker.bootstrapServers
  const cluster = await Cluster.connect({ bootstrapServers: [brokers], clientId: 'test' })
  const admin = new Admin(cluster)
  await admin.createTopics([{ topic: 'orders', partitionCount: 1 }])
  const appender = new Appender({ cluster, lingerMs: 0 })
  const listener = { delivered: () => undefined, failed: () => undefined }
  for (let index = 0; index < 10; index += 1) {
    appender.append({ topic: 'orders', key: null, value: Buffer.from('{}') }, listener)
  }
  await appender.close()
  await admin.alterGroupOffsets('billing', [{ topic: 'orders', partition: 0, offset: 0n }])
  await admin.deleteRecords([{ topic: 'orders', partition: 0, beforeOffset: 5n }])
  await cluster.close()
  folder = await mkdtemp(join(tmpdir(), 'comporta-slo-'))
  end = async () => {
    await broker.close()
    await rm(folder, { recursive: true })
  }
})
after(() => end?.())

test('the doctor ends with 1 when something is an error, and says it with reason and fix', async () => {
  const args = ['doctor', '--brokers', brokers, '--interval', '0', '--skip', 'msk,settings']
  const [people, wrong] = await Promise.all([
    runComporta(args),
    runComporta(['doctor', '--brokers', brokers, '--only', 'nonsense'])
  ])
  assert.equal(people.exitCode, 1, people.stderr)
  assert.match(people.stdout, /^ERRORS\n {2}data-loss: billing never read 5 records .*\n {4}why: .*\n {4}fix: /)
  assert.match(people.stdout, /\nNOTES\n {2}replication-factor: /)
  assert.match(wrong.stderr, /there is no check nonsense; see: comporta doctor --list/)
})

test('KEDA’s view of a group, and options that KEDA refuses', async () => {
  const keda = (options: string) => runComporta(['lag', '--brokers', brokers, '--json', '--keda', options])
  const [view, refused] = await Promise.all([
    keda('lagThreshold=2,allowIdleConsumers=true,maxReplicaCount=4'),
    keda('limitToPartitionsWithLag=true')
  ])
  const [group] = JSON.parse(view.stdout) as Record<string, unknown>[]
  // KEDA counts from the commit, deleted records included: 10 ÷ 2 = 5, at most 4.
  assert.deepEqual([group?.['kedaMetric'], group?.['kedaReplicas'], group?.['isActive']], [10, 4, true])
  assert.equal(refused.exitCode, 64)
  assert.match(refused.stderr, /limitToPartitionsWithLag needs a topic/)
})

test('a watch sends an alert on lost records, serves lag, keeps its state, and ends with Ctrl-C', async t => {
  const file = join(folder, 'comporta.yaml')
  const state = join(folder, 'slo.json')
  const operations = `{ slo: [{ group: billing }], alerts: [{ type: stdout }], alerting: { everySeconds: 1 } }`
  await writeFile(file, `name: shop\nkafka: { bootstrapServers: "${brokers}" }\noperations: ${operations}\n`)
  const args = ['slo', '--file', file, '--watch', '--state', state, '--listen', '0']
  const watch = await startComporta(t, args, { until: /"key":"data-loss:billing"[^]*budget left/ })
  const url = /listening on (http:\S+)/.exec(watch.output())?.[1] ?? ''
  const answer = await fetch(`${url}/v3/kafka/shop/consumer/billing/lag`)
  const { status } = (await answer.json()) as { status: { partition_count: number } }
  assert.equal(status.partition_count, 1)
  await watch.stop('SIGINT')
  assert.match(watch.output(), /"title":"billing lost records to retention".*"value":"5 records in 1 partition"/)
  assert.deepEqual(Object.keys((JSON.parse(await readFile(state, 'utf8')) as { objectives: object }).objectives), [
    'billing ≤ 60 s'
  ])
})

test('a secret that is missing ends the watch before it begins, and is named', async () => {
  const file = join(folder, 'no-secret.yaml')
  const operations = '{ alerts: [{ type: slack, url: { env: NO_SUCH_HOOK } }] }'
  await writeFile(file, `name: shop\nkafka: { bootstrapServers: "${brokers}" }\noperations: ${operations}\n`)
  const { exitCode, stderr } = await runComporta(['slo', '--file', file, '--watch'])
  assert.equal(exitCode, 78)
  assert.match(stderr, /operations\.alerts\.0\.url: the environment variable NO_SUCH_HOOK is not set/)
  assert.doesNotMatch(stderr, /kafka\.operations/)
})

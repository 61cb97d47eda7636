/** `comporta redrive` as a person and a program use it: asked, listed, killed in the middle. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { readLastRecords } from '../../src/ops/index.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

const LETTERS = 400

interface World {
  readonly brokers: string
  readonly cwd: string
  /** Numbers of the records that lie in the origin topic. */
  readonly numbers: () => Promise<number[]>
}

async function world(t: TestContext): Promise<World> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([
    { topic: 'orders', partitionCount: 3 },
    { topic: 'dead', partitionCount: 1 }
  ])
  const appender = new Appender({ cluster, lingerMs: 1 })
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  for (let n = 0; n < LETTERS; n += 1) {
    const block = {
      'comporta-origin-topic': 'orders',
      'comporta-origin-partition': '0',
      'comporta-origin-offset': String(n),
      'comporta-origin-timestamp': String(Date.now()),
      'comporta-error-class': 'RetriesExhausted',
      'comporta-error-reason': 'the service \u001b[31mwas away',
      'comporta-attempts': '3',
      'comporta-group': 'g',
      'comporta-first-failure-ms': '1',
      'comporta-last-failure-ms': '2'
    }
    const headers = Object.entries(block).map(([key, value]) => ({ key, value: Buffer.from(value) }))
    appender.append(
      { topic: 'dead', key: Buffer.from(`k${n % 9}`), value: Buffer.from(`{"n":${n}}`), headers },
      listener
    )
  }
  await appender.flush()
  await appender.close()
  const numbers = async (): Promise<number[]> => {
    const { records } = await readLastRecords({ cluster, admin, topics: ['orders'], count: 10_000 })
    return records.map(({ value }) => (JSON.parse(String(value)) as { n: number }).n)
  }
  return { brokers: broker.bootstrapServers, cwd: temporaryFolder(t), numbers }
}

test('the plan has counts and samples, a person is asked, and a kill repeats no more than was said', async t => {
  const { brokers, cwd, numbers } = await world(t)
  const args = ['redrive', 'dead', '--brokers', brokers]
  const dry = await runComporta([...args, '--dry-run'], { cwd })
  assert.equal(dry.exitCode, 0, dry.stderr)
  assert.match(dry.stdout, /dead-0@0 +k0 +orders +RetriesExhausted +the service \\e\[31mwas away/)
  assert.match(dry.stdout, /orders +RetriesExhausted +400 again/)
  assert.match(dry.stdout, /^400 dead letters of dead are redriven as group dead-redrive\.$/m)
  assert.match(dry.stdout, /This cannot be taken back/)
  const json = await runComporta([...args, '--dry-run', '--json'], { cwd })
  // One document: the samples are in it.
  const { samples, plan } = JSON.parse(json.stdout) as { samples: { letter: string }[]; plan: { summary: string } }
  assert.deepEqual([samples[0]?.letter, plan.summary.slice(0, 16)], ['dead-0@0', '400 dead letters'])
  const unasked = await runComporta(args, { cwd })
  assert.equal(unasked.exitCode, 64)
  assert.deepEqual(await numbers(), [])

  // At 200/s a round has 200 records at most: more cannot come twice.
  const slow = await startComporta(t, [...args, '--yes', '--rate', '200'], { cwd, until: /cannot be taken back/ })
  while ((await numbers()).length < 120) await tick(20)
  await slow.stop('SIGKILL')
  const afterKill = (await numbers()).length
  assert.ok(afterKill < LETTERS, `${afterKill} of ${LETTERS} when it was killed`)
  const rest = await runComporta([...args, '--yes', '--json'], { cwd })
  assert.equal(rest.exitCode, 0, rest.stderr)
  const found = await numbers()
  assert.equal(new Set(found).size, LETTERS)
  assert.ok(found.length - LETTERS <= 200, `${found.length - LETTERS} repeats`)

  const list = readFileSync(join(cwd, '.comporta/redrive/dead.ndjson'), 'utf8').trim().split('\n')
  const letters = new Set(list.map(line => (JSON.parse(line) as { letter: string }).letter))
  assert.equal(letters.size, LETTERS, 'every dead letter is on the list')
})

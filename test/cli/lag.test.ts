/** `comporta lag` as people and scripts use it. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { exceeding, limitOf, looksOf } from '../../src/cli/operations/lag-limits.ts'
import { groupLag, lagReport } from '../ops/slo/lag-reports.ts'
import { runComporta, startComporta } from '../support/comporta.ts'

/** A broker with a group that is ten records behind. */
async function brokerFor(t: TestContext): Promise<string> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([{ topic: 'orders', partitionCount: 1 }])
  const appender = new Appender({ cluster, lingerMs: 0 })
  const listener = { delivered: () => undefined, failed: () => undefined }
  for (let index = 0; index < 12; index++) {
    appender.append({ topic: 'orders', key: null, value: Buffer.alloc(10) }, listener)
  }
  await appender.close()
  await admin.alterGroupOffsets('billing', [{ topic: 'orders', partition: 0, offset: 2n }])
  return broker.bootstrapServers
}

test('lag is shown, and a watch goes on until it is stopped: then the last look decides the exit code', async t => {
  const brokers = await brokerFor(t)
  const shown = runComporta(['lag', '--brokers', brokers, '--partitions', '--fail-over', '10'])
  const args = ['lag', '--brokers', brokers, '--watch', '100ms', '--json', '--fail-over', '9']
  const watch = await startComporta(t, args, { until: /"groupId".*\n.*"groupId".*\n/u })
  const { exitCode, stdout, stderr } = await shown
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^GROUP +MEMBERS +LAG +BEHIND .*\nbilling +Empty +10 /u)
  assert.match(stdout, /\norders-0 +2 +12 +10 /u)
  assert.equal(await watch.stop('SIGINT'), 1)
  const second = watch.output().split('\n')[1] ?? ''
  const [group] = (JSON.parse(second) as { groups: Record<string, unknown>[] }).groups
  assert.deepEqual([group?.['groupId'], group?.['lagRecords'], group?.['serviceRate']], ['billing', '10', 0])
  assert.deepEqual(group?.['health'], { word: 'alert', reasons: ['producerStopped'] })
})

test('a limit is a number of records or a duration, and what cannot be told exceeds it', async () => {
  const over = async (text: string, change: Parameters<typeof groupLag>[0]): Promise<boolean> =>
    exceeding(lagReport(0, groupLag(change)), await limitOf(text))
  assert.equal(await over('10', { lagRecords: 10n }), false)
  assert.equal(await over('10', { lagRecords: 11n }), true)
  assert.equal(await over('60s', { lagRecords: 5n, lagSeconds: 60 }), false)
  assert.equal(await over('1m', { lagRecords: 5n, lagSeconds: 60.1 }), true)
  assert.equal(await over('60s', { lagRecords: 5n, lagSeconds: undefined }), true)
  assert.equal(await over('60s', { lagRecords: 0n, lagSeconds: undefined }), false)
  assert.equal(await over('10', { problem: 'no right' }), true)
  assert.equal(await over('10', { unknownCount: 1 }), true)
  assert.equal(exceeding(lagReport(0, groupLag({ lagRecords: 5n })), undefined), false)
  await assert.rejects(limitOf('soon'), /--fail-over: "soon" is no duration/u)
})

test('looks are one, several over a while, or without end', async () => {
  assert.deepEqual(await looksOf({}), { count: 1, everyMs: 2000 })
  assert.deepEqual(await looksOf({ samples: 3 }), { count: 3, everyMs: 2000 })
  assert.deepEqual(await looksOf({ for: '10s' }), { count: 5, everyMs: 2500 })
  assert.deepEqual(await looksOf({ for: '10s', samples: 11 }), { count: 11, everyMs: 1000 })
  assert.deepEqual(await looksOf({ watch: true }), { count: undefined, everyMs: 5000 })
  assert.deepEqual(await looksOf({ watch: '1ms' }), { count: undefined, everyMs: 100 })
  await assert.rejects(looksOf({ watch: true, samples: 2 }), /leave --for and --samples out/u)
})

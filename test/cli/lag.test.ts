/** `comporta lag` as people and scripts use it. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
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

test('lag is shown, limits decide the exit code, and a watch goes on until it is stopped', async t => {
  const brokers = await brokerFor(t)
  const lag = (...args: string[]): ReturnType<typeof runComporta> => runComporta(['lag', '--brokers', brokers, ...args])
  const [shown, near, far, unknown, usage] = await Promise.all([
    lag('--partitions'),
    lag('--fail-over', '10'),
    lag('--json', '--samples', '2', '--for', '200ms', '--fail-over', '9'),
    lag('--group', 'nobody'),
    lag('--fail-over', 'soon')
  ])
  assert.equal(shown.exitCode, 0, shown.stderr)
  assert.match(shown.stdout, /^GROUP +MEMBERS +LAG +BEHIND .*\nbilling +Empty +10 /u)
  assert.match(shown.stdout, /\norders-0 +2 +12 +10 /u)
  assert.equal(near.exitCode, 0)
  assert.equal(far.exitCode, 1, far.stderr)
  const [group] = (JSON.parse(far.stdout) as { groups: Record<string, unknown>[] }).groups
  assert.deepEqual([group?.['groupId'], group?.['lagRecords'], group?.['serviceRate']], ['billing', '10', 0])
  assert.deepEqual(group?.['health'], { word: 'alert', reasons: ['producerStopped'] })
  assert.match(unknown.stderr, /there is no group nobody/u)
  assert.match(usage.stderr, /--fail-over: "soon" is no duration/u)
  assert.equal(usage.exitCode, 64)

  const watch = await startComporta(t, ['lag', '--brokers', brokers, '--watch', '100ms', '--json'], {
    until: /"groupId".*\n.*"groupId".*\n/u
  })
  assert.equal(await watch.stop('SIGINT'), 0)
})

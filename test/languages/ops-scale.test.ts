/**
 * `comporta scale` and `comporta rollout` as a person runs them, on the embedded broker: a local fleet, a rollout over
 * its socket, a stop that drains, a dry run. Starting processes is what takes time: with `OPS_SCALE=long` there are
 * two, and one is killed and comes back.
 */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { type FleetInstance, SocketFleet } from '../../src/ops/index.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'
import { until } from '../conformance/dispatch-support.ts'

const isLong = process.env['OPS_SCALE'] === 'long'
const instances = isLong ? 2 : 1

async function pipelineFolder(t: TestContext): Promise<string> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([
    { topic: 'a', partitionCount: 4 },
    { topic: 'dead', partitionCount: 1 }
  ])
  const appender = new Appender({ cluster, lingerMs: 1 })
  const listener = { delivered: () => undefined, failed: () => undefined }
  for (let n = 0; n < 400; n += 1) {
    appender.append({ topic: 'a', key: Buffer.from(`k${n}`), value: Buffer.from(`{"n":${n}}`) }, listener)
  }
  await appender.close()
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'handler.mjs'), 'export async function handler() {}')
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: ${broker.bootstrapServers} }
dispatcher:
  groupId: g
  topics: [a]
  groupProtocol: classic
  sessionTimeoutMs: 6000
  heartbeatIntervalMs: 200
  deadLetterTopic: dead
  target: { type: module, file: ./handler.mjs }
operations:
  fleet: { type: local, hasMetrics: false }
  scale: { instancesMin: ${instances}, instancesMax: 3, periodSeconds: 1, measureSeconds: 1, upCooldownSeconds: 1 }
  rollout: { settleSeconds: 0, pollSeconds: 0.2 }
`
  )
  return cwd
}

test('scale keeps a local fleet, rollout rolls it, and both say what they do', async t => {
  const cwd = await pipelineFolder(t)
  const scale = await startComporta(t, ['scale', '--apply', '--json', '--log-level', 'info'], {
    cwd,
    until: /the local fleet runs/
  })
  const fleet = new SocketFleet(join(cwd, '.comporta/fleet.sock'))
  const up = async (): Promise<readonly FleetInstance[]> =>
    (await fleet.instances()).filter(({ state }) => state === 'running')
  await until(async () => (await up()).length === instances, 'all processes')
  await scale.said(/"hold":"none","reasons":\[/)

  const before = (await up()).map(({ incarnation }) => incarnation)
  const rollout = await runComporta(['rollout', '--yes'], { cwd })
  assert.equal(rollout.exitCode, 0, rollout.stdout + rollout.stderr)
  assert.match(rollout.stdout, new RegExp(`^all ${instances} instances are new$`, 'm'))
  assert.match(rollout.stderr, new RegExp(`replace: every gate is open: dispatcher-1 is next \\(1 of ${instances}\\)`))
  assert.ok((await up()).every(({ incarnation }) => !before.includes(incarnation)))

  if (isLong) {
    const [victim] = await up()
    process.kill(Number(victim?.incarnation), 'SIGKILL')
    await scale.said(/a dispatcher has ended by itself; starting it again/)
    await until(async () => (await up()).length === instances, 'it is back')
    assert.equal((await fleet.instances()).find(({ id }) => id === victim?.id)?.crashes, 1)
  }

  const [exitCode, dry] = await Promise.all([
    scale.stop('SIGTERM'),
    runComporta(['scale', '--once', '--json'], { cwd })
  ])
  assert.equal(exitCode, 0)
  await assert.rejects(fleet.size(), /comporta scale --apply/)
  assert.match(dry.stdout, /"isDryRun":true/)
})

/** A role that fails after its start: its process ends, and whoever keeps it running starts it again. */

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster, GroupMember } from '../../src/client/index.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

const file = `name: x
kafka: { bootstrapServers: "\${KAFKA}" }
topics: { t: {} }
dispatcher:
  groupId: g
  topics: [t]
  groupProtocol: classic
  assignors: [roundrobin]
  target: { type: http, url: "http://127.0.0.1:1/" }
  deadLetterTopic: dead
`

/** A broker with a group that the dispatcher cannot join: its only member knows another assignor. */
async function refusingBroker(t: TestContext): Promise<Broker> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'other' })
  await new Admin(cluster).createTopics([
    { topic: 't', partitionCount: 1 },
    { topic: 'dead', partitionCount: 1 }
  ])
  const assigned = Promise.withResolvers<void>()
  const member = new GroupMember({
    cluster,
    groupId: 'g',
    topics: ['t'],
    groupProtocol: 'classic',
    assignors: ['range'],
    listener: {
      assigned: () => assigned.resolve(),
      revoked: () => Promise.resolve(),
      lost: () => undefined,
      failed: error => assigned.reject(error)
    }
  })
  t.after(async () => {
    await member.close()
    await cluster.close()
    await broker.close()
  })
  member.start()
  await assigned.promise
  return broker
}

test('a dispatcher that its group refuses ends with 69 and the reason', async t => {
  const broker = await refusingBroker(t)
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), file)
  const { exitCode, stderr } = await runComporta(['dispatch'], { cwd, env: { KAFKA: broker.bootstrapServers } })
  assert.equal(exitCode, 69, stderr)
  assert.match(stderr, /comporta: group g: membership has ended: .*INCONSISTENT_GROUP_PROTOCOL/)
})

test('a dispatcher that fails after its start is started again', async t => {
  const broker = await refusingBroker(t)
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), file)
  const until = /a part has crashed; starting it again/
  const up = await startComporta(t, ['up', '--no-console'], { cwd, env: { KAFKA: broker.bootstrapServers }, until })
  assert.match(up.output(), /dispatcher ended with exit code 69: group g: membership has ended/)
  await up.stop()
})

test('a target that cannot work as configured ends the dispatcher with 78', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const target = 'target: { type: module, file: absent.mjs }'
  writeFileSync(join(cwd, 'comporta.yaml'), file.replace(/target: .*/, target))
  const { exitCode, stderr } = await runComporta(['dispatch'], { cwd, env: { KAFKA: broker.bootstrapServers } })
  assert.equal(exitCode, 78, stderr)
  assert.match(stderr, /absent\.mjs cannot be imported/)
})

test('a role whose parent was killed while it started ends by itself', async t => {
  const command = join(import.meta.dirname, '../../bin/comporta.js')
  const child = fork(command, ['internal-role'], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  const ended = new Promise(resolve => child.once('exit', resolve))
  const options = { dataDir: temporaryFolder(t), port: 0, config: {} }
  // Gone as soon as the orders are: `ready` never comes to anybody.
  child.send({ kind: 'start', role: 'broker', options, logLevel: 'silent' }, () => child.disconnect())
  assert.equal(await ended, 0)
})

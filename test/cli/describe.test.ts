/** What a dispatcher says of itself on its metrics port. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import type { DispatcherDescription } from '../../src/dispatcher/index.ts'
import { startComporta, temporaryFolder } from '../support/comporta.ts'

test('a dispatcher whose target is away says what waits and why', async t => {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  await new Admin(cluster).createTopics([
    { topic: 't', partitionCount: 1 },
    { topic: 'dead', partitionCount: 1 }
  ])
  const appender = new Appender({ cluster })
  appender.append(
    { topic: 't', key: null, value: Buffer.from('{}') },
    { delivered: () => undefined, failed: assert.fail }
  )
  await appender.close()
  await cluster.close()
  const cwd = temporaryFolder(t)
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
dispatcher:
  groupId: g
  topics: [t]
  batch: { ageMs: 20 }
  target: { type: http, url: "http://127.0.0.1:1/" }
  breaker: { failuresMax: 1, openMs: 60000 }
  deadLetterTopic: dead
`
  )
  const dispatch = await startComporta(t, ['dispatch', '--metrics-port', '0', '--json'], { cwd, until: /"metrics"/ })
  const { metrics } = JSON.parse(/^\{.*"metrics".*$/m.exec(dispatch.output())?.[0] ?? '') as { metrics: string }
  const describe = async (): Promise<DispatcherDescription> =>
    (await (await fetch(new URL('/describe', metrics))).json()) as DispatcherDescription
  let said = await describe()
  while (said.routes[0]?.breaker.state !== 'open') said = await describe()
  assert.equal(said.groupId, 'g')
  assert.equal(said.state, 'running')
  const [partition] = said.partitions
  assert.deepEqual(
    [partition?.topic, partition?.partition, partition?.lag, partition?.end, partition?.inFlightRecords],
    ['t', 0, 1, '1', 1]
  )
  assert.equal(partition?.batches[0]?.firstOffset, '0')
  assert.match(await (await fetch(metrics)).text(), /^comporta_dispatcher_breaker_open\{group="g".*\} 1$/m)
  assert.equal((await fetch(new URL('/', metrics))).status, 404)
  await dispatch.stop()
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import type { DispatcherDescription } from '../../src/dispatcher/index.ts'
import { startComporta, temporaryFolder } from '../support/comporta.ts'

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within 20 s: ${what}`)
    await tick(20)
  }
}

test('SIGHUP takes over new limits, and a broken or unchangeable file leaves the old ones and says so', async t => {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const write = (concurrency: string, topic = 't'): void =>
    writeFileSync(
      join(cwd, 'comporta.yaml'),
      `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
dispatcher:
  groupId: g
  topics: [${topic}]
  target: { type: http, url: "http://127.0.0.1:1/" }
  concurrency: ${concurrency}
  deadLetterTopic: dead
`
    )
  write('2')
  const dispatch = await startComporta(t, ['dispatch', '--metrics-port', '0', '--json'], { cwd, until: /"metrics"/ })
  const { metrics } = JSON.parse(/^\{.*"metrics".*$/m.exec(dispatch.output())?.[0] ?? '') as { metrics: string }
  const concurrency = async (): Promise<number | undefined> => {
    const said = (await (await fetch(new URL('/describe', metrics))).json()) as DispatcherDescription
    return said.routes[0]?.concurrency.max
  }
  assert.equal(await concurrency(), 2)

  write('7')
  dispatch.signal('SIGHUP')
  await until(async () => (await concurrency()) === 7, 'the new limit holds')
  assert.match(dispatch.output(), /read again: settings have changed/)

  write('many')
  dispatch.signal('SIGHUP')
  await until(() => dispatch.output().includes('dispatcher.concurrency'), 'the problem is in the log')
  write('9', 'other')
  dispatch.signal('SIGHUP')
  await until(() => dispatch.output().includes('ERR_DISPATCHER_NOT_CHANGEABLE'), 'the setting is named')
  assert.match(dispatch.output(), /cannot change while the dispatcher runs: topics\.0/)
  assert.equal(await concurrency(), 7)
  assert.equal(await dispatch.stop(), 0)
})

/** A dispatcher that is stopped: its exit code says whether everything was finished. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { type RunningCommand, startComporta, temporaryFolder } from '../support/comporta.ts'

/** A broker with one record, and a dispatcher, alone or under `up`, whose target has just been sent it. */
async function busyDispatcher(
  t: TestContext,
  { command = 'dispatch', drainMs = 300 }: { command?: 'dispatch' | 'up --no-console'; drainMs?: number } = {}
): Promise<{ dispatcher: RunningCommand; answer: ServerResponse }> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  const topics = ['t', 'dead'].map(topic => ({ topic, partitionCount: 1 }))
  await new Admin(cluster).createTopics(topics)
  const appender = new Appender({ cluster })
  const listener = { delivered: () => undefined, failed: (error: unknown) => assert.fail(String(error)) }
  appender.append({ topic: 't', key: null, value: Buffer.from('{}') }, listener)
  await appender.close()
  await cluster.close()

  const server = createServer()
  server.listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const cwd = temporaryFolder(t)
  const file = `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
topics: { t: {} }
dispatcher:
  groupId: g
  topics: [t]
  batch: { ageMs: 0 }
  target: { type: http, url: "http://127.0.0.1:${port}/" }
  drainMs: ${drainMs}
  deadLetterTopic: dead
`
  writeFileSync(join(cwd, 'comporta.yaml'), file)
  const request = once(server, 'request') as Promise<[unknown, ServerResponse]>
  const dispatcher = await startComporta(t, command.split(' '), { cwd, until: /dispatching|running as process/ })
  const [, answer] = await request
  return { dispatcher, answer }
}

test('a dispatcher that has finished everything ends with 0', async t => {
  const { dispatcher, answer } = await busyDispatcher(t)
  answer.end('{}')
  assert.equal(await dispatcher.stop('SIGTERM'), 0, dispatcher.output())
})

test('a dispatcher whose target does not answer in time ends with 75, and says how many partitions it was', async t => {
  const { dispatcher } = await busyDispatcher(t)
  assert.equal(await dispatcher.stop('SIGTERM'), 75, dispatcher.output())
  assert.match(dispatcher.output(), /not all was finished in time/)
})

test('a pipeline whose dispatcher could not finish in time ends with 75 too, and says which part it was', async t => {
  const { dispatcher } = await busyDispatcher(t, { command: 'up --no-console' })
  assert.equal(await dispatcher.stop('SIGINT'), 75, dispatcher.output())
  assert.match(dispatcher.output(), /"parts":\["dispatcher"\].*not all was finished in time/)
})

test('a second Ctrl-C ends a dispatcher at once, however long it would wait for its target', async t => {
  const { dispatcher } = await busyDispatcher(t, { drainMs: 60_000 })
  const draining = dispatcher.said(/draining; press Ctrl-C again/)
  dispatcher.signal('SIGINT')
  await draining
  assert.equal(await dispatcher.stop('SIGINT'), 130, dispatcher.output())
})

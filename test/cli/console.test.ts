/** `comporta console`, and the console of `comporta up`: where it is, what opens it, what its end means. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { consolePart, portOf } from '../../src/cli/commands/up-console.ts'
import { Keeper } from '../../src/cli/process/keeper.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { startComporta, temporaryFolder } from '../support/comporta.ts'
import { ask, type Login, logIn } from '../support/console.ts'
import { freePorts } from '../support/ports.ts'

type Visitor = Login & { readonly port: number }

/** A login by the address that was printed. */
async function visit(url: string): Promise<Visitor> {
  const token = /#token=([\w-]{43})$/.exec(url)?.[1] ?? ''
  const port = portOf(url) ?? 0
  return { port, ...(await logIn({ port }, token)) }
}

/** Names of the processes that answer the console, once there are so many. */
async function instancesOf(visitor: Visitor, count: number): Promise<string[]> {
  for (;;) {
    const { json } = await ask(visitor, { path: '/api/flow', headers: visitor.headers })
    // As api/flow.ts says.
    const rows = (json['instances'] ?? []) as { readonly name: string; readonly problem: string | null }[]
    const well = rows.filter(({ problem }) => problem === null).map(({ name }) => name)
    if (well.length >= count) return well
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

test('up prints the address of its console, which asks the parts how they are; a taken port is no matter', async t => {
  const cwd = temporaryFolder(t)
  const [kafka] = await freePorts(1)
  const file = `name: test\nkafka: { bootstrapServers: embedded, embedded: { port: ${kafka} } }\n`
  writeFileSync(join(cwd, 'comporta.yaml'), file)
  const up = await startComporta(t, ['up', '--json'], { cwd, until: /^\{"broker".*\}$/m })
  const line = /^\{"broker".*\}$/m.exec(up.output())?.[0] ?? '{}'
  const { broker, console } = JSON.parse(line) as Record<string, Record<string, string>>
  // Where the console asks is nobody's business.
  assert.deepEqual([broker?.['metrics'], Object.keys(console ?? {})], [undefined, ['url']])
  const visitor = await visit(console?.['url'] ?? '')
  assert.deepEqual(await instancesOf(visitor, 1), ['broker'])
  assert.doesNotMatch(up.output().replace(line, ''), /token=/, 'the token is in no log')
  assert.equal(await up.stop('SIGTERM'), 0)
})

/** Keeps the console of a pipeline on an embedded broker. */
async function keepConsole(t: TestContext): Promise<Keeper> {
  const broker = await startBroker()
  const folder = temporaryFolder(t)
  const file = `name: test\nkafka: { bootstrapServers: ["${broker.bootstrapServers}"] }\nconsole: { port: 0 }\n`
  const pipeline = parsePipeline(file, { fileName: 'test.yaml', environment: {} })
  const settings = { ...pipeline.console, audit: { ...pipeline.console.audit, file: join(folder, 'audit.jsonl') } }
  const stop = new AbortController()
  const keeper = new Keeper(silentLogger, 'silent', stop.signal)
  t.after(async () => {
    stop.abort()
    await keeper.close()
    await broker.close()
  })
  await keeper.startAside(consolePart({ pipeline: { ...pipeline, console: settings }, undoFolder: folder }))
  return keeper
}

test('a console that has crashed is started again, where it was and with the token it had', async t => {
  const keeper = await keepConsole(t)
  const [console] = keeper.parts
  assert.ok(console !== undefined)
  const url = console.info['url'] ?? ''
  const startedAgain = new Promise<void>(resolve => keeper.onStartedAgain(resolve))
  // As up does, once all parts are there.
  const options = keeper.optionsOf('console') as object
  await keeper.configure('console', { ...options, lastPort: portOf(url) })
  process.kill(console.pid, 'SIGKILL')
  await startedAgain
  assert.equal(keeper.parts[0]?.info['url'], url)
  assert.notEqual((await visit(url)).csrf, '')
})

/** The README's own examples, in a folder as a new user has it. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { portOf } from '../../src/cli/commands/up-console.ts'
import { runComporta, startComporta, temporaryFolder, type RunningCommand } from '../support/comporta.ts'
import { ask, type Login, logIn } from '../support/console.ts'
import { freePorts } from '../support/ports.ts'

interface Setup {
  readonly cwd: string
  readonly env: Record<string, string>
  readonly eventsUrl: string
  readonly up: RunningCommand
}

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
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

/** `comporta init && comporta up`, on ports that are free. */
async function startPipeline(t: TestContext): Promise<Setup> {
  const cwd = temporaryFolder(t)
  const [kafka, http, lambda] = await freePorts(3)
  const env = {
    COMPORTA_KAFKA__EMBEDDED__PORT: String(kafka),
    COMPORTA_PRODUCER__SOURCES__0__PORT: String(http),
    COMPORTA_LAMBDA__PORT: String(lambda),
    COMPORTA_DISPATCHER__BATCH__AGE_MS: '50'
  }
  await runComporta(['init'], { cwd })
  const up = await startComporta(t, ['up'], { cwd, env, until: /running as process \d+; Ctrl-C drains/ })
  return { cwd, env, eventsUrl: `http://127.0.0.1:${http}/events`, up }
}

function post(url: string, body: string): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

/** Waits for the text in what the pipeline prints; the test's own time limit ends a wait in vain. */
async function seen(up: RunningCommand, pattern: RegExp): Promise<void> {
  while (!pattern.test(up.output())) await new Promise(resolve => setTimeout(resolve, 20))
}

/** The console of a pipeline that has just started: its address opens it, and it knows the parts. */
async function checkConsole(up: RunningCommand): Promise<void> {
  const [line = '', url = ''] = /^ {2}console +(http:\S+)$/m.exec(up.output()) ?? []
  const visitor = await visit(url)
  assert.deepEqual((await instancesOf(visitor, 4)).toSorted(), ['broker', 'dispatcher', 'lambda', 'producer'])
  const others = up.output().replace(line, '')
  assert.doesNotMatch(
    others,
    /token=|\/metrics/,
    'no token is in a log, and where the console asks is nobody’s business'
  )
}

test('events by file, standard input and HTTP reach the function once; bad ones are dead letters', async t => {
  const { cwd, env, eventsUrl, up } = await startPipeline(t)
  await checkConsole(up)
  writeFileSync(join(cwd, 'events.ndjson'), '{"codigo":300,"truck_id":"T-1","speed":71}\nnot json\n{"codigo":300}\n')

  const ingest = await runComporta(['ingest', 'events.ndjson', '--json'], { cwd, env })
  assert.equal(ingest.exitCode, 0, ingest.stderr)
  const { published, deadLettered, failed } = JSON.parse(ingest.stdout) as Record<string, number>
  // The line that is no JSON and the event without truck_id cannot be keyed.
  assert.deepEqual({ published, deadLettered, failed }, { published: 1, deadLettered: 2, failed: 0 })
  await seen(up, /mt-c300-\d+: 1 events from offset 0/)

  const produce = await runComporta(['produce', '-'], { cwd, env, input: '{"codigo":401,"truck_id":"T-2"}\n' })
  assert.equal(produce.exitCode, 0, produce.stderr)
  assert.match(produce.stdout, /published 1 event in/)
  await seen(up, /mt-c400-\d+: 1 events from offset 0/)

  const answer = await post(eventsUrl, '{"codigo":301,"truck_id":"T-3"}')
  assert.equal(answer.status, 202)
  const refused = await post(eventsUrl, '{"codigo":')
  assert.equal(refused.status, 400)

  // Delivered, and so committed by the stop.
  await seen(up, /(mt-c300-\d+: 1 events[^]*){2}/)
  const delivered = [...up.output().matchAll(/(mt-c300-\d+): 1 events from offset (\d+)/g)]
  const [, partition = '', offset = ''] = delivered[1] ?? []
  assert.equal(await up.stop('SIGTERM'), 0)

  const again = await startComporta(t, ['up', '--no-console'], {
    cwd,
    env,
    until: /running as process \d+; Ctrl-C drains/
  })
  await post(eventsUrl, '{"codigo":301,"truck_id":"T-3"}')
  // The same key lands in the same partition, behind the event of the first run: nothing of that is delivered again.
  await seen(again, new RegExp(`${partition}: 1 events from offset ${Number(offset) + 1}\\b`))
  assert.equal([...again.output().matchAll(/events from offset/g)].length, 1)
  assert.equal(await again.stop(), 0)
})

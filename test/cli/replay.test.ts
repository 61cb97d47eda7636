/** `comporta replay` as a person and as a program use it. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { hostedComporta, runComporta, temporaryFolder } from '../support/comporta.ts'

const hosted = hostedComporta()

interface World {
  readonly run: (...args: string[]) => ReturnType<typeof runComporta>
  /** `run` in a process of its own. */
  readonly runAlone: (...args: string[]) => ReturnType<typeof runComporta>
  /** Any command, in the folder of the pipeline file. */
  readonly comporta: (...args: string[]) => ReturnType<typeof runComporta>
  /** Numbers that the target was sent, in order. */
  readonly sent: number[]
}

/** A topic with records 0 to 9 at times 1000, 2000, … and a target that notes what comes. */
async function world(t: TestContext, more: (port: number) => string = () => ''): Promise<World> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  await new Admin(cluster).createTopics([
    { topic: 't', partitionCount: 1 },
    { topic: 'dead', partitionCount: 1 }
  ])
  const appender = new Appender({ cluster })
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  for (let n = 0; n < 10; n += 1) {
    appender.append({ topic: 't', key: null, value: Buffer.from(`{"n":${n}}`), timestampMs: 1000 * (n + 1) }, listener)
  }
  await appender.flush()
  await appender.close()
  await cluster.close()

  const sent: number[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      const { messages } = JSON.parse(body) as { messages: { n: number }[] }
      sent.push(...messages.map(({ n }) => n))
      if (request.url === '/picky' && messages.some(({ n }) => n === 5)) response.statusCode = 400
      response.end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const cwd = temporaryFolder(t)
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
topics: { t: {} }
dispatcher:
  groupId: g
  topics: [t]
  batch: { ageMs: 20 }
  target: { type: http, url: "http://127.0.0.1:${port}/" }
  deadLetterTopic: dead
${more(port)}`
  )
  return {
    run: (...args) => hosted(['replay', ...args], { cwd }),
    runAlone: (...args) => runComporta(['replay', ...args], { cwd }),
    comporta: (...args) => hosted(args, { cwd }),
    sent
  }
}

test('a replay of one pipeline: refused, asked for, done, gone on with and taken back', async t => {
  const { run, runAlone, sent, comporta } = await world(t)

  await t.test('what cannot be replayed is said in one line', async () => {
    for (const [args, message] of [
      [['--from', 'yesterday', '--to', 'latest'], /A time is like 2026-03-01T09:00:00Z \(with its zone\)/],
      [['--from', '2026-03-01T09:00:00', '--to', 'latest'], /with its zone/],
      [['--from', 'earliest'], /--to <time>/],
      [['--from', 'earliest', '--to', 'latest', '--group', 'g'], /g is the group of the live records/],
      [['--from', 'earliest', '--to', 'latest', '--topic', 'other'], /other is not one of dispatcher.topics \(t\)/],
      [['--from', '20000', '--to', 'latest'], /there is nothing between the bounds/]
    ] as const) {
      const { exitCode, stderr } = await run(...args)
      assert.equal(exitCode, 64, stderr)
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /\n {4}at /)
    }
  })

  await t.test('the group of a replay is deleted when asked for, or taken away by the undo', async () => {
    const bounds = ['--from', '1970-01-01T00:00:03Z', '--to', '5000', '--yes']
    const deleted = await run(...bounds, '--delete-group', '--json')
    assert.equal(deleted.exitCode, 0, deleted.stderr)
    assert.equal((JSON.parse(deleted.stdout) as { isGroupDeleted: boolean }).isGroupDeleted, true)
    const again = await run(...bounds)
    assert.equal(again.exitCode, 0, again.stderr)
    assert.deepEqual(sent, [2, 3, 2, 3], 'nothing of the first replay is remembered')
    const [, id] = /to delete it: comporta undo (\S+)/.exec(again.stdout) ?? []
    const undone = await comporta('undo', id ?? '', '--yes')
    assert.equal(undone.exitCode, 0, undone.stderr)
    assert.match(undone.stdout, /warning: what the replay has delivered stays delivered\n/)
    const fresh = await run(...bounds.slice(0, 4), '--dry-run')
    assert.match(fresh.stdout, /up to 2 records as group g-replay\n$/)
  })
  sent.length = 0

  await t.test('the plan is shown, a person is asked, and a program says --yes', async () => {
    const bounds = ['--from', '1970-01-01T00:00:03Z', '--to', '7000']
    const dry = await run(...bounds, '--dry-run')
    assert.equal(dry.exitCode, 0, dry.stderr)
    assert.equal(
      dry.stdout,
      'partition  from  to  to replay\nt-0           2   6          4\nup to 4 records as group g-replay\n'
    )
    const unasked = await run(...bounds)
    assert.equal(unasked.exitCode, 64)
    assert.match(unasked.stderr, /nobody can be asked without a terminal: look with --dry-run, go on with --yes/)
    assert.deepEqual(sent, [])

    const done = await runAlone(...bounds, '--yes', '--json')
    assert.equal(done.exitCode, 0, done.stderr)
    const result = JSON.parse(done.stdout) as Record<string, unknown>
    assert.deepEqual([result['isDone'], result['records'], result['groupId']], [true, 4, 'g-replay'])
    assert.deepEqual(sent, [2, 3, 4, 5])

    const again = await run(...bounds, '--dry-run')
    assert.match(again.stdout, /up to 0 records as group g-replay, going on where an earlier run ended/)
    assert.equal((await run(...bounds, '--yes', '--restart')).exitCode, 0)
    assert.deepEqual(sent, [2, 3, 4, 5, 2, 3, 4, 5])
  })
})

test('a replay uses the targets of classes, and leaves no record in a retry topic behind', async t => {
  const { runAlone, sent } = await world(
    t,
    port => `  order: key
  retry: { attemptsMax: 1, delays: [3600000] }
  priorities: [{ name: c, topics: [t], share: 1, target: { type: http, url: "http://127.0.0.1:${port}/picky" } }]
`
  )
  const { exitCode, stdout, stderr } = await runAlone('--from', '4000', '--to', '8000', '--yes', '--json')
  assert.equal(exitCode, 0, stderr)
  const { records, deadLettered } = JSON.parse(stdout) as Record<string, unknown>
  assert.deepEqual([records, deadLettered], [3, 1])
  assert.deepEqual(new Set(sent), new Set([3, 4, 5, 6]))
})

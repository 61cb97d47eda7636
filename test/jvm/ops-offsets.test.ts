/**
 * Resets by the rules of Kafka's own tool, asked of the tool itself: twin groups with the same commits, one reset by
 * kafka-consumer-groups and one by us, are compared partition by partition; so are the files that both write and read.
 * All runs of the tool share one JVM.
 */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test, type TestContext } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import {
  applyChange,
  type Change,
  csvOf,
  filedOf,
  type OffsetsOpen,
  planPlace,
  planReset,
  readDuration,
  readOffsets,
  readTime,
  type ResetTo,
  showOffsets,
  UndoStore
} from '../../src/ops/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { kafkaClassPath } from '../support/kafka-jvm.ts'
import { isLongRun } from './tools.ts'

const PROGRAM = join(import.meta.dirname, 'programs', 'ConsumerGroups.java')
const TOPIC = 'mt-c400'
/** More than 24 characters: the tool writes it in quotes. */
const LONG_TOPIC = 'a-topic-with-a-name-of-many-characters'
const HOUR_MS = 3_600_000
/** Partitions of the topic: records, and how many of the first are gone. One is empty. */
const PARTITIONS = [
  { records: 20, deleted: 0 },
  { records: 15, deleted: 5 },
  { records: 0, deleted: 0 }
]

/** What both are to do, once in the words of the tool and once in ours. */
interface Scenario {
  readonly args: readonly string[]
  readonly plan: (open: OffsetsOpen, groupId: string) => Promise<Change>
}

interface Twin {
  readonly scenario: Scenario
  /** Commit of each partition before; `undefined` = none. */
  readonly commits: readonly (bigint | undefined)[]
  readonly index: number
}

interface World {
  readonly open: OffsetsOpen
  readonly bootstrapServers: string
  /** Time of the first record; each is an hour after the one before. */
  readonly startMs: number
}

async function worldOf(t: TestContext): Promise<World> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([
    { topic: TOPIC, partitionCount: PARTITIONS.length },
    { topic: LONG_TOPIC, partitionCount: 1 }
  ])
  // Half an hour off, so that a duration ends between two records, however long the tool takes to start.
  const startMs = Date.now() - 20 * HOUR_MS + HOUR_MS / 2
  const appender = new Appender({ cluster, lingerMs: 1 })
  for (const [partition, { records }] of PARTITIONS.entries()) {
    for (let index = 0; index < records; index += 1) {
      const record = { topic: TOPIC, key: null, value: Buffer.from('{}'), partition }
      appender.append({ ...record, timestampMs: startMs + index * HOUR_MS }, ignored)
    }
  }
  appender.append({ topic: LONG_TOPIC, key: null, value: Buffer.from('{}') }, ignored)
  await appender.flush()
  await appender.close()
  await admin.deleteRecords(
    PARTITIONS.flatMap(({ deleted }, partition) =>
      deleted === 0 ? [] : [{ topic: TOPIC, partition, beforeOffset: BigInt(deleted) }]
    )
  )
  return { open: { cluster, admin }, bootstrapServers: broker.bootstrapServers, startMs }
}

const ignored = { delivered: () => undefined, failed: () => undefined }

const scope = [{ topic: TOPIC, partitions: undefined }]

function reset(to: ResetTo | (() => ResetTo), ...args: string[]): Scenario {
  return {
    args: ['--topic', TOPIC, ...args],
    plan: (open, groupId) => planReset(open, { groupIds: [groupId], scope, to: typeof to === 'function' ? to() : to })
  }
}

function atTime(text: string): Scenario {
  const read = readTime(text)
  assert.ok(read.kind === 'ms')
  return reset({ kind: 'time', timestampMs: BigInt(read.ms) }, '--to-datetime', text)
}

function byDuration(text: string): Scenario {
  const read = readDuration(text)
  assert.ok(read.kind === 'ms')
  return reset(() => ({ kind: 'time', timestampMs: BigInt(Date.now() - read.ms) }), '--by-duration', text)
}

async function fromFile(file: string, text: string): Promise<Scenario> {
  await writeFile(file, text)
  const offsets = readOffsets(text, file)
  return {
    args: ['--from-file', file],
    plan: (open, groupId) => planPlace(open, { groupId, offsets, title: 'Set' })
  }
}

/** What only the long run has besides. */
function long<T>(...more: readonly T[]): readonly T[] {
  return isLongRun ? more : []
}

/** Every scenario there is, with the edges that its rules have. */
async function allScenarios({ startMs }: World, folder: string): Promise<Scenario[]> {
  const time = (hours: number): string => new Date(startMs + hours * HOUR_MS).toISOString()
  const csv = (rows: readonly string[]): string => rows.map(row => `${TOPIC},${row}\n`).join('')
  return [
    reset({ kind: 'earliest' }, '--to-earliest'),
    reset({ kind: 'latest' }, '--to-latest'),
    reset({ kind: 'current' }, '--to-current'),
    ...[3n, 10n, 99n, ...long(0n, 17n)].map(offset => reset({ kind: 'offset', offset }, '--to-offset', `${offset}`)),
    ...[-100n, 3n, 100n, ...long(-3n, 0n)].map(by => reset({ kind: 'shift', by }, '--shift-by', `${by}`)),
    ...[-1, 7.5, 14, 30, ...long(0, 2, 14.5)].map(hours => atTime(time(hours))),
    atTime(new Date(startMs + 6 * HOUR_MS).toISOString().replace('Z', '+00:00')),
    ...['PT3H', 'PT14H10M', '-PT1H', ...long('PT0S', 'P1D', 'PT0.5S')].map(byDuration),
    await fromFile(join(folder, 'inside.csv'), csv(['0,4', '1,7'])),
    await fromFile(join(folder, 'outside.csv'), csv(['0,99', '1,1', '2,5']))
  ]
}

/** Sets the commits, has the tool and us reset, and compares. */
async function compare(t: TestContext, world: World, twins: readonly Twin[]): Promise<void> {
  const { open, bootstrapServers } = world
  const groupOf = (who: string, { index }: Twin): string => `${who}-${index}`
  for (const twin of twins) {
    const offsets = twin.commits.flatMap((offset, partition) =>
      offset === undefined ? [] : [{ topic: TOPIC, partition, offset }]
    )
    for (const who of ['kafka', 'ours']) {
      if (offsets.length > 0) await open.admin.alterGroupOffsets(groupOf(who, twin), offsets)
    }
  }
  // Both at the same time: each has groups of its own.
  const answering = runTool(
    bootstrapServers,
    twins.map(twin => [
      '--reset-offsets',
      '--group',
      groupOf('kafka', twin),
      ...twin.scenario.args,
      '--execute',
      '--export'
    ])
  )
  const store = new UndoStore({ folder: temporaryFolder(t) })
  const changes: Change[] = []
  for (const twin of twins) {
    const change = await twin.scenario.plan(open, groupOf('ours', twin))
    if (change.plan.blockers.length === 0) await applyChange(change, { store, clusterId: null })
    changes.push(change)
  }
  const answers = await answering
  for (const [at, twin] of twins.entries()) {
    const what = `${twin.scenario.args.join(' ')} on ${twin.commits.join(', ')}: ${answers[at]}`
    const { blockers = [] } = changes[at]?.plan ?? {}
    const isRefused = blockers.length > 0
    assert.equal(isRefused, /exit 1|Error/.test(answers[at] ?? ''), `${what}${blockers.join()}`)
    const [kafka, ours] = await Promise.all(
      ['kafka', 'ours'].map(async who => {
        const { offsets } = await showOffsets(open, { groupIds: [groupOf(who, twin)], scope: 'all' })
        return offsets.map(({ partition, stored }) => `${partition}@${stored.offset}`)
      })
    )
    assert.deepEqual(ours, kafka, what)
    if (isRefused) continue
    // The tool exports what it was told to reset; all that we have in the end is that, and what was there besides.
    const exported = await exportOf(open, [groupOf('ours', twin)])
    assert.ok(linesOf(answers[at]).length > 0, what)
    for (const line of linesOf(answers[at])) assert.ok(exported.includes(line), `${what}: no ${line}`)
  }
}

/** The rows of a CSV among what the tool has printed. */
function linesOf(text = ''): string[] {
  return text.split('\n').filter(line => /^"?[a-z][^ ]*,\d+,\d+$/.test(line))
}

async function exportOf(open: OffsetsOpen, groupIds: readonly string[]): Promise<string[]> {
  const { offsets } = await showOffsets(open, { groupIds, scope: 'all' })
  return linesOf(csvOf(filedOf(offsets, { isGroupNamed: groupIds.length > 1 })))
}

/** One JVM for the whole file: it answers each line of arguments with a line. */
let jvm: { readonly child: ChildProcess; readonly answers: AsyncIterator<string> } | undefined

after(() => jvm?.child.kill('SIGKILL'))

async function startJvm(): Promise<NonNullable<typeof jvm>> {
  const args = ['-XX:TieredStopAtLevel=1', '-cp', await kafkaClassPath(), PROGRAM]
  const child = spawnBound('java', args)
  assert.ok(child.stdout !== null)
  child.stderr?.resume()
  return { child, answers: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
}

async function runTool(bootstrapServers: string, runs: readonly (readonly string[])[]): Promise<string[]> {
  jvm ??= await startJvm()
  const answers: string[] = []
  for (const args of runs) {
    jvm.child.stdin?.write(`${['--bootstrap-server', bootstrapServers, ...args].join('\t')}\n`)
    const { value } = await jvm.answers.next()
    answers.push(Buffer.from(String(value), 'base64').toString())
  }
  return answers
}

test('every scenario ends where kafka-consumer-groups ends, clamping and refusals included', async t => {
  const world = await worldOf(t)
  const scenarios = await allScenarios(world, temporaryFolder(t))
  const whole = [8n, 9n, 0n]
  const odd = [25n, 2n, undefined]
  const twins = scenarios.flatMap(scenario => [
    { scenario, commits: whole },
    ...(isLongRun || scenario.args.some(arg => /--(shift-by|to-current)/.test(arg)) ? [{ scenario, commits: odd }] : [])
  ])
  await compare(
    t,
    world,
    twins.map((twin, index) => ({ ...twin, index }))
  )
})

test('files of offsets go both ways', async t => {
  const { open, bootstrapServers } = await worldOf(t)
  const folder = temporaryFolder(t)
  const groupIds = ['billing', 'a group, with "quotes" + more']
  for (const [index, groupId] of groupIds.entries()) {
    await open.admin.alterGroupOffsets(groupId, [
      { topic: TOPIC, partition: 0, offset: BigInt(4 + index) },
      { topic: TOPIC, partition: 1, offset: 6n },
      { topic: LONG_TOPIC, partition: 0, offset: 1n }
    ])
  }
  const [one, many] = [join(folder, 'one.csv'), join(folder, 'many.csv')]
  const { offsets } = await showOffsets(open, { groupIds, scope: 'all' })
  const [ofOne, ofMany] = [
    csvOf(
      filedOf(
        offsets.filter(({ groupId }) => groupId === 'billing'),
        { isGroupNamed: false }
      )
    ),
    csvOf(filedOf(offsets, { isGroupNamed: true }))
  ]
  await writeFile(one, ofOne)
  await writeFile(many, ofMany)
  const groups = groupIds.flatMap(groupId => ['--group', groupId])
  const [exportedOne, exportedMany, readOne, readMany] = await runTool(bootstrapServers, [
    ['--reset-offsets', '--group', 'billing', '--all-topics', '--to-current', '--dry-run', '--export'],
    ['--reset-offsets', ...groups, '--all-topics', '--to-current', '--dry-run', '--export'],
    ['--reset-offsets', '--group', 'billing', '--from-file', one, '--dry-run', '--export'],
    ['--reset-offsets', ...groups, '--from-file', many, '--dry-run', '--export']
  ])
  const sorted = (text = ''): string[] =>
    text
      .split('\n')
      .filter(line => line.includes(','))
      .toSorted()
  for (const exported of [exportedOne, readOne]) assert.deepEqual(sorted(exported), sorted(ofOne))
  for (const exported of [exportedMany, readMany]) assert.deepEqual(sorted(exported), sorted(ofMany))
  const back = readOffsets(sorted(exportedMany).join('\n'), 'exported')
  assert.deepEqual(new Set(back.map(({ groupId }) => groupId)), new Set(groupIds))
})

test(
  'scenarios on commits of chance end alike',
  { skip: isLongRun ? false : 'long: npm run test:jvm:long' },
  async t => {
    const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
    t.diagnostic(`TEST_SEED=${seed}`)
    const random = new SeededRandom(seed)
    const world = await worldOf(t)
    const known = await allScenarios(world, temporaryFolder(t))
    const twins = Array.from({ length: 120 }, (_, index): Twin => {
      const commits = PARTITIONS.map(() => (randomInt(random, 4) === 0 ? undefined : BigInt(randomInt(random, 30))))
      const offset = BigInt(randomInt(random, 40) - 10)
      const made = [
        reset(
          { kind: 'offset', offset: offset < 0n ? -offset : offset },
          '--to-offset',
          `${offset < 0n ? -offset : offset}`
        ),
        reset({ kind: 'shift', by: offset }, '--shift-by', `${offset}`),
        atTime(new Date(world.startMs + randomInt(random, 22 * 60) * 60_000).toISOString()),
        known[randomInt(random, known.length)]
      ]
      const scenario = made[randomInt(random, made.length)]
      assert.ok(scenario !== undefined)
      return { scenario, commits, index }
    })
    await compare(t, world, twins)
  }
)

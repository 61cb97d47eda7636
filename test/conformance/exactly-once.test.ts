/**
 * Exactly once under harm: dispatchers that consume, transform and produce are killed without a word, stopped and
 * started while records come in. Whoever reads committed records finds each input once, in order per key.
 *
 * `EXACTLY_ONCE=long` (npm run test:exactly-once) does more of it, in both group protocols.
 */

import assert from 'node:assert/strict'
import { type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { TransactionalAppender } from '../../src/client/index.ts'
import { type DispatcherConfig } from '../../src/config/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { spawnBound } from '../support/child-process.ts'
import type { MemberLine, MemberProgramOptions } from '../support/dispatch-member.ts'
import { until } from './dispatch-support.ts'
import { assertExactlyOnce, counted, TopicBench } from './exactly-once-support.ts'

const isLong = process.env['EXACTLY_ONCE'] === 'long'
const program = path.join(import.meta.dirname, '../support/dispatch-member.ts')
const file = path.join(import.meta.dirname, 'exactly-once-transform.ts')
const partitionCount = 4
const keyCount = 24

/** A dispatcher in a process of its own. */
class Member {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #errors = ''
  line: MemberLine = { state: 'starting', partitions: 0, records: 0 }

  constructor(options: MemberProgramOptions) {
    this.#child = spawnBound(process.execPath, [program, JSON.stringify(options)])
    this.#exited = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString()).slice(-4000)))
    if (this.#child.stdout !== null) {
      createInterface(this.#child.stdout).on('line', text => {
        if (text.startsWith('{"state"')) this.line = JSON.parse(text) as MemberLine
      })
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child.kill(signal)
    await this.#exited
  }

  async untilAtWork(): Promise<void> {
    await until(() => this.line.records > 0 || this.#child.exitCode !== null, `a member is at work ${this.#errors}`)
    assert.equal(this.#child.exitCode, null, this.#errors)
  }
}

interface Harm {
  readonly rounds: number
  readonly countPerKey: number
  readonly options?: Partial<DispatcherConfig>
  readonly isStatic: boolean
}

/** Harms members while records come in, and looks at what came out. */
async function harm(t: TestContext, { rounds, countPerKey, options = {}, isStatic }: Harm): Promise<void> {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const topics = await TopicBench.open(t, { partitionCount })
  const { bench } = topics
  const configOf = (index: number): Partial<DispatcherConfig> => ({
    ...topics.config({
      batch: { ...bench.config().batch, recordsMax: 7, ageMs: 5 },
      sessionTimeoutMs: 6000,
      ...(isStatic ? { groupInstanceId: `m${index}` } : {}),
      ...options
    }),
    target: {
      type: 'topic',
      topic: topics.output,
      file,
      exactlyOnce: true,
      transactionalIdPrefix: `${bench.groupId}-${index}`,
      transactionTimeoutMs: 10_000,
      timeoutMs: 10_000
    }
  })
  const bootstrapServers = bench.given.bootstrapServers.split(',')
  const start = (index: number): Member =>
    new Member({ bootstrapServers, config: configOf(index) as MemberProgramOptions['config'] })
  const members = [start(0), start(1)]
  t.after(() => Promise.all(members.map(member => member.end('SIGKILL'))))

  // Input comes all the while, so that there is always something in flight.
  let appended = 0
  let isHarmed = false
  const append = async (): Promise<void> => {
    while (appended < countPerKey) {
      const count = isHarmed ? countPerKey - appended : Math.min(2, countPerKey - appended)
      await bench.append(counted(keyCount, count, appended))
      appended += count
      await tick(5)
    }
  }
  const appending = append()
  for (let round = 0; round < rounds; round += 1) {
    const index = round % members.length
    await members[index]?.untilAtWork()
    await tick(Math.floor(random.next() * 150))
    await members[index]?.end(rounds === 1 || random.next() < 0.75 ? 'SIGKILL' : 'SIGTERM')
    members[index] = start(index)
  }
  isHarmed = true
  await appending
  await bench.untilDrained(partitionCount)

  assertExactlyOnce(await topics.written(), keyCount, countPerKey)
  assert.deepEqual(await topics.written(bench.deadLetterTopic, 1), [])
}

test('dispatchers are killed and stopped at random: each record is in the output once, in order', async t => {
  // A static member that comes back at once goes on where its predecessor was; one that stops makes room at once.
  const options = { groupProtocol: 'classic', staticStop: 'leave' } as const
  await harm(t, { rounds: isLong ? 30 : 1, countPerKey: isLong ? 1200 : 60, isStatic: true, options })
})

test('dynamic members of the new protocol that are killed: each record once, in order', { skip: !isLong }, async t => {
  // Its partitions wait for the end of its session each time, 45 seconds.
  await harm(t, { rounds: 3, countPerKey: 600, isStatic: false, options: { groupProtocol: 'auto' } })
})

test('partitions go back and forth between members: each record is in the output once, in order', async t => {
  const rounds = isLong ? 20 : 3
  const countPerKey = isLong ? 600 : 60
  const topics = await TopicBench.open(t, { partitionCount })
  const transform = (await import('./exactly-once-transform.ts')).transform
  const options = { batch: { ...topics.bench.config().batch, recordsMax: 5, ageMs: 5 } }
  const steady = await topics.dispatch(topics.target(transform), options)
  let appended = 0
  const appending = (async () => {
    for (; appended < countPerKey; appended += 2) await topics.bench.append(counted(keyCount, 2, appended))
  })()
  for (let round = 0; round < rounds; round += 1) {
    const guest = await topics.dispatch(topics.target(transform), options)
    await until(() => guest.status().totals.records > 0 || appended >= countPerKey, 'the guest is at work')
    // Every other guest gives nothing the time to finish.
    await (round % 2 === 0 ? guest.drain() : guest.close())
  }
  await appending
  await topics.bench.untilDrained(partitionCount)
  await steady.drain()

  assertExactlyOnce(await topics.written(), keyCount, countPerKey)
})

test('a producer that is fenced is replaced: what it had begun is done again', async t => {
  const topics = await TopicBench.open(t)
  const { cluster, groupId } = topics.bench
  const prefix = `${groupId}-fenced`
  const { target } = topics.config()
  assert.ok(target.type === 'topic')
  let callCount = 0
  const fence = async (records: readonly { key: Buffer | null; value: Buffer | null }[]) => {
    callCount += 1
    // The producer has written once by now: somebody takes its id over.
    if (callCount === 2) {
      for (let index = 0; index < 4; index += 1) {
        const thief = new TransactionalAppender({ cluster, transactionalId: `${prefix}-${index}` })
        await thief.start()
        await thief.close()
      }
    }
    return records
  }
  await topics.bench.append(counted(1, 30))
  const dispatcher = await topics.dispatch(topics.target(fence as never), {
    target: { ...target, transactionalIdPrefix: prefix }
  })
  await topics.bench.untilDrained()
  await dispatcher.drain()

  assertExactlyOnce(await topics.written(), 1, 30)
  assert.ok(dispatcher.status().totals.unavailable > 0)
})

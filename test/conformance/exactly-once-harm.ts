/** Exactly once under harm: members in processes of their own, input that comes all the while, and who is harmed. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import type { DispatcherConfig } from '../../src/config/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { spawnBound } from '../support/child-process.ts'
import type { MemberLine, MemberProgramOptions } from '../support/dispatch-member.ts'
import { until } from './dispatch-support.ts'
import { assertExactlyOnce, counted, TopicBench } from './exactly-once-support.ts'

const program = path.join(import.meta.dirname, '../support/dispatch-member.ts')
const file = path.join(import.meta.dirname, 'exactly-once-transform.ts')
const partitionCount = 4
const keyCount = 24

/** A dispatcher in a process of its own. */
export class Member {
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

  /** SIGSTOP, for longer than its session; the group goes on without it. Then it wakes up. */
  async freeze(timeMs: number): Promise<void> {
    this.#child.kill('SIGSTOP')
    await tick(timeMs)
    this.#child.kill('SIGCONT')
  }

  async untilAtWork(): Promise<void> {
    await until(() => this.line.records > 0 || this.#child.exitCode !== null, `a member is at work ${this.#errors}`)
    assert.equal(this.#child.exitCode, null, this.#errors)
  }
}

/** What is done to whom. */
export interface Harm {
  readonly rounds: number
  readonly countPerKey: number
  readonly options?: Partial<DispatcherConfig>
  /** Whether members keep their place while they are away. */
  readonly isStatic: boolean
  /** One round of harm. Default: a member is killed, or now and then stopped, and started again. */
  readonly hurt?: (victims: Victims) => Promise<void>
}

/** Who may be harmed. */
export interface Victims {
  readonly members: Member[]
  readonly start: (index: number) => Member
  readonly round: number
  readonly random: SeededRandom
}

/** Harms members while records come in, and looks at what came out. */
export async function harm(
  t: TestContext,
  { rounds, countPerKey, options = {}, isStatic, hurt = kill }: Harm
): Promise<void> {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const topics = await TopicBench.open(t, { partitionCount })
  const { bench } = topics
  const configOf = (index: number): Partial<DispatcherConfig> => ({
    ...topics.config({
      batch: { ...bench.config().batch, recordsMax: 7, ageMs: 5 },
      sessionTimeoutMs: 6000,
      // What a member was to give back when it was killed waits this long.
      rebalanceTimeoutMs: 6000,
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
  for (let round = 0; round < rounds; round += 1) await hurt({ members, start, round, random })
  isHarmed = true
  await appending
  await bench.untilDrained(partitionCount)

  assertExactlyOnce(await topics.written(), keyCount, countPerKey)
  assert.deepEqual(await topics.written(bench.deadLetterTopic, 1), [])
}

/** Kills a member, or stops it, and starts it again. The first is always killed. */
async function kill({ members, start, round, random }: Victims): Promise<void> {
  const index = round % members.length
  await members[index]?.untilAtWork()
  await tick(Math.floor(random.next() * 150))
  await members[index]?.end(round === 0 || random.next() < 0.75 ? 'SIGKILL' : 'SIGTERM')
  members[index] = start(index)
}

/**
 * Kafka's own exactly-once program, TransactionalMessageCopier, on our broker:
 * it copies a topic in transactions, offsets included, and aborts some of them
 * at random. Meanwhile the broker is killed again and again. In the end every
 * record must be in the copy once.
 */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { uniqueName } from '../support/cluster.ts'
import { spawnBound } from '../support/child-process.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { freePorts } from '../support/ports.ts'
import { brokerWithTools, inShortRun, linesOf } from './tools.ts'

const RECORD_COUNT = 30_000
const KILL_COUNT_MAX = 5

/** A broker in a process of its own that always comes back on the same port. */
class MortalBroker {
  readonly bootstrapServers: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor(dataDir: string, port: number) {
    this.bootstrapServers = `127.0.0.1:${port}`
    this.#args = [dataDir, String(port)]
  }

  static async start(t: TestContext): Promise<MortalBroker> {
    const dataDir = await mkdtemp(join(tmpdir(), 'comporta-copier-'))
    const [port = 0] = await freePorts(1)
    const broker = new MortalBroker(dataDir, port)
    t.after(async () => {
      await broker.kill()
      await rm(dataDir, { recursive: true, force: true })
    })
    await broker.revive()
    return broker
  }

  async revive(): Promise<void> {
    const program = join(import.meta.dirname, '../broker/broker-process.ts')
    this.#child = spawnBound(process.execPath, [program, ...this.#args])
    await once(this.#child.stdout ?? this.#child, 'data')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }
}

test(
  "Kafka's transactional copier copies every record once while the broker is killed again and again",
  { skip: inShortRun },
  async t => {
    const broker = await MortalBroker.start(t)
    const server = ['--bootstrap-server', broker.bootstrapServers]
    const [input, output, group] = [uniqueName('in'), uniqueName('out'), uniqueName('group')]
    for (const [topic, partitions] of [
      [input, '1'],
      [output, '3']
    ] as const) {
      const args = [...server, '--create', '--topic', topic, '--partitions', partitions]
      await runKafkaTool(KAFKA_TOOLS['kafka-topics'], args)
    }
    const values = Array.from({ length: RECORD_COUNT }, (_, index) => `value-${index}`)
    const stdin = `${values.join('\n')}\n`
    await runKafkaTool(KAFKA_TOOLS['kafka-console-producer'], [...server, '--topic', input], { stdin })

    let isCopied = false
    const names = `--input-topic ${input} --input-partition 0 --output-topic ${output} --consumer-group ${group}`
    const how = `--transactional-id copy --max-messages ${RECORD_COUNT} --transaction-size 50 --enable-random-aborts`
    const copierArgs = ['--broker-list', broker.bootstrapServers, '--group-mode', ...`${names} ${how}`.split(' ')]
    const copying = runKafkaTool(KAFKA_TOOLS['transactional-message-copier'], copierArgs, { timeoutMs: 120_000 })
    void copying.catch(() => undefined).finally(() => (isCopied = true))
    let killCount = 0
    while (!isCopied && killCount < KILL_COUNT_MAX) {
      await delay(1500)
      if (isCopied) break
      await broker.kill()
      await broker.revive()
      killCount += 1
    }
    await copying
    t.diagnostic(`the broker was killed ${killCount} times`)

    const all = `--topic ${output} --from-beginning --isolation-level read_committed --max-messages ${RECORD_COUNT}`
    const consumed = await runKafkaTool(KAFKA_TOOLS['kafka-console-consumer'], [...server, ...all.split(' ')])
    assert.deepEqual(linesOf(consumed.stdout).toSorted(), values.toSorted())
    const dump = await runKafkaTool(KAFKA_TOOLS['kafka-consumer-groups'], [...server, '--describe', '--group', group])
    assert.match(dump.stdout, new RegExp(`${input}\\s+0\\s+${RECORD_COUNT}\\s+${RECORD_COUNT}\\s+0`))
    assert.ok(killCount > 0, 'the copier was too fast to be disturbed')
  }
)

test(
  'a transactional load test is described by kafka-transactions, and none of it hangs',
  { skip: inShortRun },
  async t => {
    const { broker, tool } = await brokerWithTools(t)
    const topic = uniqueName('load')
    await tool('kafka-topics', `--create --topic ${topic} --partitions 2`)
    const load = `--topic ${topic} --num-records 20000 --record-size 100 --throughput -1 --transactional-id load`
    const more = [
      '--transaction-duration-ms',
      '20',
      '--command-property',
      `bootstrap.servers=${broker.bootstrapServers}`
    ]
    await runKafkaTool(KAFKA_TOOLS['kafka-producer-perf-test'], [...load.split(' '), ...more])

    const listed = await tool('kafka-transactions', 'list')
    const described = await tool('kafka-transactions', 'describe --transactional-id load')
    const producers = await tool('kafka-transactions', `describe-producers --topic ${topic} --partition 0`)
    const hanging = await tool('kafka-transactions', 'find-hanging --broker-id 1 --max-transaction-timeout 1')
    const all = `--topic ${topic} --from-beginning --isolation-level read_committed --max-messages 20000`
    const consumed = await tool('kafka-console-consumer', all)

    assert.match(listed, /load\s+1\s+\d+\s+CompleteCommit/)
    assert.match(described, /load\s+\d+\s+\d+\s+CompleteCommit\s+60000/)
    assert.match(producers, /\d+\s+\d+\s+0\s+-1\s+\d+\s+None/)
    assert.equal(linesOf(hanging).length, 1, 'a heading and nothing else')
    assert.equal(linesOf(consumed).length, 20_000)
  }
)

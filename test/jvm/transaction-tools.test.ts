/** Transactions through Kafka's own programs: the copier of its system tests, and the tool for stuck transactions. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import kafkajs from 'kafkajs'
import { uniqueName } from '../support/cluster.ts'
import { KAFKA_TOOLS, startKafkaTool } from '../support/kafka-jvm.ts'
import {
  brokerWithTools,
  type BrokerWithTools,
  inShortRun,
  isLongRun,
  linesOf,
  type RunningTool,
  watch
} from './tools.ts'

const recordCount = 4_000

function startCopier(t: TestContext, { broker }: BrokerWithTools, args: string): Promise<RunningTool> {
  const all = ['--broker-list', broker.bootstrapServers, ...args.split(' ')]
  return startKafkaTool(KAFKA_TOOLS['transactional-message-copier'], all).then(child => watch(t, child))
}

async function recordsOf({ tool }: BrokerWithTools, topic: string): Promise<string[]> {
  const read = `--topic ${topic} --from-beginning --timeout-ms 3000 --isolation-level read_committed`
  return linesOf(await tool('kafka-console-consumer', read))
}

const groupMode = ' --group-mode --use-group-metadata'

for (const mode of isLongRun ? ['', groupMode] : [groupMode]) {
  const how = mode === '' ? 'with assigned partitions' : 'as members of a group'
  test(
    `TransactionalMessageCopiers ${how}, aborting at random and killed, copy each record exactly once`,
    { skip: inShortRun },
    async t => {
      const world = await brokerWithTools(t)
      const [input, output, group] = [uniqueName('input'), uniqueName('output'), uniqueName('group')]
      for (const topic of [input, output]) await world.tool('kafka-topics', `--create --topic ${topic} --partitions 1`)
      const values = Array.from({ length: recordCount }, (_, index) => `record ${index}`)
      await world.tool('kafka-console-producer', `--topic ${input}`, { stdin: `${values.join('\n')}\n` })
      const topics = `--input-topic ${input} --input-partition 0 --output-topic ${output}`
      const identity = `--consumer-group ${group} --transactional-id ${uniqueName('copier')}`
      const args = `${topics} ${identity} --transaction-size 50 --enable-random-aborts${mode}`

      const first = await startCopier(t, world, args)
      await first.until(lines => consumedOf(lines) > 500)
      await first.stop('SIGKILL')
      const second = await startCopier(t, world, args)
      await second.until(lines => lines.some(line => line.includes('"ShutdownComplete"')))
      const copied = await recordsOf(world, output)

      assert.deepEqual(copied, values)
    }
  )
}

/** How many records a copier says that it has read. */
function consumedOf(lines: readonly string[]): number {
  const { consumed = 0 } = JSON.parse(lines.at(-1) ?? '{}') as { consumed?: number }
  return consumed
}

/** A client that has begun a transaction with one record, and will never end it. */
async function openTransaction(t: TestContext, { broker }: BrokerWithTools, transactionalId: string): Promise<string> {
  const topic = uniqueName('stuck')
  const kafka = new kafkajs.Kafka({ brokers: [broker.bootstrapServers], logLevel: kafkajs.logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  await admin.disconnect()
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  t.after(() => producer.disconnect())
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ value: 'never committed' }] })
  return topic
}

test('kafka-transactions finds an open transaction, shows its producer, and ends it', { skip: inShortRun }, async t => {
  const world = await brokerWithTools(t)
  const { tool } = world
  const topic = await openTransaction(t, world, 'stuck-application')

  const listed = await tool('kafka-transactions', 'list')
  const described = await tool('kafka-transactions', 'describe --transactional-id stuck-application')
  const producers = await tool('kafka-transactions', `describe-producers --topic ${topic} --partition 0`)
  await tool('kafka-console-producer', `--topic ${topic}`, { stdin: 'behind it\n' })
  const before = await recordsOf(world, topic)
  await tool('kafka-transactions', 'forceTerminateTransaction --transactionalId stuck-application')
  const after = await recordsOf(world, topic)
  const ended = await tool('kafka-transactions', `describe-producers --topic ${topic} --partition 0`)

  assert.match(listed, /stuck-application\s+1\s+\d+\s+Ongoing/)
  assert.match(described, new RegExp(`stuck-application\\s.*Ongoing\\s.*${topic}-0`))
  // ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp CurrentTransactionStartOffset
  assert.match(producers, /^\d+\s+0\s+-1\s+0\s+\d+\s+0\s*$/m)
  assert.deepEqual(before, [], 'nothing is read beyond an open transaction')
  assert.deepEqual(after, ['behind it'])
  assert.match(ended, /^\d+\s+\d+\s+\d+\s+\S+\s+\d+\s+None\s*$/m)
})

test('kafka-transactions aborts a hanging transaction in its partition', { skip: inShortRun }, async t => {
  const world = await brokerWithTools(t)
  const topic = await openTransaction(t, world, 'hanging-application')
  await world.tool('kafka-console-producer', `--topic ${topic}`, { stdin: 'behind it\n' })

  await world.tool('kafka-transactions', `abort --topic ${topic} --partition 0 --start-offset 0`)

  assert.deepEqual(await recordsOf(world, topic), ['behind it'])
})

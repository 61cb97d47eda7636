/** What becomes of an event when Kafka answers Produce with an error: what docs/reference/producer.md says. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { type Broker, type FaultRule, startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { LineSplitter, type Settlement, startProducer } from '../../src/producer/index.ts'
import { KAFKA_ERRORS, type KafkaErrorName } from '../../src/protocol/index.ts'

const DEAD = 'dead'
/** Whether to send those errors, too, that the reference does not name: `PRODUCE_ERRORS=all`. */
const isLongRun = process.env['PRODUCE_ERRORS'] === 'all'
const skip = isLongRun ? false : 'waits for timeouts: PRODUCE_ERRORS=all'
const NAMES = Object.keys(KAFKA_ERRORS) as KafkaErrorName[]

interface Documented {
  readonly delivered: readonly string[]
  readonly deadLetter: readonly string[]
  readonly again: readonly string[]
}

/** The rows of the table in the reference; what is in none of them fails at once. */
function documented(): Documented {
  const text = readFileSync(join(import.meta.dirname, '../../docs/reference/producer.md'), 'utf8')
  const section = text.slice(text.indexOf('## Errors of Kafka'))
  const row = (start: string): string[] => {
    const line = section.split('\n').find(each => each.startsWith(`| ${start}`))
    assert.ok(line !== undefined, `the reference has a row "${start}"`)
    return [...line.matchAll(/`([A-Z_]{4,})`/g)].map(match => match[1] ?? '')
  }
  return {
    delivered: row('delivered'),
    deadLetter: [...row('dead letter, alone'), ...row('dead letter, with its batch')],
    again: [...row('sent again with new sequences'), ...row('sent again until')]
  }
}

interface Bench {
  readonly broker: Broker
  readonly cluster: Cluster
}

async function bench(t: TestContext): Promise<Bench> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const topics = [DEAD, ...NAMES].map(topic => ({ topic, partitionCount: 1, replicationFactor: 1, configs: {} }))
  await new Admin(cluster).createTopics(topics)
  return { broker, cluster }
}

/** What becomes of one event whose topic is named after the error that it gets. */
async function publish(
  { broker, cluster }: Bench,
  error: KafkaErrorName,
  rule: Partial<FaultRule>
): Promise<Settlement> {
  broker.faults.inject({ api: 'Produce', topic: error, fault: { error }, ...rule })
  const delivery = { lingerMs: 0, timeoutMs: rule.times === Infinity ? 1000 : 30_000 }
  const config = producerConfig({ route: { topic: error }, deadLetterTopic: DEAD, delivery })
  const producer = await startProducer({ config, cluster })
  const chunk = new LineSplitter(1000).push(Buffer.from('{"a":1}\n'))
  assert.ok(chunk !== undefined)
  const settlement = await (await producer.submit(chunk, { source: 'test' })).settled
  await producer.close()
  return settlement
}

function outcomeOf({ deliveredCount, deadLetteredCount }: Settlement): string {
  if (deliveredCount === 1) return 'delivered'
  return deadLetteredCount === 1 ? 'deadLetter' : 'failed'
}

test('an event that gets any error of Kafka once ends as the reference says', async t => {
  const on = await bench(t)
  const { delivered, deadLetter, again } = documented()
  const named = [...delivered, ...deadLetter, ...again, 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED']
  const isAsked = (name: string): boolean => isLongRun || named.includes(name) || name === 'PRODUCER_FENCED'
  const names = NAMES.filter(name => name !== 'NONE' && isAsked(name))

  const outcomes = await Promise.all(names.map(async name => [name, outcomeOf(await publish(on, name, {}))] as const))

  const expected = names.map(name => {
    if (deadLetter.includes(name)) return [name, 'deadLetter']
    return [name, delivered.includes(name) || again.includes(name) ? 'delivered' : 'failed']
  })
  const differences = outcomes.filter(([name, outcome], index) => expected[index]?.join() !== [name, outcome].join())
  assert.deepEqual(differences, [])
})

test('every error that Kafka’s own client retries is sent again, and a few that it treats on their own', () => {
  const { again } = documented()
  const retriable = NAMES.filter(name => KAFKA_ERRORS[name].retriable)
  const own = [
    'CONCURRENT_TRANSACTIONS',
    'INVALID_PRODUCER_EPOCH',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'UNKNOWN_PRODUCER_ID'
  ]
  assert.deepEqual(again.toSorted(), [...new Set([...retriable, ...own])].toSorted())
})

test(
  'an error that stays ends the event at the delivery timeout, or at once where no waiting helps',
  { skip },
  async t => {
    const on = await bench(t)
    const causeOf = async (name: KafkaErrorName): Promise<readonly unknown[]> => {
      const { error } = await publish(on, name, { times: Infinity })
      return [name, error?.code, PipelineError.is(error?.cause) ? error.cause.code : undefined]
    }
    const failed = 'ERR_PRODUCER_DELIVERY_FAILED'
    const [late, refused] = ['ERR_CLIENT_DELIVERY_TIMEOUT', 'ERR_CLIENT_KAFKA']

    const causes = await Promise.all(
      (
        [
          'NOT_ENOUGH_REPLICAS',
          'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
          'UNKNOWN_TOPIC_OR_PARTITION',
          'INVALID_PRODUCER_EPOCH',
          'OUT_OF_ORDER_SEQUENCE_NUMBER',
          'TOPIC_AUTHORIZATION_FAILED',
          'CLUSTER_AUTHORIZATION_FAILED',
          'PRODUCER_FENCED'
        ] as const
      ).map(causeOf)
    )

    assert.deepEqual(causes, [
      ['NOT_ENOUGH_REPLICAS', failed, late],
      ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', failed, late],
      ['UNKNOWN_TOPIC_OR_PARTITION', failed, late],
      ['INVALID_PRODUCER_EPOCH', failed, late],
      ['OUT_OF_ORDER_SEQUENCE_NUMBER', failed, late],
      ['TOPIC_AUTHORIZATION_FAILED', failed, refused],
      ['CLUSTER_AUTHORIZATION_FAILED', failed, refused],
      ['PRODUCER_FENCED', failed, 'ERR_CLIENT_PRODUCER_FENCED']
    ])
  }
)

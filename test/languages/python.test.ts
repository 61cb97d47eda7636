/** Python clients on our broker: confluent-kafka, which is librdkafka, and the pure ones, kafka-python and aiokafka. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { runProcess } from '../support/child-process.ts'
import { pythonSkip, pythonWithClients } from './toolchains.ts'

async function pythonClient(t: { after(fn: () => Promise<void>): void }, program: string): Promise<unknown> {
  const broker = await startBroker({
    config: {
      'group.initial.rebalance.delay.ms': '0',
      'group.consumer.min.heartbeat.interval.ms': '500',
      'group.consumer.heartbeat.interval.ms': '500'
    }
  })
  t.after(() => broker.close())
  const file = join(import.meta.dirname, 'python', program)
  const { stdout } = await runProcess(await pythonWithClients(), [file, broker.bootstrapServers], { timeoutMs: 90_000 })
  return JSON.parse(stdout)
}

const isRequired = process.env['REQUIRE_PYTHON'] === '1'

test('Python is installed where it has to be', { skip: !isRequired && 'REQUIRE_PYTHON is not set' }, () => {
  assert.equal(pythonSkip, false)
})

test('confluent-kafka: every codec, both group protocols, exactly-once copies, fencing, administration', async t => {
  if (pythonSkip !== false) return t.skip(pythonSkip)

  const seen = (await pythonClient(t, 'confluent.py')) as { transactions: { attempts: number } }

  const group = { shares: [2, 2], consumed: 1000, distinct: 1000, outOfOrder: 0, bothHadSome: true, committed: 1000 }
  const { attempts, ...transactions } = seen.transactions
  // 1,000 records in transactions of at most 200, of which every third was given up.
  assert.ok(attempts >= 7, `${attempts} transactions`)
  assert.deepEqual(
    { ...seen, transactions },
    {
      failures: [],
      classic: group,
      consumer: group,
      transactions: { fenced: '_FENCED', isExactlyOnce: true },
      admin: {
        retention: '7200000',
        groups: { 'confluent-classic': 'EMPTY', 'confluent-consumer': 'EMPTY', 'confluent-copy': 'EMPTY' },
        state: 'EMPTY',
        committed: 1000,
        ends: true,
        nodes: 1,
        grown: 6,
        low: 1
      }
    }
  )
})

test('kafka-python and aiokafka: idempotent producers, groups, transactions, administration', async t => {
  if (pythonSkip !== false) return t.skip(pythonSkip)

  assert.deepEqual(await pythonClient(t, 'pure.py'), {
    kafkaPython: { values: true, committed: 500, isListed: true },
    aiokafka: { values: true, committed: 500 }
  })
})

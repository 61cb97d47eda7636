/**
 * Go clients on our broker: the tests that franz-go ships with its client, and a
 * program on franz-go, kadm and sarama of our own.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { runProcess } from '../support/child-process.ts'
import { buildFranzTests, buildGoClients, goSkip } from './toolchains.ts'

const brokerConfig = {
  'group.initial.rebalance.delay.ms': '0',
  // Members follow their new assignment at the next heartbeat; Kafka's 5 s would only make the tests wait.
  'group.consumer.min.heartbeat.interval.ms': '500',
  'group.consumer.heartbeat.interval.ms': '500'
}

/** The tests of franz-go's client that talk to a broker; all others of its package need none. */
const franzTests = [
  'TestAddRemovePartitions',
  'TestClient_Produce',
  'TestClient_ProduceLargeMessages',
  'TestConsumeMaxDecompressBatchBytes',
  'TestConsumeRegex',
  'TestConsumeTopicRetrieval',
  'TestConsumeTopicRetrieval_Many',
  'TestDirectPartitionPurge',
  'TestGroupETL',
  'TestGroupSimple',
  'TestHookPollStart',
  'TestIssue1034',
  'TestIssue325',
  'TestIssue337',
  'TestIssue434',
  'TestIssue523',
  'TestIssue648',
  'TestIssue769',
  'TestIssue810',
  'TestIssue831',
  'TestIssue865',
  'TestIssueFetchLargerThanBrokerMaxReadBytes',
  'TestIssueProduceSyncManualPartitionNegativeDoesNotPanic',
  'TestPauseIssue489',
  'TestPauseIssueOct2023',
  'TestPing',
  'TestPooling',
  'TestSCRAMAuth',
  'TestSCRAMAuthBadCredentials',
  'TestTxnEtl',
  'TestUnknownGroupOffsetFetchPinned',
  'Test848RegexBrokerResolves'
]

const isRequired = process.env['REQUIRE_GO'] === '1'

test('Go is installed where it has to be', { skip: !isRequired && 'REQUIRE_GO is not set' }, () => {
  assert.equal(goSkip, false)
})

const isLongRun = process.env['LANGUAGE_TESTS'] === 'long'

test("franz-go's own tests pass: ETL chains of groups in every protocol, transactions, pauses", async t => {
  if (goSkip !== false) return t.skip(goSkip)
  if (!isLongRun) return t.skip('long: npm run test:languages:long')
  const user = { name: 'franz', password: 'franz-secret', mechanisms: ['SCRAM-SHA-256'] as const }
  const broker = await startBroker({
    config: brokerConfig,
    listeners: [{ name: 'PLAINTEXT' }, { name: 'SASL_PLAINTEXT' }],
    scramUsers: [user]
  })
  t.after(() => broker.close())
  const [plain, sasl] = broker.listeners
  assert.ok(plain !== undefined && sasl !== undefined)

  const { stdout } = await runProcess(
    await buildFranzTests(),
    [`-test.run=^(${franzTests.join('|')})$`, '-test.v', '-test.timeout=150s'],
    {
      timeoutMs: 160_000,
      isFailureAccepted: true,
      environment: {
        KGO_SEEDS: plain.bootstrapServers,
        KGO_TEST_RF: '1',
        KGO_TEST_RECORDS: process.env['KGO_TEST_RECORDS'] ?? '5000',
        KGO_TEST_SCRAM_SEEDS: sasl.bootstrapServers,
        KGO_TEST_SCRAM: `${user.name}:${user.password}`,
        KGO_LOG_LEVEL: 'none'
      }
    }
  )

  const outcomes = [...stdout.matchAll(/^ *--- (PASS|FAIL|SKIP): (\S+)/gm)].map(([, how, name]) => ({ how, name }))
  const named = (how: string): string[] => outcomes.filter(each => each.how === how).map(each => String(each.name))
  assert.deepEqual(named('FAIL'), [], stdout.slice(-5000))
  assert.deepEqual(named('SKIP'), [])
  const passed = new Set(named('PASS'))
  assert.deepEqual(
    franzTests.filter(name => !passed.has(name)),
    []
  )
  for (const kind of ['range', 'cooperative-sticky', 'cooperative-sticky/static', 'range/848', 'sticky/848/static']) {
    assert.ok(passed.has(`TestGroupETL/${kind}`) && passed.has(`TestTxnEtl/${kind}`), kind)
  }
})

async function goClient(t: { after(fn: () => Promise<void>): void }, client: string): Promise<unknown> {
  const broker = await startBroker({ config: brokerConfig })
  t.after(() => broker.close())
  const { stdout } = await runProcess(await buildGoClients(), [broker.bootstrapServers, client])
  return JSON.parse(stdout)
}

test('franz-go copies exactly once in transactions, and kadm sees and changes everything', async t => {
  if (goSkip !== false) return t.skip(goSkip)

  const seen = (await goClient(t, 'franz')) as { ends: Record<string, number>; brokerSettings: number }

  const { ends, brokerSettings, ...rest } = seen
  assert.equal(
    Object.values(ends).reduce((sum, end) => sum + end, 0),
    1_000
  )
  assert.ok(brokerSettings > 50)
  assert.deepEqual(rest, {
    partitions: 4,
    produced: 1_000,
    copied: 1_000,
    copiedTwice: 0,
    abortedSeen: 0,
    lag: 0,
    groupState: 'Empty',
    retention: '7200000',
    startAfterTrim: ends['0'],
    grown: 6,
    transactionStates: { CompleteAbort: 1, CompleteCommit: 1 },
    topicsLeft: 0
  })
})

test('sarama produces, consumes in a group, runs transactions and administrates', async t => {
  if (goSkip !== false) return t.skip(goSkip)

  assert.deepEqual(await goClient(t, 'sarama'), {
    produced: 600,
    consumed: 600,
    distinct: 600,
    outOfOrder: 0,
    committed: 600,
    visible: 20,
    retention: '3600000',
    groupState: 'Empty',
    isDeleted: true
  })
})

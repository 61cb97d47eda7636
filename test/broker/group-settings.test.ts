import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coordinatorSettings } from '../../src/broker/group-settings.ts'
import { BrokerSettings } from '../../src/broker/settings.ts'
import { PipelineError } from '../../src/core/index.ts'

test('consumer groups have the settings of Apache Kafka, under its names', () => {
  const { consumer, migrationPolicy } = coordinatorSettings(new BrokerSettings())
  assert.deepEqual(consumer, {
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 5000,
    memberCountMax: 2_147_483_647,
    assignors: ['uniform', 'range'],
    assignmentIntervalMs: 0
  })
  assert.equal(migrationPolicy, 'bidirectional')

  const given = coordinatorSettings(
    new BrokerSettings({
      'group.consumer.session.timeout.ms': '6000',
      'group.consumer.min.session.timeout.ms': '6000',
      'group.consumer.heartbeat.interval.ms': '500',
      'group.consumer.min.heartbeat.interval.ms': '500',
      'group.consumer.assignors': 'range, uniform',
      'group.consumer.migration.policy': 'UPGRADE'
    })
  )
  assert.deepEqual(
    [given.consumer.sessionTimeoutMs, given.consumer.heartbeatIntervalMs, given.consumer.assignors],
    [6000, 500, ['range', 'uniform']]
  )
  assert.equal(given.migrationPolicy, 'upgrade')
})

test('every setting that does not fit is named, with what would', () => {
  const settings = new BrokerSettings({
    'group.consumer.session.timeout.ms': '3000',
    'group.consumer.assignors': 'uniform,mine',
    'group.consumer.migration.policy': 'sideways'
  })
  assert.throws(
    () => coordinatorSettings(settings),
    error => {
      assert.ok(PipelineError.is(error, 'ERR_BROKER_INVALID_SETTING'))
      assert.match(error.message, /group\.consumer\.session\.timeout\.ms is 3000: .* say 45000 to 60000/)
      assert.match(error.message, /group\.consumer\.heartbeat\.interval\.ms is 5000: less than/)
      assert.match(error.message, /group\.consumer\.assignors names "mine": of uniform, range are expected/)
      assert.match(error.message, /group\.consumer\.migration\.policy is "sideways"/)
      return true
    }
  )
})

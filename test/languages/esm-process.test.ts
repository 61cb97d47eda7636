/** `comporta esm` as a process: AWS's own JSON, and kill -9. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { esmWorld, startFunction, until } from '../lambda/esm-support.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

/** So that the coordinator misses a member that was killed within the second. */
const IMPATIENT = {
  'group.consumer.heartbeat.interval.ms': '200',
  'group.consumer.min.heartbeat.interval.ms': '200',
  'group.consumer.min.session.timeout.ms': '1000',
  'group.consumer.session.timeout.ms': '1000'
}

test('a mapping in AWS’s own JSON is killed and started again: nothing is lost', async t => {
  const world = await esmWorld(t, { partitionCount: 2, brokerConfig: IMPATIENT })
  const { server } = world
  const numbers = Array.from({ length: 200 }, (_, index) => index)
  await world.append(...numbers.map(index => ({ text: `${index}`, partition: index % 2 })))
  const held = Promise.withResolvers<object>()
  const service = await startFunction(t, (_, count) => (count <= 3 ? {} : held.promise))
  const mapping = join(temporaryFolder(t), 'mapping.json')
  const request = {
    FunctionName: 'orders',
    Topics: [world.topic],
    SelfManagedEventSource: { Endpoints: { KAFKA_BOOTSTRAP_SERVERS: ['abc.xyz.com:9092'] } },
    SelfManagedKafkaEventSourceConfig: { ConsumerGroupId: 'orders-group' },
    StartingPosition: 'TRIM_HORIZON',
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 0,
    SourceAccessConfigurations: [{ Type: 'SASL_SCRAM_512_AUTH', URI: 'arn:aws:secretsmanager:eu-west-1:1:secret:s' }]
  }
  writeFileSync(mapping, JSON.stringify(request))
  const where = ['--mapping', mapping, '--brokers', server.bootstrapServers, '--endpoint', service.endpoint]
  const first = await startComporta(t, ['esm', ...where], { until: /mapping .* → orders/ })
  assert.match(first.output(), /SourceAccessConfigurations has no effect here/)
  await until(() => service.texts.length > 4)
  await first.stop('SIGKILL')
  held.resolve({})
  const seenBefore = service.texts.length

  const second = await runComporta(['esm', ...where, '--once', '--json', '--log-level', 'warn'])
  assert.equal(second.exitCode, 0, second.stderr)
  const { mappings } = JSON.parse(second.stdout)
  assert.equal(mappings[0].groupId, 'orders-group')
  assert.ok(service.texts.length > seenBefore)
  const events = service.events()
  assert.equal(events[0]?.bootstrapServers, 'abc.xyz.com:9092')
  for (const partition of [0, 1]) {
    const offsets = events.flatMap(event => event.records[`${world.topic}-${partition}`] ?? []).map(each => each.offset)
    assert.deepEqual([...new Set(offsets)], numbers.slice(0, 100))
  }
})

// Symptom: `comporta esm --once` was still there long after Ctrl-C and its own totals. Cause: it went on looking
// whether all was done. Reach: any drain of `--once` with records left.
test('with --once, too, a signal ends the process when it has drained', async t => {
  const world = await esmWorld(t)
  await world.append({ text: 'never done' })
  const service = await startFunction(t, () => ({ error: true }))
  const mapping = join(temporaryFolder(t), 'mapping.json')
  const request = {
    FunctionName: 'orders',
    Topics: [world.topic],
    SelfManagedEventSource: { Endpoints: { KAFKA_BOOTSTRAP_SERVERS: ['abc.xyz.com:9092'] } },
    StartingPosition: 'TRIM_HORIZON',
    MaximumBatchingWindowInSeconds: 0,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ProvisionedPollerConfig: { MinimumPollers: 1 }
  }
  writeFileSync(mapping, JSON.stringify(request))
  const where = ['--brokers', world.server.bootstrapServers, '--endpoint', service.endpoint]
  const running = await startComporta(t, ['esm', '--once', '--mapping', mapping, ...where], {
    until: /mapping .* → orders/
  })
  await until(() => service.texts.length > 0)

  await running.stop('SIGTERM')
})

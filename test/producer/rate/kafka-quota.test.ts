import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../../src/broker/index.ts'
import { Cluster } from '../../../src/client/index.ts'
import { compareQuota, ensureQuota } from '../../../src/producer/rate/kafka-quota.ts'
import { type Logger, silentLogger } from '../../../src/telemetry/index.ts'

test('the quota is compared, and set only if the configuration says so', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: broker.bootstrapServers.split(','), clientId: 'gate' })
  t.after(() => cluster.close())
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warnings.push(message ?? '') }
  const question = { cluster, bytesPerSecond: 1_000_000, config: { type: 'quota' as const, manage: false } }

  await ensureQuota({ ...question, logger })
  assert.match(warnings.join(), /is not that of the configuration/)
  assert.equal((await compareQuota(question)).actual, undefined)

  warnings.length = 0
  const managed = { ...question, config: { type: 'quota' as const, manage: true } }
  await ensureQuota({ ...managed, logger })
  assert.deepEqual(await compareQuota(managed), {
    entity: { clientId: 'gate' },
    brokerCount: 1,
    wanted: 1_000_000,
    actual: 1_000_000
  })
  await ensureQuota({ ...question, logger }) // as it is to be: nothing to say
  assert.deepEqual(warnings, [])

  // The quota of a user and a client id is another one.
  const ofUser = { ...question, config: { ...question.config, user: 'ana' } }
  assert.equal((await compareQuota(ofUser)).actual, undefined)

  await cluster.close()
  await assert.rejects(ensureQuota({ ...managed, logger }), { code: 'ERR_PRODUCER_QUOTA_FAILED' })
})

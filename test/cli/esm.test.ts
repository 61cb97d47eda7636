/** Mappings of a pipeline file: what AWS would refuse, and when all is done. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { loadPipeline } from '../../src/cli/context.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { startEsmRole } from '../../src/cli/roles/esm.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { PipelineError, sleep, systemClock } from '../../src/core/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { esmWorld, startFunction, until } from '../lambda/esm-support.ts'
import { temporaryFolder } from '../support/comporta.ts'

test('what AWS would refuse is said with its line, and nothing starts', async t => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'comporta.yaml')
  writeFileSync(
    file,
    `name: orders
kafka: { bootstrapServers: ["127.0.0.1:1"] }
eventSourceMappings:
  - functionName: orders
    topic: orders
    retriesMax: 3
    batchingWindowMs: 250
  - functionName: orders
    topic: orders
    onFailure: kafka://orders
    filters: [{ key: [a] }]
`
  )
  const error: unknown = await loadPipeline({ file }).catch((reason: unknown) => reason)
  assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
  assert.equal(exitCodeOf(error), 78)
  const { message } = error
  assert.match(message, /6.*retriesMax.*Unsupported 'maximumRetryAttempts' parameter/)
  assert.match(message, /7.*batchingWindowMs.*whole seconds/)
  assert.match(message, /10.*onFailure.*is the topic that the mapping reads/)
  assert.match(message, /11.*filters.*by the field value only/)
})

// Symptom: `--once` ended, with exit code 0, before the second mapping of a topic had read it. Cause: how far a topic
// had been read was asked of the first mapping alone. Reach: two functions that read the same topic.
test('caught up is when every mapping of a topic is', async t => {
  const world = await esmWorld(t)
  await world.append({ text: 'one' }, { text: 'two' })
  const held = Promise.withResolvers<object>()
  const quick = await startFunction(t)
  const slow = await startFunction(t, () => held.promise)
  const text = JSON.stringify({ name: 'esm', kafka: { bootstrapServers: world.server.bootstrapServers.split(',') } })
  const { kafka } = parsePipeline(text, { fileName: 'test', environment: {} })
  const common = { topic: world.topic, batchingWindowMs: 0 }
  const mappings = [
    { ...common, functionName: 'quick', endpoint: quick.endpoint },
    { ...common, functionName: 'slow', endpoint: slow.endpoint }
  ]
  const role = await startEsmRole({ kafka, mappings }, silentLogger)
  world.ends.push(async () => await role.drain(1_000))
  let isCaughtUp = false
  const caughtUp = role.caughtUp().then(() => (isCaughtUp = true))
  await until(() => role.describe()[0]?.partitions[0]?.committed === 2 && slow.texts.length === 1)
  // Three looks of the one who waits.
  await sleep(systemClock, 60)
  assert.equal(isCaughtUp, false)

  held.resolve({})
  await caughtUp
  assert.equal(role.describe()[1]?.partitions[0]?.committed, 2)
})

// Symptom: `comporta esm --once` waited for ever beside another member of its group. Cause: only the partitions of this
// member were looked at. Reach: `--once` with the group of a mapping that `comporta up` runs.
test('caught up is what other members of the group have done, too', async t => {
  const world = await esmWorld(t, { partitionCount: 2 })
  const service = await startFunction(t)
  const text = JSON.stringify({ name: 'esm', kafka: { bootstrapServers: world.server.bootstrapServers.split(',') } })
  const { kafka } = parsePipeline(text, { fileName: 'test', environment: {} })
  const mapping = { topic: world.topic, batchingWindowMs: 0, functionName: 'f', endpoint: service.endpoint }
  const first = await startEsmRole({ kafka, mappings: [mapping] }, silentLogger)
  world.ends.push(async () => await first.drain(1_000))
  await world.append({ text: 'one', partition: 0 }, { text: 'two', partition: 1 })
  await first.caughtUp()

  const second = await startEsmRole({ kafka, mappings: [mapping] }, silentLogger)
  world.ends.push(async () => await second.drain(1_000))
  await second.caughtUp()
  const records = service.events().flatMap(event => Object.values(event.records).flat())
  assert.equal(records.length, 2)
})

/** Event source mappings as members of a group: where they start, and how they share partitions. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { esmWorld, offsetsIn, startFunction, until, untilDone } from '../lambda/esm-support.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'

test('a mapping starts at the end or at a time, and what comes between two starts is not skipped', async t => {
  const world = await esmWorld(t)
  await world.append(
    { text: 'a', timestampMs: 1000 },
    { text: 'b', timestampMs: 2000 },
    { text: 'c', timestampMs: 3000 }
  )
  const service = await startFunction(t)
  const at = await world.map({
    functionName: 'at',
    endpoint: service.endpoint,
    startingPosition: { timestampMs: 1500 }
  })
  await untilDone(at, { 0: 3 })
  assert.deepEqual(offsetsIn(service.events()[0]), { [`${world.topic}-0`]: [1, 2] })

  const first = await world.map({ functionName: 'end', endpoint: service.endpoint, startingPosition: 'latest' })
  await untilDone(first, { 0: 3 })
  await first.close()
  await world.append({ text: 'd' })
  const second = await world.map({ functionName: 'end', endpoint: service.endpoint, startingPosition: 'latest' })
  await untilDone(second, { 0: 4 })
  assert.deepEqual(offsetsIn(service.events()[1]), { [`${world.topic}-0`]: [3] })
  assert.equal(second.groupId, second.uuid)
})

test('two members of a mapping share the partitions, and each record is delivered once', async t => {
  const world = await esmWorld(t, { partitionCount: 4 })
  const service = await startFunction(t)
  const membership = { heartbeatIntervalMs: 20 }
  const options = { functionName: 'f', endpoint: service.endpoint, batchSize: 10, membership }
  const first = await world.map(options)
  await until(() => first.status().partitions.length === 4)
  const second = await world.map(options)
  const numbers = Array.from({ length: 400 }, (_, index) => index)
  const appending = world.append(...numbers.map(index => ({ text: `${index}`, partition: index % 4 })))
  await until(() => second.status().partitions.length === 2)
  await appending
  await until(() => first.status().totals.deliveredEventCount + second.status().totals.deliveredEventCount === 400)
  await first.drain(5000)
  const seen = service.events().flatMap(event => Object.values(event.records).flat())
  assert.equal(seen.length, 400)
  for (const partition of [0, 1, 2, 3]) {
    const offsets = seen.filter(each => each.partition === partition).map(each => each.offset)
    assert.deepEqual(offsets, numbers.slice(0, 100))
  }
})

test('the same function gets the same event from the mapping and from the dispatcher', async t => {
  const world = await esmWorld(t)
  await world.append(
    ...Array.from({ length: 20 }, (_, index) => ({
      text: `{"index":${index}}`,
      key: index % 3 === 0 ? null : Buffer.from(`k${index}`),
      headers: [{ key: 'trace', value: Buffer.from([index, 255 - index]) }]
    }))
  )
  const service = await startFunction(t)
  const mapping = await world.map({ functionName: 'f', endpoint: service.endpoint, batchSize: 20 })
  await untilDone(mapping, { 0: 20 })
  const config = dispatcherConfig({
    groupId: `${world.topic}-dispatcher`,
    topics: [world.topic],
    target: { type: 'lambda', functionName: 'f', endpoint: service.endpoint, timeoutMs: 10_000 },
    deadLetterTopic: `${world.topic}-dead`,
    batch: { recordsMax: 20, ageMs: 50 },
    payload: { format: 'esm' }
  })
  const target = await createTarget(config.target, { cluster: world.cluster })
  world.ends.push(() => target.close())
  const dispatcher = await startDispatcher({ config, target, cluster: world.cluster })
  world.ends.push(() => dispatcher.close())
  await until(() => service.texts.length === 2)
  assert.equal(service.texts[1], service.texts[0])
})

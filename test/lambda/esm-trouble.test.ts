/** Event source mappings when something around them goes wrong. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger } from '../../src/telemetry/index.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { MappingApi } from '../../src/lambda/esm/mapping-api.ts'
import { PartitionCommits } from '../../src/lambda/esm/partition-commits.ts'
import { esmWorld, startFunction, untilDone } from './esm-support.ts'

// Symptom: a partition stood still for good, and its neighbours in the batch were written to the destination again and
// again. Cause: a batch was sent as a whole until all of it was taken, which a record too large for the topic never is.
// Reach: kafka:// as destination, and a record near the size that Kafka takes (its copy is Base64 in JSON).
test('what is too large for a kafka destination goes without its payload, and its neighbours go once', async t => {
  const world = await esmWorld(t)
  const failed = await world.another()
  const changes = [{ name: 'max.message.bytes', operation: 'set', value: '3000' }] as const
  await world.admin.alterConfigs([{ resource: { type: 'topic', name: failed.topic }, changes }])
  await world.append({ text: 'first' }, { value: Buffer.alloc(4_000, 'x') }, { text: 'last' })
  const service = await startFunction(t, () => ({ error: true, body: { errorType: 'Error', errorMessage: 'no' } }))
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    pollers: {},
    retriesMax: 0,
    onFailure: `kafka://${failed.topic}`
  })
  await untilDone(mapping, { 0: 3 })

  const copies = await startFunction(t)
  const reader = await failed.map({ functionName: 'reader', endpoint: copies.endpoint })
  await untilDone(reader, { 0: 3 })
  const notices = copies.events().flatMap(event => event.records[`${failed.topic}-0`] ?? [])
  const texts = notices.map(({ value = '' }) => JSON.parse(Buffer.from(value, 'base64').toString()))
  const found = texts.map(each => `${each.KafkaBatchInfo.recordInfo.offset} ${each.payload !== undefined}`)
  assert.deepEqual(found.sort(), ['0 true', '1 false', '2 true'])
})

// Symptom: a mapping that was deleted went on, unseen. Cause: two changes at once each stopped the same run and each
// started one of its own. Reach: concurrent Update and Delete calls, a client's repeat after a lost answer.
test('changes of a mapping at the same time happen one after the other, and a deleted one does not run', async () => {
  let runningCount = 0
  const start = async (): Promise<{ stop(): Promise<void> }> => {
    await Promise.resolve()
    runningCount += 1
    return {
      stop: async () => {
        await Promise.resolve()
        runningCount -= 1
      }
    }
  }
  const api = new MappingApi({ start })
  const call = (method: string, uuid: string, fields: object): ReturnType<MappingApi['handle']> => {
    const path = `/2015-03-31/event-source-mappings/${uuid}`
    return api.handle({ method, path, query: new URLSearchParams(), body: JSON.stringify(fields) })
  }
  const SelfManagedEventSource = { Endpoints: { KAFKA_BOOTSTRAP_SERVERS: ['b:9092'] } }
  const made = { FunctionName: 'f', Topics: ['t'], SelfManagedEventSource, StartingPosition: 'LATEST' }
  const [first, second] = await Promise.all([call('POST', '', made), call('POST', '', made)])
  assert.deepEqual([first?.status, second?.status], [202, 409])
  const uuid = String(first?.body['UUID'])

  const updates = [call('PUT', uuid, { BatchSize: 5 }), call('PUT', uuid, { BatchSize: 7 })]
  assert.deepEqual(
    (await Promise.all(updates)).map(each => each?.status),
    [202, 202]
  )
  assert.equal(runningCount, 1)
  await Promise.all([call('PUT', uuid, { BatchSize: 9 }), call('DELETE', uuid, {}), call('PUT', uuid, {})])
  assert.equal(runningCount, 0)
})

// Symptom: a mapping that had ended was told to be Enabled. Cause: nobody asked it. Reach: the API, and a mapping whose
// group or topic refuses it.
test('a mapping that has ended by itself is not told to run', async () => {
  const ended = Promise.withResolvers<Error | undefined>()
  const stop = (): Promise<void> => Promise.resolve()
  const api = new MappingApi({ start: () => Promise.resolve({ stop, ended: ended.promise }) })
  const path = '/2015-03-31/event-source-mappings/'
  const query = new URLSearchParams()
  const SelfManagedEventSource = { Endpoints: { KAFKA_BOOTSTRAP_SERVERS: ['b:9092'] } }
  const made = { FunctionName: 'f', Topics: ['t'], SelfManagedEventSource, StartingPosition: 'LATEST' }
  const answer = await api.handle({ method: 'POST', path, query, body: JSON.stringify(made) })
  assert.equal(answer?.body['State'], 'Enabled')
  ended.resolve(new Error('the group refuses'))
  await ended.promise

  const uuid = String(answer?.body['UUID'])
  const found = await api.handle({ method: 'GET', path: path + uuid, query, body: '' })
  assert.partialDeepStrictEqual(found?.body, { State: 'Disabled', LastProcessingResult: 'PROBLEM: the group refuses' })
})

// Symptom: a planned rebalance could leave an older offset committed, so that the next owner got records twice. Cause:
// the last commit of a partition did not wait for the one that followed the one under way.
test('commits are one at a time, the last ones of a partition included', async () => {
  let offset = 1
  let underWay = 0
  const committed: bigint[] = []
  const commits = new PartitionCommits({
    topic: 't',
    member: {
      commitOffsets: async ([only]) => {
        underWay += 1
        assert.equal(underWay, 1)
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
        underWay -= 1
        committed.push(only?.offset ?? -1n)
      }
    },
    read: () => new Map([[0, offset]]),
    clock: new VirtualClock(),
    logger: silentLogger
  })
  commits.changed()
  offset = 2
  await commits.flush()
  assert.deepEqual(committed, [1n, 2n])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { DeadLetterAside } from '../../../src/dispatcher/dead-letters.ts'
import { Meters } from '../../../src/dispatcher/meters.ts'
import { RetryTiers } from '../../../src/dispatcher/parking/retry-tiers.ts'
import { RetryTopics } from '../../../src/dispatcher/parking/retry-topics.ts'
import { noopMeter, silentLogger } from '../../../src/telemetry/index.ts'
import { World } from '../lane-world.ts'

function tiersWith(ends: { readonly earliest: bigint; readonly latest: bigint }): RetryTiers {
  const clock = new VirtualClock()
  const meters = new Meters(noopMeter, 'g')
  const deadLetters = new DeadLetterAside({ groupId: 'g', deadLetters: { write: async () => true }, meters, clock })
  const { around } = new World({ seed: 1 })
  return new RetryTiers({
    topics: new RetryTopics('g', [1000]),
    kafka: {
      listOffsets: questions =>
        Promise.resolve(
          questions.map(({ topic, partition, at }) => {
            const offset = at === 'latest' ? ends.latest : ends.earliest
            return { topic, partition, errorCode: 0, offset, timestamp: -1n, leaderEpoch: 0 }
          })
        ),
      metadata: () => Promise.resolve({ clusterId: 'c', controllerId: 0, brokers: [], topics: [] })
    },
    mayCreate: true,
    keysMax: 10,
    parking: {
      groupId: 'g',
      writer: { write: () => Promise.resolve(true) },
      deadLetters,
      keepsKeyOrder: true,
      ageMaxMs: undefined,
      meters,
      clock,
      logger: silentLogger
    },
    aroundOf: () => ({ ...around, random: new SeededRandom(1) }),
    fetching: { fetchFrom: () => undefined, rest: () => undefined }
  })
}

async function startAt(committed: bigint, ends: { readonly earliest: bigint; readonly latest: bigint }) {
  const companion = { topic: 't.g.retry-1s', partition: 0, offset: committed, metadata: 'text' }
  const origin = { topic: 't', partition: 0, offset: 0n, metadata: '', companions: [companion] }
  const { starts } = await tiersWith(ends).open(origin)
  return starts.map(({ offset, metadata, end }) => ({ offset, metadata, end }))
}

test('a retry partition begins where the group stands in it', async () => {
  assert.deepEqual(await startAt(5n, { earliest: 0n, latest: 9n }), [{ offset: 5n, metadata: 'text', end: 9n }])
  assert.deepEqual(await startAt(9n, { earliest: 0n, latest: 9n }), [{ offset: 9n, metadata: 'text', end: 9n }])
})

// Symptom: the partition was opened, found its offset out of range, and was opened again, for ever. Records in the new
// topic were not looked through before, nor sent.
test('a retry partition that was deleted and made again is read from its beginning', async () => {
  assert.deepEqual(await startAt(500n, { earliest: 0n, latest: 9n }), [{ offset: 0n, metadata: '', end: 9n }])
  assert.deepEqual(await startAt(2n, { earliest: 4n, latest: 9n }), [{ offset: 4n, metadata: '', end: 9n }])
})

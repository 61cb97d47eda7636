/** Quotas over the protocol: what is accepted and found, and what becomes of a client that uses too much. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  alterClientQuotasApi,
  type AlterClientQuotasRequestEntryDataInput,
  createPartitionsApi,
  createTopicsApi,
  deleteTopicsApi,
  describeClientQuotasApi,
  type DescribeClientQuotasRequestComponentDataInput,
  fetchApi,
  metadataApi,
  produceApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { batchOf, connectForTest, createTopic, errorOf, type Peer } from './support.ts'

const EXACT = 0
const DEFAULT = 1
const ANY = 2
const SETTLE_MS = 10_000

type Entry = AlterClientQuotasRequestEntryDataInput
type Names = Readonly<Record<string, string | null>>

function entry(names: Names, values: Readonly<Record<string, number | null>>): Entry {
  return {
    entity: Object.entries(names).map(([entityType, entityName]) => ({ entityType, entityName })),
    ops: Object.entries(values).map(([key, value]) => ({ key, value: value ?? 0, remove: value === null }))
  }
}

async function alter({ connection }: Peer, ...entries: Entry[]): Promise<string[]> {
  const answer = await connection.request(alterClientQuotasApi, { version: 1, message: { entries } })
  return answer.entries.map(errorOf)
}

/** Sets quotas for as long as a test's body runs. */
async function withQuotas(peer: Peer, entries: readonly Entry[], body: () => Promise<void>): Promise<void> {
  assert.deepEqual(
    await alter(peer, ...entries),
    entries.map(() => 'NONE')
  )
  try {
    await body()
  } finally {
    const undo = entries.map(({ entity, ops }) => ({ entity, ops: ops?.map(op => ({ ...op, remove: true })) }))
    await alter(peer, ...undo)
  }
}

async function found(
  { connection }: Peer,
  components: DescribeClientQuotasRequestComponentDataInput[],
  strict = false
): Promise<string[]> {
  const answer = await connection.request(describeClientQuotasApi, { version: 1, message: { components, strict } })
  assert.equal(errorOf(answer), 'NONE')
  const lines = (answer.entries ?? []).map(({ entity, values }) => {
    const names = entity.map(({ entityType, entityName }) => `${entityType}=${entityName}`).toSorted()
    return `${names.join(',')}: ${values
      .map(({ key, value }) => `${key}=${value}`)
      .toSorted()
      .join(',')}`
  })
  return lines.toSorted()
}

/** Apache Kafka shows a new quota a moment after it was set. */
async function untilFound(peer: Peer, components: DescribeClientQuotasRequestComponentDataInput[], expected: string[]) {
  const deadline = performance.now() + (peer.cluster.isEmbedded ? 0 : SETTLE_MS)
  for (;;) {
    const got = await found(peer, components)
    if (JSON.stringify(got) === JSON.stringify(expected) || performance.now() >= deadline) {
      assert.deepEqual(got, expected)
      return
    }
  }
}

test('quotas of users, client ids and both are set, found, changed and removed', async t => {
  const peer = await connectForTest(t)
  const user = peer.cluster.uniqueName('user')
  const client = peer.cluster.uniqueName('client')
  const quotas = [
    entry({ user }, { producer_byte_rate: 1000, consumer_byte_rate: 2000 }),
    entry({ user, 'client-id': client }, { request_percentage: 12.5 }),
    entry({ user, 'client-id': null }, { controller_mutation_rate: 3.5 }),
    entry({ 'client-id': client }, { producer_byte_rate: 7 })
  ]
  const byUser = { entityType: 'user', matchType: EXACT, match: user }
  const byClient = { entityType: 'client-id', matchType: EXACT, match: client }
  const alone = `user=${user}: consumer_byte_rate=2000,producer_byte_rate=1000`
  const both = `client-id=${client},user=${user}: request_percentage=12.5`
  const withDefault = `client-id=null,user=${user}: controller_mutation_rate=3.5`
  const ofClient = `client-id=${client}: producer_byte_rate=7`

  await withQuotas(peer, quotas, async () => {
    await untilFound(peer, [byUser], [both, withDefault, alone].toSorted())
    assert.deepEqual(await found(peer, [byUser], true), [alone])
    assert.deepEqual(await found(peer, [byUser, byClient]), [both])
    assert.deepEqual(await found(peer, [byClient]), [both, ofClient].toSorted())
    assert.deepEqual(await found(peer, [byUser, { entityType: 'client-id', matchType: DEFAULT, match: null }]), [
      withDefault
    ])
    const anyClient = { entityType: 'client-id', matchType: ANY, match: null }
    assert.deepEqual(await found(peer, [byUser, anyClient]), [both, withDefault].toSorted())
    const all = await found(peer, [])
    assert.ok([alone, both, withDefault, ofClient].every(line => all.includes(line)))
    assert.deepEqual(await found(peer, [], true), [])

    await alter(peer, entry({ user }, { producer_byte_rate: null, consumer_byte_rate: 5 }))
    await untilFound(peer, [byUser, byClient], [both])
    await untilFound(peer, [byUser], [both, withDefault, `user=${user}: consumer_byte_rate=5`].toSorted())
  })
})

test('what is only validated is not set', async t => {
  const peer = await connectForTest(t)
  const user = peer.cluster.uniqueName('user')
  const entries = [entry({ user }, { producer_byte_rate: 1 })]
  const message = { entries, validateOnly: true }
  const answer = await peer.connection.request(alterClientQuotasApi, { version: 1, message })
  assert.deepEqual(answer.entries.map(errorOf), ['NONE'])
  assert.deepEqual(await found(peer, [{ entityType: 'user', matchType: EXACT, match: user }]), [])
})

for (const [what, names, values, error] of [
  ['a key that nobody knows', { user: 'u' }, { requests: 1 }, 'INVALID_REQUEST'],
  ['a key of addresses for a user', { user: 'u' }, { connection_creation_rate: 1 }, 'INVALID_REQUEST'],
  ['a key of users for an address', { ip: '127.0.0.9' }, { producer_byte_rate: 1 }, 'INVALID_REQUEST'],
  ['half a byte', { user: 'u' }, { producer_byte_rate: 1.5 }, 'INVALID_REQUEST'],
  ['half a connection', { ip: '127.0.0.9' }, { connection_creation_rate: 1.5 }, 'INVALID_REQUEST'],
  ['an empty user', { user: '' }, { producer_byte_rate: 1 }, 'INVALID_REQUEST'],
  ['an unknown type of entity', { group: 'g' }, { producer_byte_rate: 1 }, 'INVALID_REQUEST'],
  ['nobody', {}, { producer_byte_rate: 1 }, 'INVALID_REQUEST'],
  ['a user at an address', { user: 'u', ip: '127.0.0.9' }, { producer_byte_rate: 1 }, 'INVALID_REQUEST'],
  ['no address', { ip: '300.0.0.1' }, { connection_creation_rate: 1 }, 'INVALID_REQUEST'],
  ['nothing per second', { user: 'u-zero' }, { producer_byte_rate: 0 }, 'INVALID_REQUEST'],
  ['no time at all', { user: 'u-zero' }, { request_percentage: 0 }, 'INVALID_REQUEST'],
  ['no change of topics', { user: 'u-zero' }, { controller_mutation_rate: 0 }, 'INVALID_REQUEST'],
  ['no connections', { ip: '127.0.0.9' }, { connection_creation_rate: 0 }, 'INVALID_REQUEST'],
  ['more than a long', { user: 'u-long' }, { producer_byte_rate: 1e19 }, 'INVALID_REQUEST'],
  ['endless bytes', { user: 'u-long' }, { consumer_byte_rate: Infinity }, 'INVALID_REQUEST'],
  ['less than nothing', { user: 'u-minus' }, { producer_byte_rate: -1 }, 'INVALID_REQUEST']
] as const satisfies readonly [string, Names, Record<string, number>, string][]) {
  test(`a quota for ${what} is ${error}`, async t => {
    const peer = await connectForTest(t)
    assert.deepEqual(await alter(peer, entry(names, values)), [error])
  })
}

test('a filter that makes no sense is refused', async t => {
  const { connection } = await connectForTest(t)
  const describe = async (...components: DescribeClientQuotasRequestComponentDataInput[]): Promise<string> =>
    errorOf(await connection.request(describeClientQuotasApi, { version: 1, message: { components } }))
  const user = { entityType: 'user', matchType: EXACT, match: 'u' }
  assert.equal(await describe(user, user), 'INVALID_REQUEST')
  assert.equal(await describe({ ...user, entityType: '' }), 'INVALID_REQUEST')
  assert.equal(await describe({ ...user, entityType: 'group' }), 'UNSUPPORTED_VERSION')
  assert.equal(await describe(user, { ...user, entityType: 'ip', match: '127.0.0.1' }), 'INVALID_REQUEST')
})

/** Quotas of the one client id that raw connections have; such tests run one after another. */
const CLIENT = { 'client-id': 'conformance' }

async function untilThrottled(send: () => Promise<{ throttleTimeMs: number }>): Promise<number> {
  const deadline = performance.now() + SETTLE_MS
  for (;;) {
    const { throttleTimeMs } = await send()
    if (throttleTimeMs > 0 || performance.now() >= deadline) return throttleTimeMs
  }
}

test('a producer above its quota is answered at once and then read no more for the throttle time', async t => {
  const peer = await connectForTest(t)
  const { name } = await createTopic(peer)
  await withQuotas(peer, [entry(CLIENT, { producer_byte_rate: 10_000 })], async () => {
    const mine = { entityType: 'client-id', matchType: EXACT, match: 'conformance' }
    await untilFound(peer, [mine], ['client-id=conformance: producer_byte_rate=10000'])
    const records = batchOf(['x'.repeat(20_000)])
    const message = { acks: 1, timeoutMs: 5000, topicData: [{ name, partitionData: [{ index: 0, records }] }] }
    const other = await RawConnection.open(t, peer.cluster)
    let sentCount = 0
    const throttleTimeMs = await untilThrottled(() => {
      sentCount += 1
      return other.request(produceApi, { version: 9, message })
    })
    const answeredMs = performance.now()
    // So many bytes take so long at the quota; ten seconds count as passed already, and what has really passed.
    const owedMs = (sentCount * 20_200 * 1000) / 10_000 - 10_000
    assert.ok(
      throttleTimeMs > Math.max(0, owedMs - 1500) && throttleTimeMs <= owedMs,
      `${throttleTimeMs} of ${owedMs} ms`
    )

    await other.request(metadataApi, { version: 9, message: { topics: [] } })

    const waitedMs = performance.now() - answeredMs
    // The clock of the broker began a moment before the answer was here.
    assert.ok(waitedMs >= throttleTimeMs * 0.5 - 50, `${waitedMs} ms instead of ${throttleTimeMs}`)
  })
})

test('a fetch above its quota comes without records, later with them', async t => {
  const peer = await connectForTest(t)
  const { name } = await createTopic(peer)
  const topicData = [{ name, partitionData: [{ index: 0, records: batchOf(['x'.repeat(30_000)]) }] }]
  await peer.connection.request(produceApi, { version: 9, message: { acks: -1, timeoutMs: 5000, topicData } })
  await withQuotas(peer, [entry(CLIENT, { consumer_byte_rate: 5000 })], async () => {
    const other = await RawConnection.open(t, peer.cluster)
    const topics = [{ topic: name, partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 100_000 }] }]
    const message = { maxWaitMs: 100, minBytes: 1, maxBytes: 1_000_000, sessionEpoch: -1, topics }
    let throttled = 0
    let served = 0
    const deadline = performance.now() + SETTLE_MS
    while ((throttled === 0 || served === 0) && performance.now() < deadline) {
      const answer = await other.request(fetchApi, { version: 11, message })
      const bytes = answer.responses[0]?.partitions[0]?.records?.length ?? 0
      if (answer.throttleTimeMs > 0) {
        assert.equal(bytes, 0)
        throttled += 1
      } else if (bytes > 0) served += 1
    }
    assert.ok(throttled > 0 && served > 0, `${throttled} throttled, ${served} served`)
  })
})

test('a client whose requests take too much time waits for one window at most', async t => {
  const peer = await connectForTest(t)
  await withQuotas(peer, [entry(CLIENT, { request_percentage: 0.0001 })], async () => {
    const other = await RawConnection.open(t, peer.cluster)
    const throttleTimeMs = await untilThrottled(() =>
      other.request(metadataApi, { version: 9, message: { topics: null } })
    )
    assert.ok(throttleTimeMs > 0 && throttleTimeMs <= 1000, `${throttleTimeMs} ms`)
  })
})

test('changes of topics above the quota are refused from the version on that knows the error', async t => {
  const peer = await connectForTest(t)
  const topic = (): string => peer.cluster.uniqueName('mutated')
  await withQuotas(peer, [entry(CLIENT, { controller_mutation_rate: 1 })], async () => {
    const create = (name: string, numPartitions: number, version: number) =>
      peer.connection.request(createTopicsApi, {
        version,
        message: { topics: [{ name, numPartitions, replicationFactor: 1 }], timeoutMs: 5000 }
      })
    const first = topic()
    // The bucket holds eleven windows of one; it may be overdrawn once.
    let answer = await create(first, 12, 7)
    for (let each = 0; each < 50 && errorOf(answer.topics[0]) === 'NONE'; each++) answer = await create(topic(), 12, 7)
    assert.equal(errorOf(answer.topics[0]), 'THROTTLING_QUOTA_EXCEEDED')
    assert.ok(answer.throttleTimeMs > 0)

    const client = await RawConnection.open(t, peer.cluster)
    const old = await client.request(createTopicsApi, {
      version: 5,
      message: { topics: [{ name: topic(), numPartitions: 1, replicationFactor: 1 }], timeoutMs: 5000 }
    })
    assert.equal(errorOf(old.topics[0]), 'NONE')
    assert.ok(old.throttleTimeMs > 0)
    const next = async (): Promise<RawConnection> => RawConnection.open(t, peer.cluster)
    const grown = await (
      await next()
    ).request(createPartitionsApi, {
      version: 3,
      message: { topics: [{ name: first, count: 13, assignments: null }], timeoutMs: 5000 }
    })
    assert.equal(errorOf(grown.results[0]), 'THROTTLING_QUOTA_EXCEEDED')
    const deleted = await (
      await next()
    ).request(deleteTopicsApi, {
      version: 5,
      message: { topicNames: [first], timeoutMs: 5000 }
    })
    assert.equal(errorOf(deleted.responses[0]), 'THROTTLING_QUOTA_EXCEEDED')
  })
})

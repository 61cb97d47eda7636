/**
 * Symptom: after a broker of three had frozen (its process stopped, its connections open), a client did nothing for
 * 30 s. Cause: metadata was asked of the frozen broker alone, whose connection was open, and what waited for an answer
 * of it waited for the request timeout, though the cluster had long elected other leaders. Reach: every call of a
 * client with several brokers.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { Cluster } from '../../src/client/index.ts'
import { firstAnswer } from '../../src/client/first-answer.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { heartbeatApi, metadataApi } from '../../src/protocol/index.ts'
import { type FakeBroker, startFakeBroker } from './fake-broker.ts'

interface Two {
  readonly cluster: Cluster
  /** Node 2, to which the client is connected; silent from now on. */
  readonly silent: FakeBroker
  /** Whether metadata goes on naming node 2. */
  isListed: boolean
}

/** A client with a connection to broker 2 of two brokers, which then says nothing any more. */
async function twoBrokers(t: TestContext): Promise<Two> {
  let isSilent = false
  const state = { isListed: true }
  const brokers: FakeBroker[] = []
  for (const nodeId of [1, 2]) {
    const broker = await startFakeBroker(t, request => {
      if (request.apiKey !== metadataApi.key) return false
      if (nodeId === 2 && isSilent) return true
      const listed = brokers.filter((_, index) => index === 0 || state.isListed)
      request.answer(metadataApi, {
        clusterId: 'c',
        controllerId: 1,
        brokers: listed.map(({ host, port }, index) => ({ nodeId: index + 1, host, port, rack: null })),
        topics: []
      })
      return true
    })
    brokers.push(broker)
  }
  const [, silent] = brokers
  assert.ok(silent)
  const cluster = await Cluster.connect({ bootstrapServers: silent.bootstrapServers, silenceMs: 20 })
  t.after(() => cluster.close())
  isSilent = true
  return Object.assign(state, { cluster, silent })
}

test('metadata is asked of another broker while one is silent', async t => {
  const { cluster } = await twoBrokers(t)
  assert.equal((await cluster.metadata([])).brokers.length, 2)
})

test('what waits for a broker that has left the cluster fails as soon as the metadata says so', async t => {
  const world = await twoBrokers(t)
  world.isListed = false
  await assert.rejects(world.cluster.send(heartbeatApi, { groupId: 'g' }, { to: { nodeId: 2 } }), {
    code: 'ERR_CLIENT_DISCONNECTED'
  })
})

test('a broker that is silent but still part of the cluster is waited for', async t => {
  const { cluster, silent } = await twoBrokers(t)
  await cluster.send(metadataApi, { topics: [] }, { to: { nodeId: 1 } })
  const answer = cluster.send(heartbeatApi, { groupId: 'g' }, { to: { nodeId: 2 } })
  const isSeen = (): boolean => silent.requests.some(({ apiKey }) => apiKey === heartbeatApi.key)
  while (!isSeen()) await turn()
  for (let looks = 0; looks < 3; looks += 1) await cluster.refreshMetadata()
  const request = silent.requests.find(({ apiKey }) => apiKey === heartbeatApi.key)
  assert.ok(request)
  request.answer(heartbeatApi, { errorCode: 0 })
  assert.equal((await answer).errorCode, 0)
})

test('the first answer counts; all failures together are the first one', async () => {
  const clock = new VirtualClock()
  const asked: number[] = []
  const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  const first = firstAnswer({
    clock,
    silenceMs: 100,
    ask: attempt => {
      if (attempt < 2) asked.push(attempt)
      return answers[attempt]?.promise
    }
  })
  await clock.advance(99)
  assert.deepEqual(asked, [0])
  await clock.advance(1)
  assert.deepEqual(asked, [0, 1])
  answers[1]?.resolve('second')
  assert.equal(await first, 'second')

  const failing = firstAnswer({
    clock,
    silenceMs: 100,
    ask: attempt => (attempt < 3 ? Promise.reject(new Error(`failure ${attempt}`)) : undefined)
  })
  await assert.rejects(failing, { message: 'failure 0' })
})

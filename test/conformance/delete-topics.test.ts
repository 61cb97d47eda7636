/** DeleteTopics that name a topic in more than one way, or in none. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteTopicsApi, metadataApi, ZERO_UUID } from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf, type Peer } from './support.ts'

interface Named {
  readonly name: string | null
  readonly topicId: string
}

async function deleteTopics({ connection }: Peer, topics: readonly Named[]): Promise<string[]> {
  const { responses } = await connection.request(deleteTopicsApi, {
    version: 6,
    message: { topics, timeoutMs: 10_000 }
  })
  return responses.map(each => `${each.name} ${each.topicId} ${errorOf(each)}`).toSorted()
}

async function exists({ connection }: Peer, name: string): Promise<boolean> {
  const message = { topics: [{ name }], allowAutoTopicCreation: false }
  const { topics } = await connection.request(metadataApi, { version: 9, message })
  return errorOf(topics[0]) === 'NONE'
}

test('a topic that is named twice stays, those beside it go', async t => {
  const peer = await connectForTest(t)
  const [twice, once] = [await createTopic(peer), await createTopic(peer)]
  const named = { name: twice.name, topicId: ZERO_UUID }

  const answers = await deleteTopics(peer, [named, named, { name: null, topicId: once.id }])

  const expected = [`${twice.name} ${ZERO_UUID} INVALID_REQUEST`, `${once.name} ${once.id} NONE`]
  assert.deepEqual(answers, expected.toSorted())
  assert.equal(await exists(peer, twice.name), true)
})

test('an id that is named twice is refused', async t => {
  const peer = await connectForTest(t)
  const { name, id } = await createTopic(peer)
  const named = { name: null, topicId: id }

  assert.deepEqual(await deleteTopics(peer, [named, named]), [`null ${id} INVALID_REQUEST`])
  assert.equal(await exists(peer, name), true)
})

test('a name and an id, or neither, are refused', async t => {
  const peer = await connectForTest(t)
  const { name, id } = await createTopic(peer)

  const answers = await deleteTopics(peer, [
    { name, topicId: id },
    { name: null, topicId: ZERO_UUID }
  ])

  assert.deepEqual(answers, [`${name} ${id} INVALID_REQUEST`, `null ${ZERO_UUID} INVALID_REQUEST`].toSorted())
  assert.equal(await exists(peer, name), true)
})

test('a topic that is named by its name and by its id is refused once', async t => {
  const peer = await connectForTest(t)
  const { name, id } = await createTopic(peer)

  const answers = await deleteTopics(peer, [
    { name, topicId: ZERO_UUID },
    { name: null, topicId: id }
  ])

  assert.deepEqual(answers, [`${name} ${id} INVALID_REQUEST`])
  assert.equal(await exists(peer, name), true)
})

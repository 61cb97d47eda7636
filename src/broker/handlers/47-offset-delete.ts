/** OffsetDelete, version 0: removes committed offsets of topics that the group does not subscribe to (KIP-496). */

import { offsetDeleteApi } from '../../protocol/index.ts'
import { mayTopic } from './authorization.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of OffsetDelete. */
export const offsetDeleteHandler = defineHandler({
  api: offsetDeleteApi,
  needs: request => [{ operation: 'delete', type: 'group', name: request.groupId }],
  handle: async (broker, request, caller) => {
    const named = request.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex }))
    )
    const allowed = new Set(
      request.topics.map(({ name }) => name).filter(name => mayTopic(broker, caller, { operation: 'read', name }))
    )
    const known = named.filter(
      ({ topic, partition }) => allowed.has(topic) && broker.logs.topic(topic)?.logs[partition] !== undefined
    )
    const { error, errors } = await broker.groups.deleteOffsets(request.groupId, known)
    if (error !== 'NONE') return { errorCode: errorCode(error) }
    const byPartition = new Map(
      known.map(({ topic, partition }, index) => [`${partition} ${topic}`, errors[index] ?? 'NONE'])
    )
    const errorOf = (topic: string, partition: number): number => {
      if (!allowed.has(topic)) return errorCode('TOPIC_AUTHORIZATION_FAILED')
      return errorCode(byPartition.get(`${partition} ${topic}`) ?? 'UNKNOWN_TOPIC_OR_PARTITION')
    }
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: errorOf(name, partitionIndex)
      }))
    }))
    return { topics }
  },
  fail: (_request, code) => ({ errorCode: code })
})

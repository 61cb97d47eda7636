/** OffsetDelete, version 0: removes committed offsets of topics that the group does not subscribe to (KIP-496). */

import { offsetDeleteApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of OffsetDelete. */
export const offsetDeleteHandler = defineHandler({
  api: offsetDeleteApi,
  handle: async (broker, request) => {
    const named = request.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex }))
    )
    const known = named.filter(({ topic, partition }) => broker.logs.topic(topic)?.logs[partition] !== undefined)
    const { error, errors } = await broker.groups.deleteOffsets(request.groupId, known)
    if (error !== 'NONE') return { errorCode: errorCode(error) }
    const errorOf = (topic: string, partition: number): number => {
      const index = known.findIndex(each => each.topic === topic && each.partition === partition)
      return errorCode(index < 0 ? 'UNKNOWN_TOPIC_OR_PARTITION' : (errors[index] ?? 'NONE'))
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

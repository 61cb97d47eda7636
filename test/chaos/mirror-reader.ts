/** Reads a topic from its start until the reader has seen what it waits for. */

import { type Cluster, type FetchedChunk, Fetcher } from '../../src/client/index.ts'

/** Hands chunks of all partitions over until `take` says that it is enough. */
export async function readRecords(
  cluster: Cluster,
  from: { readonly topic: string; readonly partitions: number },
  take: (chunk: FetchedChunk) => boolean
): Promise<void> {
  const done = Promise.withResolvers<void>()
  const fetcher = new Fetcher({
    cluster,
    maxWaitMs: 50,
    onRecords: chunk => {
      if (take(chunk)) done.resolve()
      chunk.lease?.release()
    },
    onPartitionError: ({ error, willRetry }) => {
      if (!willRetry) done.reject(error)
    }
  })
  for (let partition = 0; partition < from.partitions; partition += 1) {
    fetcher.add({ topic: from.topic, partition, offset: 0n })
  }
  fetcher.start()
  await done.promise
  await fetcher.close()
}

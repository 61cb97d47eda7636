/** Reads all dead letters of a run from their topic, for the audit. */

import { Admin, type Cluster, Fetcher } from '../../client/index.ts'
import { PipelineError, sleep, systemClock } from '../../core/index.ts'
import type { DeadLetter } from '../../ops/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import { parseEventId } from './service.ts'

/** Headers that hold the reason: the producer and the dispatcher write the same one. */
const reasonHeader = 'comporta-error-reason'

/** Every dead letter of the topic from its start to its end as it is now. */
export async function readDeadLetters(cluster: Cluster, topic: string): Promise<DeadLetter[]> {
  const ends = await endOffsets(cluster, topic)
  const letters: DeadLetter[] = []
  const cursor = new RecordCursor()
  const left = new Map(ends)
  let failure: PipelineError | undefined
  const fetcher = new Fetcher({
    cluster,
    onRecords: chunk => {
      cursor.reset(chunk.records)
      while (cursor.nextBatch()) while (cursor.nextRecord()) letters.push(deadLetterAt(cursor))
      if (chunk.nextOffset >= (left.get(chunk.partition) ?? 0n)) left.delete(chunk.partition)
    },
    onPartitionError: error => {
      if (!error.error.retriable) failure = error.error
    }
  })
  for (const partition of ends.keys()) fetcher.add({ topic, partition, offset: 0n })
  fetcher.start()
  try {
    while (left.size > 0 && failure === undefined) await sleep(systemClock, 20)
  } finally {
    await fetcher.close()
  }
  if (failure !== undefined) throw failure
  return letters
}

/** End offsets of the partitions that hold something. */
async function endOffsets(cluster: Cluster, topic: string): Promise<Map<number, bigint>> {
  const admin = new Admin(cluster)
  const { topics } = await admin.describeTopics([topic])
  const partitions = topics[0]?.partitions ?? []
  const offsets = await admin.listOffsets(partitions.map(each => ({ topic, partition: each.partition, at: 'latest' })))
  return new Map(offsets.filter(each => each.offset > 0n).map(each => [each.partition, each.offset]))
}

/** A malformed event is not JSON, but its identity stands at its start whatever was cut off. */
function deadLetterAt(cursor: RecordCursor): DeadLetter {
  const id = /"id":"(\d+-\d+)"/.exec(cursor.value()?.toString('latin1') ?? '')?.[1]
  const { producer, number } = parseEventId(id ?? '255-0')
  const reason =
    cursor
      .headers()
      .find(header => header.key === reasonHeader)
      ?.value?.toString('utf8') ?? ''
  return { producer, event: number, reason: withoutDetails(reason) }
}

/** One line of the report per kind of reason: positions and offsets in it differ from event to event. */
function withoutDetails(reason: string): string {
  return reason.replaceAll(/\d+/g, 'N')
}

/**
 * A broker's produce path as Kafka describes it (producer ids, epochs,
 * sequences, duplicates), in memory, behind a fake broker whose answers a test
 * can take away.
 */

import type { TestContext } from 'node:test'
import {
  initProducerIdApi,
  metadataApi,
  produceApi,
  type ProduceRequest,
  readBatchHeader,
  RecordCursor,
  ZERO_UUID
} from '../../src/protocol/index.ts'
import { type FakeBroker, type SeenRequest, startFakeBroker } from './fake-broker.ts'

/** What happens to one batch. Codes are Kafka's; `lost` = appended, but the connection ends before the answer. */
export type Fate =
  | { readonly kind: 'ok'; readonly throttleTimeMs?: number }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly isAppended: boolean }
  | { readonly kind: 'lost'; readonly isAppended: boolean }

/** Decides what happens to a batch. */
export type FateOf = (batch: { readonly partition: number; readonly recordCount: number }) => Fate

/** Who may have written what: Kafka `ProducerStateEntry`. */
interface ProducerState {
  epoch: number
  lastSequence: number
  readonly batches: { first: number; last: number; offset: bigint }[]
}

const batchesRemembered = 5
const outOfOrder = 45
const staleEpoch = 47

/** The log and the producers of one partition. */
export class PartitionModel {
  readonly values: string[] = []
  /** Sequences and epochs in the order they were appended, as `epoch:first-last`. */
  readonly stamps: string[] = []
  readonly #producers = new Map<bigint, ProducerState>()

  /** Forgets all producers, as when their records have gone by retention. */
  forgetProducers(): void {
    this.#producers.clear()
  }

  /** Kafka `ProducerAppendInfo`: 0 or an error code, and where the batch is. */
  append(records: Buffer): { errorCode: number; offset: bigint } {
    const { producerId, producerEpoch, baseSequence, recordCount } = readBatchHeader(records, 0)
    const known = this.#producers.get(producerId)
    if (producerId >= 0n && known !== undefined) {
      const last = baseSequence + recordCount - 1
      const isDuplicate = (each: { first: number; last: number }): boolean =>
        each.first === baseSequence && each.last === last
      const duplicate = known.epoch === producerEpoch ? known.batches.find(isDuplicate) : undefined
      if (duplicate !== undefined) return { errorCode: 0, offset: duplicate.offset }
      if (producerEpoch < known.epoch) return { errorCode: staleEpoch, offset: -1n }
      const expected = producerEpoch > known.epoch ? 0 : known.lastSequence + 1
      if (baseSequence !== expected) return { errorCode: outOfOrder, offset: -1n }
    }
    return { errorCode: 0, offset: this.#store(records) }
  }

  #store(records: Buffer): bigint {
    const { producerId, producerEpoch, baseSequence, recordCount } = readBatchHeader(records, 0)
    const offset = BigInt(this.values.length)
    const cursor = new RecordCursor()
    cursor.reset(records)
    while (cursor.nextBatch()) while (cursor.nextRecord()) this.values.push(cursor.value()?.toString() ?? '')
    const last = baseSequence + recordCount - 1
    this.stamps.push(`${producerEpoch}:${baseSequence}-${last}`)
    const known = this.#producers.get(producerId)
    const state = known?.epoch === producerEpoch ? known : { epoch: producerEpoch, lastSequence: -1, batches: [] }
    state.lastSequence = last
    state.batches.push({ first: baseSequence, last, offset })
    if (state.batches.length > batchesRemembered) state.batches.shift()
    this.#producers.set(producerId, state)
    return offset
  }
}

/** A topic `t` behind a fake broker. */
export interface ProduceModel {
  readonly broker: FakeBroker
  readonly partitions: PartitionModel[]
  /** How many producer ids were given out. */
  producerIdCount(): number
}

/** Starts the model; `fate` decides what happens to each batch, in the order they arrive. */
export async function startProduceModel(t: TestContext, partitionCount: number, fate: FateOf): Promise<ProduceModel> {
  const partitions = Array.from({ length: partitionCount }, () => new PartitionModel())
  let producerIds = 0
  const broker: FakeBroker = await startFakeBroker(t, request => {
    switch (request.apiKey) {
      case metadataApi.key:
        return answerMetadata(request, broker, partitionCount)
      case initProducerIdApi.key:
        producerIds += 1
        return request.answer(initProducerIdApi, { producerId: BigInt(1_000 + producerIds), producerEpoch: 0 })
      case produceApi.key:
        return produce(request, partitions, fate)
      default:
        return false
    }
  })
  return { broker, partitions, producerIdCount: () => producerIds }
}

function answerMetadata(request: SeenRequest, broker: FakeBroker, partitionCount: number): void {
  const partitions = Array.from({ length: partitionCount }, (_, partitionIndex) => ({
    partitionIndex,
    leaderId: 1,
    leaderEpoch: 1,
    replicaNodes: [1],
    isrNodes: [1]
  }))
  request.answer(metadataApi, {
    clusterId: 'c',
    controllerId: 1,
    brokers: [{ nodeId: 1, host: broker.host, port: broker.port, rack: null }],
    topics: [{ name: 't', topicId: ZERO_UUID, partitions }]
  })
}

function produce(request: SeenRequest, partitions: readonly PartitionModel[], fate: FateOf): void {
  const { topicData } = request.message as ProduceRequest // Decoded by our own codec.
  let isLost = false
  let throttleTimeMs = 0
  const partitionResponses = topicData.flatMap(topic =>
    topic.partitionData.map(({ index, records }) => {
      const bytes = records ?? Buffer.alloc(0)
      const what = fate({ partition: index, recordCount: readBatchHeader(bytes, 0).recordCount })
      const isAppended = what.kind === 'ok' || what.isAppended
      const result = isAppended ? partitions[index]?.append(bytes) : undefined
      if (what.kind === 'lost') isLost = true
      if (what.kind === 'ok') throttleTimeMs = Math.max(throttleTimeMs, what.throttleTimeMs ?? 0)
      const errorCode = what.kind === 'refused' ? what.errorCode : (result?.errorCode ?? 0)
      return { index, errorCode, baseOffset: result?.offset ?? -1n }
    })
  )
  if (isLost) request.socket.destroy()
  else request.answer(produceApi, { responses: [{ name: 't', partitionResponses }], throttleTimeMs })
}

/**
 * Idempotent producers that live longer than the broker, and what must be there
 * of theirs. They send again after a crash what was not acknowledged, with the
 * same sequences, as Kafka's own clients do.
 *
 * The rule that is checked: of one producer, a partition holds a prefix of what
 * it sent, each record once, in order, at the offset that was acknowledged; the
 * prefix has everything that was acknowledged.
 */

import assert from 'node:assert/strict'
import { type Random, randomInt } from '../../src/core/index.ts'
import { type CompressionName, initProducerIdApi, produceApi, RecordBatchBuilder } from '../../src/protocol/index.ts'
import { assertOk, BrokerGone, type Link } from './broker-crash-link.ts'
import type { ReadPartition } from './broker-crash-reader.ts'
import { CRASH_PARTITIONS, type CrashPartition } from './broker-crash-topics.ts'

const IN_FLIGHT_MAX = 5
const CODECS: readonly CompressionName[] = ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd']
const KEY_COUNT = 30

interface SentBatch {
  readonly bytes: Buffer
  readonly values: readonly string[]
  readonly keys: readonly string[]
  /** Offset of the first record, once it was acknowledged. */
  baseOffset: bigint | undefined
}

interface Lane {
  readonly at: CrashPartition
  readonly batches: SentBatch[]
  /** How many batches were acknowledged: they are in order. */
  ackedCount: number
  nextSequence: number
}

/** One idempotent producer. */
export class CrashProducer {
  readonly name: string
  readonly #random: Random
  readonly #lanes: readonly Lane[]
  readonly #seenProducerIds: Set<bigint>
  #producerId = -1n
  #count = 0

  /** @param seenProducerIds - Shared by all producers: no id may be given twice. */
  constructor(name: string, random: Random, seenProducerIds: Set<bigint>) {
    this.name = name
    this.#random = random
    this.#seenProducerIds = seenProducerIds
    this.#lanes = CRASH_PARTITIONS.map(at => ({ at, batches: [], ackedCount: 0, nextSequence: 0 }))
  }

  /** Records that were acknowledged so far. */
  get ackedRecords(): number {
    return this.#lanes.reduce(
      (sum, lane) => sum + lane.batches.slice(0, lane.ackedCount).reduce((all, { values }) => all + values.length, 0),
      0
    )
  }

  /** Sends until the broker is gone: first what was left open by the crash before. Rejects with `BrokerGone`. */
  async run(link: Link): Promise<never> {
    if (this.#producerId === -1n) await this.#initialise(link)
    for (const lane of this.#lanes) {
      const open = lane.batches.slice(lane.ackedCount)
      await Promise.all(open.map(batch => this.#send(link, [{ lane, batch }])))
    }
    const inFlight = new Set<Promise<void>>()
    for (;;) {
      // A batch that is made after the end would be one more than the broker remembers.
      if (link.isGone) throw new BrokerGone('the connection is gone')
      while (inFlight.size < IN_FLIGHT_MAX) {
        const sending = this.#send(link, this.#nextRequest()).finally(() => inFlight.delete(sending))
        // The race below sees it reject; what rejects beside it must not end the process.
        sending.catch(() => undefined)
        inFlight.add(sending)
      }
      await Promise.race(inFlight)
    }
  }

  /** Checks what a partition holds of this producer. */
  check(at: CrashPartition, read: ReadPartition): void {
    const lane = this.#lanes.find(each => each.at === at)
    assert.ok(lane !== undefined)
    const found = read.records.filter(record => record.value.startsWith(`${this.name}/`))
    const sent = lane.batches.flatMap((batch, number) =>
      batch.values.map((value, index) => ({
        value: idOf(value),
        isAcked: number < lane.ackedCount,
        offset: batch.baseOffset === undefined ? undefined : batch.baseOffset + BigInt(index)
      }))
    )
    const where = `${this.name} in ${at.name}`
    const indexes = new Map(sent.map(({ value }, index) => [value, index]))
    let last = -1
    for (const record of found) {
      const index = indexes.get(idOf(record.value))
      assert.ok(
        index !== undefined,
        `${where}: offset ${record.offset} holds what was never sent: ${idOf(record.value)}`
      )
      assert.ok(index > last, `${where}: offset ${record.offset} holds ${idOf(record.value)} twice or out of order`)
      if (at.topic.isCompacted !== true && last >= 0) {
        assert.equal(index, last + 1, `${where}: a gap before offset ${record.offset} (${idOf(record.value)})`)
      }
      const offset = sent[index]?.offset
      if (offset !== undefined) assert.equal(record.offset, offset, `${where}: acknowledged at another offset`)
      last = index
    }
    if (at.topic.isCompacted === true) return
    const present = new Set(found.map(record => idOf(record.value)))
    for (const { value, isAcked, offset } of sent) {
      const mustBeThere = isAcked && offset !== undefined && offset >= read.logStartOffset
      assert.ok(!mustBeThere || present.has(value), `${where}: ${value} was acknowledged at ${offset} and is lost`)
    }
  }

  /** Of each key of a compacted partition, the latest acknowledged record. */
  latestAcked(at: CrashPartition): Map<string, bigint> {
    const latest = new Map<string, bigint>()
    const lane = this.#lanes.find(each => each.at === at)
    for (const { keys, baseOffset } of lane?.batches.slice(0, lane.ackedCount) ?? []) {
      keys.forEach((key, index) => latest.set(key, (baseOffset ?? 0n) + BigInt(index)))
    }
    return latest
  }

  async #initialise(link: Link): Promise<void> {
    const message = { transactionalId: null, transactionTimeoutMs: 60_000 }
    const answer = await link.request(initProducerIdApi, { version: 3, message })
    assertOk(answer, `${this.name} gets a producer id`)
    assert.ok(!this.#seenProducerIds.has(answer.producerId), `producer id ${answer.producerId} was given before`)
    this.#seenProducerIds.add(answer.producerId)
    this.#producerId = answer.producerId
  }

  /** One to three batches for different partitions. */
  #nextRequest(): { lane: Lane; batch: SentBatch }[] {
    const first = randomInt(this.#random, this.#lanes.length)
    const count = 1 + randomInt(this.#random, 3)
    const lanes = Array.from({ length: count }, (_, index) => this.#lanes[(first + index) % this.#lanes.length])
    return lanes.filter(lane => lane !== undefined).map(lane => ({ lane, batch: this.#makeBatch(lane) }))
  }

  #makeBatch(lane: Lane): SentBatch {
    const compression = CODECS[randomInt(this.#random, CODECS.length)] ?? 'none'
    const builder = new RecordBatchBuilder({ compression })
    const padding = 'x'.repeat(randomInt(this.#random, lane.at.topic.name === 'small' ? 20_000 : 400))
    const keys: string[] = []
    const values: string[] = []
    for (let count = 1 + randomInt(this.#random, 8); count > 0; count--) {
      const key = `key-${randomInt(this.#random, KEY_COUNT)}`
      const value = `${this.name}/${this.#count++}/${padding}`
      builder.tryAppend(Date.now(), Buffer.from(key), Buffer.from(value))
      keys.push(key)
      values.push(value)
    }
    const stamp = { producerId: this.#producerId, producerEpoch: 0, baseSequence: lane.nextSequence }
    lane.nextSequence += values.length
    const batch: SentBatch = { bytes: Buffer.from(builder.build(stamp)), values, keys, baseOffset: undefined }
    lane.batches.push(batch)
    return batch
  }

  async #send(link: Link, request: readonly { lane: Lane; batch: SentBatch }[]): Promise<void> {
    const topicData = request.map(({ lane, batch }) => ({
      name: lane.at.topic.name,
      partitionData: [{ index: lane.at.partition, records: batch.bytes }]
    }))
    const message = { acks: -1, timeoutMs: 30_000, topicData }
    const answer = await link.request(produceApi, { version: 8, message })
    request.forEach(({ lane, batch }, index) => {
      const result = answer.responses[index]?.partitionResponses[0]
      const where = `${this.name} to ${lane.at.name}: ${result?.errorMessage ?? ''}`
      assertOk(result, where)
      batch.baseOffset = result?.baseOffset
      assert.equal(lane.batches[lane.ackedCount], batch, `${where} answered out of order`)
      const before = lane.batches[lane.ackedCount - 1]
      const isLater = before?.baseOffset === undefined || (batch.baseOffset ?? -1n) > before.baseOffset
      assert.ok(isLater, `${where}: offset ${batch.baseOffset} is not above ${before?.baseOffset}`)
      lane.ackedCount += 1
    })
  }
}

/** A value without its padding. */
function idOf(value: string): string {
  return value.slice(0, value.lastIndexOf('/'))
}

/** Of each key, a compacted partition keeps the latest record of all. */
export function checkCompacted(at: CrashPartition, read: ReadPartition, producers: readonly CrashProducer[]): void {
  const found = new Map<string, bigint>()
  for (const { key, offset } of read.records) if (key !== null) found.set(key, offset)
  for (const producer of producers) {
    for (const [key, offset] of producer.latestAcked(at)) {
      const kept = found.get(key)
      const where = `${at.name}: ${key} of ${producer.name} was acknowledged at ${offset}`
      assert.ok(kept !== undefined && kept >= offset, `${where}, the latest that is left is at ${kept}`)
    }
  }
}

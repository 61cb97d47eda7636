/**
 * The same random requests of several producers to our broker and to Apache
 * Kafka, right and wrong ones: every answer is the same, and so is what every
 * kind of reader sees afterwards. The seed is printed and taken from TEST_SEED.
 */

import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { type Random, SeededRandom, randomInt } from '../../src/core/index.ts'
import {
  addPartitionsToTxnApi,
  createTopicsApi,
  deleteRecordsApi,
  describeProducersApi,
  endTxnApi,
  fetchApi,
  initProducerIdApi,
  isControl,
  isTransactional,
  kafkaErrorName,
  listOffsetsApi,
  produceApi,
  RecordBatchBuilder,
  RecordCursor
} from '../../src/protocol/index.ts'
import { findCoordinator, retried } from '../conformance/transactions-support.ts'
import { uniqueName } from '../support/cluster.ts'
import { startKafkaJvm } from '../support/kafka-jvm.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { inShortRun } from './tools.ts'

const STEP_COUNT = Number(process.env['TEST_STEPS'] ?? 250)
const PARTITION_COUNT = 2
const PRODUCER_COUNT = 4
const START_MS = Date.now() - 3_600_000
const settleTimeoutMs = 10_000

/** A request in words that mean the same to both brokers. */
type Command =
  | { readonly kind: 'init'; readonly producer: number }
  | { readonly kind: 'add'; readonly producer: number; readonly partition: number }
  | { readonly kind: 'produce'; readonly producer: number; readonly partition: number; readonly batch: CommandBatch }
  | { readonly kind: 'end'; readonly producer: number; readonly isCommit: boolean }
  | { readonly kind: 'delete'; readonly partition: number; readonly offset: bigint }

interface CommandBatch {
  readonly version: number
  readonly sequence: number
  readonly epochDelta: number
  readonly count: number
  readonly isTransactional: boolean
  readonly timestampMs: number
  readonly value: string
}

interface Identity {
  producerId: bigint
  producerEpoch: number
}

/** One of the two brokers. */
class World {
  readonly name: string
  connection: RawConnection
  readonly topic = uniqueName('twins')
  readonly #prefix = uniqueName('txn')
  readonly identities: Identity[] = []
  readonly isVersion2: (producer: number) => boolean

  constructor(name: string, connection: RawConnection, isVersion2: (producer: number) => boolean) {
    this.name = name
    this.connection = connection
    this.isVersion2 = isVersion2
  }

  async prepare(): Promise<void> {
    const topics = [{ name: this.topic, numPartitions: PARTITION_COUNT, replicationFactor: 1 }]
    await this.connection.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 10_000 } })
    const peer = { connection: this.connection, cluster: { bootstrapServers: '', isEmbedded: false, uniqueName } }
    for (let index = 0; index < PRODUCER_COUNT; index++) {
      await findCoordinator(peer, this.#idOf(index))
      await this.run({ kind: 'init', producer: index })
    }
  }

  /** Sends a command; what comes back has no producer ids in it. */
  run(command: Command): Promise<unknown[]> {
    switch (command.kind) {
      case 'init':
        return this.#init(command.producer)
      case 'add':
        return this.#add(command.producer, command.partition)
      case 'produce':
        return this.#produce(command)
      case 'end':
        return this.#end(command.producer, command.isCommit)
      case 'delete':
        return this.#delete(command.partition, command.offset)
    }
  }

  #idOf(producer: number): string {
    return `${this.#prefix}-${producer}`
  }

  #identity(producer: number): Identity {
    return this.identities[producer] ?? { producerId: -1n, producerEpoch: -1 }
  }

  async #init(producer: number): Promise<unknown[]> {
    const message = { transactionalId: this.#idOf(producer), transactionTimeoutMs: 600_000 }
    const answer = await retried(
      () => this.connection.request(initProducerIdApi, { version: 5, message }),
      ({ errorCode }) => kafkaErrorName(errorCode)
    )
    this.identities[producer] = { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    return [kafkaErrorName(answer.errorCode), answer.producerEpoch]
  }

  async #add(producer: number, partition: number): Promise<unknown[]> {
    const { producerId, producerEpoch } = this.#identity(producer)
    const message = {
      v3AndBelowTransactionalId: this.#idOf(producer),
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: this.topic, partitions: [partition] }]
    }
    const errorOf = (answer: Awaited<ReturnType<typeof ask>>): string =>
      kafkaErrorName(answer.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode ?? -1)
    const ask = () => this.connection.request(addPartitionsToTxnApi, { version: 3, message })
    return [errorOf(await retried(ask, errorOf))]
  }

  async #produce({ producer, partition, batch }: Extract<Command, { kind: 'produce' }>): Promise<unknown[]> {
    const { producerId, producerEpoch } = this.#identity(producer)
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < batch.count; index++) {
      builder.tryAppend(batch.timestampMs + index, null, Buffer.from(`${batch.value}.${index}`))
    }
    const epoch = Math.max(0, producerEpoch + batch.epochDelta)
    const stamp = { producerId, producerEpoch: epoch, baseSequence: batch.sequence }
    const ask = () => {
      const records = Buffer.from(builder.build({ ...stamp, isTransactional: batch.isTransactional }))
      const topicData = [{ name: this.topic, partitionData: [{ index: partition, records }] }]
      const transactionalId = batch.isTransactional ? this.#idOf(producer) : null
      const message = { transactionalId, acks: -1, timeoutMs: 10_000, topicData }
      return this.connection.request(produceApi, { version: batch.version, message })
    }
    const errorOf = (answer: Awaited<ReturnType<typeof ask>>): string =>
      kafkaErrorName(answer.responses[0]?.partitionResponses[0]?.errorCode ?? -1)
    const answer = await retried(ask, errorOf)
    return [errorOf(answer), answer.responses[0]?.partitionResponses[0]?.baseOffset]
  }

  async #end(producer: number, isCommit: boolean): Promise<unknown[]> {
    const identity = this.#identity(producer)
    const message = { transactionalId: this.#idOf(producer), ...identity, committed: isCommit }
    const version = this.isVersion2(producer) ? 5 : 4
    const answer = await retried(
      () => this.connection.request(endTxnApi, { version, message }),
      ({ errorCode }) => kafkaErrorName(errorCode)
    )
    if (answer.errorCode === 0 && version === 5) {
      this.identities[producer] = { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    }
    return [kafkaErrorName(answer.errorCode), this.#identity(producer).producerEpoch]
  }

  async #delete(partition: number, offset: bigint): Promise<unknown[]> {
    const topics = [{ name: this.topic, partitions: [{ partitionIndex: partition, offset }] }]
    const answer = await this.connection.request(deleteRecordsApi, {
      version: 2,
      message: { topics, timeoutMs: 10_000 }
    })
    const result = answer.topics[0]?.partitions[0]
    return [kafkaErrorName(result?.errorCode ?? -1), result?.lowWatermark]
  }

  /** Everything that a reader can learn of a partition. */
  async view(partition: number, from: bigint): Promise<Record<string, unknown>> {
    return {
      committed: await this.#read(partition, { from, isolationLevel: 1 }),
      all: await this.#read(partition, { from, isolationLevel: 0 }),
      offsets: await this.#offsets(partition),
      producers: await this.#producers(partition)
    }
  }

  async #read(partition: number, { from, isolationLevel }: { from: bigint; isolationLevel: number }): Promise<unknown> {
    const partitions = [{ partition, fetchOffset: from, partitionMaxBytes: 10_000_000 }]
    const limits = { maxWaitMs: 0, minBytes: 0, maxBytes: 10_000_000 }
    const message = { ...limits, isolationLevel, topics: [{ topic: this.topic, partitions }] }
    const answer = await this.connection.request(fetchApi, { version: 12, message })
    const data = answer.responses[0]?.partitions[0]
    assert.ok(data)
    const cursor = new RecordCursor()
    cursor.reset(data.records ?? Buffer.alloc(0))
    const shown: unknown[] = []
    while (cursor.nextBatch()) {
      const { attributes, producerEpoch, baseSequence, baseOffset } = cursor.header
      const kind = isControl(attributes) ? 'marker' : isTransactional(attributes) ? 'transactional' : 'plain'
      const values: (string | undefined)[] = []
      while (cursor.nextRecord())
        values.push(kind === 'marker' ? cursor.key()?.toString('hex') : cursor.value()?.toString())
      shown.push([baseOffset, kind, producerEpoch, baseSequence, ...values])
    }
    // Apache Kafka may name transactions that begin behind what it answers.
    const told = data.abortedTransactions?.filter(({ firstOffset }) => firstOffset < data.lastStableOffset)
    const aborted = told?.map(each => [this.#indexOf(each.producerId), each.firstOffset])
    const { highWatermark, lastStableOffset, logStartOffset } = data
    const offsets = { highWatermark, lastStableOffset, logStartOffset }
    return { error: kafkaErrorName(data.errorCode), ...offsets, shown, aborted: aborted?.toSorted(byOffset) }
  }

  async #offsets(partition: number): Promise<unknown[]> {
    const found: unknown[] = []
    for (const isolationLevel of [0, 1]) {
      for (const timestamp of [-1n, -2n, -3n, -4n, BigInt(START_MS), BigInt(START_MS + 30)]) {
        const topics = [{ name: this.topic, partitions: [{ partitionIndex: partition, timestamp }] }]
        const message = { replicaId: -1, isolationLevel, topics }
        const answer = await this.connection.request(listOffsetsApi, { version: 8, message })
        const row = answer.topics[0]?.partitions[0]
        // The time of a marker is that of its broker.
        found.push([timestamp, row?.errorCode, timestamp === -3n ? undefined : row?.offset])
      }
    }
    return found
  }

  async #producers(partition: number): Promise<unknown[]> {
    const message = { topics: [{ name: this.topic, partitionIndexes: [partition] }] }
    const answer = await this.connection.request(describeProducersApi, { version: 0, message })
    const rows = answer.topics[0]?.partitions[0]?.activeProducers ?? []
    return rows
      .map(each => [this.#indexOf(each.producerId), each.producerEpoch, each.lastSequence, each.currentTxnStartOffset])
      .toSorted((a, b) => Number(a[0]) - Number(b[0]))
  }

  #indexOf(producerId: bigint): number {
    return this.identities.findIndex(each => each.producerId === producerId)
  }
}

function byOffset(a: readonly [number, bigint] | unknown[], b: readonly [number, bigint] | unknown[]): number {
  return Number(BigInt(String(a[1])) - BigInt(String(b[1])))
}

/** Makes commands from what is known to have succeeded. */
class Author {
  readonly #random: Random
  readonly #isVersion2: (producer: number) => boolean
  /** Whether every request is right. */
  readonly #isCareful: boolean
  readonly #next = new Map<string, number>()
  readonly #added = new Set<string>()
  readonly #written: bigint[][] = Array.from({ length: PARTITION_COUNT }, () => [])
  /** Log start offsets. */
  readonly starts: bigint[] = Array.from({ length: PARTITION_COUNT }, () => 0n)
  #count = 0

  constructor(random: Random, options: { isVersion2: (producer: number) => boolean; isCareful: boolean }) {
    this.#random = random
    this.#isVersion2 = options.isVersion2
    this.#isCareful = options.isCareful
  }

  below(limit: number): number {
    return randomInt(this.#random, limit)
  }

  write(): Command {
    const producer = this.below(PRODUCER_COUNT)
    const partition = this.below(PARTITION_COUNT)
    const dice = this.below(100)
    if (dice < 3) return { kind: 'init', producer }
    if (dice < 5) return { kind: 'delete', partition, offset: this.#boundary(partition) }
    const isAdded = this.#isVersion2(producer) || this.#added.has(`${producer}/${partition}`)
    if (dice < 18 || (this.#isCareful && !isAdded)) return { kind: 'add', producer, partition }
    if (dice < 35) return { kind: 'end', producer, isCommit: this.below(2) === 0 }
    return { kind: 'produce', producer, partition, batch: this.#batch(producer, partition) }
  }

  #batch(producer: number, partition: number): CommandBatch {
    const next = this.#next.get(`${producer}/${partition}`) ?? 0
    const wrong = this.#isCareful ? -1 : this.below(8)
    const sequence = wrong === 0 ? this.below(next + 3) : wrong === 1 ? 0 : next
    return {
      version: this.#isVersion2(producer) ? 12 : 9 + 2 * this.below(2),
      sequence,
      epochDelta: !this.#isCareful && this.below(15) === 0 ? -1 : 0,
      count: 1 + this.below(3),
      isTransactional: this.#isCareful || this.below(10) > 0,
      timestampMs: START_MS + this.#count,
      value: `${this.#count++}`
    }
  }

  /** Where a batch begins: from inside of one the two brokers name other last stable offsets. */
  #boundary(partition: number): bigint {
    const offsets = this.#written[partition] ?? []
    return offsets[this.below(offsets.length)] ?? 0n
  }

  /** Takes what came of a command. */
  learn(command: Command, answer: readonly unknown[]): void {
    if (answer[0] !== 'NONE') return
    const [, second] = answer
    if (command.kind === 'delete') {
      const known = this.starts[command.partition] ?? 0n
      this.starts[command.partition] = command.offset > known ? command.offset : known
      return
    }
    if (command.kind === 'add') this.#added.add(`${command.producer}/${command.partition}`)
    if (command.kind === 'produce' && typeof second === 'bigint') this.#written[command.partition]?.push(second)
    if (command.kind === 'init' || command.kind === 'end') {
      for (const name of this.#added) if (name.startsWith(`${command.producer}/`)) this.#added.delete(name)
    }
    if (command.kind === 'produce') {
      const { sequence, count } = command.batch
      this.#next.set(`${command.producer}/${command.partition}`, sequence + count)
    }
    const isNewEpoch = command.kind === 'init' || (command.kind === 'end' && this.#isVersion2(command.producer))
    if (!isNewEpoch) return
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      this.#next.set(`${command.producer}/${partition}`, 0)
    }
  }
}

/** What led to a difference. */
function tell(history: readonly unknown[]): void {
  for (const each of history.slice(-60)) {
    console.error(JSON.stringify(each, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)))
  }
}

/** Our broker and Apache Kafka; ours can be started again. */
interface Twins {
  readonly worlds: readonly [World, World]
  restart: (isCrash: boolean) => Promise<void>
}

async function twins(t: TestContext, isVersion2: (producer: number) => boolean): Promise<Twins> {
  const root = await mkdtemp(join(tmpdir(), 'comporta-twins-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  let dataDir = join(root, '0')
  let broker = await startBroker({ dataDir })
  t.after(() => broker.close())
  const kafka = await startKafkaJvm()
  t.after(() => kafka.close())
  const ours = new World('ours', await RawConnection.open(t, broker), isVersion2)
  const theirs = new World('theirs', await RawConnection.open(t, kafka), isVersion2)
  await ours.prepare()
  await theirs.prepare()
  let count = 0
  const restart = async (isCrash: boolean): Promise<void> => {
    const before = dataDir
    if (isCrash) {
      // What a kill at this moment would leave.
      dataDir = join(root, String(++count))
      await cp(before, dataDir, { recursive: true, filter: file => !file.endsWith('.lock') })
    }
    await broker.close()
    if (isCrash) await rm(before, { recursive: true })
    broker = await startBroker({ dataDir })
    ours.connection = await RawConnection.open(t, broker)
  }
  return { worlds: [ours, theirs], restart }
}

/** Compares both views, again until the markers of Apache Kafka are written. */
async function compare(
  [ours, theirs]: Twins['worlds'],
  froms: readonly bigint[],
  history: readonly unknown[]
): Promise<void> {
  for (const [partition, from] of froms.entries()) {
    const deadline = performance.now() + settleTimeoutMs
    for (;;) {
      const [own, other] = [await ours.view(partition, from), await theirs.view(partition, from)]
      try {
        assert.deepEqual(own, other)
        break
      } catch (error) {
        if (performance.now() > deadline) {
          tell(history)
          throw error
        }
      }
    }
  }
}

/** What one run is like. */
interface Run {
  readonly isCareful: boolean
  /** Percent of the steps before which our broker is stopped, in good order or not, and started. */
  readonly restartPercent: number
}

async function run(t: TestContext, { isCareful, restartPercent }: Run): Promise<void> {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
  t.diagnostic(`TEST_SEED=${seed}`)
  const isVersion2 = (producer: number): boolean => producer % 2 === 1
  const author = new Author(new SeededRandom(seed), { isVersion2, isCareful })
  const { worlds, restart } = await twins(t, isVersion2)
  const history: unknown[] = []
  const counts = new Map<string, number>()
  const count = (name: string): unknown => counts.set(name, (counts.get(name) ?? 0) + 1)

  for (let step = 0; step < STEP_COUNT; step++) {
    if (author.below(100) < restartPercent) {
      const isCrash = author.below(2) === 0
      await restart(isCrash)
      history.push(isCrash ? 'crash' : 'restart')
      count(isCrash ? 'crash' : 'restart')
    }
    const command = author.write()
    const [own, other] = [await worlds[0].run(command), await worlds[1].run(command)]
    history.push([command, own, other])
    if (String(own) !== String(other)) tell(history)
    assert.deepEqual(own, other, `step ${step}: ${command.kind}`)
    author.learn(command, own)
    count(`${command.kind} ${String(own[0])}`)
    // The markers of a transaction are written before anything that depends on them is asked.
    if (command.kind === 'end' || command.kind === 'init' || step % 20 === 0) {
      await compare(worlds, author.starts, history)
    }
  }

  await compare(
    worlds,
    author.starts.map(start => start + 7n),
    history
  )
  t.diagnostic(JSON.stringify(Object.fromEntries(counts)))
}

test(
  'random requests of transactional producers are answered and read as by Apache Kafka',
  { skip: inShortRun },
  async t => {
    await run(t, { isCareful: false, restartPercent: 0 })
  }
)

test('transactions go on over restarts and crashes of the broker as over none', { skip: inShortRun }, async t => {
  await run(t, { isCareful: true, restartPercent: 5 })
})

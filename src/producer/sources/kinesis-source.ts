/**
 * An Amazon Kinesis data stream as a source: all its shards, parents before
 * children, each from where the state file says.
 *
 * A shard is read at most five times a second, which is what AWS allows all
 * readers together; throttled, it is read less often. Its position moves only
 * when the events before it are safe, and a child begins when all of its parents
 * is safe. Iterators that expire (five minutes, when Kafka is away) are made
 * anew from the position. Records that Kafka did not take are read again.
 *
 * One instance: the positions are in a file, which only one source may use. A
 * kill repeats what was published since the file was last written.
 *
 * Limits: memory is one answer a shard (at most 10 MB, `recordsMax` records)
 * and what the producer buffers. Records that the stream has dropped before they
 * were read (retention) are gone; Kinesis does not say so.
 */

import type { GetRecordsOutput, KinesisClient } from '@aws-sdk/client-kinesis'

import {
  backoffMs,
  briefMessageOf,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom
} from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { EVENT_OUTCOME } from '../delivery.ts'
import type { Intake } from '../intake.ts'
import type { KinesisSourceConfig } from '../options.ts'
import { awsClientConfig, awsErrorName, awsRefused, isAwsTrouble } from './aws-service.ts'
import { kinesisChunk } from './kinesis-records.ts'
import { SafePrefix } from './safe-prefix.ts'
import { type ListedShard, readShardState, ShardBook, type ShardState } from './shard-book.ts'
import type { Source, SourceProgress } from './source.ts'
import { StateFile, stateInvalid } from './source-state.ts'
import { AGAIN_BACKOFF, mayPassLater } from './source-trouble.ts'

type Sdk = typeof import('@aws-sdk/client-kinesis')

/** Least time between two reads of a shard, in milliseconds. Source: Kinesis quotas, 5 a second and shard. */
const READ_INTERVAL_MS = 200
/** Wait before shards are listed again, in milliseconds, unless one ends before. */
const LIST_INTERVAL_MS = 60_000
const REQUEST_BACKOFF = { initialMs: 300, maxMs: 10_000 }

/** What a Kinesis source is made of. */
export interface KinesisSourceOptions extends Omit<KinesisSourceConfig, 'type'> {
  /** Forgets the state: the stream is read anew. Default false. */
  readonly isRestart?: boolean
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** One shard while it is read. */
interface Reading {
  readonly shardId: string
  /** What is handed over: positions behind which to go on; `undefined` = where shards begin. */
  prefix: SafePrefix<string | undefined>
  position: string | undefined
  iterator: string | undefined
  openCount: number
  error: PipelineError | undefined
  failureCount: number
  idle: (() => void) | undefined
}

/** A source of stream records. Runs once. */
export class KinesisSource implements Source {
  readonly name: string
  readonly #options: KinesisSourceOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #closing = new AbortController()
  readonly #failing = new AbortController()
  readonly #readings = new Set<Promise<void>>()
  #sdk: Sdk | undefined
  #client: KinesisClient | undefined
  #book: ShardBook | undefined
  #state: StateFile | undefined
  #wake: () => void = () => undefined
  #hasWorked = false
  #error: PipelineError | undefined
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0

  constructor(options: KinesisSourceOptions) {
    this.name = `kinesis:${options.stream}`
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    const [sdk, { NodeHttpHandler }] = await Promise.all([
      import('@aws-sdk/client-kinesis'),
      import('@smithy/node-http-handler')
    ])
    this.#sdk = sdk
    const clock = this.#clock
    const { isRestart = false } = this.#options
    const state = await StateFile.open({
      ...this.#options.state,
      isRestart,
      kind: 'kinesis',
      clock,
      logger: this.#logger
    })
    this.#state = state
    const requestHandler = new NodeHttpHandler({ connectionTimeout: 10_000, requestTimeout: 60_000 })
    const client = new sdk.KinesisClient({ ...awsClientConfig(this.#options), requestHandler })
    this.#client = client
    const stopping = AbortSignal.any([signal, this.#closing.signal, this.#failing.signal])
    try {
      const saved = this.#savedState(state)
      this.#book = new ShardBook(saved)
      // Where the source began must not depend on when it was first able to save something.
      state.set(() => this.#needBook().state())
      await state.flush()
      await this.#readShards(intake, stopping)
      await Promise.all(this.#readings)
    } catch (error) {
      this.#fail(PipelineError.is(error) ? error : awsRefused(this.name, 'the stream', error))
      await Promise.all(this.#readings)
    } finally {
      client.destroy()
      await state.close().catch((error: unknown) => this.#fail(asError(error)))
    }
    if (this.#error !== undefined) throw this.#error
  }

  progress(): SourceProgress {
    return { eventCount: this.#eventCount, readBytes: this.#readBytes, safeBytes: this.#safeBytes }
  }

  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  #savedState(state: StateFile): ShardState {
    if (state.saved !== undefined) {
      const saved = readShardState(state.saved)
      if (saved === undefined) throw stateInvalid(state.path, 'it has no shards')
      return saved
    }
    const { startAt } = this.#options
    if (startAt === 'trim-horizon') return { startAt, shards: {} }
    return { startAt: startAt === 'latest' ? this.#clock.now() : Date.parse(startAt), shards: {} }
  }

  /** Lists the shards again and again, and reads those whose turn has come. */
  async #readShards(intake: Intake, stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      const listed = await this.#listShards(stopping)
      if (listed === undefined) return
      const book = this.#needBook()
      book.listed(listed)
      for (const { shardId, sequenceNumber } of book.begin()) {
        const reading = this.#readShard({ shardId, sequenceNumber }, intake, stopping)
          // Not foreseen; without an answer it would end the process.
          .catch((error: unknown) => this.#fail(asError(error)))
          .finally(() => {
            this.#readings.delete(reading)
            this.#wake()
          })
        this.#readings.add(reading)
      }
      const woken = new AbortController()
      this.#wake = () => woken.abort()
      await sleep(this.#clock, LIST_INTERVAL_MS, AbortSignal.any([stopping, woken.signal]))
    }
  }

  async #listShards(stopping: AbortSignal): Promise<ListedShard[] | undefined> {
    const sdk = this.#needSdk()
    const shards: ListedShard[] = []
    let NextToken: string | undefined
    do {
      const from = NextToken === undefined ? { StreamName: this.#options.stream } : { NextToken }
      const answer = await this.#ask({ what: 'ListShards' }, stopping, client =>
        client.send(new sdk.ListShardsCommand(from))
      )
      if (answer === undefined) return undefined
      for (const { ShardId = '', ParentShardId, AdjacentParentShardId } of answer.Shards ?? []) {
        const parentIds = [ParentShardId, AdjacentParentShardId].filter(id => id !== undefined)
        shards.push({ shardId: ShardId, parentIds })
      }
      NextToken = answer.NextToken
    } while (NextToken !== undefined)
    return shards
  }

  /** Reads a shard to its end. */
  async #readShard(
    start: { readonly shardId: string; readonly sequenceNumber: string | undefined },
    intake: Intake,
    stopping: AbortSignal
  ): Promise<void> {
    const reading: Reading = {
      shardId: start.shardId,
      prefix: new SafePrefix(start.sequenceNumber),
      position: start.sequenceNumber,
      iterator: undefined,
      openCount: 0,
      error: undefined,
      failureCount: 0,
      idle: undefined
    }
    let isAtEnd = false
    while (!stopping.aborted) {
      if (reading.error !== undefined) {
        await this.#rewind(reading, stopping)
        isAtEnd = false
        continue
      }
      if (isAtEnd) {
        await settledOf(reading)
        if (reading.error !== undefined) continue
        this.#finished(reading)
        return
      }
      const startedMs = this.#clock.monotonicMs()
      const answer = await this.#read(reading, stopping)
      if (answer === undefined) continue
      if (answer === 'gone') isAtEnd = true
      else {
        isAtEnd = answer.NextShardIterator === undefined || answer.NextShardIterator === null
        await this.#handOver(reading, answer, intake)
        const isIdle = (answer.Records ?? []).length === 0 && (answer.MillisBehindLatest ?? 0) === 0
        const dueMs = startedMs + (isIdle ? this.#options.pollMs : READ_INTERVAL_MS)
        if (!isAtEnd) await sleep(this.#clock, Math.max(0, dueMs - this.#clock.monotonicMs()), stopping)
      }
    }
    await settledOf(reading)
  }

  /** The next records; `gone` if the shard has left the stream, `undefined` if there is nothing to hand over now. */
  async #read(reading: Reading, stopping: AbortSignal): Promise<GetRecordsOutput | 'gone' | undefined> {
    const sdk = this.#needSdk()
    const isGone = (error: unknown): boolean => this.#hasWorked && awsErrorName(error) === 'ResourceNotFoundException'
    try {
      if (reading.iterator === undefined) {
        const input = this.#iteratorInput(reading)
        const command = new sdk.GetShardIteratorCommand(input)
        const answer = await this.#ask({ what: 'GetShardIterator', isFinal: isGone }, stopping, client =>
          client.send(command)
        )
        if (answer?.ShardIterator === undefined) return undefined
        reading.iterator = answer.ShardIterator
      }
      const command = new sdk.GetRecordsCommand({ ShardIterator: reading.iterator, Limit: this.#options.recordsMax })
      const isOver = (error: unknown): boolean => awsErrorName(error) === 'ExpiredIteratorException' || isGone(error)
      const answer = await this.#ask({ what: 'GetRecords', isFinal: isOver }, stopping, client => client.send(command))
      reading.iterator = answer?.NextShardIterator
      return answer
    } catch (error) {
      if (awsErrorName(error) === 'ExpiredIteratorException') {
        reading.iterator = undefined
        return undefined
      }
      const { shardId } = reading
      this.#logger.error({ shardId }, `${this.name}: a shard is gone before it was read to its end`)
      return 'gone'
    }
  }

  #iteratorInput(reading: Reading): ConstructorParameters<Sdk['GetShardIteratorCommand']>[0] {
    const { startAt } = this.#needBook()
    const shard = { StreamName: this.#options.stream, ShardId: reading.shardId }
    if (reading.position !== undefined) {
      const StartingSequenceNumber = reading.position
      return { ...shard, ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber }
    }
    if (startAt === 'trim-horizon') return { ...shard, ShardIteratorType: 'TRIM_HORIZON' }
    return { ...shard, ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(startAt) }
  }

  async #handOver(reading: Reading, answer: GetRecordsOutput, intake: Intake): Promise<void> {
    const records = answer.Records ?? []
    const last = records.at(-1)?.SequenceNumber
    if (last === undefined) return
    const receivedAtMs = this.#clock.now()
    const chunk = kinesisChunk(records, this.#options, this.#readBytes)
    const { prefix } = reading
    const span = prefix.start(last)
    reading.position = last
    reading.openCount += 1
    this.#eventCount += chunk.count
    this.#readBytes += chunk.bytes.length
    const source = `${this.name}/${reading.shardId}`
    const { settled } = await intake.submit(chunk, { source, context: { receivedAtMs } })
    void settled.then(({ error, outcomes }) => {
      if (error === undefined) {
        prefix.finish(span)
        reading.failureCount = 0
        this.#safeBytes += chunk.bytes.length
      } else {
        const index = Math.max(0, outcomes.indexOf(EVENT_OUTCOME.failed))
        const before = chunk.sequenceBefore(index)
        if (before !== undefined) prefix.fail(span, before)
        reading.error ??= error
      }
      if (prefix.safe !== undefined) this.#needBook().reached(reading.shardId, prefix.safe)
      this.#state?.set(() => this.#needBook().state())
      reading.openCount -= 1
      if (reading.openCount === 0) reading.idle?.()
    })
  }

  /** Events were not taken: waits, and goes on from the first one that is not safe. */
  async #rewind(reading: Reading, stopping: AbortSignal): Promise<void> {
    await settledOf(reading)
    const { error } = reading
    if (error === undefined) return
    if (!mayPassLater(error)) return this.#fail(error)
    reading.failureCount += 1
    const waitMs = backoffMs(AGAIN_BACKOFF, reading.failureCount, this.#random)
    const fields = { shardId: reading.shardId, code: error.code, waitMs }
    this.#logger.warn(fields, `${this.name}: events were not taken, the shard is read again: ${error.message}`)
    await sleep(this.#clock, waitMs, stopping)
    reading.position = reading.prefix.safe
    reading.prefix = new SafePrefix(reading.position)
    reading.iterator = undefined
    reading.error = undefined
  }

  #finished(reading: Reading): void {
    this.#needBook().finished(reading.shardId)
    this.#state?.set(() => this.#needBook().state())
  }

  /** Asks until there is an answer; `undefined` if the source stops. Throws what `isFinal` names, and refusals. */
  async #ask<T>(
    { what, isFinal = () => false }: { readonly what: string; readonly isFinal?: (error: unknown) => boolean },
    stopping: AbortSignal,
    send: (client: KinesisClient) => Promise<T>
  ): Promise<T | undefined> {
    for (let failures = 1; !stopping.aborted; failures += 1) {
      try {
        const answer = await send(this.#needClient())
        this.#hasWorked = true
        return answer
      } catch (error) {
        if (isFinal(error)) throw error
        // A start time that is still to come, by a clock that is ahead of AWS's, will have come in a moment.
        const isEarly = this.#hasWorked && awsErrorName(error) === 'InvalidArgumentException' && failures <= 10
        if (!isEarly && !isAwsTrouble(error, this.#hasWorked)) {
          this.#fail(awsRefused(this.name, what, error))
          return undefined
        }
        const waitMs = backoffMs(REQUEST_BACKOFF, failures, this.#random)
        if (failures % 5 === 3) {
          this.#logger.warn({ error: awsErrorName(error), failures }, `${this.name}: ${what}: ${briefMessageOf(error)}`)
        }
        await sleep(this.#clock, waitMs, stopping)
      }
    }
    return undefined
  }

  #needSdk(): Sdk {
    if (this.#sdk === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return this.#sdk
  }

  #needClient(): KinesisClient {
    if (this.#client === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return this.#client
  }

  #needBook(): ShardBook {
    if (this.#book === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return this.#book
  }

  #fail(error: PipelineError): void {
    this.#error ??= error
    this.#failing.abort()
  }
}

/** Resolves when nothing of a shard is open. */
async function settledOf(reading: Reading): Promise<void> {
  if (reading.openCount === 0) return
  await new Promise<void>(resolve => {
    reading.idle = resolve
  })
}

function asError(error: unknown): PipelineError {
  if (PipelineError.is(error)) return error
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', messageOf(error), { cause: error })
}

/**
 * One connection to a cluster, and the appender on it. A session ends as a whole: what is still unsent then is never
 * sent, however long the process lives or sleeps.
 */

import type { Appender, AppendRecord, Cluster, ClusterOptions, DeliveryListener } from '../../client/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** What a session is made from. */
export interface KafkaSessionOptions {
  readonly cluster: ClusterOptions
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Longest wait for the acknowledgement of a record, in milliseconds. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Records that failed together: one batch of the client, or those that never came into one. */
export interface FailedGroup {
  readonly error: PipelineError
  readonly records: readonly AppendRecord[]
}

/** A connection to a cluster and what it appends with. */
export class KafkaSession {
  readonly #cluster: Cluster
  readonly #appender: Appender
  readonly #knownTopics = new Set<string>()
  #isClosed = false

  private constructor(cluster: Cluster, appender: Appender) {
    this.#cluster = cluster
    this.#appender = appender
  }

  /**
   * Connects.
   *
   * @throws PipelineError of `Cluster.connect`.
   */
  static async open(options: KafkaSessionOptions): Promise<KafkaSession> {
    // Loaded by the first sink that needs it: a function with other targets does without the client.
    const { Appender, Cluster } = await import('../../client/index.ts')
    const cluster = await Cluster.connect(options.cluster)
    const appender = new Appender({
      cluster,
      compression: options.compression,
      // A request comes with all its records at once: there is nothing to wait for.
      lingerMs: 0,
      deliveryTimeoutMs: options.timeoutMs,
      clock: options.clock,
      logger: options.logger
    })
    return new KafkaSession(cluster, appender)
  }

  /** Whether it was closed, by `close` or by a delivery that was given up. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Which of these topics do not exist.
   *
   * @throws PipelineError of the connection.
   */
  async missingTopics(topics: Iterable<string>): Promise<Set<string>> {
    const unknown = new Set([...topics].filter(topic => !this.#knownTopics.has(topic)))
    if (unknown.size === 0) return unknown
    const answer = await this.#cluster.metadata([...unknown])
    for (const { topic, partitions } of answer.topics) {
      if (partitions.length === 0) continue
      this.#knownTopics.add(topic)
      unknown.delete(topic)
    }
    return unknown
  }

  /** Appends records and waits until each has its verdict, also if the session is closed meanwhile. Never rejects. */
  async write(records: readonly AppendRecord[]): Promise<readonly FailedGroup[]> {
    const failed: FailedGroup[] = []
    const finished = Promise.withResolvers<void>()
    let openCount = records.length
    const settle = (count: number): void => {
      openCount -= count
      if (openCount === 0) finished.resolve()
    }
    const listener: DeliveryListener = {
      delivered: ({ recordCount }) => settle(recordCount),
      failed: (error, given) => {
        failed.push({ error, records: given })
        settle(given.length)
      }
    }
    for (const [index, record] of records.entries()) {
      // Without a wait as long as there is room: records that are appended in one turn go in one batch.
      while (!this.#isClosed && !this.#appender.append(record, listener)) await this.#appender.room()
      if (!this.#isClosed) continue
      listener.failed(closed(), records.slice(index))
      break
    }
    await finished.promise
    return failed
  }

  /** Ends it at once: records without a verdict fail. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#appender.close(0)
    await this.#cluster.close()
  }
}

function closed(): PipelineError {
  return new PipelineError('ERR_CLIENT_CLOSED', 'the connection was given up before the records were sent')
}

/** What tests of topic targets share: an input topic, an output topic, dispatchers between them, what was written. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { Fetcher } from '../../src/client/index.ts'
import type { DispatcherConfig } from '../../src/config/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { type TopicRoute, TopicTarget, type TopicTransform } from '../../src/targets/index.ts'
import { Bench, until } from './dispatch-support.ts'

/** A record of the output. */
export interface Written {
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

/** A bench with an output topic. */
export class TopicBench {
  readonly bench: Bench
  readonly output: string
  readonly #t: TestContext
  readonly #partitionCount: number

  private constructor(t: TestContext, bench: Bench, partitionCount: number) {
    this.#t = t
    this.bench = bench
    this.output = bench.given.uniqueName('output')
    this.#partitionCount = partitionCount
  }

  static async open(
    t: TestContext,
    { partitionCount = 1, configs = {} }: { partitionCount?: number; configs?: Readonly<Record<string, string>> } = {}
  ): Promise<TopicBench> {
    const bench = await Bench.open(t, partitionCount)
    const made = new TopicBench(t, bench, partitionCount)
    await bench.admin.createTopics([{ topic: made.output, partitionCount, configs }])
    return made
  }

  /** Configuration of a dispatcher from the input to the output. */
  config(options: Partial<DispatcherConfig> = {}, isExactlyOnce = true): DispatcherConfig {
    return this.bench.config({
      target: {
        type: 'topic',
        topic: this.output,
        exactlyOnce: isExactlyOnce,
        transactionTimeoutMs: 10_000,
        timeoutMs: 10_000
      },
      ...options
    })
  }

  target(transform?: TopicTransform, isExactlyOnce = true, route: TopicRoute = { topic: this.output }): TopicTarget {
    const { cluster } = this.bench
    const target = new TopicTarget({
      name: 'output',
      cluster,
      route,
      isExactlyOnce,
      timeoutMs: 10_000,
      ...(transform === undefined ? {} : { transform })
    })
    this.#t.after(() => target.close())
    return target
  }

  /** Starts a dispatcher that ends with the test. */
  async dispatch(target: TopicTarget, options: Partial<DispatcherConfig> = {}): Promise<Dispatcher> {
    const config = this.config(options, target.isExactlyOnce)
    const dispatcher = await startDispatcher({ config, cluster: this.bench.cluster, target })
    this.#t.after(() => dispatcher.close())
    return dispatcher
  }

  /** Everything that a reader of committed records finds in a topic, per partition in order. */
  async written(topic = this.output, partitionCount = this.#partitionCount): Promise<Written[]> {
    const { cluster, admin } = this.bench
    const written: Written[] = []
    const positions = new Map<number, bigint>()
    const fetcher = new Fetcher({
      cluster,
      isReadCommitted: true,
      maxWaitMs: 20,
      onPartitionError: ({ error }) => assert.fail(error),
      onRecords: ({ partition, records, nextOffset }) => {
        written.push(...readRecords(partition, records))
        positions.set(partition, nextOffset)
      }
    })
    const partitions = Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }))
    const ends = await admin.listOffsets(partitions.map(at => ({ ...at, at: 'latest' as const })))
    for (const at of partitions) fetcher.add({ ...at, offset: 0n })
    fetcher.start()
    const isRead = (): boolean => ends.every(({ partition, offset }) => (positions.get(partition) ?? 0n) >= offset)
    await until(isRead, 'all committed records are read')
    await fetcher.close()
    return written
  }
}

function readRecords(partition: number, records: Buffer): Written[] {
  const cursor = new RecordCursor()
  const read: Written[] = []
  cursor.reset(records)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      const headers = cursor.headers().map(({ key, value }) => [key, value?.toString() ?? ''] as const)
      const key = cursor.key()?.toString() ?? null
      const value = cursor.value()?.toString() ?? null
      read.push({ partition, key, value, headers: Object.fromEntries(headers) })
    }
  }
  return read
}

/** Input records in which each key counts up: `{"key":"k3","n":12}`. */
export function counted(keyCount: number, countPerKey: number, from = 0): { key: string; value: string }[] {
  return Array.from({ length: keyCount * countPerKey }, (_, index) => {
    const key = `k${index % keyCount}`
    return { key, value: JSON.stringify({ key, n: from + Math.floor(index / keyCount) }) }
  })
}

/** Checks that each key has its numbers from 0 to `countPerKey - 1`, once each and in order. */
export function assertExactlyOnce(written: readonly Written[], keyCount: number, countPerKey: number): void {
  const byKey = new Map<string, number[]>()
  for (const { key, value } of written) {
    const { n } = JSON.parse(value ?? 'null') as { n: number }
    const numbers = byKey.get(key ?? '')
    if (numbers === undefined) byKey.set(key ?? '', [n])
    else numbers.push(n)
  }
  const expected = Array.from({ length: countPerKey }, (_, n) => n)
  assert.equal(byKey.size, keyCount)
  for (const [key, numbers] of byKey) assert.deepEqual(numbers, expected, `key ${key}`)
}

/** A topic, a function that notes its events, and a mapping between them. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { Admin, Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import {
  type EventSourceMapping,
  type MappingRunOptions,
  startEventSourceMapping
} from '../../src/lambda/esm/event-source-mapping.ts'
import { clusterForTest, type TestCluster, type TestClusterOptions } from '../support/cluster.ts'

const LOOK_EVERY_MS = 2

/** A record of an event. */
export interface EventRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key?: string
  readonly value?: string
}

/** What a handler of a test gets. */
export interface TestEvent {
  readonly eventSource: string
  readonly eventSourceArn?: string
  readonly bootstrapServers: string
  readonly records: Readonly<Record<string, readonly EventRecord[]>>
}

/** A cluster with one topic. */
export class EsmWorld {
  readonly server: TestCluster
  readonly cluster: Cluster
  readonly topic: string
  readonly admin: Admin
  /** What is to end before the cluster does, the last first. */
  readonly ends: (() => Promise<unknown>)[]
  readonly #appender: Appender

  constructor({ server, cluster, ends }: Pick<EsmWorld, 'server' | 'cluster' | 'ends'>) {
    this.server = server
    this.cluster = cluster
    this.ends = ends
    this.topic = server.uniqueName('esm')
    this.admin = new Admin(cluster)
    this.#appender = new Appender({ cluster, lingerMs: 0 })
    ends.push(() => this.#appender.close())
  }

  async createTopic(partitionCount: number): Promise<void> {
    await this.admin.createTopics([{ topic: this.topic, partitionCount, replicationFactor: 1 }])
  }

  /** Another topic of the same cluster. */
  async another(): Promise<EsmWorld> {
    const world = new EsmWorld(this)
    await world.createTopic(1)
    return world
  }

  /** Appends values to partitions, in the order given; resolves when they are in the log. */
  async append(...records: readonly (Partial<AppendRecord> & { readonly text?: string })[]): Promise<void> {
    for (const { text, ...record } of records) {
      const value = record.value ?? (text === undefined ? null : Buffer.from(text))
      this.#appender.append({ topic: this.topic, key: null, partition: 0, ...record, value }, SILENT)
    }
    await this.#appender.flush()
  }

  /** Starts a mapping that ends with the test. */
  async map(options: Partial<MappingRunOptions> & { readonly functionName: string }): Promise<EventSourceMapping> {
    const mapping = await startEventSourceMapping({
      cluster: this.cluster,
      topic: this.topic,
      batchingWindowMs: 0,
      backoff: { initialMs: 1, maxMs: 5 },
      ...options
    })
    this.ends.push(() => mapping.close())
    return mapping
  }

  /** Offset that a group has committed for a partition, -1 if none. */
  async committed(groupId: string, partition = 0): Promise<number> {
    const [found] = await this.admin.fetchGroupOffsets(groupId, [{ topic: this.topic, partition }])
    return Number(found?.offset ?? -1n)
  }
}

const SILENT = {
  delivered: (): void => undefined,
  failed: (error: Error): void => {
    throw error
  }
}

/** What a world may be asked for. */
export interface WorldOptions extends TestClusterOptions {
  readonly partitionCount?: number
}

/**
 * A world on the cluster under test. Hooks of a test run in the order in which they were added: what uses the cluster
 * ends before it does.
 */
export async function esmWorld(t: TestContext, options: WorldOptions = {}): Promise<EsmWorld> {
  const ends: (() => Promise<unknown>)[] = []
  t.after(async () => {
    for (const end of ends.toReversed()) await end()
  })
  const server = await clusterForTest(t, options)
  const cluster = await Cluster.connect({ bootstrapServers: server.bootstrapServers.split(',') })
  ends.push(() => cluster.close())
  const world = new EsmWorld({ server, cluster, ends })
  await world.createTopic(options.partitionCount ?? 1)
  return world
}

/** Waits until a mapping has committed what there is. */
export async function untilDone(mapping: EventSourceMapping, offsets: Readonly<Record<number, number>>): Promise<void> {
  await until(() => {
    const { partitions } = mapping.status()
    return Object.entries(offsets).every(
      ([partition, offset]) => partitions.find(each => each.partition === Number(partition))?.committed === offset
    )
  })
}

/** Waits for a condition of the outside world; the test's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(systemClock, LOOK_EVERY_MS)
}

/** What the function of a test answers. */
export interface TestAnswer {
  readonly status?: number
  /** Whether the function failed. */
  readonly error?: boolean
  readonly body?: unknown
}

/** A function that is not there but for its Invoke API. */
export interface TestFunction {
  readonly endpoint: string
  /** Events as they came. */
  readonly texts: readonly string[]
  readonly names: readonly string[]
  events(): TestEvent[]
}

/** An Invoke API whose answers the test writes. */
export async function startFunction(
  t: TestContext,
  answer: (event: TestEvent, count: number) => TestAnswer | Promise<TestAnswer> = () => ({})
): Promise<TestFunction> {
  const texts: string[] = []
  const names: string[] = []
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    texts.push(text)
    names.push(request.url ?? '')
    const { status = 200, error = false, body = {} } = await answer(JSON.parse(text), texts.length)
    response.writeHead(status, {
      'content-type': 'application/json',
      'x-amzn-requestid': `request-${texts.length}`,
      'x-amz-executed-version': '$LATEST',
      ...(error ? { 'x-amz-function-error': 'Unhandled' } : {}),
      ...(status === 429 ? { 'x-amzn-errortype': 'TooManyRequestsException' } : {})
    })
    response.end(JSON.stringify(body))
  }
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { endpoint: `http://127.0.0.1:${port}`, texts, names, events: () => texts.map(text => JSON.parse(text)) }
}

/** Offsets of an event by topic and partition. */
export const offsetsIn = (event: TestEvent | undefined): Record<string, number[]> =>
  Object.fromEntries(Object.entries(event?.records ?? {}).map(([name, list]) => [name, list.map(each => each.offset)]))

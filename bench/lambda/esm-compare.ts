/**
 * The same topic through the same function both ways: by the event source mapping, with AWS's rules, and by the
 * dispatcher. One table: records, batches, invocations, duplicates, order, latency, and what happens with bad records
 * and a function that is throttled. Run: `node bench/lambda/esm-compare.ts [records] [--json]`.
 *
 * Broker, runtime and both consumers are in this process; between them and the runtime stands a proxy that notes what
 * the function gets and when. Latency is from the record's time stamp to the function. What is compared are the rules:
 * times are those of this machine, and not of AWS.
 */

import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { type MappingRunOptions, startEventSourceMapping, startLambdaRuntime } from '../../src/lambda/index.ts'
import { createTarget } from '../../src/targets/index.ts'

const RECORDS = Number(process.argv[2] ?? 10_000)
const PARTITIONS = 4
const BAD_EVERY = 2500
const RATE = 2000
const WAIT_MAX_MS = 60_000

interface Scenario {
  readonly name: string
  readonly hasBad: boolean
  /** Invocations at once that the function allows. */
  readonly concurrency: number
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'all is well', hasBad: false, concurrency: 8 },
  { name: `one record of ${BAD_EVERY} is bad`, hasBad: true, concurrency: 8 },
  { name: 'throttled: one invocation at once', hasBad: false, concurrency: 1 }
]

/** What the function got. */
class Ledger {
  invocations = 0
  throttles = 0
  sent = 0
  orderBroken = 0
  times: number[] = []
  readonly #seen = new Map<string, Set<number>>()
  readonly #last = new Map<string, number>()

  note(text: string, status: number): void {
    if (status === 429) {
      this.throttles += 1
      return
    }
    this.invocations += 1
    const nowMs = Date.now()
    const { records } = JSON.parse(text) as { records: Record<string, { offset: number; timestamp: number }[]> }
    for (const [name, list] of Object.entries(records)) {
      const seen = this.#seen.get(name) ?? new Set<number>()
      this.#seen.set(name, seen)
      for (const { offset, timestamp } of list) {
        this.sent += 1
        if (seen.has(offset)) continue
        seen.add(offset)
        this.times.push(nowMs - timestamp)
        if (offset < (this.#last.get(name) ?? -1)) this.orderBroken += 1
        this.#last.set(name, offset)
      }
    }
  }

  /** Forgets the warm-up. */
  reset(): void {
    this.invocations = 0
    this.throttles = 0
    this.sent = 0
    this.times = []
  }

  get distinct(): number {
    return this.times.length
  }

  quantile(share: number): number {
    return this.times.toSorted((a, b) => a - b)[Math.floor(this.times.length * share)] ?? 0
  }
}

const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
const admin = new Admin(cluster)
const appender = new Appender({ cluster, lingerMs: 1 })

/** A proxy in front of the runtime that notes what passes. */
async function startProxy(endpoint: string, ledger: Ledger): Promise<{ endpoint: string; close(): void }> {
  const target = new URL(endpoint)
  const serve = (incoming: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method, url: path, headers } = incoming
      const onward = request({ host: target.hostname, port: target.port, method, path, headers }, answer => {
        ledger.note(body.toString('utf8'), answer.statusCode ?? 0)
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      onward.on('error', () => response.destroy())
      onward.end(body)
    })
  }
  const server = createServer(serve)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** Appends the records of a scenario at an even rate; resolves with how many are bad. */
async function produce(topic: string, hasBad: boolean): Promise<number> {
  const listener = { delivered: (): void => undefined, failed: (): void => undefined }
  const startMs = Date.now()
  let bad = 0
  for (let index = 0; index < RECORDS; index += 1) {
    if (index % 40 === 0) await wait(Math.max(0, startMs + (index * 1000) / RATE - Date.now()))
    const isBad = hasBad && index % BAD_EVERY === BAD_EVERY / 2
    if (isBad) bad += 1
    const text = isBad ? '{"bad":true}' : JSON.stringify({ codigo: 300, truck: `TR${index % 1000}`, speed: 80, index })
    const partition = index % PARTITIONS
    appender.append({ topic, partition, key: Buffer.from(`TR${index % 1000}`), value: Buffer.from(text) }, listener)
  }
  await appender.flush()
  return bad
}

async function warmUp(topic: string): Promise<void> {
  const listener = { delivered: (): void => undefined, failed: (): void => undefined }
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    appender.append({ topic, partition, key: null, value: Buffer.from('{}') }, listener)
  }
  await appender.flush()
}

interface Way {
  readonly name: string
  start(around: {
    topic: string
    deadTopic: string
    endpoint: string
  }): Promise<{ close(): Promise<unknown>; group: string }>
}

function byMapping(name: string, more: Partial<MappingRunOptions>): Way {
  return {
    name,
    start: async ({ topic, deadTopic, endpoint }) => {
      const mapping = await startEventSourceMapping({
        cluster,
        topic,
        functionName: 'compared',
        endpoint,
        batchSize: 100,
        pollers: { min: 2 },
        partialResponses: true,
        retriesMax: 2,
        onFailure: `kafka://${deadTopic}`,
        ...more
      })
      return { close: () => mapping.drain(10_000), group: mapping.groupId }
    }
  }
}

const WAYS: readonly Way[] = [
  byMapping('mapping, window 500 ms', {}),
  byMapping('mapping, window 0, bisect', { batchingWindowMs: 0, bisect: true }),
  {
    name: 'dispatcher',
    start: async ({ topic, deadTopic, endpoint }) => {
      const config = dispatcherConfig({
        groupId: `${topic}-dispatcher`,
        topics: [topic],
        target: { type: 'lambda', functionName: 'compared', endpoint, timeoutMs: 30_000 },
        deadLetterTopic: deadTopic,
        batch: { recordsMax: 100, ageMs: 100 },
        payload: { format: 'esm' },
        // The mapping's three attempts and waits.
        retry: { attemptsMax: 3, initialMs: 500, maxMs: 60_000 },
        concurrency: 8
      })
      const target = await createTarget(config.target, { cluster })
      const dispatcher = await startDispatcher({ config, target, cluster })
      const close = async (): Promise<void> => {
        await dispatcher.drain(10_000)
        await dispatcher.close()
        await target.close()
      }
      return { close, group: config.groupId }
    }
  }
]

/** Waits until a group has committed all of a topic; false if it does not come to that. */
async function untilCommitted(topic: string, group: string): Promise<boolean> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
  const ends = await admin.listOffsets(partitions.map(each => ({ ...each, at: 'latest' as const })))
  for (let startMs = Date.now(); Date.now() - startMs < WAIT_MAX_MS; await wait(25)) {
    const committed = await admin.fetchGroupOffsets(group, partitions)
    if (committed.every((each, index) => each.offset >= (ends[index]?.offset ?? 0n))) return true
  }
  return false
}

async function countOf(topic: string): Promise<number> {
  const [end] = await admin.listOffsets([{ topic, partition: 0, at: 'latest' }])
  return Number(end?.offset ?? 0n)
}

async function run(scenario: Scenario, way: Way, index: number): Promise<Record<string, unknown>> {
  const topic = `compare-${index}`
  const deadTopic = `${topic}-dead`
  await admin.createTopics([
    { topic, partitionCount: PARTITIONS, replicationFactor: 1 },
    { topic: deadTopic, partitionCount: 1, replicationFactor: 1 }
  ])
  const { concurrency, hasBad } = scenario
  const environment = { WORK_MS: '5' }
  const runtime = await startLambdaRuntime({
    taskRoot: import.meta.dirname,
    functions: { compared: { handler: 'compared-function.handler', timeoutMs: 30_000, concurrency, environment } }
  })
  const ledger = new Ledger()
  const proxy = await startProxy(runtime.endpoint, ledger)
  const running = await way.start({ topic, deadTopic, endpoint: proxy.endpoint })
  // The group forms, connections open and the function starts before anything is measured.
  await warmUp(topic)
  await untilCommitted(topic, running.group)
  ledger.reset()
  const startMs = Date.now()
  const bad = await produce(topic, hasBad)
  const isDone = await untilCommitted(topic, running.group)
  const seconds = (Date.now() - startMs) / 1000
  await running.close()
  proxy.close()
  await runtime.close()
  return {
    way: way.name,
    done: isDone ? 'yes' : 'NO',
    seconds: seconds.toFixed(1),
    invocations: ledger.invocations,
    'records each': (ledger.sent / ledger.invocations).toFixed(1),
    'sent again': ledger.sent - ledger.distinct,
    'good, given up': (await countOf(deadTopic)) - bad,
    'bad, given up': bad,
    'out of order': ledger.orderBroken,
    throttles: ledger.throttles,
    'p50 ms': ledger.quantile(0.5),
    'p99 ms': ledger.quantile(0.99)
  }
}

process.stdout.write(
  `${RECORDS} records, ${PARTITIONS} partitions, ${RATE}/s, batches of 100, 5 ms of work; ` +
    `${os.cpus().length} cores, ${os.cpus()[0]?.model.trim()}, Node ${process.version}\n`
)
let index = 0
for (const scenario of SCENARIOS) {
  process.stdout.write(`\n${scenario.name}\n`)
  const rows: Record<string, unknown>[] = []
  for (const way of WAYS) rows.push(await run(scenario, way, (index += 1)))
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(rows)}\n`)
  else console.table(rows)
}
await appender.close()
await cluster.close()
await broker.close()

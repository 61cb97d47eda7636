/** Readiness of roles: progress, not heartbeats. */

import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rmSync } from 'node:fs'
import { after, before, type TestContext, test } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { startDispatcherRole } from '../../src/cli/roles/dispatcher.ts'
import { brokerReadiness } from '../../src/cli/roles/readiness/broker.ts'
import { MappingsReadiness, RuntimeReadiness } from '../../src/cli/roles/readiness/lambda.ts'
import { ProducerReadiness } from '../../src/cli/roles/readiness/producer.ts'
import { ProgressMemory } from '../../src/cli/roles/readiness/progress.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig, type DispatcherInput, kafkaConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import type { ProducerStatus } from '../../src/producer/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { temporaryFolder } from '../support/comporta.ts'

let broker: Broker
let cluster: Cluster

before(async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
})

after(async () => {
  await cluster.close()
  await broker.close()
})

const TOKEN = 'a-token-of-enough-characters'

/** A dispatcher with one record to deliver to a service that does as it is told. */
async function dispatcherFor(
  t: TestContext,
  name: string,
  { answer, ...input }: Partial<DispatcherInput> & { answer: (response: ServerResponse) => void }
): Promise<{ url: string }> {
  const service = createServer((request, response) => {
    request.resume()
    answer(response)
  })
  await new Promise<void>(resolve => service.listen(0, '127.0.0.1', resolve))
  // Listening on TCP: the address is never a path.
  const { port } = service.address() as AddressInfo
  await new Admin(cluster).createTopics([name, `${name}-dead`].map(topic => ({ topic, partitionCount: 1 })))
  await append(name)
  const dispatcher = dispatcherConfig({
    groupId: name,
    topics: [name],
    batch: { ageMs: 10 },
    target: { type: 'http', url: `http://127.0.0.1:${port}/`, timeoutMs: 100 },
    progressTimeoutMs: 1000,
    deadLetterTopic: `${name}-dead`,
    ...input
  })
  const kafka = kafkaConfig({ bootstrapServers: broker.bootstrapServers })
  const role = await startDispatcherRole({ kafka, dispatcher, metricsPort: 0, controlToken: TOKEN }, silentLogger)
  t.after(async () => {
    await role.drain(0)
    service.close()
    service.closeAllConnections()
  })
  return { url: new URL(role.info['metrics'] ?? '').origin }
}

async function append(topic: string): Promise<void> {
  const appender = new Appender({ cluster })
  const listener = { delivered: () => undefined, failed: assert.fail }
  appender.append({ topic, key: null, value: Buffer.from('{}') }, listener)
  await appender.close()
}

async function readyOf(url: string, query = ''): Promise<{ status: number; reason: string }> {
  const response = await fetch(`${url}/health/ready${query}`)
  const { reason } = (await response.json()) as { reason: string }
  return { status: response.status, reason }
}

/** Asks until the answer is as wanted; the test's own time limit ends it otherwise. */
async function until(url: string, status: number, pattern: RegExp): Promise<void> {
  for (;;) {
    const now = await readyOf(url)
    if (now.status === status && pattern.test(now.reason)) return
    await sleep(systemClock, 20)
  }
}

test('a dispatcher whose target hangs becomes unready while its heartbeats go on, and ready again', async t => {
  const open: ServerResponse[] = []
  let isHanging = true
  const { url } = await dispatcherFor(t, 'hangs', {
    answer: response => (isHanging ? open.push(response) : response.end()),
    breaker: { failuresMax: 1000 },
    retry: { attemptsMax: 1000, initialMs: 10, maxMs: 50 }
  })
  await until(url, 503, /no record was finished/)
  // Alive, and a member of its group as before: only what gets on counts.
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
  const [group] = await new Admin(cluster).describeGroups(['hangs'])
  assert.equal(group?.members.length, 1)
  isHanging = false
  await until(url, 200, /finished as they come/)
})

test('an open breaker is not ready and says so; a probe may tolerate it, and none is told to restart', async t => {
  const { url } = await dispatcherFor(t, 'sick', {
    answer: response => response.writeHead(503).end(),
    breaker: { failuresMax: 1, openMs: 60_000 }
  })
  await until(url, 503, /no record was finished .*: the breaker of .* is open/)
  assert.equal((await readyOf(url, '?tolerate=breaker')).status, 200)
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
})

test('a partition that an operator pauses is a wanted standstill', async t => {
  const { url } = await dispatcherFor(t, 'paused', { answer: response => response.end() })
  await until(url, 200, /finished as they come/)
  const order = async (what: string, topic = 'paused'): Promise<Response> =>
    await fetch(`${url}/control/${what}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ topic, partition: 0 })
    })
  assert.equal((await order('pause')).status, 200)
  await append('paused')
  await until(url, 200, /an operator has paused 1 of 1 partitions/)
  const refused = await order('pause', 'other')
  assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [400, 'ERR_CLI_CONTROL_INPUT'])
  assert.equal((await order('resume')).status, 200)
  await until(url, 200, /finished as they come/)
})

test('only time with work and without an outcome adds up, beyond what is under way may take', () => {
  const memory = new ProgressMemory(1000)
  const look = (mark: string, nowMs: number, { hasWork = true, allowanceMs = 0 } = {}): boolean => {
    memory.look({ hasWork, mark, allowanceMs }, nowMs)
    return memory.standsStill
  }
  assert.equal(look('1', 0), false)
  assert.equal(look('1', 900), false)
  assert.equal(look('2', 999), false) // something was finished
  assert.equal(look('2', 1998), false)
  assert.equal(look('2', 1999), true)
  assert.equal(look('2', 2000, { allowanceMs: 5000 }), false)
  assert.equal(look('2', 2001, { hasWork: false }), false)
  assert.equal(look('2', 2999), false)
  assert.equal(look('2', 3001), true)
})

test('a process that was stopped has not stood still by itself for all that time', () => {
  const memory = new ProgressMemory(60_000)
  memory.look({ hasWork: true, mark: '1', allowanceMs: 0 }, 0)
  memory.look({ hasWork: true, mark: '1', allowanceMs: 0 }, 3_600_000)
  assert.equal(memory.standsStill, false)
})

function producerStatus(change: Partial<ProducerStatus>): ProducerStatus {
  const totals = { receivedCount: 1, receivedBytes: 1, deliveredCount: 0, deadLetteredCount: 0, refusedCount: 0 }
  const more = { spilledCount: 0, shedCount: 0, failedCount: 0, ackLatencyMeanMs: 0, ackLatencyMaxMs: 0 }
  return {
    state: 'running',
    totals: { ...totals, ...more },
    outlet: 'up',
    spill: undefined,
    openChunkCount: 0,
    openBytes: 0,
    bufferedBytes: 0,
    throttledMs: 0,
    heavy: undefined,
    sources: [],
    ...change
  }
}

test('a producer is ready while Kafka is away as long as its disk has room', () => {
  const spill = { dir: '', recordCount: 1, bytes: 1, oldestAgeMs: 0, spilledCount: 1, replayedCount: 0 }
  const room = { ...spill, deadLetteredCount: 0, lostCount: 0, isFull: false, isInTrouble: false }
  const verdictOf = (change: Partial<ProducerStatus>, failed: string[] = []): boolean => {
    const readiness = new ProducerReadiness(failed, 1000)
    readiness.look(producerStatus(change), 0)
    return readiness.verdict().isReady
  }
  assert.equal(new ProducerReadiness([]).verdict().isReady, false)
  assert.equal(verdictOf({}), true)
  assert.equal(verdictOf({ outlet: 'spilling', spill: room }), true)
  assert.equal(verdictOf({ outlet: 'spilling', spill: { ...room, isFull: true } }), false)
  assert.equal(verdictOf({ outlet: 'spilling', spill: { ...room, isInTrouble: true } }), false)
  assert.equal(verdictOf({ outlet: 'away' }), false)
  assert.equal(verdictOf({ state: 'draining' }), false)
  assert.equal(verdictOf({}, ['file:orders.ndjson']), false)
})

test('a producer whose events only fail is not ready', () => {
  const readiness = new ProducerReadiness([], 1000)
  for (let failedCount = 0; failedCount < 5; failedCount += 1) {
    const { totals } = producerStatus({})
    readiness.look(producerStatus({ openChunkCount: 1, totals: { ...totals, failedCount } }), failedCount * 300)
  }
  assert.match(readiness.verdict().reason, /no event became safe/)
})

test('a Lambda runtime is ready until nothing ends although callers wait', () => {
  const status = { name: 'f', arn: '', handler: '', concurrency: 1, busyCount: 1, idleCount: 0, waitingCount: 1 }
  const counts = { eventsWaiting: 0, invocations: 3, errors: 0, timeouts: 0, throttles: 0, coldStarts: 1 }
  const faults = {} as Parameters<RuntimeReadiness['look']>[0][number]['faults'] // not looked at
  const readiness = new RuntimeReadiness(3000, 1000)
  assert.equal(readiness.verdict().isReady, false)
  for (const nowMs of [0, 3900]) readiness.look([{ ...status, ...counts, faults }], nowMs)
  assert.equal(readiness.verdict().isReady, true)
  readiness.look([{ ...status, ...counts, faults }], 4000)
  assert.match(readiness.verdict().reason, /no invocation has ended for 4 s/)
  readiness.look([{ ...status, ...counts, invocations: 4, faults }], 5000)
  assert.equal(readiness.verdict().isReady, true)
})

test('mappings are ready until a function that fails for ever has delivered nothing for too long', () => {
  const totals = { polledEventCount: 1, filteredOutEventCount: 0, invokedEventCount: 9, failedInvokeEventCount: 9 }
  const more = { deliveredEventCount: 0, droppedEventCount: 0, onFailureDestinationDeliveredEventCount: 0 }
  const rest = { invocations: 9, functionErrors: 9, throttles: 0 }
  const mapping = { uuid: '', functionName: 'f', topic: 't', groupId: 'g', pollers: 1, partitions: [] }
  const now = { ...mapping, totals: { ...totals, ...more, ...rest }, invoking: 0, waiting: 1 }
  const readiness = new MappingsReadiness(1000)
  readiness.look([now], 0)
  assert.equal(readiness.verdict().isReady, true)
  readiness.look([now], 1000)
  assert.match(readiness.verdict().reason, /no record was finished/)
  readiness.look([{ ...now, waiting: 0 }], 1001)
  assert.equal(readiness.verdict().isReady, true)
})

test('a broker is ready while its listeners are open and its folder takes writes', async t => {
  assert.equal((await brokerReadiness(broker)).isReady, true)
  assert.equal((await brokerReadiness({ ...broker, listeners: [] })).isReady, false)
  const dataDir = temporaryFolder(t)
  rmSync(dataDir, { recursive: true })
  const gone = await brokerReadiness({ ...broker, listeners: broker.listeners, dataDir })
  assert.match(gone.reason, /takes no writes/)
})

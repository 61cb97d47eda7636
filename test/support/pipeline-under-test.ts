/**
 * A whole pipeline of real processes that a test may harm: the demonstration's
 * broker, services, Lambda runtime, dispatchers and producers, each of which can
 * be killed, frozen, slowed down and started again where it was.
 *
 * Judged by the same ledgers and the same audit as `comporta demo`. Nothing here
 * waits for a time: every step waits for something that the processes report.
 * `CHAOS_KEEP=1` keeps the folder with logs and ledgers.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { readDeadLetters } from '../../src/cli/demo/dead-letters.ts'
import { DEMO_PARTITIONS, DEMO_SERVICES, demoPipeline, demoTopics } from '../../src/cli/demo/scenario.ts'
import type { DemoServiceOptions } from '../../src/cli/demo/service.ts'
import { uncommittedCount } from '../../src/cli/demo/settled.ts'
import { type RoleProcess, Supervisor } from '../../src/cli/process/supervisor.ts'
import type { BrokerRoleOptions } from '../../src/cli/roles/broker.ts'
import type { DemoProducerOptions } from '../../src/cli/roles/demo-producer.ts'
import type { DispatcherRoleOptions } from '../../src/cli/roles/dispatcher.ts'
import { connectCluster, ensureTopics } from '../../src/cli/wiring.ts'
import type { Cluster } from '../../src/client/index.ts'
import type { PipelineConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { Audit, type AuditReport, LEDGER_KIND, type LedgerEntry, readLedger } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

const tickMs = 50
const waitMaxMs = 90_000
const drainMs = 30_000
const endless = 100_000_000
const groupId = 'chaos'
const topics = demoTopics('')
const functionName = 'distributor'

/** How a pipeline under test starts. */
export interface PipelineUnderTestOptions {
  /** Default 2. */
  readonly dispatchers?: number
  /** Settings of the broker on top of the demonstration's. */
  readonly brokerConfig?: Readonly<Record<string, string>>
}

/** What a producer makes. */
export interface Load {
  /** Default: until `endLoad`. */
  readonly records?: number
  /** Events per second; 0 = as fast as Kafka takes them. */
  readonly rate: number
}

/** What became of everything. */
export interface Verdict extends AuditReport {
  /** Longest time without a delivery between the first and the last, in milliseconds. */
  readonly longestGapMs: number
  /** Events that were produced, acknowledged or not. */
  readonly handedOver: number
  /** Repeated deliveries of each service. */
  readonly duplicatesByService: readonly number[]
}

/** A pipeline that runs until its test ends. */
export class PipelineUnderTest {
  readonly dispatchers: RoleProcess[] = []
  readonly producers: RoleProcess[] = []
  readonly dir: string
  readonly #supervisor: Supervisor
  readonly #brokerConfig: Readonly<Record<string, string>>
  readonly #startedCounts = new Map<string, number>()
  readonly #services: RoleProcess[] = []
  #crash: Error | undefined
  #broker: RoleProcess | undefined
  #lambda: RoleProcess | undefined
  #pipeline: PipelineConfig | undefined
  #cluster: Cluster | undefined

  private constructor(options: PipelineUnderTestOptions) {
    this.#brokerConfig = { 'group.initial.rebalance.delay.ms': '200', ...options.brokerConfig }
    this.dir = mkdtempSync(join(tmpdir(), 'comporta-chaos-'))
    const logDir = join(this.dir, 'logs')
    mkdirSync(logDir)
    this.#supervisor = new Supervisor({
      logDir,
      logLevel: process.env['CHAOS_LOG'] ?? 'info',
      onCrash: (name, error) => {
        this.#crash ??= new Error(`${name} ended by itself: ${error.message}`)
      }
    })
  }

  /** Starts everything but producers and waits until the group has shared out all partitions. */
  static async start(t: TestContext, options: PipelineUnderTestOptions = {}): Promise<PipelineUnderTest> {
    const started = new PipelineUnderTest(options)
    t.after(() => started.#end())
    await started.#startAll(options.dispatchers ?? 2)
    return started
  }

  /** Process id of the broker, for memory and signals. */
  get brokerPid(): number {
    return existing(this.#broker).pid
  }

  /** Uncommitted records as the running dispatchers see them. */
  get lag(): number {
    return sum(
      this.dispatchers.filter(each => each.isRunning),
      'lag'
    )
  }

  /** Deliveries that services have accepted, those of killed services excluded. */
  get delivered(): number {
    return sum(this.#services, 'delivered')
  }

  /** Events that producers have made. */
  get produced(): number {
    return sum(this.producers, 'produced')
  }

  async killBroker(): Promise<void> {
    await existing(this.#broker).kill()
  }

  /** Starts the broker again, on the same port and folder. */
  async startBroker(): Promise<void> {
    const port = this.#broker === undefined ? 0 : portOf(`http://${this.#broker.info['bootstrapServers']}`)
    const options: BrokerRoleOptions = { dataDir: join(this.dir, 'data'), port, config: { ...this.#brokerConfig } }
    this.#broker = await this.#start('broker', 'broker', options)
  }

  async killLambda(): Promise<void> {
    await existing(this.#lambda).kill()
  }

  /** Starts the Lambda runtime again, on the same port. */
  async startLambda(): Promise<void> {
    const { lambda } = existing(this.#pipeline)
    const port = this.#lambda === undefined ? 0 : portOf(this.#lambda.info['endpoint'])
    this.#lambda = await this.#start('lambda', 'lambda', { ...existing(lambda), port })
  }

  async killService(index: number): Promise<void> {
    await existing(this.#services[index]).kill()
  }

  /** Starts a service again, on the same port and with the same ledger. */
  async startService(index: number): Promise<void> {
    const last = this.#services[index]
    const port = last === undefined ? 0 : portOf(last.info['url'])
    const options: DemoServiceOptions = { index, ledgerPath: this.#deliveredPath(index), port }
    this.#services[index] = await this.#start('demo-service', DEMO_SERVICES[index] ?? '', options)
  }

  /** Has every invocation of the function take this much longer from now on. */
  async slowFunctionBy(extraLatencyMs: number): Promise<void> {
    const url = `${existing(this.#lambda).info['endpoint']}/comporta/functions/${functionName}/faults`
    const answer = await fetch(url, { method: 'PUT', body: JSON.stringify({ extraLatencyMs }) })
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`)
  }

  /** Starts one more dispatcher; does not wait for its partitions. */
  async startDispatcher(): Promise<RoleProcess> {
    const { kafka, dispatcher } = existing(this.#pipeline)
    const options: DispatcherRoleOptions = { kafka, dispatcher: existing(dispatcher) }
    const process = await this.#start('dispatcher', 'dispatcher', options)
    this.dispatchers.push(process)
    return process
  }

  /** Stops a dispatcher as a deployment would. */
  async drainDispatcher(dispatcher: RoleProcess): Promise<void> {
    await dispatcher.drain(drainMs)
  }

  /** Waits until all running dispatchers have partitions and no partition is without one. */
  async untilAssigned(): Promise<void> {
    const total = DEMO_PARTITIONS.heavy + DEMO_PARTITIONS.light
    await this.until(`all ${total} partitions assigned`, () => {
      const running = this.dispatchers.filter(each => each.isRunning)
      return running.every(each => (each.status['partitions'] ?? 0) > 0) && sum(running, 'partitions') === total
    })
  }

  /** Starts a producer. */
  async produce(load: Load): Promise<RoleProcess> {
    const { kafka, producer } = existing(this.#pipeline)
    const index = this.producers.length
    const records = load.records ?? endless
    const options: DemoProducerOptions = {
      kafka,
      producer: existing(producer),
      index,
      // Far more than a test starts, so that no two phases share an index.
      producerCount: 16,
      pacedRecords: load.rate === 0 ? 0 : records,
      pacedRate: load.rate,
      flatOutRecords: load.rate === 0 ? records : 0,
      ledgerPath: this.#producedPath(index),
      isAcknowledgedWritten: true
    }
    const process = await this.#start('demo-producer', 'producer', options)
    this.producers.push(process)
    return process
  }

  /** Ends the load: what was handed over is acknowledged, no more is made. */
  async endLoad(): Promise<void> {
    await Promise.all(this.producers.filter(each => each.isRunning).map(each => each.drain(drainMs)))
  }

  /** Waits until something holds. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const startMs = systemClock.monotonicMs()
    while (!(await holds())) {
      if (this.#crash !== undefined) throw this.#crash
      if (systemClock.monotonicMs() - startMs > waitMaxMs) {
        throw new Error(`waited ${waitMaxMs / 1000} s for: ${what}; logs in ${this.dir}/logs (CHAOS_KEEP=1 keeps them)`)
      }
      await sleep(systemClock, tickMs)
    }
  }

  /** Waits until that many more events have been produced. */
  async untilProduced(more: number): Promise<void> {
    const target = this.produced + more
    await this.until(`${target} events produced`, () => this.produced >= target)
  }

  /** Waits until that many more deliveries have been accepted. */
  async untilDelivered(more: number): Promise<void> {
    const target = this.delivered + more
    await this.until(`${target} deliveries`, () => this.delivered >= target)
  }

  /** Waits until the running producers have ended and the group has committed everything, then judges. */
  async settle(): Promise<Verdict> {
    const running = this.producers.filter(each => each.isRunning)
    const finished = Promise.all(running.map(each => each.finished))
    finished.catch(() => undefined)
    let hasFinished = false
    void finished.then(
      () => (hasFinished = true),
      () => undefined
    )
    await this.until(`the producers’ end (${this.produced} produced)`, () => hasFinished)
    const cluster = existing(this.#cluster)
    await this.until(
      'everything committed',
      async () => (await uncommittedCount(cluster, groupId, [topics.heavy, topics.light])) === 0
    )
    await Promise.all([...this.#services, ...running].map(each => each.flush()))
    return await this.#judge(cluster)
  }

  async #startAll(dispatcherCount: number): Promise<void> {
    await Promise.all([this.startBroker(), ...DEMO_SERVICES.map((_, index) => this.startService(index))])
    const addresses = {
      bootstrapServers: existing(this.#broker).info['bootstrapServers'] ?? '',
      topics,
      groupId,
      serviceUrls: this.#services.map(each => each.info['url'] ?? '')
    }
    // The runtime is started from the same file, before its own address is known.
    this.#pipeline = demoPipeline({ ...addresses, lambdaEndpoint: 'http://127.0.0.1:1' })
    await this.startLambda()
    const lambdaEndpoint = existing(this.#lambda).info['endpoint'] ?? ''
    this.#pipeline = demoPipeline({ ...addresses, lambdaEndpoint })
    this.#cluster = await connectCluster(this.#pipeline.kafka, 'test', silentLogger)
    await ensureTopics(this.#cluster, this.#pipeline)
    await Promise.all(Array.from({ length: dispatcherCount }, () => this.startDispatcher()))
    await this.untilAssigned()
  }

  async #start(role: string, name: string, options: unknown): Promise<RoleProcess> {
    const count = (this.#startedCounts.get(name) ?? 0) + 1
    this.#startedCounts.set(name, count)
    return await this.#supervisor.start({ role, name: `${name}-${count}`, options })
  }

  /**
   * An event that was handed over but not acknowledged may be in Kafka or not, so it is
   * due only if some part of the pipeline has seen it; an acknowledged one is always due.
   */
  async #judge(cluster: Cluster): Promise<Verdict> {
    const letters = await readDeadLetters(cluster, topics.deadLetters)
    const due = new Set(letters.map(letter => `${letter.producer}-${letter.event}`))
    const delivered: LedgerEntry[] = []
    for (const index of DEMO_SERVICES.keys()) readLedger(this.#deliveredPath(index), entry => delivered.push(entry))
    for (const entry of delivered) due.add(`${entry.producer}-${entry.event}`)
    const produced: LedgerEntry[] = []
    for (const index of this.producers.keys()) {
      readLedger(this.#producedPath(index), entry => {
        if (entry.kind === LEDGER_KIND.produced) produced.push(entry)
        else due.add(`${entry.producer}-${entry.event}`)
      })
    }
    const audit = new Audit()
    for (const entry of produced) if (due.has(`${entry.producer}-${entry.event}`)) audit.produced(entry)
    for (const entry of delivered) audit.delivered(entry)
    for (const letter of letters) audit.deadLettered(letter)
    return {
      ...audit.report(),
      longestGapMs: longestGapMs(delivered),
      handedOver: produced.length,
      duplicatesByService: DEMO_SERVICES.map((_, index) =>
        duplicateCount(delivered.filter(each => each.detail === index))
      )
    }
  }

  #deliveredPath(index: number): string {
    return join(this.dir, `delivered-${index}.ledger`)
  }

  #producedPath(index: number): string {
    return join(this.dir, `produced-${index}.ledger`)
  }

  async #end(): Promise<void> {
    await this.#supervisor.close()
    await this.#cluster?.close()
    if (process.env['CHAOS_KEEP'] === undefined) rmSync(this.dir, { recursive: true, force: true })
  }
}

/** Resident memory of a process, in bytes; 0 where the system does not tell. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** One line with the numbers of a verdict. */
export function describeVerdict(verdict: Verdict): string {
  const { handedOver, produced, delivered, deliveriesDue, deadLettered, longestGapMs, duplicatesByService } = verdict
  const share = `${delivered} of ${deliveriesDue} delivered`
  const repeated = `${duplicatesByService.join(' + ')} duplicates, ${deadLettered} dead letters`
  return `${handedOver} handed over, ${produced} due, ${share}, ${repeated}, longest gap ${Math.round(longestGapMs)} ms`
}

function duplicateCount(delivered: readonly LedgerEntry[]): number {
  return delivered.length - new Set(delivered.map(entry => `${entry.producer}-${entry.event}`)).size
}

function longestGapMs(delivered: readonly LedgerEntry[]): number {
  const times = delivered.map(entry => entry.timeMs).toSorted((a, b) => a - b)
  return times.reduce((longest, time, index) => Math.max(longest, time - (times[index - 1] ?? time)), 0)
}

function sum(processes: readonly RoleProcess[], name: string): number {
  return processes.reduce((total, each) => total + (each.status[name] ?? 0), 0)
}

function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the pipeline has not started it')
  return value
}

function portOf(url: string | undefined): number {
  return Number(new URL(url ?? '').port)
}

/**
 * A finite, verified run: start everything, produce at a steady rate, then flat
 * out, wait until the group has committed all of it, and judge the ledgers.
 */

import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Admin, type Cluster } from '../../client/index.ts'
import { PipelineError, sleep, systemClock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { writeDeadLetters } from '../chaos/verdict.ts'
import { type RoleProcess, Supervisor } from '../process/supervisor.ts'
import { connectCluster } from '../wiring.ts'
import { judge } from './collect.ts'
import { readDeadLetters } from './dead-letters.ts'
import type { ProgressLine } from './progress.ts'
import { type DemoReport, summarizeBoth } from './report.ts'
import { type DemoTopics, demoTopics } from './scenario.ts'
import { uncommittedCount } from './settled.ts'
import { DemoStack } from './stack.ts'

/** What a run is asked for. */
export interface DemoRunOptions {
  /** Events in all. */
  readonly records: number
  /** Events per second of the first phase; 0 leaves it out. */
  readonly rate: number
  /** Address of a cluster; absent = the embedded broker. */
  readonly brokers: string | undefined
  readonly chaos: 'kill-dispatcher' | undefined
  readonly logLevel: string
  readonly signal: AbortSignal
  /** A run in which nothing moves for this long is given up, in milliseconds. Default 60_000. */
  readonly stallMs?: number
}

const producerCount = 2
/** Longest steady phase: enough for its percentiles to mean something. */
const pacedSecondsMax = 10
const tickMs = 250

/** One run and everything it has started. */
export class DemoRun {
  readonly dir: string
  readonly #options: DemoRunOptions
  readonly #logger: Logger
  readonly #line: ProgressLine
  readonly #supervisor: Supervisor
  readonly #topics: DemoTopics
  readonly #groupId: string
  readonly #killed: string[] = []
  #stack: DemoStack | undefined
  #producers: RoleProcess[] = []
  #crash: PipelineError | undefined

  constructor(options: DemoRunOptions, logger: Logger, line: ProgressLine) {
    this.#options = options
    this.#logger = logger
    this.#line = line
    this.dir = mkdtempSync(join(tmpdir(), 'comporta-demo-'))
    const runName = this.dir.slice(this.dir.lastIndexOf('-') + 1)
    // A shared cluster may hold other runs: its topics carry the run's name and are deleted afterwards.
    this.#topics = demoTopics(options.brokers === undefined ? '' : `comporta-demo-${runName}-`)
    this.#groupId = `comporta-demo-${runName}`
    const logDir = join(this.dir, 'logs')
    mkdirSync(logDir)
    this.#supervisor = new Supervisor({
      logDir,
      logLevel: options.logLevel,
      onCrash: (_name, error) => {
        this.#crash = error
      }
    })
  }

  /** The processes of the run; for showing their addresses. */
  get stack(): DemoStack {
    if (this.#stack === undefined) throw new Error('the run has not started')
    return this.#stack
  }

  /** Runs to the verdict. Everything but the producers still runs afterwards. */
  async run(): Promise<DemoReport> {
    this.#stack = await DemoStack.start({
      supervisor: this.#supervisor,
      logger: this.#logger,
      dir: this.dir,
      brokers: this.#options.brokers,
      topics: this.#topics,
      groupId: this.#groupId
    })
    await this.#stack.untilAssigned(this.#options.signal)
    const cluster = await connectCluster(this.#stack.pipeline.kafka, 'demo', this.#logger)
    try {
      return await this.#runOn(cluster, this.#stack)
    } finally {
      await cluster.close()
    }
  }

  /** Stops what still runs, in order, and removes the topics of a shared cluster. */
  async stop(): Promise<void> {
    if (this.#stack !== undefined) {
      await this.#stack.drainConsumers()
      if (this.#options.brokers !== undefined) await this.#removeTopics(this.#stack)
      await this.#stack.stopBroker()
    }
    await this.#supervisor.close()
  }

  /** Kills what still runs: after a failure. */
  async abandon(): Promise<void> {
    await this.#supervisor.close()
  }

  async #runOn(cluster: Cluster, stack: DemoStack): Promise<DemoReport> {
    const { records, rate, brokers } = this.#options
    const pacedRecords = rate === 0 ? 0 : Math.min(Math.floor(records / 2), rate * pacedSecondsMax)
    const startMs = systemClock.now()
    this.#producers = await this.#startProducers(stack, { pacedRecords, rate })
    const allProduced = Promise.all(this.#producers.map(producer => producer.finished))
    allProduced.catch(() => undefined)
    const chaos = this.#options.chaos === undefined ? Promise.resolve() : this.#killADispatcher(stack)
    await this.#watch(stack, cluster)
    await Promise.all([allProduced, chaos])
    const endMs = systemClock.now()
    await Promise.all([...stack.services, ...this.#producers].map(role => role.flush()))
    const pacedFromMs = Math.min(...this.#producers.map(producer => producer.status['pacedFromMs'] ?? startMs))
    const flatOutFromMs = Math.max(...this.#producers.map(producer => producer.status['flatOutFromMs'] ?? endMs))
    const deadLetters = await readDeadLetters(cluster, this.#topics.deadLetters)
    writeDeadLetters(this.dir, deadLetters)
    await Promise.all(this.#producers.map(producer => producer.drain(5000)))
    const { audit, latencies } = judge(stack.ledgers, deadLetters, flatOutFromMs)
    const producedMs = Math.max(...this.#producers.map(producer => producer.status['producedAtMs'] ?? endMs))
    const flatOutRecords = records - pacedRecords
    return {
      holds: audit.holds && audit.produced === records && (audit.duplicates === 0 || this.#killed.length > 0),
      cluster: brokers ?? 'embedded broker',
      seconds: (endMs - startMs) / 1000,
      rates: {
        paced: pacedRecords === 0 ? undefined : perSecond(pacedRecords, flatOutFromMs - pacedFromMs),
        flatOut: flatOutRecords === 0 ? undefined : perSecond(flatOutRecords, producedMs - flatOutFromMs),
        delivered: perSecond(audit.delivered, endMs - startMs)
      },
      latenciesMs: summarizeBoth(latencies),
      batches: this.#sum(stack.dispatchers, 'batches'),
      retries: this.#sum(stack.dispatchers, 'retries'),
      killed: this.#killed,
      audit
    }
  }

  async #startProducers(
    stack: DemoStack,
    { pacedRecords, rate }: { pacedRecords: number; rate: number }
  ): Promise<RoleProcess[]> {
    const shareOf = (total: number, index: number): number =>
      Math.floor(total / producerCount) + (index < total % producerCount ? 1 : 0)
    return await Promise.all(
      Array.from({ length: producerCount }, (_, index) =>
        stack.startProducer({
          index,
          producerCount,
          pacedRecords: shareOf(pacedRecords, index),
          pacedRate: rate / producerCount,
          flatOutRecords: shareOf(this.#options.records - pacedRecords, index)
        })
      )
    )
  }

  /** Shows progress until all producers have finished and the group has committed everything. */
  async #watch(stack: DemoStack, cluster: Cluster): Promise<void> {
    let hasProducedAll = false
    void Promise.all(this.#producers.map(producer => producer.finished)).then(
      () => (hasProducedAll = true),
      () => undefined
    )
    const stallMs = this.#options.stallMs ?? 60_000
    let last = { delivered: -1, uncommitted: -1, atMs: systemClock.monotonicMs() }
    for (;;) {
      if (!(await sleep(systemClock, tickMs, this.#options.signal))) throw interrupted()
      if (this.#crash !== undefined) throw this.#crash
      const delivered = this.#show(stack)
      const uncommitted = hasProducedAll
        ? await uncommittedCount(cluster, this.#groupId, [this.#topics.heavy, this.#topics.light])
        : -1
      if (uncommitted === 0) return
      if (delivered !== last.delivered || uncommitted !== last.uncommitted) {
        last = { delivered, uncommitted, atMs: systemClock.monotonicMs() }
      } else if (systemClock.monotonicMs() - last.atMs > stallMs) throw this.#stalled(stallMs, uncommitted)
    }
  }

  #show(stack: DemoStack): number {
    const delivered = this.#sum(stack.services, 'delivered')
    const isFlatOut = this.#producers.every(producer => (producer.status['flatOutFromMs'] ?? 0) > 0)
    const produced = this.#sum(this.#producers, 'produced')
    const running = stack.dispatchers.filter(dispatcher => dispatcher.isRunning)
    this.#line.show({
      phase: produced >= this.#options.records ? 'draining' : isFlatOut ? 'flat out' : 'paced',
      produced,
      total: this.#options.records,
      delivered,
      deadLettered: this.#sum(stack.dispatchers, 'deadLettered') + this.#sum(this.#producers, 'deadLettered'),
      lag: this.#sum(running, 'lag'),
      batches: this.#sum(stack.dispatchers, 'batches'),
      inFlight: this.#sum(running, 'inFlight')
    })
    return delivered
  }

  /** Kills one dispatcher once a third is produced, as a crash would, and starts another as a supervisor would. */
  async #killADispatcher(stack: DemoStack): Promise<void> {
    while (this.#sum(this.#producers, 'produced') < this.#options.records / 3) {
      if (this.#crash !== undefined || !(await sleep(systemClock, 50, this.#options.signal))) return
    }
    const [victim] = stack.dispatchers
    if (victim === undefined) return
    await victim.kill()
    this.#killed.push(victim.name)
    this.#line.note(`chaos: killed ${victim.name} (pid ${victim.pid}) with SIGKILL`)
    const successor = await stack.startDispatcher()
    this.#line.note(`chaos: started ${successor.name}`)
  }

  #sum(processes: readonly RoleProcess[], name: string): number {
    return processes.reduce((sum, process) => sum + (process.status[name] ?? 0), 0)
  }

  #stalled(stallMs: number, uncommitted: number): PipelineError {
    const what = uncommitted < 0 ? 'the producers have not finished' : `${uncommitted} records are not committed`
    const logs = `the logs of all processes: ${join(this.dir, 'logs')}`
    return new PipelineError('ERR_CLI_TIMEOUT', `nothing has moved for ${stallMs / 1000} s: ${what}; ${logs}`)
  }

  async #removeTopics(stack: DemoStack): Promise<void> {
    const cluster = await connectCluster(stack.pipeline.kafka, 'demo', this.#logger)
    try {
      const admin = new Admin(cluster)
      await admin.deleteTopics(Object.values(this.#topics))
      await admin.deleteGroups([this.#groupId])
    } finally {
      await cluster.close()
    }
  }
}

function perSecond(count: number, ms: number): number {
  return ms <= 0 ? 0 : (count * 1000) / ms
}

function interrupted(): PipelineError {
  return new PipelineError('ERR_CORE_ABORTED', 'the run was interrupted before its end: no verdict')
}

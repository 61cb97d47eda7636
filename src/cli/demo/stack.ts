/**
 * The processes of a demonstration: broker, services, Lambda runtime,
 * dispatchers, producers. Started from sink to source, stopped from source to
 * sink.
 */

import { join } from 'node:path'

import type { PipelineConfig } from '../../config/index.ts'
import { PipelineError, sleep, systemClock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { DemoProducerOptions } from '../roles/demo-producer.ts'
import type { DispatcherRoleOptions } from '../roles/dispatcher.ts'
import type { RoleProcess, Supervisor } from '../process/supervisor.ts'
import { connectCluster, ensureTopics } from '../wiring.ts'
import { DEMO_PARTITIONS, DEMO_SERVICES, demoPipeline, type DemoTopics } from './scenario.ts'
import type { DemoServiceOptions } from './service.ts'

const dispatcherCount = 3
const drainMs = 30_000
const assignedWithinMs = 60_000

/** What a stack is made from. */
export interface StackOptions {
  readonly supervisor: Supervisor
  readonly logger: Logger
  /** Folder of ledgers and of the embedded broker's log. */
  readonly dir: string
  /** Address of a cluster; absent = the embedded broker. */
  readonly brokers: string | undefined
  readonly topics: DemoTopics
  readonly groupId: string
}

/** All processes of a run but the producers. */
export class DemoStack {
  readonly pipeline: PipelineConfig
  readonly ledgers: { readonly produced: string[]; readonly delivered: string[] } = { produced: [], delivered: [] }
  readonly broker: RoleProcess | undefined
  readonly services: readonly RoleProcess[]
  readonly lambda: RoleProcess
  readonly dispatchers: RoleProcess[] = []
  readonly #options: StackOptions
  #dispatchersStarted = 0

  private constructor(options: StackOptions, parts: Pick<DemoStack, 'pipeline' | 'broker' | 'services' | 'lambda'>) {
    this.#options = options
    this.pipeline = parts.pipeline
    this.broker = parts.broker
    this.services = parts.services
    this.lambda = parts.lambda
  }

  /** Starts everything but producers, creates the topics, and waits until all is ready. */
  static async start(options: StackOptions): Promise<DemoStack> {
    const { supervisor, dir } = options
    const broker =
      options.brokers === undefined
        ? await supervisor.start({
            role: 'broker',
            name: 'broker',
            options: { dataDir: join(dir, 'data'), port: 0, config: { 'group.initial.rebalance.delay.ms': '200' } }
          })
        : undefined
    const ledgerPaths = DEMO_SERVICES.map(name => join(dir, `delivered-${name}.ledger`))
    const services = await Promise.all(
      DEMO_SERVICES.map((name, index) => {
        const service: DemoServiceOptions = { index, ledgerPath: ledgerPaths[index] ?? '' }
        return supervisor.start({ role: 'demo-service', name, options: service })
      })
    )
    const addresses = {
      bootstrapServers: options.brokers ?? broker?.info['bootstrapServers'] ?? '',
      topics: options.topics,
      groupId: options.groupId,
      serviceUrls: services.map(service => service.info['url'] ?? '')
    }
    // The runtime is started from the same file, before its own address is known.
    const { lambda: functions } = demoPipeline({ ...addresses, lambdaEndpoint: 'http://127.0.0.1:1' })
    const lambda = await supervisor.start({ role: 'lambda', name: 'lambda', options: functions })
    const pipeline = demoPipeline({ ...addresses, lambdaEndpoint: lambda.info['endpoint'] ?? '' })
    const stack = new DemoStack(options, { pipeline, broker, services, lambda })
    stack.ledgers.delivered.push(...ledgerPaths)
    await stack.#createTopics()
    await Promise.all(Array.from({ length: dispatcherCount }, () => stack.startDispatcher()))
    return stack
  }

  /** Waits until the group has shared out all partitions: events that are made before would only measure the start. */
  async untilAssigned(signal: AbortSignal): Promise<void> {
    const total = DEMO_PARTITIONS.heavy + DEMO_PARTITIONS.light
    const deadlineMs = systemClock.monotonicMs() + assignedWithinMs
    const isAssigned = (): boolean =>
      this.dispatchers.every(each => (each.status['partitions'] ?? 0) > 0) &&
      this.dispatchers.reduce((sum, each) => sum + (each.status['partitions'] ?? 0), 0) === total
    while (!isAssigned() && !signal.aborted) {
      if (systemClock.monotonicMs() > deadlineMs) {
        const message = `the group did not share out its ${total} partitions within ${assignedWithinMs / 1000} s`
        throw new PipelineError('ERR_CLI_TIMEOUT', `${message}; the logs of its members: ${this.#options.dir}/logs`)
      }
      await sleep(systemClock, 50, signal)
    }
  }

  /** Starts one more dispatcher. */
  async startDispatcher(): Promise<RoleProcess> {
    const { dispatcher, kafka } = this.pipeline
    if (dispatcher === undefined) throw new Error('the scenario has a dispatcher')
    this.#dispatchersStarted += 1
    const options: DispatcherRoleOptions = { kafka, dispatcher }
    const name = `dispatcher-${this.#dispatchersStarted}`
    const process = await this.#options.supervisor.start({ role: 'dispatcher', name, options })
    this.dispatchers.push(process)
    return process
  }

  /** Starts a producer of generated events. */
  async startProducer(options: Omit<DemoProducerOptions, 'kafka' | 'producer' | 'ledgerPath'>): Promise<RoleProcess> {
    const { producer, kafka } = this.pipeline
    if (producer === undefined) throw new Error('the scenario has a producer')
    const ledgerPath = join(this.#options.dir, `produced-${options.index}.ledger`)
    this.ledgers.produced.push(ledgerPath)
    const name = `producer-${options.index + 1}`
    const full: DemoProducerOptions = { ...options, kafka, producer, ledgerPath }
    return await this.#options.supervisor.start({ role: 'demo-producer', name, options: full })
  }

  /** Stops all but the broker: no batch is in flight afterwards. */
  async drainConsumers(): Promise<void> {
    await Promise.all(this.dispatchers.map(dispatcher => dispatcher.drain(drainMs)))
    await this.lambda.drain(drainMs)
    await Promise.all(this.services.map(service => service.drain(drainMs)))
  }

  /** Stops the embedded broker, if there is one. */
  async stopBroker(): Promise<void> {
    await this.broker?.drain(drainMs)
  }

  async #createTopics(): Promise<void> {
    const cluster = await connectCluster(this.pipeline.kafka, 'demo', this.#options.logger)
    try {
      await ensureTopics(cluster, this.pipeline)
    } finally {
      await cluster.close()
    }
  }
}

/**
 * A whole pipeline of real processes that may be harmed: the demonstration's broker, services, Lambda runtime,
 * dispatchers and producers, each of which can be killed, frozen, slowed down and started again where it was.
 *
 * Judged by the same ledgers and the same audit as `comporta demo`. On a cluster that is not ours everything has a
 * prefix of its own and is removed at the end.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { Admin, type Cluster } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import { backoffMs, messageOf, PipelineError, sleep, systemClock, systemRandom } from '../../core/index.ts'
import type { ChaosFaults, LedgerAudit } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { DEMO_SERVICES, demoPipeline, type DemoTopics, demoTopics } from '../demo/scenario.ts'
import type { DemoServiceOptions } from '../demo/service.ts'
import { uncommittedCount } from '../demo/settled.ts'
import { type RoleProcess, type RoleSpec, Supervisor } from '../process/supervisor.ts'
import type { BrokerRoleOptions } from '../roles/broker.ts'
import type { DemoProducerOptions } from '../roles/demo-producer.ts'
import type { DispatcherRoleOptions } from '../roles/dispatcher.ts'
import { connectCluster, ensureTopics } from '../wiring.ts'
import { Authority } from './certificates.ts'
import { KafkaProxy } from './kafka-proxy.ts'
import { judgeLedgers } from './verdict.ts'

const tickMs = 50
const drainMs = 30_000
const endless = 100_000_000
const functionName = 'distributor'
/** Far more producers than a run starts, so that no two phases of producers share an index. */
const PRODUCERS_MAX = 16
/** Longest time for the group to be free of members that were killed, in milliseconds. */
const REMOVE_MS = 20_000

/** What a pipeline is made from. */
export interface ChaosPipelineOptions {
  /** Folder of logs, ledgers and the embedded broker's data. */
  readonly dir: string
  readonly logLevel: string
  readonly logger: Logger
  /** Addresses of a cluster; absent = the embedded broker. */
  readonly brokers?: string
  /** Before the names of topics. Default none. */
  readonly prefix?: string
  readonly groupId: string
  /** Dispatchers at the start. Default 2. */
  readonly dispatchers?: number
  /** Names of the dispatchers of the start in the group. Default: dynamic members. */
  readonly instanceIds?: readonly string[]
  /** Settings of the broker on top of the demonstration's. */
  readonly brokerConfig?: Readonly<Record<string, string>>
  /** Default 500 of each. */
  readonly batch?: { readonly recordsMax: number; readonly ageMs: number }
  /** The first dispatcher speaks to Kafka through a proxy. Default false. */
  readonly isProxied?: boolean
  /** TLS for all but the runner; the first certificate is good for so long, in milliseconds. Default: no TLS. */
  readonly certificateMs?: number
  /** Longest wait for anything, in milliseconds. Default 90_000. */
  readonly waitMaxMs?: number
  /** Names of parts that ended by themselves, and why. */
  readonly onEnd: (name: string, reason: string) => void
}

/** What a producer makes. */
export interface Load {
  /** Default: until `endLoad`. */
  readonly records?: number
  /** Events per second; 0 = as fast as Kafka takes them. */
  readonly rate: number
  /** How wrong its clock is, in milliseconds. Default 0. */
  readonly skewMs?: number
}

/** How a dispatcher that joins differs. */
export interface JoinOptions {
  readonly instanceId?: string
  readonly skewMs?: number
  /** When the clock goes wrong, in milliseconds after the start. Default 0. */
  readonly afterMs?: number
  readonly isProxied?: boolean
}

/** A pipeline that runs until it is closed. */
export class ChaosPipeline {
  readonly dispatchers: RoleProcess[] = []
  readonly producers: RoleProcess[] = []
  readonly topics: DemoTopics
  readonly #options: ChaosPipelineOptions
  readonly #supervisor: Supervisor
  readonly #startedCounts = new Map<string, number>()
  /** By index: the one that is there, and all there were before. */
  readonly #services: RoleProcess[][] = DEMO_SERVICES.map(() => [])
  readonly #authority = new Authority('Comporta chaos')
  #broker: RoleProcess | undefined
  #lambda: RoleProcess | undefined
  #pipeline: PipelineConfig | undefined
  #cluster: Cluster | undefined
  #proxy: KafkaProxy | undefined
  #proxied: RoleProcess | undefined
  #firstCertificateEndsMs = 0

  constructor(options: ChaosPipelineOptions) {
    this.#options = options
    this.topics = demoTopics(options.prefix ?? '')
    mkdirSync(join(options.dir, 'logs'), { recursive: true })
    this.#supervisor = new Supervisor({
      logDir: join(options.dir, 'logs'),
      logLevel: options.logLevel,
      onCrash: (name, error) => options.onEnd(name, error.message)
    })
  }

  /** Starts everything but producers; does not wait for partitions. */
  async start(): Promise<void> {
    const { brokers, isProxied, dispatchers = 2, instanceIds = [] } = this.#options
    if (this.#options.certificateMs !== undefined) this.renewCertificate(this.#options.certificateMs)
    await Promise.all([
      brokers === undefined ? this.startBroker() : undefined,
      ...DEMO_SERVICES.map((_, index) => this.startService(index))
    ])
    // The runtime is started from the same file, before its own address is known.
    this.#pipeline = this.#described('http://127.0.0.1:1')
    await this.startLambda()
    this.#pipeline = this.#described(existing(this.#lambda).info['endpoint'] ?? '')
    const { kafka } = this.#pipeline
    // The runner looks in by the listener without TLS, whose certificate cannot end.
    const direct = { ...kafka, bootstrapServers: this.#plainServers(), tls: undefined }
    this.#cluster = await connectCluster(direct, 'chaos', this.#options.logger)
    await ensureTopics(this.#cluster, this.#pipeline)
    if (isProxied === true) this.#proxy = await KafkaProxy.open(kafka.bootstrapServers)
    await Promise.all(
      Array.from({ length: dispatchers }, (_, index) => {
        const instanceId = instanceIds[index]
        const named = instanceId === undefined ? {} : { instanceId }
        return this.startDispatcher({ isProxied: isProxied === true && index === 0, ...named })
      })
    )
  }

  /** A connection of the runner's own. */
  get cluster(): Cluster {
    return existing(this.#cluster)
  }

  get groupId(): string {
    return this.#options.groupId
  }

  /** Process id of the broker, for memory and signals. */
  get brokerPid(): number {
    return existing(this.#broker).pid
  }

  get hasProxy(): boolean {
    return this.#proxy !== undefined
  }

  /** The dispatcher behind the proxy. */
  get proxied(): RoleProcess | undefined {
    return this.#proxied
  }

  get proxy(): KafkaProxy {
    return existing(this.#proxy)
  }

  /** When the broker's first certificate ends, in epoch milliseconds. */
  get firstCertificateEndsMs(): number {
    return this.#firstCertificateEndsMs
  }

  /** Uncommitted records as the running dispatchers see them. */
  get lag(): number {
    return sum(
      this.dispatchers.filter(each => each.isRunning),
      'lag'
    )
  }

  /** Deliveries that services have accepted; of a killed one what it last said. */
  get delivered(): number {
    return sum(this.#services.flat(), 'delivered')
  }

  /** Events that producers have made. */
  get produced(): number {
    return sum(this.producers, 'produced')
  }

  async killBroker(): Promise<void> {
    await existing(this.#broker).kill()
  }

  async drainBroker(): Promise<void> {
    await existing(this.#broker).drain(drainMs)
  }

  /** Starts the broker again, on the same port and folder. */
  async startBroker(): Promise<void> {
    const { dir, brokerConfig, certificateMs } = this.#options
    const port = this.#broker === undefined ? 0 : portOf(`http://${this.#broker.info['bootstrapServers']}`)
    const tls: Record<string, string> =
      certificateMs === undefined
        ? {}
        : {
            listeners: 'PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0',
            'ssl.keystore.type': 'PEM',
            'ssl.keystore.location': this.#certificatePath()
          }
    const config = { 'group.initial.rebalance.delay.ms': '200', ...tls, ...brokerConfig }
    const address = certificateMs === undefined ? { port } : {}
    const options: BrokerRoleOptions = { dataDir: join(dir, 'data'), config, ...address }
    this.#broker = await this.#start('broker', { role: 'broker', options })
  }

  async killLambda(): Promise<void> {
    await existing(this.#lambda).kill()
  }

  /** Starts the Lambda runtime again, on the same port. */
  async startLambda(): Promise<void> {
    const { lambda } = existing(this.#pipeline)
    const port = this.#lambda === undefined ? 0 : portOf(this.#lambda.info['endpoint'])
    this.#lambda = await this.#start('lambda', { role: 'lambda', options: { ...existing(lambda), port } })
  }

  get isLambdaRunning(): boolean {
    return this.#lambda?.isRunning === true
  }

  async killService(index: number): Promise<void> {
    await existing(this.#services[index]?.at(-1)).kill()
  }

  /** Starts a service again, on the same port and with the same ledger. */
  async startService(index: number): Promise<void> {
    const last = this.#services[index]?.at(-1)
    const port = last === undefined ? 0 : portOf(last.info['url'])
    const options: DemoServiceOptions = { index, ledgerPath: this.#deliveredPath(index), port }
    this.#services[index]?.push(await this.#start(DEMO_SERVICES[index] ?? '', { role: 'demo-service', options }))
  }

  /** Has every invocation of the function suffer from now on. */
  async setFaults(faults: ChaosFaults): Promise<void> {
    const url = `${existing(this.#lambda).info['endpoint']}/comporta/functions/${functionName}/faults`
    const answer = await fetch(url, { method: 'PUT', body: JSON.stringify(faults) })
    if (answer.ok) return
    throw new PipelineError('ERR_CLI_ROLE_FAILED', `${url} answered ${answer.status}: ${await answer.text()}`)
  }

  /** Starts one more dispatcher; does not wait for its partitions. */
  async startDispatcher(join: JoinOptions = {}): Promise<RoleProcess> {
    const { kafka, dispatcher } = existing(this.#pipeline)
    const section = existing(dispatcher)
    const servers = join.isProxied === true ? { bootstrapServers: [...this.proxy.bootstrapServers] } : {}
    const named = join.instanceId === undefined ? {} : { groupInstanceId: join.instanceId }
    const options: DispatcherRoleOptions = { kafka: { ...kafka, ...servers }, dispatcher: { ...section, ...named } }
    const spec = { role: 'dispatcher', options, ...skewed(join.skewMs, join.afterMs) }
    const process = await this.#start('dispatcher', spec)
    this.dispatchers.push(process)
    if (join.isProxied === true) this.#proxied = process
    return process
  }

  /** Stops a dispatcher as a deployment would. */
  async drainDispatcher(dispatcher: RoleProcess): Promise<void> {
    await dispatcher.drain(drainMs)
  }

  /** Starts a producer. */
  async produce(load: Load): Promise<RoleProcess> {
    const { kafka, producer } = existing(this.#pipeline)
    const index = this.producers.length
    if (index >= PRODUCERS_MAX) throw new Error('more producers than a run may start')
    const records = load.records ?? endless
    const options: DemoProducerOptions = {
      kafka,
      producer: existing(producer),
      index,
      producerCount: PRODUCERS_MAX,
      pacedRecords: load.rate === 0 ? 0 : records,
      pacedRate: load.rate,
      flatOutRecords: load.rate === 0 ? records : 0,
      ledgerPath: this.#producedPath(index),
      isAcknowledgedWritten: true
    }
    const process = await this.#start('producer', { role: 'demo-producer', options, ...skewed(load.skewMs) })
    this.producers.push(process)
    return process
  }

  /** Ends the load: what was handed over is acknowledged, no more is made. */
  async endLoad(): Promise<void> {
    await Promise.all(this.producers.filter(each => each.isRunning).map(each => each.drain(drainMs)))
  }

  /** Puts a new certificate of the broker where it finds it; it looks every two seconds. */
  renewCertificate(validMs: number): void {
    const nowMs = systemClock.now()
    const endsMs = nowMs + validMs
    if (this.#firstCertificateEndsMs === 0) this.#firstCertificateEndsMs = endsMs
    const notBefore = new Date(nowMs - 60_000)
    const { cert, key } = this.#authority.issue({
      name: 'broker',
      isServer: true,
      notBefore,
      notAfter: new Date(endsMs)
    })
    writeFileSync(this.#authorityPath(), this.#authority.cert)
    writeFileSync(this.#certificatePath(), `${cert}${key}`, { mode: 0o600 })
  }

  /** Waits until something holds. */
  async until(what: string, holds: () => boolean | Promise<boolean>, signal?: AbortSignal): Promise<void> {
    const { waitMaxMs = 90_000, dir } = this.#options
    const startMs = systemClock.monotonicMs()
    while (!(await holds())) {
      if (systemClock.monotonicMs() - startMs > waitMaxMs) {
        throw new PipelineError('ERR_CLI_TIMEOUT', `waited ${waitMaxMs / 1000} s for: ${what}; logs in ${dir}/logs`)
      }
      if (!(await sleep(systemClock, tickMs, signal))) return
    }
  }

  /** Waits until the running producers have ended and the group has committed everything, then judges. */
  async settle(isMoved?: (key: number) => boolean, signal?: AbortSignal): Promise<LedgerAudit> {
    const running = this.producers.filter(each => each.isRunning)
    let hasFinished = false
    void Promise.all(running.map(each => each.finished)).then(
      () => (hasFinished = true),
      () => undefined
    )
    await this.until(`the producers’ end (${this.produced} produced)`, () => hasFinished, signal)
    const read = [this.topics.heavy, this.topics.light]
    const isCommitted = async (): Promise<boolean> => (await uncommittedCount(this.cluster, this.groupId, read)) === 0
    await this.until('everything committed', isCommitted, signal)
    const services = this.#services.flatMap(each => each.at(-1) ?? [])
    await Promise.all([...services, ...running].map(each => each.flush()))
    const { dir } = this.#options
    const run = { cluster: this.cluster, deadLetters: this.topics.deadLetters, dir }
    return await judgeLedgers(isMoved === undefined ? run : { ...run, mayBeLate: entry => isMoved(entry.key) })
  }

  /** Ends every process, and removes topics and group where the cluster is not ours. May be called again. */
  async close(): Promise<void> {
    const isOurs = this.#options.brokers === undefined
    // Members that say goodbye leave a group that can be removed.
    if (!isOurs) await Promise.all(this.dispatchers.filter(each => each.isRunning).map(each => each.drain(3000)))
    await this.#supervisor.close()
    await this.#proxy?.close()
    const cluster = this.#cluster
    this.#cluster = undefined
    if (cluster === undefined) return
    try {
      if (!isOurs) await this.#remove(new Admin(cluster))
    } finally {
      await cluster.close()
    }
  }

  /** Kills every process at once, for the end of this one. */
  killNow(): void {
    const all = [...this.dispatchers, ...this.producers, ...this.#services.flat(), this.#broker, this.#lambda]
    for (const each of all) if (each?.isRunning === true) process.kill(each.pid, 'SIGKILL')
  }

  async #remove(admin: Admin): Promise<void> {
    const topics = Object.values(this.topics)
    const startMs = systemClock.monotonicMs()
    for (let failures = 1; ; failures += 1) {
      const results = [...(await admin.deleteTopics(topics)), ...(await admin.deleteGroups([this.groupId]))]
      const left = results.filter(each => each.errorCode !== 0 && !isGone(each.errorName))
      if (left.length === 0) return
      if (systemClock.monotonicMs() - startMs > REMOVE_MS) {
        const reasons = left.map(each => `${each.name}: ${each.errorName}`).join('; ')
        throw new PipelineError('ERR_CLI_TOPICS', `cannot remove what the run has created: ${reasons}`)
      }
      await sleep(systemClock, backoffMs({ initialMs: 200, maxMs: 2000 }, failures, systemRandom))
    }
  }

  async #start(name: string, spec: Omit<RoleSpec, 'name'>): Promise<RoleProcess> {
    const count = (this.#startedCounts.get(name) ?? 0) + 1
    this.#startedCounts.set(name, count)
    return await this.#supervisor.start({ ...spec, name: `${name}-${count}` })
  }

  #described(lambdaEndpoint: string): PipelineConfig {
    const { brokers, batch, certificateMs, groupId } = this.#options
    return demoPipeline({
      bootstrapServers: brokers ?? this.#serversOf(certificateMs === undefined ? 'PLAINTEXT' : 'SSL'),
      topics: this.topics,
      groupId,
      serviceUrls: this.#services.map(each => each.at(-1)?.info['url'] ?? ''),
      lambdaEndpoint,
      ...(batch === undefined ? {} : { batch }),
      ...(certificateMs === undefined ? {} : { authorityFile: this.#authorityPath() })
    })
  }

  #plainServers(): string[] {
    return (this.#options.brokers ?? this.#serversOf('PLAINTEXT')).split(',')
  }

  /** Of the embedded broker. */
  #serversOf(listener: string): string {
    const listeners = (this.#broker?.info['listeners'] ?? '').split(', ')
    return listeners.find(text => text.startsWith(`${listener} `))?.slice(listener.length + 1) ?? ''
  }

  #authorityPath(): string {
    return join(this.#options.dir, 'authority.pem')
  }

  #certificatePath(): string {
    return join(this.#options.dir, 'broker.pem')
  }

  #deliveredPath(index: number): string {
    return join(this.#options.dir, `delivered-${index}.ledger`)
  }

  #producedPath(index: number): string {
    return join(this.#options.dir, `produced-${index}.ledger`)
  }
}

/** A clock that is wrong, for one process. */
function skewed(skewMs = 0, afterMs = 0): Pick<RoleSpec, 'preload' | 'environment'> {
  if (skewMs === 0) return {}
  // Beside this file, from the sources as from the built package.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  return {
    preload: new URL(`./skewed-date${extension}`, import.meta.url).href,
    environment: {
      COMPORTA_CLOCK_SKEW_MS: String(skewMs),
      COMPORTA_CLOCK_SKEW_AFTER_MS: String(afterMs)
    }
  }
}

function isGone(errorName: string | undefined): boolean {
  return errorName === 'UNKNOWN_TOPIC_OR_PARTITION' || errorName === 'GROUP_ID_NOT_FOUND'
}

/** Adds up what processes have reported. */
export function sum(processes: readonly RoleProcess[], name: string): number {
  return processes.reduce((total, each) => total + (each.status[name] ?? 0), 0)
}

function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the pipeline has not started it')
  return value
}

function portOf(url: string | undefined): number {
  return Number(new URL(url ?? '').port)
}

/** Why something failed, without its stack. */
export function reasonOf(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? ''
}

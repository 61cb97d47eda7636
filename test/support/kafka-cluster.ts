/**
 * A real Apache Kafka of several brokers, each a JVM with a small heap and a controller of its own (KRaft, combined
 * mode). Topics have three replicas and want two in sync. Leaders move only when somebody asks, or a broker ends.
 */

import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  archiveArgs,
  collectTail,
  KAFKA_TOOLS,
  kafkaClassPath,
  runKafkaTool,
  serverSettings,
  spawnServer,
  type Tail,
  untilServing
} from './kafka-jvm.ts'
import { CutNetwork, type Treatment } from './cut-network.ts'
import { freePorts } from './ports.ts'

const startTimeoutMs = 90_000
const startAttemptsMax = 3

/** How to start the brokers. */
export interface KafkaClusterOptions {
  /** Default 3. */
  readonly brokers?: number
  /** Heap of each broker in MiB. Default 256. */
  readonly heapMb?: number
  /** More lines for each `server.properties`; they win over ours. */
  readonly overrides?: Readonly<Record<string, string>>
  /** Whether there is a network in front of the brokers, for clients that come in by `outerServers`. Default false. */
  readonly hasNetwork?: boolean
}

/** The brokers together. */
export interface KafkaCluster {
  /** All brokers as those see them that come through the network; else the same as `bootstrapServers`. */
  readonly outerServers: string
  /** Treats a client that came in by `outerServers` in some way from now on, at every broker; `*` = all others. */
  treat(clientId: string, treatment: Treatment): void
  /** All brokers, comma separated. */
  readonly bootstrapServers: string
  readonly nodes: readonly KafkaNode[]
  /** Kills all and removes their folders. May be called again. */
  close(): Promise<void>
}

/** One broker. */
export class KafkaNode {
  readonly id: number
  readonly address: string
  readonly #properties: string
  readonly #heapMb: number
  #child: ChildProcess | undefined
  #tail: Tail | undefined

  constructor(options: { id: number; port: number; properties: string; heapMb: number }) {
    this.id = options.id
    this.address = `127.0.0.1:${options.port}`
    this.#properties = options.properties
    this.#heapMb = options.heapMb
  }

  /** The last lines that it logged. */
  logTail(): string {
    return this.#tail?.lines.join('\n') ?? ''
  }

  /** Starts its process, for the first time or again, and waits until it serves. */
  async start(): Promise<void> {
    // A broker of a test lives for a minute: the optimising compiler would only cost.
    const jvmArgs = [`-Xmx${this.#heapMb}m`, '-XX:TieredStopAtLevel=1', ...(await archiveArgs('server'))]
    const child = spawnServer(await kafkaClassPath(), this.#properties, jvmArgs)
    this.#child = child
    this.#tail = collectTail(child)
    await untilServing(child, this.#tail, startTimeoutMs)
  }

  /** SIGKILL: no leader is handed over. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM: a controlled shutdown, which hands leaders over first. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** Ends `freeze`. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill(signal)
    if (signal === 'SIGTERM') child.kill('SIGCONT')
    await ended
  }
}

/** Starts the brokers on free ports of 127.0.0.1 and waits until all serve. */
export async function startKafkaCluster(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options)
    } catch (error) {
      // Between our look for free ports and Kafka's bind, another process may have taken one.
      const isPortTaken = error instanceof Error && /Address already in use/.test(error.message)
      if (!isPortTaken || attempt === startAttemptsMax) throw error
    }
  }
}

async function startOnce(options: KafkaClusterOptions): Promise<KafkaCluster> {
  const count = options.brokers ?? 3
  const dir = await mkdtemp(join(tmpdir(), 'comporta-cluster-'))
  const ports = await freePorts(3 * count)
  const controllers = ports.slice(count, 2 * count).map((port, index) => `${index + 1}@127.0.0.1:${port}`)
  const nodes: KafkaNode[] = []
  const settings: Record<string, string>[] = []
  const outerAddresses: string[] = []
  const networks: CutNetwork[] = []
  for (let index = 0; index < count; index += 1) {
    const id = index + 1
    const port = ports[index] ?? 0
    const network = options.hasNetwork === true ? await CutNetwork.listen() : undefined
    if (network !== undefined) networks.push(network)
    const outer = outerSettings(network, {
      port,
      controller: ports[count + index] ?? 0,
      inner: ports[2 * count + index] ?? 0
    })
    outerAddresses.push(outer.address)
    const own = {
      ...serverSettings(join(dir, `data-${id}`), port, ports[count + index] ?? 0),
      ...clusterSettings(count),
      'node.id': String(id),
      'controller.quorum.voters': controllers.join(','),
      ...outer.settings,
      ...options.overrides
    }
    settings.push(own)
    const properties = join(dir, `server-${id}.properties`)
    await writeFile(properties, linesOf(own))
    nodes.push(new KafkaNode({ id, port, properties, heapMb: options.heapMb ?? 256 }))
  }
  const close = async (): Promise<void> => {
    await Promise.all(networks.map(network => network.close()))
    await Promise.all(nodes.map(node => node.kill()))
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await format(dir, settings)
    await Promise.all(nodes.map(node => node.start()))
  } catch (error) {
    await close()
    throw error
  }
  const treat = (clientId: string, treatment: Treatment): void => {
    for (const network of networks) network.treat(clientId, treatment)
  }
  const bootstrapServers = nodes.map(node => node.address).join(',')
  return { bootstrapServers, outerServers: outerAddresses.join(','), treat, nodes, close }
}

/** A listener behind the network: clients that come in by it are told its address, and go on through it. */
function outerSettings(
  network: CutNetwork | undefined,
  { port, controller, inner }: { port: number; controller: number; inner: number }
): { address: string; settings: Record<string, string> } {
  if (network === undefined) return { address: `127.0.0.1:${port}`, settings: {} }
  network.leadTo(inner)
  const address = `127.0.0.1:${network.port}`
  const settings = {
    listeners: `PLAINTEXT://127.0.0.1:${port},OUTER://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},OUTER://${address}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT'
  }
  return { address, settings }
}

/** Formats one broker's folder with Kafka's tool, and the others' as copies of it: a JVM each would take seconds. */
async function format(dir: string, settings: readonly Record<string, string>[]): Promise<void> {
  const clusterId = randomBytes(16).toString('base64url')
  const properties = join(dir, 'server-1.properties')
  await runKafkaTool(KAFKA_TOOLS['kafka-storage'], ['format', `--cluster-id=${clusterId}`, '-c', properties])
  const first = settings[0]?.['log.dirs'] ?? ''
  for (const own of settings.slice(1)) {
    const folder = own['log.dirs'] ?? ''
    await cp(first, folder, { recursive: true })
    if (!(await readdir(folder)).includes('meta.properties')) throw new Error(`${folder} has no meta.properties`)
    const meta = join(folder, 'meta.properties')
    const text = await readFile(meta, 'utf8')
    const directoryId = randomBytes(16).toString('base64url')
    await writeFile(
      meta,
      text
        .replace(/^node\.id=.*$/m, `node.id=${own['node.id']}`)
        .replace(/^directory\.id=.*$/m, `directory.id=${directoryId}`)
    )
  }
}

/** Replication as in production, and times in which a test can see a broker's end. */
function clusterSettings(brokers: number): Record<string, string> {
  const replicas = String(Math.min(3, brokers))
  return {
    'default.replication.factor': replicas,
    'min.insync.replicas': brokers >= 3 ? '2' : '1',
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': brokers >= 3 ? '2' : '1',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': brokers >= 3 ? '2' : '1',
    'auto.leader.rebalance.enable': 'false',
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '3000',
    'replica.lag.time.max.ms': '4000'
  }
}

function linesOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

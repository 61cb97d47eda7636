/**
 * A real Apache Kafka for tests: the jars of `kafka-jvm/pom.xml`, started as
 * one broker in KRaft combined mode, and Kafka's own console tools.
 *
 * Maven resolves the jars once; the class path is cached in `.cache/` under a
 * hash of the pom. Everything else (ports, folders, cluster id) is new for each
 * broker. A broker dies with the process that started it, however that ends.
 */

import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type RunOptions, type RunResult, runProcess, spawnBound } from './child-process.ts'
import { freePorts } from './ports.ts'

const repositoryDir = join(import.meta.dirname, '../..')
const jvmDir = join(import.meta.dirname, 'kafka-jvm')
const cacheDir = join(repositoryDir, '.cache/kafka-jvm')
const logTailLines = 40
const startAttemptsMax = 3
const resolveDeadlineMs = 300_000

/** How to start Apache Kafka. */
export interface KafkaJvmOptions {
  /** `auto.create.topics.enable`. Default true, as in Kafka. */
  readonly isAutoCreateEnabled?: boolean
  /** More lines for `server.properties`; they win over ours. */
  readonly overrides?: Readonly<Record<string, string>>
  /** Heap of the broker in MiB. Default 512. */
  readonly heapMb?: number
  /** How long it may take until the broker answers, in milliseconds. Default 90_000. */
  readonly startTimeoutMs?: number
}

/** A running Apache Kafka. */
export interface KafkaJvm {
  /** `127.0.0.1:PORT`. */
  readonly bootstrapServers: string
  /** Folder with `server.properties` and `data/`; removed by `close`. */
  readonly dir: string
  /** Folder with the partitions' logs. */
  readonly dataDir: string
  /** The last lines that the broker logged. */
  logTail(): string
  /** Kills the broker and removes its folder. May be called again. */
  close(): Promise<void>
}

/** Main classes of Kafka's console tools, by the name of the script that starts them in Kafka's distribution. */
export const KAFKA_TOOLS = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-dump-log': 'org.apache.kafka.tools.DumpLogSegments',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-features': 'org.apache.kafka.tools.FeatureCommand',
  'kafka-metadata-quorum': 'org.apache.kafka.tools.MetadataQuorumCommand',
  'kafka-cluster': 'org.apache.kafka.tools.ClusterTool',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  'kafka-groups': 'org.apache.kafka.tools.GroupsCommand',
  'kafka-client-metrics': 'org.apache.kafka.tools.ClientMetricsCommand',
  'kafka-verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'kafka-verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
  'kafka-e2e-latency': 'org.apache.kafka.tools.EndToEndLatency',
  'client-compatibility-test': 'org.apache.kafka.tools.ClientCompatibilityTest',
  'transactional-message-copier': 'org.apache.kafka.tools.TransactionalMessageCopier',
  'kafka-streams-application-reset': 'org.apache.kafka.tools.StreamsResetter',
  'kafka-storage': 'kafka.tools.StorageTool'
} as const

const classPaths = new Map<string, Promise<string>>()

/** The class path of Apache Kafka, resolved through Maven at the first call. */
export function kafkaClassPath(): Promise<string> {
  return classPathOf('pom.xml')
}

/** The class path of Kafka Streams, Connect and MirrorMaker, resolved through Maven at the first call. */
export function applicationClassPath(): Promise<string> {
  return classPathOf('applications.xml')
}

/** Older releases whose tools the tests run. The first is the oldest whose clients Apache Kafka 4 still serves. */
export const OLD_RELEASES = ['2.1.1', '2.8.2', '3.9.1'] as const

/** The class path of the tools of an older release, resolved through Maven at the first call. */
export function oldToolsClassPath(release: (typeof OLD_RELEASES)[number]): Promise<string> {
  return classPathOf('old-tools.xml', release)
}

function classPathOf(pom: string, release = ''): Promise<string> {
  const key = `${pom} ${release}`
  const known = classPaths.get(key) ?? resolveClassPath(join(jvmDir, pom), release)
  classPaths.set(key, known)
  return known
}

/** `release` is for a pom that leaves it open. */
async function resolveClassPath(pom: string, release: string): Promise<string> {
  const cached = join(cacheDir, `classpath-${shortHash(await readFile(pom))}${release}.txt`)
  if (existsSync(cached)) {
    const classPath = await readFile(cached, 'utf8')
    if (classPath.split(':').every(jar => existsSync(jar))) return classPath
  }
  await mkdir(cacheDir, { recursive: true })
  // Test files run side by side: each resolves into its own file, and the rename is atomic.
  const fresh = `${cached}.${process.pid}`
  const version = release === '' ? [] : [`-Dkafka.version=${release}`]
  const result = await runProcess(
    'mvn',
    ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${fresh}`, ...version],
    {
      timeoutMs: resolveDeadlineMs,
      isFailureAccepted: true
    }
  )
  if (result.exitCode !== 0) {
    throw new Error(`Maven could not resolve Apache Kafka (exit code ${result.exitCode}):\n${result.stdout}`)
  }
  await rename(fresh, cached)
  return readFile(cached, 'utf8')
}

function shortHash(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 12)
}

/**
 * Compiles a Java program of the tests against the applications' class path, unless that was done before.
 *
 * @param source - A `.java` file; its classes are kept in `.cache/` under a hash of its text.
 * @returns The folder of its classes.
 */
export async function compileJava(source: string): Promise<string> {
  const classes = join(cacheDir, `classes-${shortHash(await readFile(source))}`)
  if (existsSync(classes)) return classes
  await mkdir(cacheDir, { recursive: true })
  const fresh = `${classes}.${process.pid}`
  await runProcess('javac', ['-proc:none', '-cp', await applicationClassPath(), '-d', fresh, source])
  await rename(fresh, classes)
  return classes
}

/**
 * Runs one of Kafka's Java programs to its end.
 *
 * @param mainClass - One of `KAFKA_TOOLS`, or any main class of the class path.
 * @throws Error with both outputs if it fails or outlives `timeoutMs`.
 */
export async function runKafkaTool(
  mainClass: string,
  args: readonly string[],
  options: RunOptions = {}
): Promise<RunResult> {
  return runProcess('java', [...(await javaArgs()), mainClass, ...args], options)
}

/** Starts one of Kafka's Java programs that goes on running; it does not outlive this process. */
export async function startKafkaTool(mainClass: string, args: readonly string[]): Promise<ChildProcess> {
  return spawnBound('java', [...(await javaArgs()), mainClass, ...args])
}

/**
 * Starts a program on Kafka's application libraries; it does not outlive this process.
 *
 * @param classes - Folder of compiled classes in front of the class path, or nothing.
 */
export async function startKafkaApplication(
  mainClass: string,
  args: readonly string[],
  classes?: string
): Promise<ChildProcess> {
  const jars = await applicationClassPath()
  const classPath = classes === undefined ? jars : `${classes}:${jars}`
  return spawnBound('java', [...(await javaArgs(classPath)), mainClass, ...args])
}

/** What the JVM keeps of loaded classes, by what it was loaded for. See `classArchive`. */
export type ClassArchive = 'tools' | 'server'

/**
 * Where the JVM keeps classes of Kafka's class path, ready to be mapped into memory: it halves the CPU time of a start.
 * `npm run kafka:resolve` makes the files; without them the JVM reads the jars. Source: JEP 350.
 */
export async function classArchive(name: ClassArchive): Promise<string> {
  return join(cacheDir, `${name}-${shortHash(Buffer.from(await kafkaClassPath()))}.jsa`)
}

/** Arguments of `java` that use such a file, where there is one. */
export async function archiveArgs(name: ClassArchive): Promise<string[]> {
  const file = await classArchive(name)
  // One of another JVM does not fit: it is left aside without a word, for some tests read all that a tool prints.
  return existsSync(file) ? [`-XX:SharedArchiveFile=${file}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'] : []
}

/** The arguments of `java` in front of a main class. Default class path: that of Kafka's tools. */
export async function javaArgs(classPath?: string): Promise<string[]> {
  return [
    ...(classPath === undefined ? await archiveArgs('tools') : []),
    '-Xmx256m',
    // The tools live for a second or two: the optimising compiler would only cost.
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Xshare:auto',
    `-Dlog4j2.configurationFile=${join(jvmDir, 'log4j2-tools.properties')}`,
    '-cp',
    classPath ?? (await kafkaClassPath())
  ]
}

/** Starts Apache Kafka on free ports of 127.0.0.1 and waits until it serves requests. */
export async function startKafkaJvm(options: KafkaJvmOptions = {}): Promise<KafkaJvm> {
  const classPath = await kafkaClassPath()
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(classPath, options)
    } catch (error) {
      // Between our look for a free port and Kafka's bind, another process may have taken it.
      const isPortTaken = error instanceof Error && /Address already in use/.test(error.message)
      if (!isPortTaken || attempt === startAttemptsMax) throw error
    }
  }
}

async function startOnce(classPath: string, options: KafkaJvmOptions): Promise<KafkaJvm> {
  const dir = await mkdtemp(join(tmpdir(), 'comporta-kafka-'))
  const dataDir = join(dir, 'data')
  const [port = 0, controllerPort = 0] = await freePorts(2)
  const properties = join(dir, 'server.properties')
  const settings = { ...serverSettings(dataDir, port, controllerPort), ...options.overrides }
  settings['auto.create.topics.enable'] ??= String(options.isAutoCreateEnabled ?? true)
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(properties, lines.join(''))
  const clusterId = randomBytes(16).toString('base64url')
  let child: ChildProcess | undefined
  try {
    await runKafkaTool(KAFKA_TOOLS['kafka-storage'], ['format', `--cluster-id=${clusterId}`, '-c', properties])
    const broker = spawnServer(classPath, properties, [
      `-Xmx${options.heapMb ?? 512}m`,
      ...(await archiveArgs('server'))
    ])
    child = broker
    const tail = collectTail(broker)
    await untilServing(broker, tail, options.startTimeoutMs ?? 90_000)
    return {
      bootstrapServers: `127.0.0.1:${port}`,
      dir,
      dataDir,
      logTail: () => tail.lines.join('\n'),
      close: () => stop(broker, dir)
    }
  } catch (error) {
    await stop(child, dir)
    throw error
  }
}

/** Starts a broker whose storage is formatted; it does not outlive this process. */
export function spawnServer(classPath: string, properties: string, jvmArgs: readonly string[]): ChildProcess {
  const logging = `-Dlog4j2.configurationFile=${join(jvmDir, 'log4j2.properties')}`
  const all = [...jvmArgs, '-XX:+UseSerialGC', logging, '-cp', classPath, 'kafka.Kafka', properties]
  return spawnBound('java', all)
}

/** Settings of one broker that is its own controller. */
export function serverSettings(dataDir: string, port: number, controllerPort: number): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'log.dirs': dataDir,
    'num.network.threads': '2',
    'num.io.threads': '4',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // The default of 128 MiB would take a quarter of the heap.
    'log.cleaner.dedupe.buffer.size': '16777216'
  }
}

/** The end of a broker's log. */
export interface Tail {
  readonly lines: string[]
  isServing: boolean
}

/** Follows what a broker logs. */
export function collectTail(child: ChildProcess): Tail {
  const tail: Tail = { lines: [], isServing: false }
  let rest = ''
  const collect = (chunk: Buffer): void => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      // Logged when the listeners process requests and the broker is unfenced.
      if (line.includes('Kafka Server started')) tail.isServing = true
      tail.lines.push(line)
    }
    tail.lines.splice(0, tail.lines.length - logTailLines)
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  return tail
}

/** Waits until a broker says that it serves. @throws Error with the end of its log. */
export async function untilServing(child: ChildProcess, tail: Tail, timeoutMs: number): Promise<void> {
  const start = performance.now()
  while (!tail.isServing) {
    const fail = (how: string): Error =>
      new Error(`Apache Kafka ${how}. Its last lines were:\n${tail.lines.join('\n')}`)
    if (child.exitCode !== null) throw fail(`ended with exit code ${child.exitCode} while starting`)
    if (performance.now() - start > timeoutMs) throw fail(`did not start within ${timeoutMs} ms`)
    await delay(50)
  }
}

async function stop(child: ChildProcess | undefined, dir: string): Promise<void> {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
  }
  await rm(dir, { recursive: true, force: true })
}

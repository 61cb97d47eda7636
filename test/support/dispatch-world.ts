/**
 * A cluster of real brokers, records that keep coming, and groups of dispatchers, all of which a test may harm.
 *
 * Every group is one service of the audit (`ops`): each acknowledged record is due at each of them. The sink sees the
 * payloads, so the verdict rests on what arrived and not on what a dispatcher says of itself. Nothing waits for a time:
 * every step waits for something that is seen.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createInterface } from 'node:readline'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { Admin, Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { Audit, type AuditReport, LEDGER_KIND, type LedgerEntry } from '../../src/ops/index.ts'
import { alterPartitionReassignmentsApi, electLeadersApi } from '../../src/protocol/index.ts'
import { spawnBound } from './child-process.ts'
import type { MemberLine, MemberProgramOptions } from './dispatch-member.ts'
import { type KafkaCluster, startKafkaCluster } from './kafka-cluster.ts'

const tickMs = 20
const waitMaxMs = 60_000
const topic = 'events'
const deadLetterTopic = 'events-dead'
const keyCount = 400

/** A group of dispatchers. */
export interface GroupPlan {
  readonly groupId: string
  readonly order: 'partition' | 'key'
  readonly members: number
  /** Settings of its dispatchers, on top of ours. */
  readonly config?: Partial<MemberProgramOptions['config']>
}

/** What becomes of the records. */
export interface WorldPlan {
  readonly groups: readonly GroupPlan[]
  /** Records per second. */
  readonly rate: number
  readonly partitions: number
  /** Replicas of each partition. Default 3. */
  readonly replicas?: number
}

/** What the audit says, and what it cannot know. */
export interface WorldVerdict extends AuditReport {
  /** Deliveries that repeated one, by group. */
  readonly duplicatesOf: Readonly<Record<string, number>>
  /** First deliveries of a partition behind a later one, in groups that keep the order of partitions. */
  readonly partitionOrderBroken: number
  /** Records that the appender gave up. */
  readonly failedAppends: number
}

/** One dispatcher process. */
export class MemberProcess {
  readonly group: GroupPlan
  /** As the brokers know it. */
  readonly clientId: string
  readonly #child: ChildProcess
  #line: MemberLine = { state: 'starting', partitions: 0, records: 0 }
  readonly #log: string[] = []
  /** How often it said that the group went on without it: its repeats are not those of a planned hand-over. */
  timesLost = 0
  #isEnding = false

  constructor(group: GroupPlan, options: MemberProgramOptions) {
    this.group = group
    this.clientId = options.clientId ?? ''
    this.#child = spawnBound(process.execPath, [
      join(import.meta.dirname, 'dispatch-member.ts'),
      JSON.stringify(options)
    ])
    const { stdout, stderr } = this.#child
    if (stdout === null || stderr === null) throw new Error('a bound child has pipes')
    // Written by dispatch-member.ts.
    createInterface({ input: stdout }).on('line', text => (this.#line = JSON.parse(text) as MemberLine))
    createInterface({ input: stderr }).on('line', text => {
      if (text.includes('partitions lost')) this.timesLost += 1
      this.#log.push(text)
      if (this.#log.length > 60) this.#log.shift()
    })
  }

  get line(): MemberLine {
    return this.#line
  }

  get log(): string {
    return this.#log.join('\n')
  }

  /** Whether it ended without being asked to. */
  get hasFailed(): boolean {
    return !this.isRunning && !this.#isEnding
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it by a signal and waits for the end. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return
    this.#isEnding = true
    const ended = new Promise(resolve => this.#child.once('close', resolve))
    this.#child.kill(signal)
    await ended
  }
}

/** A cluster that the world runs on. */
export interface AnyCluster {
  /** `host:port[,host:port…]`. */
  readonly bootstrapServers: string
  /** The addresses for members, if those are others. */
  readonly outerServers?: string
  close(): Promise<void>
}

/** Everything, until its test ends. */
export class DispatchWorld<C extends AnyCluster = KafkaCluster> {
  readonly cluster: C
  readonly members: MemberProcess[] = []
  readonly #plan: WorldPlan
  readonly #client: Cluster
  readonly #appender: Appender
  readonly #server: Server
  readonly #produced: LedgerEntry[] = []
  readonly #delivered: LedgerEntry[] = []
  readonly #distinct: Set<number>[]
  readonly #lastOffset = new Map<string, number>()
  /** Sequences of keys, for the events that are made. */
  readonly #sequences = new Uint32Array(keyCount)
  /** How long the sink takes, in milliseconds. */
  sinkDelayMs = 0
  /** Whether the sink answers 503. */
  isTargetDown = false
  #isLoadOn = true
  #made = 0
  #failedAppends = 0
  #partitionOrderBroken = 0
  #load: Promise<void> | undefined

  private constructor(parts: { plan: WorldPlan; cluster: C; client: Cluster; server: Server }) {
    this.cluster = parts.cluster
    this.#plan = parts.plan
    this.#client = parts.client
    this.#server = parts.server
    this.#appender = new Appender({ cluster: parts.client, lingerMs: 5 })
    this.#distinct = parts.plan.groups.map(() => new Set())
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#take(request, response))
  }

  /** Starts brokers, sink, load and members, and waits until the members have shared the partitions out. */
  static async start(t: TestContext, plan: WorldPlan): Promise<DispatchWorld> {
    const cluster = await startKafkaCluster({ hasNetwork: true, overrides: { 'auto.create.topics.enable': 'false' } })
    return await DispatchWorld.over(t, plan, cluster)
  }

  /** The same on a cluster that runs already; it ends with the test. */
  static async over<C extends AnyCluster>(t: TestContext, plan: WorldPlan, cluster: C): Promise<DispatchWorld<C>> {
    t.after(() => cluster.close())
    const client = await Cluster.connect({ bootstrapServers: cluster.bootstrapServers.split(','), clientId: 'world' })
    t.after(() => client.close())
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const world = new DispatchWorld({ plan, cluster, client, server })
    t.after(() => world.#end())
    await world.#createTopics()
    for (const group of plan.groups) for (let index = 0; index < group.members; index += 1) world.startMember(group)
    world.#load = world.#produce()
    await world.untilShared()
    return world
  }

  /** Records of the load that the cluster has acknowledged. */
  get acknowledged(): number {
    return this.#produced.length
  }

  get admin(): Admin {
    return new Admin(this.#client)
  }

  /** Starts one more dispatcher; does not wait for its partitions. */
  startMember(group: GroupPlan): MemberProcess {
    const address = this.#server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const index = this.#plan.groups.indexOf(group)
    const member = new MemberProcess(group, {
      bootstrapServers: (this.cluster.outerServers ?? this.cluster.bootstrapServers).split(','),
      clientId: `member-${this.members.length}`,
      config: {
        groupId: group.groupId,
        topics: [topic],
        target: { type: 'http', url: `http://127.0.0.1:${port}/${index}`, timeoutMs: 10_000 },
        deadLetterTopic,
        batch: { recordsMax: 100, ageMs: 20 },
        heartbeatIntervalMs: 200,
        sessionTimeoutMs: 6000,
        concurrency: 12,
        breaker: { openMs: 200 },
        retry: { initialMs: 50, maxMs: 500 },
        order: group.order,
        ...group.config
      }
    })
    this.members.push(member)
    return member
  }

  /** Leader of each partition. */
  async leaders(): Promise<number[]> {
    const { topics } = await this.#client.metadata([topic])
    return (topics[0]?.partitions ?? []).map(({ leaderId }) => leaderId)
  }

  /** Has every partition led by another broker than now, in order: nobody ends, nothing is copied. */
  async moveLeaders(): Promise<void> {
    const before = await this.leaders()
    const { topics } = await this.#client.metadata([topic])
    const partitions = (topics[0]?.partitions ?? []).map(({ partition, replicas, leaderId }) => {
      const others = replicas.filter(id => id !== leaderId)
      return { partitionIndex: partition, replicas: [...others, leaderId] }
    })
    const change = { topics: [{ name: topic, partitions }], timeoutMs: 10_000 }
    const answer = await this.#client.send(alterPartitionReassignmentsApi, change, { to: 'controller' })
    if (answer.errorCode !== 0) throw new Error(`the reassignment failed with ${answer.errorCode}`)
    const numbers = partitions.map(({ partitionIndex }) => partitionIndex)
    await this.until('leaders that have moved', async () => {
      const election = { electionType: 0, topicPartitions: [{ topic, partitions: numbers }], timeoutMs: 10_000 }
      await this.#client.send(electLeadersApi, election, { to: 'controller' })
      const now = await this.leaders()
      return now.every((leader, index) => leader >= 0 && leader !== before[index])
    })
  }

  /** Waits until every running member has partitions and each group has all of them. */
  async untilShared(): Promise<void> {
    await this.until('all partitions shared out', () =>
      this.#plan.groups.every(group => {
        const lines = this.members.filter(each => each.group === group && each.isRunning).map(({ line }) => line)
        const sum = lines.reduce((total, line) => total + line.partitions, 0)
        return sum === this.#plan.partitions && lines.every(line => line.partitions > 0)
      })
    )
  }

  /** Waits until that many more records were acknowledged, and every group has had them. */
  async untilFlowed(more: number): Promise<void> {
    const wanted = this.acknowledged + more
    await this.until(`${wanted} records acknowledged and delivered`, () => {
      return this.acknowledged >= wanted && this.#distinct.every(seen => seen.size >= wanted)
    })
  }

  /** Waits until all in-sync replicas are back. */
  async untilInSync(): Promise<void> {
    await this.until('all replicas in sync', async () => {
      const { topics } = await this.#client.metadata([topic, '__consumer_offsets'])
      return topics.every(({ partitions }) => partitions.every(({ inSyncReplicas }) => inSyncReplicas.length === 3))
    })
  }

  /** Waits until something holds. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const startMs = systemClock.monotonicMs()
    while (!(await holds())) {
      if (this.members.some(member => member.hasFailed)) throw new Error(`a member ended\n${this.#describe()}`)
      if (systemClock.monotonicMs() - startMs > waitMaxMs) throw new Error(`waited for: ${what}\n${this.#describe()}`)
      await sleep(systemClock, tickMs)
    }
  }

  /** Ends the load, waits until every group has had everything, ends the members in good order and judges. */
  async settle(): Promise<WorldVerdict> {
    this.#isLoadOn = false
    await this.#load
    await this.until('everything delivered', () => {
      const { lost } = this.#judge()
      return lost.count === 0
    })
    await Promise.all(this.members.map(member => member.end('SIGTERM')))
    return this.#judge()
  }

  #judge(): WorldVerdict {
    const audit = new Audit()
    const due = new Set(this.#produced.map(({ event }) => event))
    for (const entry of this.#produced) audit.produced(entry)
    // What was given up by the appender may still be in the log: then it is due as well.
    for (const entry of this.#delivered) {
      if (due.has(entry.event)) continue
      due.add(entry.event)
      audit.produced({ ...entry, kind: LEDGER_KIND.produced, detail: this.#allGroups })
    }
    for (const entry of this.#delivered) audit.delivered(entry)
    const duplicatesOf = this.#plan.groups.map(({ groupId }, index) => {
      const count = this.#delivered.filter(({ detail }) => detail === index).length
      return [groupId, count - (this.#distinct[index]?.size ?? 0)]
    })
    return {
      ...audit.report(),
      duplicatesOf: Object.fromEntries(duplicatesOf) as Record<string, number>,
      partitionOrderBroken: this.#partitionOrderBroken,
      failedAppends: this.#failedAppends
    }
  }

  get #allGroups(): number {
    return (1 << this.#plan.groups.length) - 1
  }

  async #createTopics(): Promise<void> {
    const { partitions } = this.#plan
    const results = await this.admin.createTopics([
      { topic, partitionCount: partitions, replicationFactor: this.#plan.replicas ?? 3 },
      { topic: deadLetterTopic, partitionCount: 1, replicationFactor: this.#plan.replicas ?? 3 }
    ])
    for (const { errorCode } of results) if (errorCode !== 0) throw new Error(`creating topics failed: ${errorCode}`)
  }

  /** Makes records at the rate, for as long as the load is on; then flushes. */
  async #produce(): Promise<void> {
    const startMs = systemClock.monotonicMs()
    while (this.#isLoadOn) {
      const due = ((systemClock.monotonicMs() - startMs) / 1000) * this.#plan.rate
      while (this.#made < due) {
        this.#append(this.#made)
        this.#made += 1
      }
      await sleep(systemClock, 5)
      await this.#appender.room()
    }
    await this.#appender.flush()
  }

  #append(event: number): void {
    const key = (event * 7919) % keyCount
    const keySequence = this.#sequences[key] ?? 0
    this.#sequences[key] = keySequence + 1
    const entry: LedgerEntry = {
      kind: LEDGER_KIND.produced,
      producer: 0,
      detail: this.#allGroups,
      event,
      key,
      keySequence,
      timeMs: systemClock.now()
    }
    const value = Buffer.from(JSON.stringify({ event, key, keySequence, padding: 'x'.repeat(100) }))
    const record: AppendRecord = { topic, key: Buffer.from(`k${key}`), value }
    const isTaken = this.#appender.append(record, {
      delivered: () => void this.#produced.push(entry),
      failed: () => void (this.#failedAppends += 1)
    })
    // A full appender takes it later than its neighbours would allow: the load is slower, the order stays.
    if (isTaken) return
    this.#sequences[key] = keySequence
    this.#made -= 1
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (this.isTargetDown) {
        response.writeHead(503).end()
        return
      }
      this.#record(Number(request.url?.slice(1)), Buffer.concat(chunks))
      if (this.sinkDelayMs === 0) response.writeHead(200).end()
      else void sleep(systemClock, this.sinkDelayMs).then(() => response.writeHead(200).end())
    })
  }

  #record(group: number, body: Buffer): void {
    // The dispatcher's own payload of the load's own values.
    const { partition, messages, offsets } = JSON.parse(body.toString()) as {
      partition: number
      messages: { event: number; key: number; keySequence: number }[]
      offsets: number[]
    }
    const place = `${group}/${partition}`
    for (const [index, message] of messages.entries()) {
      const offset = offsets[index] ?? 0
      const isFirst = this.#distinct[group]?.has(message.event) === false
      this.#distinct[group]?.add(message.event)
      this.#delivered.push({
        kind: LEDGER_KIND.delivered,
        producer: 0,
        detail: group,
        ...message,
        timeMs: systemClock.now()
      })
      if (!isFirst || this.#plan.groups[group]?.order !== 'partition') continue
      if (offset <= (this.#lastOffset.get(place) ?? -1)) this.#partitionOrderBroken += 1
      else this.#lastOffset.set(place, offset)
    }
  }

  #describe(): string {
    const members = this.members.map(({ group, line, isRunning, log }) => {
      return `${group.groupId} ${isRunning ? 'running' : 'ended'} ${JSON.stringify(line)}\n${log}`
    })
    const sizes = this.#distinct.map(seen => seen.size).join(', ')
    return `${this.#made} made, ${this.acknowledged} acknowledged, delivered: ${sizes}\n${members.join('\n')}`
  }

  async #end(): Promise<void> {
    this.#isLoadOn = false
    await Promise.all(this.members.map(member => member.end('SIGKILL')))
    await this.#appender.close(0)
  }
}

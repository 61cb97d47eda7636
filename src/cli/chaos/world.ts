/** The pipeline of real processes as an experiment sees it: looks at it, harms it, restores it, judges it. */

import { join } from 'node:path'

import { Admin, type Cluster } from '../../client/index.ts'
import { sleep, systemClock, within } from '../../core/index.ts'
import type {
  ChaosAction,
  ChaosLedgers,
  ChaosPart,
  ChaosSample,
  ChaosWorld,
  PartitionOffsets
} from '../../ops/index.ts'
import { fnv1a64Hex } from '../../producer/index.ts'
import { partitionForKey } from '../../protocol/index.ts'
import { DEMO_PARTITIONS, DEMO_SERVICES, type DemoTopics } from '../demo/scenario.ts'
import type { RoleProcess } from '../process/supervisor.ts'
import { ChaosPipeline, type ChaosPipelineOptions, reasonOf, sum } from './pipeline.ts'
import { writePoison } from './poison.ts'

/** Longest wait for Kafka's answer in one look, in milliseconds. */
const LOOK_MS = 1000
/** Of the load's own events at most so many are bad: half of that is made. */
const BAD_RATIO = 0.002
const BAD_ALLOWANCE = 20
/** Longest stop in order, in milliseconds. */
const DRAIN_MS = 30_000

type Apply<K extends ChaosAction['do']> = (
  action: Extract<ChaosAction, { do: K }>,
  signal: AbortSignal
) => Promise<string | undefined | void>

/** A pipeline under an experiment. */
export class PipelineWorld implements ChaosWorld {
  readonly #pipeline: ChaosPipeline
  readonly #dir: string
  readonly #isProxied: boolean
  readonly #ended: string[] = []
  readonly #frozen = new Set<number>()
  /** The dispatcher that is frozen or cut off. */
  #victim: RoleProcess | undefined
  #joined: RoleProcess[] = []
  #killedConsumers = 0
  #partitionCount = DEMO_PARTITIONS.heavy + DEMO_PARTITIONS.light
  #grownBy = 0
  #rate = 0
  #looking: Promise<ReadonlyMap<string, PartitionOffsets> | undefined> | undefined
  #areFaultsSet = false
  /** Whether the network is not whole. */
  #isHarmed = false
  /** Invocations that had failed when the function was made to fail; absent while it is not. */
  #failuresBefore: number | undefined

  constructor(options: Omit<ChaosPipelineOptions, 'onEnd'>) {
    this.#dir = options.dir
    this.#isProxied = options.isProxied === true
    this.#pipeline = new ChaosPipeline({
      ...options,
      onEnd: (name, reason) => this.#ended.push(`${name}: ${reason}`)
    })
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#pipeline.start()
    await this.#untilAssigned(signal)
  }

  async startLoad(ratePerSecond: number): Promise<void> {
    this.#rate = ratePerSecond
    await this.#pipeline.produce({ rate: ratePerSecond })
  }

  async look(): Promise<Omit<ChaosSample, 'atMs'>> {
    const { dispatchers, producers, produced, delivered } = this.#pipeline
    // A question that was not answered in time is not asked again before it is.
    this.#looking ??= readOffsets(this.#pipeline.cluster, this.#pipeline.topics, this.#pipeline.groupId)
      .catch(() => undefined)
      .finally(() => (this.#looking = undefined))
    const offsets = await within(systemClock, LOOK_MS, this.#looking)
    const deadLettered = sum(dispatchers, 'deadLettered') + sum(producers, 'deadLettered')
    return {
      produced,
      delivered,
      offsets,
      assigned: this.#assigned(),
      partitionCount: this.#partitionCount,
      rebalances: sum(dispatchers, 'rebalances'),
      strayDeadLetters: Math.max(0, Math.round(deadLettered - produced * BAD_RATIO - BAD_ALLOWANCE)),
      ended: [...this.#ended]
    }
  }

  async apply(action: ChaosAction, signal: AbortSignal): Promise<string | undefined> {
    // The table has an entry for each kind, which takes that kind: checked by its type.
    const apply = this.#actions[action.do] as Apply<ChaosAction['do']>
    return (await apply(action as never, signal)) ?? undefined
  }

  async restore(): Promise<void> {
    this.#thaw()
    if (this.#isProxied) this.#tryProxy('pass')
    if (!this.#areFaultsSet || !this.#pipeline.isLambdaRunning) return
    await this.#pipeline.setFaults({ extraLatencyMs: 0, failureRatio: 0, throttleRatio: 0, timeoutRatio: 0 })
    this.#areFaultsSet = false
  }

  async settle(signal: AbortSignal): Promise<ChaosLedgers> {
    await this.#pipeline.endLoad()
    const before = DEMO_PARTITIONS.heavy
    const after = before + this.#grownBy
    const isMoved = (key: number): boolean => partitionOf(key, before) !== partitionOf(key, after)
    const { handedOver, movedOutOfOrder, ...audit } = await this.#pipeline.settle(
      this.#grownBy === 0 ? undefined : isMoved,
      signal
    )
    return { audit, handedOver, movedOutOfOrder }
  }

  async close(): Promise<void> {
    this.#thaw()
    await this.#pipeline.close()
  }

  /** Kills everything at once, for a second Ctrl-C. */
  killNow(): void {
    this.#pipeline.killNow()
  }

  readonly #actions: { readonly [K in ChaosAction['do']]: Apply<K> } = {
    wait: async ({ ms }, signal) => void (await sleep(systemClock, ms, signal)),
    untilAssigned: async (_, signal) => await this.#untilAssigned(signal),
    untilTakenOver: async (_, signal) => {
      const others = (): RoleProcess[] => this.#running().filter(each => each !== this.#victim)
      await this.#pipeline.until(
        'others have its partitions',
        () => sum(others(), 'partitions') === this.#partitionCount,
        signal
      )
    },
    kill: async ({ part }) => await this.#kill(part),
    drain: async ({ part }) => await this.#drain(part),
    start: async ({ part }) => await this.#startAgain(part),
    freeze: async ({ part }) => {
      if (part === 'dispatcher') this.#victim = this.#oneRunning()
      const pid = part === 'broker' ? this.#pipeline.brokerPid : (this.#victim?.pid ?? -1)
      process.kill(pid, 'SIGSTOP')
      this.#frozen.add(pid)
      return `process ${pid} stands still`
    },
    thaw: () => Promise.resolve(this.#thaw()),
    faults: async ({ faults }) => {
      const failures = sum(this.#pipeline.dispatchers, 'retries') + sum(this.#pipeline.dispatchers, 'unavailable')
      // A harm that nobody has felt proves nothing.
      if (failures === this.#failuresBefore) throw new Error('no invocation has failed meanwhile: raise --rate')
      const { failureRatio = 0, throttleRatio = 0, timeoutRatio = 0 } = faults
      this.#failuresBefore = failureRatio + throttleRatio + timeoutRatio > 0 ? failures : undefined
      this.#areFaultsSet = true
      await this.#pipeline.setFaults(faults)
    },
    network: async ({ treatment }) => {
      const { proxy } = this.#pipeline
      this.#victim = this.#pipeline.proxied
      const harmed = this.#isHarmed ? proxy.harmedCount : undefined
      proxy.treat(treatment)
      this.#isHarmed = treatment !== 'pass'
      if (harmed === 0) throw new Error('nothing has come through the proxy meanwhile: nobody was harmed')
      return await Promise.resolve(harmed === undefined ? undefined : `${harmed} connections or messages were harmed`)
    },
    join: async action => await this.#join(action),
    leave: async () => {
      const last = this.#joined.pop()
      if (last === undefined) throw new Error('nobody had joined')
      await drainWhole(last)
      return `${last.name} has left`
    },
    skewProducer: async ({ skewMs }) => void (await this.#pipeline.produce({ rate: this.#rate / 10, skewMs })),
    renewCertificate: ({ validMs }) => Promise.resolve(this.#pipeline.renewCertificate(validMs)),
    untilExpired: async (_, signal) => {
      // Whoever checks it compares whole seconds, and the broker looks at its files every two seconds.
      const ms = this.#certificateEndsMs() + 2500 - systemClock.now()
      await sleep(systemClock, Math.max(0, ms), signal)
    },
    poison: async ({ count }) => {
      const { cluster, topics } = this.#pipeline
      const ledgerPath = join(this.#dir, 'poison.ledger')
      await writePoison({ cluster, topic: topics.heavy, deadLetters: topics.deadLetters, count, ledgerPath })
    },
    grow: async ({ partitions }) => {
      this.#grownBy += partitions
      const partitionCount = DEMO_PARTITIONS.heavy + this.#grownBy
      const admin = new Admin(this.#pipeline.cluster)
      const [result] = await admin.createPartitions([{ topic: this.#pipeline.topics.heavy, partitionCount }])
      if (result?.errorCode !== 0) throw new Error(`Kafka refuses: ${result?.errorName ?? 'no answer'}`)
      this.#partitionCount += partitions
    }
  }

  async #kill(part: ChaosPart): Promise<string> {
    switch (part) {
      case 'broker':
        await this.#pipeline.killBroker()
        break
      case 'lambda':
        await this.#pipeline.killLambda()
        break
      case 'services':
        await Promise.all(DEMO_SERVICES.map((_, index) => this.#pipeline.killService(index)))
        break
      case 'producer': {
        const running = this.#pipeline.producers.filter(each => each.isRunning)
        if (running.length === 0) throw new Error('no producer runs')
        await Promise.all(running.map(each => each.kill()))
        break
      }
      case 'dispatcher': {
        const victim = this.#oneRunning()
        await victim.kill()
        return `${victim.name} (process ${victim.pid}) is dead`
      }
      case 'consumers': {
        const running = this.#running()
        if (running.length === 0) throw new Error('no dispatcher runs')
        this.#killedConsumers = running.length
        await Promise.all(running.map(each => each.kill()))
        break
      }
    }
    return `${part}: dead`
  }

  async #drain(part: ChaosPart): Promise<string> {
    if (part === 'broker') await this.#pipeline.drainBroker()
    else if (part === 'producer') await this.#pipeline.endLoad()
    else if (part === 'dispatcher') {
      const oldest = this.#oneRunning()
      await drainWhole(oldest)
      return `${oldest.name} has stopped`
    } else throw new Error(`no experiment stops ${part} in order`)
    return `${part}: stopped`
  }

  async #startAgain(part: ChaosPart): Promise<string | undefined> {
    switch (part) {
      case 'broker':
        await this.#pipeline.startBroker()
        break
      case 'lambda':
        await this.#pipeline.startLambda()
        break
      case 'services':
        await Promise.all(DEMO_SERVICES.map((_, index) => this.#pipeline.startService(index)))
        break
      case 'producer':
        await this.#pipeline.produce({ rate: this.#rate })
        break
      case 'dispatcher':
        await this.#pipeline.startDispatcher()
        break
      case 'consumers':
        await Promise.all(Array.from({ length: this.#killedConsumers }, () => this.#pipeline.startDispatcher()))
        break
    }
    return `${part}: started`
  }

  async #join(action: Extract<ChaosAction, { do: 'join' }>): Promise<string> {
    const { as: instanceId, skewMs, afterMs, failsWith } = action
    const options = {
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(skewMs === undefined ? {} : { skewMs }),
      ...(afterMs === undefined ? {} : { afterMs })
    }
    if (failsWith === undefined) {
      const joined = await this.#pipeline.startDispatcher(options)
      this.#joined.push(joined)
      return `${joined.name} (process ${joined.pid}) has started`
    }
    const endedBefore = this.#ended.length
    const reason = await this.#pipeline.startDispatcher(options).then(() => undefined, reasonOf)
    // Its end was foreseen.
    this.#ended.splice(endedBefore)
    if (reason === undefined) throw new Error(`it started, but should have failed with: ${failsWith}`)
    if (!reason.includes(failsWith)) throw new Error(`it failed, but not with "${failsWith}": ${reason}`)
    return `it failed: ${reason}`
  }

  #thaw(): void {
    for (const pid of this.#frozen) {
      try {
        process.kill(pid, 'SIGCONT')
      } catch {
        // It has ended meanwhile: nothing stands still.
      }
    }
    this.#frozen.clear()
  }

  /** The proxy is there only once the start came so far. */
  #tryProxy(treatment: 'pass'): void {
    if (this.#pipeline.hasProxy) this.#pipeline.proxy.treat(treatment)
  }

  #certificateEndsMs(): number {
    return this.#pipeline.firstCertificateEndsMs
  }

  async #untilAssigned(signal: AbortSignal): Promise<void> {
    const what = `all ${this.#partitionCount} partitions assigned`
    await this.#pipeline.until(
      what,
      () =>
        this.#assigned() === this.#partitionCount &&
        this.#running().every(each => (each.status['partitions'] ?? 0) > 0),
      signal
    )
  }

  #assigned(): number {
    return sum(this.#running(), 'partitions')
  }

  #running(): RoleProcess[] {
    return this.#pipeline.dispatchers.filter(each => each.isRunning)
  }

  #oneRunning(): RoleProcess {
    const [oldest] = this.#running()
    if (oldest === undefined) throw new Error('no dispatcher runs')
    return oldest
  }
}

/** Stops a dispatcher in order. One that had to be cut short is another experiment than was announced. */
async function drainWhole(dispatcher: RoleProcess): Promise<void> {
  if (!(await dispatcher.drain(DRAIN_MS))) throw new Error(`${dispatcher.name} did not finish what was in flight`)
}

/** Partition of a key of the generator: `codigo|truck_id`, hashed, as the scenario's key strategy says. */
function partitionOf(key: number, partitionCount: number): number {
  const truck = String(key % 100_000).padStart(5, '0')
  return partitionForKey(fnv1a64Hex(Buffer.from(`${Math.floor(key / 100_000)}|T-${truck}`)), partitionCount)
}

/** What Kafka says of the partitions that the group reads. */
async function readOffsets(
  cluster: Cluster,
  topics: DemoTopics,
  groupId: string
): Promise<ReadonlyMap<string, PartitionOffsets>> {
  const admin = new Admin(cluster)
  const metadata = await admin.describeTopics([topics.heavy, topics.light])
  const partitions = metadata.topics.flatMap(({ topic, partitions: each }) =>
    each.map(({ partition }) => ({ topic, partition }))
  )
  const [ends, starts, committed] = await Promise.all([
    admin.listOffsets(partitions.map(each => ({ ...each, at: 'latest' }))),
    admin.listOffsets(partitions.map(each => ({ ...each, at: 'earliest' }))),
    admin.fetchGroupOffsets(groupId, partitions)
  ])
  const nameOf = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}-${partition}`
  const startOf = new Map(starts.map(each => [nameOf(each), Number(each.offset)]))
  const committedOf = new Map(committed.map(each => [nameOf(each), Math.max(0, Number(each.offset))]))
  return new Map(
    ends.map(end => {
      const name = nameOf(end)
      const offsets = {
        committed: committedOf.get(name) ?? 0,
        end: Number(end.offset),
        logStart: startOf.get(name) ?? 0
      }
      return [name, offsets]
    })
  )
}

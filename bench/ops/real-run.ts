/**
 * A real run of a small pipeline, measured: embedded broker, producer, dispatchers, and a target whose time is known.
 *
 * The target holds its first invocations until all dispatchers have their partitions; that is the start. Lag is what
 * was acknowledged to the producer less what the target has finished, looked at every 20 ms.
 */

import { performance } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import type { MeasuredRun } from '../../src/ops/index.ts'
import type { Target, TargetBatch, TargetOutcome } from '../../src/targets/index.ts'

/** What is run. */
export interface RunSettings {
  readonly partitions: number
  readonly instances: number
  readonly concurrency: number
  readonly recordsMax: number
  readonly ageMs: number
  /** Records that wait at the start. */
  readonly backlog: number
  readonly recordsPerSecond: number
  /** Seconds in which records come. */
  readonly untilS: number
  readonly baseMs: number
  readonly perRecordUs: number
  /** A time in which every invocation takes so many times as long. */
  readonly slow?: { readonly fromS: number; readonly toS: number; readonly factor: number }
}

/** What was seen. */
export interface RunOutcome {
  /** Time from the start until all was done, in seconds. */
  readonly drainS: number
  readonly peakLag: number
  readonly measured: MeasuredRun
}

/** Keys are `key-0` to `key-<n>`, as those of a simulation with `keys: { type: hashed }`. */
export const KEYS = 5000
const RECORD_BYTES = 200
const TICK_MS = 20

type Batches = MeasuredRun['batches']

/** A service of its own time. */
class SleepTarget implements Target {
  readonly name = 'sleep'
  readonly bodyBytesMax = 6_291_456
  readonly timeoutMs = 60_000
  readonly #index: number
  readonly #run: Run

  constructor(index: number, run: Run) {
    this.#index = index
    this.#run = run
  }

  async invoke(batch: TargetBatch): Promise<TargetOutcome> {
    await this.#run.started
    const startMs = performance.now()
    const ms = this.#run.invocationMs(batch.recordCount, (startMs - this.#run.startMs) / 1000)
    if (ms > 0) await wait(ms)
    const endMs = performance.now()
    const records = batch.recordCount
    this.#run.batches.push({ instance: this.#index, partition: batch.partition, records, startMs, endMs })
    this.#run.done += records
    return { kind: 'ok' }
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}

class Run {
  readonly batches: Batches = []
  readonly started: Promise<void>
  open: () => void = () => undefined
  startMs = 0
  done = 0
  produced = 0
  readonly #settings: RunSettings

  constructor(settings: RunSettings) {
    this.#settings = settings
    this.started = new Promise(resolve => (this.open = resolve))
  }

  invocationMs(records: number, atS: number): number {
    const { baseMs, perRecordUs, slow } = this.#settings
    const factor = slow !== undefined && atS >= slow.fromS && atS < slow.toS ? slow.factor : 1
    return (baseMs + (perRecordUs * records) / 1000) * factor
  }
}

/** Runs it once. */
export async function realRun(settings: RunSettings): Promise<RunOutcome> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'simulate-real' })
  const appender = new Appender({ cluster, lingerMs: 5 })
  const dispatchers: Dispatcher[] = []
  try {
    await new Admin(cluster).createTopics([
      { topic: 'load', partitionCount: settings.partitions, replicationFactor: 1 }
    ])
    const run = new Run(settings)
    const append = appendTo(appender, run)
    await append(settings.backlog)
    await appender.flush()
    for (let index = 0; index < settings.instances; index++) {
      dispatchers.push(
        await startDispatcher({ cluster, config: configOf(settings), target: new SleepTarget(index, run) })
      )
    }
    await until(
      () => dispatchers.reduce((sum, each) => sum + each.status().partitions.length, 0) === settings.partitions
    )
    // A rebalance that moves partitions to the later ones ends, and buffers fill.
    await wait(700)
    return await measure(settings, { run, append })
  } finally {
    await Promise.all(dispatchers.map(each => each.close()))
    await appender.close()
    await cluster.close()
    await broker.close()
  }
}

async function measure(
  settings: RunSettings,
  { run, append }: { readonly run: Run; readonly append: (count: number) => Promise<void> }
): Promise<RunOutcome> {
  const cpu: { cpuMs: number; windowMs: number; records: number; batches: number }[] = []
  // Without a sleep there is always work: what passes is what the instance needs, waits for disk and socket included.
  const busyTime = (): number => (settings.baseMs === 0 ? performance.now() : performance.eventLoopUtilization().active)
  let window = { busyMs: busyTime(), records: run.done, batches: run.batches.length }
  let windowMs = performance.now()
  run.startMs = performance.now()
  run.open()
  let sent = 0
  let peakLag = 0
  for (;;) {
    const elapsedS = (performance.now() - run.startMs) / 1000
    const due = Math.floor(Math.min(elapsedS, settings.untilS) * settings.recordsPerSecond)
    if (due > sent) {
      await append(due - sent)
      sent = due
    }
    peakLag = Math.max(peakLag, run.produced - run.done)
    if (performance.now() - windowMs > 100) {
      const next = { busyMs: busyTime(), records: run.done, batches: run.batches.length }
      cpu.push({
        cpuMs: next.busyMs - window.busyMs,
        windowMs: performance.now() - windowMs,
        records: next.records - window.records,
        batches: next.batches - window.batches
      })
      window = next
      windowMs = performance.now()
    }
    if (elapsedS >= settings.untilS && sent >= due && run.done >= settings.backlog + sent) break
    await wait(TICK_MS)
  }
  const drainS = (Math.max(...run.batches.map(({ endMs }) => endMs)) - run.startMs) / 1000
  const batches = run.batches.map(batch => ({
    ...batch,
    startMs: batch.startMs - run.startMs,
    endMs: batch.endMs - run.startMs
  }))
  return {
    drainS,
    peakLag,
    measured: { kind: 'comporta-run', version: 1, concurrency: settings.concurrency, batches, cpu }
  }
}

function appendTo(appender: Appender, run: Run): (count: number) => Promise<void> {
  const value = Buffer.from(JSON.stringify({ text: 'x'.repeat(RECORD_BYTES - 40) }))
  const keys = Array.from({ length: KEYS }, (_, index) => Buffer.from(`key-${index}`))
  const listener = {
    delivered: ({ recordCount }: { recordCount: number }): void => void (run.produced += recordCount),
    failed: (error: Error): void => {
      throw error
    }
  }
  let next = 0
  return async count => {
    for (let index = 0; index < count; index++) {
      const key = keys[next++ % KEYS] ?? null
      while (!appender.append({ topic: 'load', key, value }, listener)) await appender.room()
    }
  }
}

function configOf({ concurrency, recordsMax, ageMs }: RunSettings): ReturnType<typeof dispatcherConfig> {
  return dispatcherConfig({
    groupId: 'simulate-real',
    topics: ['load'],
    concurrency,
    batch: { recordsMax, ageMs },
    target: { type: 'module', file: 'none.js' },
    deadLetterTopic: 'dead'
  })
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let round = 0; round < 1500; round++) {
    if (isTrue()) return
    await wait(20)
  }
  throw new Error('the dispatchers did not get their partitions within 30 s')
}

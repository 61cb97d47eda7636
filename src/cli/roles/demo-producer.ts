/**
 * A producer of the demonstration: generated events at a steady rate, then flat
 * out, each written to the ledger before it is handed to Kafka.
 */

import type { KafkaConfig, ProducerConfig } from '../../config/index.ts'
import { systemClock } from '../../core/index.ts'
import { LEDGER_KIND, LedgerWriter } from '../../ops/index.ts'
import { startProducer, TRUCK_EVENT_KIND, type TruckBatch, TruckSource } from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { expectationOf } from '../demo/scenario.ts'
import type { RunningRole } from '../process/role.ts'
import { connectCluster } from '../wiring.ts'

/** What the role is told. */
export interface DemoProducerOptions {
  readonly kafka: KafkaConfig
  readonly producer: ProducerConfig
  /** Index of this process among the producers. */
  readonly index: number
  /** Number of producers: the events of the second phase carry indexes from there on. */
  readonly producerCount: number
  readonly pacedRecords: number
  /** Events per second of the first phase. */
  readonly pacedRate: number
  readonly flatOutRecords: number
  readonly ledgerPath: string
  /** Whether acknowledgements go to the ledger too: needed to judge a producer that is killed. Default false. */
  readonly isAcknowledgedWritten?: boolean
}

const kindNames = {
  [TRUCK_EVENT_KIND.sound]: 'ok',
  [TRUCK_EVENT_KIND.malformed]: 'malformed',
  [TRUCK_EVENT_KIND.poison]: 'poison'
} as const

const scenario = { trucks: 1000, malformedRatio: 0.0005, poisonRatio: 0.0005, rampUpMs: 0 }

/** Starts to produce at once. */
export async function startDemoProducerRole(options: DemoProducerOptions, logger: Logger): Promise<RunningRole> {
  const cluster = await connectCluster(options.kafka, `producer-${options.index + 1}`, logger)
  const ledger = new LedgerWriter(options.ledgerPath)
  const producer = await startProducer({ config: options.producer, cluster, logger })
  const times = { pacedFromMs: 0, flatOutFromMs: 0, producedAtMs: 0 }
  let produced = 0
  const source = (phase: number, records: number, rate?: number): TruckSource =>
    new TruckSource({
      ...scenario,
      producer: options.index + phase * options.producerCount,
      seed: 20_250_114,
      records,
      ...(rate === undefined ? {} : { recordsPerSecond: rate }),
      onProduced: batch => {
        writeBatch(ledger, LEDGER_KIND.produced, batch)
        produced += batch.count
      },
      onSettled: (batch, settlement) => {
        if (options.isAcknowledgedWritten !== true || settlement.failedCount > 0) return
        writeBatch(ledger, LEDGER_KIND.acknowledged, batch)
      }
    })
  const run = async (each: TruckSource): Promise<void> => {
    const { error } = await producer.run(each)
    if (error !== undefined) throw error
  }
  const produce = async (): Promise<void> => {
    times.pacedFromMs = systemClock.now()
    if (options.pacedRecords > 0) await run(source(0, options.pacedRecords, options.pacedRate))
    times.flatOutFromMs = systemClock.now()
    if (options.flatOutRecords > 0) await run(source(1, options.flatOutRecords))
    times.producedAtMs = systemClock.now()
  }
  return {
    info: {},
    finished: produce(),
    status: () => ({ produced, deadLettered: producer.status().totals.deadLetteredCount, ...times }),
    flush: () => ledger.flush(),
    drain: async deadlineMs => {
      const { error } = await producer.drain(deadlineMs)
      if (error !== undefined) logger.error({ code: error.code, error: error.message }, 'not all events are in Kafka')
      await cluster.close()
      ledger.close()
    }
  }
}

/** Entries are with the system before any event of the batch is with Kafka: none can arrive that was not produced. */
function writeBatch(ledger: LedgerWriter, entryKind: number, batch: TruckBatch): void {
  for (let index = 0; index < batch.count; index += 1) {
    const kind = kindNames[(batch.kinds[index] ?? 0) as keyof typeof kindNames]
    ledger.append({
      kind: entryKind,
      producer: batch.producer,
      event: batch.firstEvent + index,
      detail: expectationOf(batch.codes[index] ?? 0, kind),
      key: batch.keys[index] ?? 0,
      keySequence: batch.sequences[index] ?? 0,
      timeMs: batch.timeMs
    })
  }
  ledger.flush()
}

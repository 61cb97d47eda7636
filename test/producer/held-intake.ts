/** An intake whose verdicts are given by the test: for what a source does before, during and after the wait. */

import { PipelineError } from '../../src/core/index.ts'
import type { ChunkContext } from '../../src/producer/chunk-context.ts'
import { eventReader } from '../../src/producer/event-reader.ts'
import { Delivery, type DeliveryOwner } from '../../src/producer/delivery.ts'
import { type EventChunk, spanEnd, spanStart } from '../../src/producer/event-chunk.ts'
import { FieldSet } from '../../src/producer/event-fields.ts'
import { EventResolver } from '../../src/producer/event-resolver.ts'
import type { Intake, Settlement, Submission, SubmitOptions } from '../../src/producer/index.ts'

/** One chunk that was handed over. */
export interface HeldChunk {
  /** The events that were taken, as text. */
  readonly events: readonly string[]
  /** All of them are acknowledged now. */
  acknowledge(): void
  /** All of them have failed now. */
  fail(): void
}

/** Takes every event that is sound and holds it until the test says what became of it. */
export class HeldIntake implements Intake {
  readonly recordBytesMax: number
  readonly held: HeldChunk[] = []
  readonly sources: string[] = []
  /** The ends of all chunks, in order. */
  readonly settlements: Promise<Settlement>[] = []
  /** What the source said about each chunk. */
  readonly contexts: ChunkContext[] = []
  /** What it says about the rate limit. */
  retryAfterMs: () => number = () => 0
  #wake: () => void = () => undefined
  /** Acknowledges at once instead of waiting for the test. */
  isAutomatic = false

  constructor(recordBytesMax = 1_000_000) {
    this.recordBytesMax = recordBytesMax
  }

  async submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    const owner: DeliveryOwner = { sendDeadLetter: () => undefined, acknowledged: () => undefined, nowMs: () => 0 }
    const delivery = new Delivery({ chunk, source: options.source, owner, refusalsMax: options.refusalsMax ?? 100 })
    const fields = new FieldSet()
    const resolver = new EventResolver({ route: { topic: 'events' }, key: { strategy: 'none' }, fields })
    const opened = eventReader({ fields, recordBytesMax: this.recordBytesMax }).open(chunk, options.context ?? {})
    const events: string[] = []
    const rows: number[] = []
    for (let index = 0; index < chunk.count; index += 1) {
      const problem = chunk.problems?.get(index) ?? opened.read(index) ?? resolver.resolve(opened)
      if (problem !== undefined) delivery.refuse(index, problem)
      else {
        delivery.opened()
        rows.push(index)
        events.push(chunk.bytes.toString('utf8', spanStart(chunk, index), spanEnd(chunk, index)))
      }
      delivery.handedOverCount = index + 1
    }
    this.sources.push(options.source)
    this.settlements.push(delivery.settled)
    this.contexts.push(options.context ?? {})
    this.#hold(delivery, events, rows)
    delivery.seal()
    return Promise.resolve({ settled: delivery.settled })
  }

  /** Resolves with the chunk of that number, once it was handed over. */
  async chunk(index: number): Promise<HeldChunk> {
    for (;;) {
      const chunk = this.held[index]
      if (chunk !== undefined) return chunk
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #hold(delivery: Delivery, events: readonly string[], rows: readonly number[]): void {
    const recordCount = events.length
    const chunk: HeldChunk = {
      events,
      acknowledge: () => {
        if (recordCount > 0) delivery.delivered({ topic: 'events', partition: 0, baseOffset: 0n, recordCount })
      },
      fail: () => {
        const error = new PipelineError('ERR_CLIENT_DELIVERY_TIMEOUT', 'not acknowledged within 1000 ms')
        const records = events.map((event, at) => ({
          topic: 'events',
          key: null,
          value: Buffer.from(event),
          row: rows[at] ?? 0
        }))
        delivery.failed(error, records)
      }
    }
    this.held.push(chunk)
    if (this.isAutomatic) chunk.acknowledge()
    this.#wake()
  }
}

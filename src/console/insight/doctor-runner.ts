/** Runs the doctor for the console: one run at a time, its findings kept for all who look. */

import { bySeverity, type DoctorFinding, runDoctor } from '../../ops/index.ts'
import { messageOf } from '../../core/index.ts'
import type { DoctorAnswer } from '../api/insight.ts'
import type { ConsoleContext } from '../server/server-types.ts'

/** What the runner needs of the console. */
export type DoctorSurroundings = Pick<
  ConsoleContext,
  'cluster' | 'pipeline' | 'clock' | 'closing' | 'logger' | 'bootstrapServers' | 'certificates'
>

/** Findings older than this are looked for again when somebody asks, in milliseconds. */
const FRESH_MS = 300_000

const HEALTH = { ok: 'good', info: 'good', warn: 'warn', error: 'bad', unknown: 'unknown' } as const

/** See the module. */
export class DoctorRunner {
  readonly #around: DoctorSurroundings
  readonly #intervalMs: number
  #running: Promise<void> | undefined
  #findings: readonly DoctorFinding[] = []
  #takenAtMs = 0
  #durationMs = 0
  #problem: string | undefined

  /** @param intervalMs - Time between the two looks that rates come from; 0 = one look. */
  constructor(around: DoctorSurroundings, intervalMs = 2000) {
    this.#around = around
    this.#intervalMs = intervalMs
  }

  /** What was found last; begins to look if that is old, or nothing was looked for. */
  answer(): DoctorAnswer {
    // Either way: a clock that was set back would else keep them for as long.
    if (Math.abs(this.#around.clock.now() - this.#takenAtMs) > FRESH_MS) this.run()
    return {
      freshness: {
        takenAtMs: this.#takenAtMs,
        durationMs: this.#durationMs,
        problems: this.#problem === undefined ? [] : [this.#problem]
      },
      isRunning: this.#running !== undefined,
      findings: bySeverity(this.#findings).map(({ id, severity, title, reason, fix, evidence }) => {
        return { id, severity, health: HEALTH[severity], title, reason, fix, evidence }
      })
    }
  }

  /** Begins to look, unless somebody does already. */
  run(): void {
    if (this.#running !== undefined || this.#around.closing.aborted) return
    this.#running = this.#look().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves when nothing is being looked for. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #look(): Promise<void> {
    const { cluster, pipeline, clock, closing, logger, bootstrapServers, certificates } = this.#around
    const startMs = clock.monotonicMs()
    try {
      this.#findings = await runDoctor({
        cluster,
        clock,
        bootstrapServers,
        pipeline,
        signal: closing,
        intervalMs: this.#intervalMs,
        ...(certificates === undefined ? {} : { certificates: await certificates() })
      })
      this.#problem = undefined
    } catch (error) {
      this.#problem = messageOf(error)
      if (!closing.aborted) logger.warn({ error: this.#problem }, 'the doctor could not look')
    }
    this.#takenAtMs = clock.now()
    this.#durationMs = clock.monotonicMs() - startMs
  }
}

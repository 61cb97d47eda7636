/**
 * A whole pipeline of real processes that a test may harm: that of `comporta chaos`, bound to the life of the test.
 *
 * Nothing here waits for a time: every step waits for something that the processes report. `CHAOS_KEEP=1` keeps the
 * folder with logs and ledgers.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { ChaosPipeline, sum } from '../../src/cli/chaos/pipeline.ts'
import { DEMO_PARTITIONS } from '../../src/cli/demo/scenario.ts'
import type { LedgerAudit } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

/** How a pipeline under test starts. */
export interface PipelineUnderTestOptions {
  /** Default 2. */
  readonly dispatchers?: number
  /** Settings of the broker on top of the demonstration's. */
  readonly brokerConfig?: Readonly<Record<string, string>>
}

/** What became of everything. */
export type Verdict = LedgerAudit

/** A pipeline that runs until its test ends. */
export class PipelineUnderTest extends ChaosPipeline {
  readonly dir: string
  readonly #crashes: string[]

  private constructor(dir: string, crashes: string[], options: PipelineUnderTestOptions) {
    super({
      ...options,
      dir,
      logLevel: process.env['CHAOS_LOG'] ?? 'info',
      logger: silentLogger,
      groupId: 'chaos',
      onEnd: (name, reason) => crashes.push(`${name} ended by itself: ${reason}`)
    })
    this.dir = dir
    this.#crashes = crashes
  }

  /** Starts everything but producers and waits until the group has shared out all partitions. */
  static async start(t: TestContext, options: PipelineUnderTestOptions = {}): Promise<PipelineUnderTest> {
    const dir = mkdtempSync(join(tmpdir(), 'comporta-chaos-'))
    const started = new PipelineUnderTest(dir, [], options)
    t.after(async () => {
      await started.close()
      if (process.env['CHAOS_KEEP'] === undefined) rmSync(dir, { recursive: true, force: true })
    })
    await started.start()
    await started.untilAssigned()
    return started
  }

  /** Has every invocation of the function take this much longer from now on. */
  async slowFunctionBy(extraLatencyMs: number): Promise<void> {
    await this.setFaults({ extraLatencyMs })
  }

  /** Waits until all running dispatchers have partitions and no partition is without one. */
  async untilAssigned(): Promise<void> {
    const total = DEMO_PARTITIONS.heavy + DEMO_PARTITIONS.light
    await this.until(`all ${total} partitions assigned`, () => {
      const running = this.dispatchers.filter(each => each.isRunning)
      return running.every(each => (each.status['partitions'] ?? 0) > 0) && sum(running, 'partitions') === total
    })
  }

  /** Waits until something holds; a process that ends by itself is the end of the test. */
  override async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    await super.until(what, () => {
      const [crash] = this.#crashes
      if (crash !== undefined) throw new Error(crash)
      return holds()
    })
  }

  /** Waits until that many more events have been produced. */
  async untilProduced(more: number): Promise<void> {
    const target = this.produced + more
    await this.until(`${target} events produced`, () => this.produced >= target)
  }

  /** Waits until that many more deliveries have been accepted. */
  async untilDelivered(more: number): Promise<void> {
    const target = this.delivered + more
    await this.until(`${target} deliveries`, () => this.delivered >= target)
  }
}

/** Resident memory of a process, in bytes; 0 where the system does not tell. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** One line with the numbers of a verdict. */
export function describeVerdict(verdict: Verdict): string {
  const { handedOver, produced, delivered, deliveriesDue, deadLettered, longestGapMs, duplicatesByService } = verdict
  const share = `${delivered} of ${deliveriesDue} delivered`
  const repeated = `${duplicatesByService.join(' + ') || 0} duplicates, ${deadLettered} dead letters`
  return `${handedOver} handed over, ${produced} due, ${share}, ${repeated}, longest gap ${Math.round(longestGapMs)} ms`
}

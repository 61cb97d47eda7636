/** The processes of a pipeline, as the console reaches them: over HTTP, at the address where their metrics are. */

import type { InstanceRow } from '../api/flow.ts'

/** A process that answers `GET /metrics`, `/describe`, `/health/ready` and `POST /control/…`. */
export interface Instance {
  readonly name: string
  readonly role: InstanceRow['role']
  /** For example `http://127.0.0.1:9404`. */
  readonly url: string
  /** Bearer token of `/control`; without one nothing can be changed there. */
  readonly controlToken?: string
}

/** One value of Prometheus' text format. */
export interface MetricSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a process last said. */
export interface InstanceLook {
  readonly instance: Instance
  readonly takenAtMs: number
  /** Why it said nothing. */
  readonly problem: string | null
  readonly isReady: boolean
  /** When its process started; absent = not told. */
  readonly startedAtMs?: number | undefined
  /** Answer of `/describe`, as JSON; its form depends on the role. */
  readonly description: unknown
  readonly metrics: readonly MetricSample[]
}

/** Asks all processes after each look at the cluster. */
export interface InstanceWatch {
  latest(): readonly InstanceLook[]
  /**
   * Sends an order to a process.
   *
   * @throws PipelineError `ERR_CONSOLE_INSTANCE` if it is away or refuses.
   */
  control(instance: Instance, order: 'pause' | 'resume', at: { topic: string; partition: number }): Promise<void>
  close(): Promise<void>
}

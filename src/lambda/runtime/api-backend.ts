/** What the HTTP API needs of the runtime. */

import type { EventQueue } from './events/event-queue.ts'
import type { FaultsStatus } from './faults.ts'
import type { FunctionStatus, ManagedFunction } from './managed-function.ts'
import type { BodyBudget } from './request-body.ts'
import type { RuntimeSettings } from './settings.ts'

/** A function and its asynchronous invocations. */
export interface ServedFunction {
  readonly func: ManagedFunction
  readonly events: EventQueue
}

/** The runtime as the API sees it. */
export interface ApiBackend {
  readonly settings: RuntimeSettings
  readonly functions: ReadonlyMap<string, ServedFunction>
  readonly budget: BodyBudget
  isDraining(): boolean
  status(): readonly FunctionStatus[]
  /** @throws PipelineError `ERR_LAMBDA_FUNCTION_UNKNOWN`, `ERR_LAMBDA_FAULTS_INVALID`. */
  setFaults(name: string, faults: unknown): FaultsStatus
}

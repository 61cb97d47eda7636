/** What the areas of the console are given by its server, and how they add their answers to it. */

import type { FastifyInstance } from 'fastify'

import type { Admin, Cluster } from '../../client/index.ts'
import type { OperationsConfig, PipelineConfig } from '../../config/index.ts'
import type { Clock } from '../../core/index.ts'
import type { CertificateFact, Known, UndoStore } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { AuditEntry, ConsoleRole } from '../api/session.ts'
import type { PlanReplay } from '../changes/replay-planner.ts'
import type { InstanceWatch } from '../flow/instance-types.ts'
import type { World } from '../world/world-types.ts'
import type { MaskRule, Rights } from './access-types.ts'

/** Who asks. */
export interface Caller {
  readonly user: string
  readonly role: ConsoleRole
  /** Whether keys, values and headers are hidden from this user. */
  readonly isMasked: boolean
  readonly isExportAllowed: boolean
  /** Unique to the login; plans belong to it. Opens nothing. */
  readonly sessionId: string
  /** What an operator may change, where that is not everything: asked by `needRight` and `mayChange` of rights.ts. */
  readonly rights?: Rights
  /** What is hidden from this user: used by `maskRecord` and `hiddenParts` of masking.ts. */
  readonly masks?: readonly MaskRule[]
}

/** A view: answers GET, and is part of the live stream. */
export interface View {
  /** For example `/api/groups`. */
  readonly path: string
  /** Least role. Default `viewer`. */
  readonly needs?: ConsoleRole
  /** Looked at so often while somebody watches it, besides after each look at the cluster, in milliseconds. */
  readonly everyMs?: number
  /**
   * @throws PipelineError `ERR_CONSOLE_REQUEST` for a query that makes no sense, `ERR_CONSOLE_NOT_FOUND`.
   */
  read(query: URLSearchParams, caller: Caller): unknown
}

/** An order: answers POST with JSON, checked for CSRF, role and rate before it is called. */
export interface Order {
  readonly path: string
  /** Default `operator`. */
  readonly needs?: ConsoleRole
  run(body: unknown, caller: Caller): unknown
}

/** Where an area adds its answers. */
export interface ConsoleRoutes {
  view(view: View): void
  order(order: Order): void
  /**
   * For what is neither: downloads, streams. Hooks for login, role and headers run before it. `config: { needs }` says
   * the least role; without it GET needs `viewer`, everything else `operator`.
   */
  readonly app: FastifyInstance
  /** Who asks, of a request to a route of `app`. */
  callerOf(request: unknown): Caller
}

/** Writes who did what to disk, and reads it again. */
export interface AuditLog {
  /** Resolves once it is on disk. */
  append(entry: Omit<AuditEntry, 'atMs'>): Promise<void>
  /** Newest first. */
  read(offset: number, limit: number): Promise<{ readonly rows: readonly AuditEntry[]; readonly total: number }>
}

/** What every area works with. */
export interface ConsoleContext {
  readonly cluster: Cluster
  readonly admin: Admin
  /** Where the cluster is reached, for the doctor. */
  readonly bootstrapServers: readonly string[]
  /** Reads the certificates of brokers and files, for the doctor. Default: nothing is said of them. */
  readonly certificates?: () => Promise<Known<readonly CertificateFact[]>>
  /** Absent where only brokers were named. */
  readonly pipeline: PipelineConfig | undefined
  readonly operations: OperationsConfig
  readonly world: World
  readonly instances: InstanceWatch
  readonly undo: UndoStore
  readonly audit: AuditLog
  /** Absent where there is no dispatcher to replay with. */
  readonly replay?: PlanReplay
  readonly clock: Clock
  readonly logger: Logger
  /** Ends with the console. */
  readonly closing: AbortSignal
}

/** How an area adds itself. */
export type AddRoutes = (routes: ConsoleRoutes, context: ConsoleContext) => void

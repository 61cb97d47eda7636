/**
 * Options of the distributor: which events go to which targets. Checked by `option-problems.ts`.
 */

import { type Clock, PipelineError, type Random, systemClock, systemRandom } from '../../core/index.ts'
import type { RecordSink, SinkRetrySettings, SinkSettings } from '../../targets/sinks/index.ts'
import type { AnyTracer, Logger } from '../../telemetry/index.ts'
import type { Enricher } from '../enrichment/enricher.ts'
import type { EnrichmentSettings } from '../enrichment/settings.ts'
import type { ObservabilitySettings } from '../observability/settings.ts'
import type { BatchGuard } from '../idempotency/batch-guard.ts'
import type { IdempotencySettings } from '../idempotency/settings.ts'
import type { DistributorObserver } from './observer.ts'
import { consoleLogger } from './console-logger.ts'
import { distributorOptionProblems } from './option-problems.ts'
import { type CompiledRoute, type FieldPath, fieldPath, RouteTable } from './routes.ts'

export { distributorOptionProblems } from './option-problems.ts'

/** The environment variable that carries the options of `builtin:distributor`, as JSON. */
export const DISTRIBUTOR_VARIABLE = 'COMPORTA_DISTRIBUTOR'
/** The environment variable that names a file with them. */
export const DISTRIBUTOR_FILE_VARIABLE = 'COMPORTA_DISTRIBUTOR_FILE'

/** Less time than this is not worth a request. */
export const REQUEST_MS_MIN = 20
/** Default of `reserveMs`. */
export const RESERVE_MS = 250

/** What takes some events: values of the distributor's field, or conditions on any fields. */
export type RouteOptions = {
  /** Names of targets. Several are a fan-out: each gets the record. */
  readonly targets: readonly string[]
} & (
  | {
      /** Values of the field. `300` and `"300"` are the same. */
      readonly values: readonly (string | number)[]
    }
  | {
      /**
       * For each field (a dot goes into an object) what its text may be: values, ranges `{ from, to }` and operators:
       * prefix, suffix, equals-ignore-case, wildcard, anything-but and exists. Of a list one entry must match, of the
       * fields all. Enriched fields may be named.
       */
      readonly when: Readonly<Record<string, readonly unknown[]>>
    }
)

/** The part of the options that is plain data and can travel as JSON. */
export interface DistributorRouting {
  /** Field that `values` are compared with; a dot goes into an object (`header.code`). Default `codigo`. */
  readonly field?: string
  /** Targets by name: an HTTP address, or an object with a `type`. At least one, here or in `sinks`. */
  readonly targets?: Readonly<Record<string, string | SinkSettings>>
  /** A record goes to the targets of all routes that take it. */
  readonly routes?: readonly RouteOptions[]
  /**
   * What happens to all other events: targets to send them to, or `deadLetter` or `skip` as the answer for them.
   * Default `deadLetter`.
   */
  readonly otherwise?: 'deadLetter' | 'skip' | readonly string[]
  /** Longest wait for one answer of a target, in milliseconds. Default 5_000. */
  readonly timeoutMs?: number
  /** How often a target is tried within one invocation. */
  readonly retry?: SinkRetrySettings
  /** Kept free at the end of the invocation, in milliseconds: no request goes on past it. Default 250. */
  readonly reserveMs?: number
  /** Most records in one request to any target. Default: each target's own limit. */
  readonly recordsMax?: number
  /** Most bytes of records in one request to any target; one larger record goes alone. Default: the target's limit. */
  readonly bytesMax?: number
  /**
   * Which later records wait behind one that must be tried again: those of the same target and key (`key`; a record
   * without a key waits for none, as in Kafka), or all of the same target (`partition`). An event without a list of
   * keys is always ordered by partition. Default `key`.
   */
  readonly order?: 'partition' | 'key'
  /** Most requests that look for bad records at one target, once the first is found. Default 200. */
  readonly bisectRequestsMax?: number
  /** Keeps batches from being done twice. Default: a warm environment's memory of what targets took, best effort. */
  readonly idempotency?: IdempotencySettings
  /** What is looked up for records before they are routed. Default: nothing. */
  readonly enrich?: readonly EnrichmentSettings[]
  /** Log lines, metrics and traces by AWS's Powertools. Default: none. */
  readonly observability?: ObservabilitySettings
}

/** A record as a routing function sees it. */
export interface RoutedRecord {
  /** The parsed value, without what was added by `enrich`. */
  readonly value: unknown
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** `null` for a record without a key, `undefined` where the event has no keys. */
  readonly key: string | null | undefined
  /** Value of a field, by names from the outside in; it sees what was added by `enrich`. */
  field(path: readonly string[]): unknown
}

/** Everything `createDistributor` takes. */
export interface DistributorOptions extends DistributorRouting {
  /** Targets made by the program. A name must not be in `targets` as well. They are not closed by the distributor. */
  readonly sinks?: Readonly<Record<string, RecordSink>>
  /**
   * Routes by code instead of `routes`: names of targets, or what is answered for the record; `undefined` is
   * `otherwise`. What it throws is answered as `retry` for the record.
   */
  readonly route?: (record: RoutedRecord) => readonly string[] | 'deadLetter' | 'skip' | undefined
  /** Variables that settings name with `{ env: NAME }`. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** A guard of the program's own, by offset, instead of the one that `idempotency` describes. It is not closed. */
  readonly guard?: BatchGuard
  /** An enricher of the program's own instead of the one that `enrich` describes. It is not closed. */
  readonly enricher?: Enricher
  /**
   * Gets the errors that nobody must miss: what AWS or Kafka refuse for a reason of the set-up, at most every 30
   * seconds, and a store that fails, unless an observer hears of it. Default: the console, which is the function's log.
   */
  readonly logger?: Logger
  /** Watches, instead of what `observability` describes. Default: nobody does. */
  readonly observer?: DistributorObserver
  /**
   * Begins spans, instead of what `observability.otlp` describes: OpenTelemetry's `Tracer` or `TracerProvider`. Sending
   * them before Lambda freezes the function is the program's business. Default: nobody does.
   */
  readonly tracer?: AnyTracer
  /** Most outcomes remembered for records that will come again. Default 50_000. */
  readonly ledgerMax?: number
  /** How long they are remembered, in milliseconds. Default 300_000. */
  readonly ledgerTtlMs?: number
  readonly clock?: Clock
  /** For jitter. Default: the machine's generator. */
  readonly random?: Random
}

/** What the distributor itself knows of a target, with every default filled in. */
export interface TargetSettings {
  readonly index: number
  readonly name: string
  readonly timeoutMs: number
  readonly retry: Required<SinkRetrySettings>
}

/** The options with every default filled in and names resolved. */
export interface DistributorSettings {
  readonly targets: readonly TargetSettings[]
  /** Number of each target by its name. */
  readonly targetIndexes: ReadonlyMap<string, number>
  readonly routes: RouteTable
  readonly otherwise: 'deadLetter' | 'skip' | readonly number[]
  readonly reserveMs: number
  readonly recordsMax: number | undefined
  readonly bytesMax: number | undefined
  readonly order: 'partition' | 'key'
  readonly bisectRequestsMax: number
  /** Field with the business id that records are told apart by; `undefined` = by offset. */
  readonly idPath: FieldPath | undefined
  readonly ledgerMax: number
  readonly ledgerTtlMs: number
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
}

/**
 * Fills in the defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` with every problem.
 */
export function distributorSettings(options: DistributorOptions): DistributorSettings {
  const problems = distributorOptionProblems(options, options.environment ?? {})
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', `distributor options: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const given = { ...options.targets, ...options.sinks }
  const targets = Object.keys(given).map((name, index) => targetOf(name, index, options))
  const targetIndexes = new Map(targets.map(({ name, index }) => [name, index]))
  const resolve = (names: readonly string[]): number[] => names.flatMap(name => targetIndexes.get(name) ?? [])
  const otherwise = options.otherwise ?? 'deadLetter'
  const routes = (options.routes ?? []).map((route): CompiledRoute => ({ ...route, targets: resolve(route.targets) }))
  return {
    targets,
    targetIndexes,
    routes: new RouteTable(fieldPath(options.field ?? 'codigo'), routes),
    otherwise: typeof otherwise === 'string' ? otherwise : [...new Set(resolve(otherwise))],
    reserveMs: options.reserveMs ?? RESERVE_MS,
    recordsMax: options.recordsMax,
    bytesMax: options.bytesMax,
    order: options.order ?? 'key',
    bisectRequestsMax: options.bisectRequestsMax ?? 200,
    idPath: idPathOf(options),
    ledgerMax: options.ledgerMax ?? 50_000,
    ledgerTtlMs: options.ledgerTtlMs ?? 300_000,
    logger: options.logger ?? consoleLogger(console),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom
  }
}

function idPathOf({ guard, idempotency }: DistributorOptions): FieldPath | undefined {
  const key = guard === undefined ? idempotency?.key : undefined
  return key === undefined || key === 'offset' ? undefined : fieldPath(key.field)
}

function targetOf(name: string, index: number, options: DistributorOptions): TargetSettings {
  const given = options.targets?.[name]
  const own = typeof given === 'object' ? given : undefined
  const retry = { ...options.retry, ...own?.retry }
  return {
    index,
    name,
    timeoutMs: own?.timeoutMs ?? options.timeoutMs ?? 5_000,
    retry: { attemptsMax: retry.attemptsMax ?? 2, backoffMs: retry.backoffMs ?? 100 }
  }
}

/** Shortest invocation, in milliseconds, in which a request would be sent at all. */
export function requestTimeNeededMs(options: unknown): number {
  const isObject = typeof options === 'object' && options !== null
  const reserveMs = isObject && 'reserveMs' in options ? options.reserveMs : undefined
  return (typeof reserveMs === 'number' ? reserveMs : RESERVE_MS) + REQUEST_MS_MIN
}

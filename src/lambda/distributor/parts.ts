/**
 * What a distributor is made of besides its options: sinks, a guard, an enricher. Opened once for an environment, at
 * its start; each is loaded only where it is configured, because every module is paid for at a cold start.
 */

import { createSink, type RecordSink } from '../../targets/sinks/index.ts'
import type { Enricher, EnrichmentCounts } from '../enrichment/enricher.ts'
import type { BatchGuard } from '../idempotency/batch-guard.ts'
import type { Target } from './delivery.ts'
import type { DistributorObserver } from './observer.ts'
import type { DistributorOptions, DistributorSettings } from './options.ts'

/** What is opened. */
export interface Parts {
  readonly targets: readonly Target[]
  readonly guard: BatchGuard | undefined
  readonly enricher: Enricher | undefined
}

/**
 * Opens what the options describe.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if a target cannot work as configured.
 */
export async function openParts(
  options: DistributorOptions,
  settings: DistributorSettings,
  observer: DistributorObserver
): Promise<Parts> {
  const [targets, guard, enricher] = await Promise.all([
    Promise.all(settings.targets.map(({ name }) => openTarget(name, options, settings))),
    openGuard(options, settings),
    openEnricher(options, settings, observer)
  ])
  return { targets, guard, enricher }
}

/** Closes what was opened here; what the program gave is its own. Idempotent. */
export async function closeParts(opening: Promise<Parts>, options: DistributorOptions): Promise<void> {
  const parts = await opening.catch(() => undefined)
  if (parts === undefined) return
  const sinks = parts.targets.filter(({ name }) => options.sinks?.[name] === undefined).map(({ sink }) => sink)
  const guard = options.guard === undefined ? parts.guard : undefined
  const enricher = options.enricher === undefined ? parts.enricher : undefined
  await Promise.all(sinks.map(sink => sink.close()))
  await guard?.close()
  await enricher?.close()
}

async function openTarget(name: string, options: DistributorOptions, settings: DistributorSettings): Promise<Target> {
  const own = settings.targets[settings.targetIndexes.get(name) ?? -1]
  const sink = options.sinks?.[name] ?? (await openSink(name, options, settings))
  if (own === undefined) throw new Error(`target ${name} has no settings`)
  const { recordsMax, bytesMax, recordBytesMax } = sink.limits
  return {
    ...own,
    sink,
    recordsMax: Math.min(recordsMax, settings.recordsMax ?? recordsMax),
    bytesMax: Math.min(bytesMax, settings.bytesMax ?? bytesMax),
    recordBytesMax: recordBytesMax ?? Number.POSITIVE_INFINITY
  }
}

async function openSink(name: string, options: DistributorOptions, settings: DistributorSettings): Promise<RecordSink> {
  const given = options.targets?.[name] ?? ''
  const { clock, random, logger } = settings
  const sink = typeof given === 'string' ? { type: 'http' as const, url: given } : given
  return createSink(name, sink, { clock, random, logger, environment: options.environment ?? {} })
}

async function openGuard(
  { guard, idempotency, environment = {} }: DistributorOptions,
  { clock, random }: DistributorSettings
): Promise<BatchGuard | undefined> {
  if (guard !== undefined || idempotency === undefined) return guard
  const { createBatchGuard } = await import('../idempotency/create-guard.ts')
  return createBatchGuard(idempotency, { clock, random, environment })
}

async function openEnricher(
  { enricher, enrich, environment = {} }: DistributorOptions,
  { clock, random }: DistributorSettings,
  observer: DistributorObserver
): Promise<Enricher | undefined> {
  if (enricher !== undefined || enrich === undefined || enrich.length === 0) return enricher
  const { createEnricher } = await import('../enrichment/create-enricher.ts')
  const watch =
    observer.enriched === undefined ? {} : { onEnriched: (counts: EnrichmentCounts) => observer.enriched?.(counts) }
  return createEnricher(enrich, { clock, random, environment, ...watch })
}

/**
 * The enricher: what every distinct key of an event means is looked up once, and added to the text of its records.
 *
 * One pass over the records collects the keys, one look-up resolves them, one pass puts the members behind the others.
 * What is paid for a record is a walk to its key, one step in a Map and the concatenation of its text.
 */

import { type Clock, messageOf, PipelineError, type Random, systemClock, systemRandom } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { createLookup } from './create-lookup.ts'
import { EnrichedRecords } from './enriched-records.ts'
import { Enrichment } from './enrichment.ts'
import type { EnrichablePartition, EnrichedPartition, Enricher, EnrichmentCounts } from './enricher.ts'
import { planEnrichments } from './plan.ts'
import { type EnrichmentSettings, enrichmentProblems } from './settings.ts'

/** What an enricher needs from its surroundings. */
export interface EnricherDependencies {
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  /** Where `{ env: … }` of headers and AWS's settings are looked up. Default: nowhere. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Told what each enrichment did, once for a call. Must not throw. */
  readonly onEnriched?: (counts: EnrichmentCounts) => void
}

/**
 * Makes an enricher. Clients of AWS are loaded at once, in the background, so that a cold start pays for them.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` with every problem of the settings.
 */
export function createEnricher(
  settings: readonly EnrichmentSettings[],
  dependencies: EnricherDependencies = {}
): Enricher {
  const problems = enrichmentProblems(settings, dependencies.environment ?? {})
  if (problems.length > 0) {
    const message = `distributor options: ${problems.map(problem => `enrich.${problem}`).join('; ')}`
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message, { fields: { problems } })
  }
  const { clock = systemClock, random = systemRandom, logger = silentLogger, environment = {} } = dependencies
  const surroundings = { clock, random, logger, environment }
  const waves = planEnrichments(settings).map(wave =>
    wave.map(planned => new Enrichment(planned, createLookup(planned.settings, surroundings), clock))
  )
  return new WaveEnricher(waves, { clock, onEnriched: dependencies.onEnriched })
}

class WaveEnricher implements Enricher {
  readonly names: ReadonlySet<string>
  readonly #waves: readonly (readonly Enrichment[])[]
  readonly #all: readonly Enrichment[]
  readonly #clock: Clock
  readonly #onEnriched: ((counts: EnrichmentCounts) => void) | undefined

  constructor(
    waves: readonly (readonly Enrichment[])[],
    options: { clock: Clock; onEnriched: ((counts: EnrichmentCounts) => void) | undefined }
  ) {
    this.#waves = waves
    this.#all = waves.flat().toSorted((left, right) => left.index - right.index)
    this.names = new Set(this.#all.map(each => each.name))
    this.#clock = options.clock
    this.#onEnriched = options.onEnriched
  }

  async enrich(partitions: readonly EnrichablePartition[], timeoutMs: number): Promise<readonly EnrichedPartition[]> {
    const records = partitions.map(partition => new EnrichedRecords(partition, this.#all))
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs
    try {
      for (const wave of this.#waves) {
        const leftMs = deadlineMs - this.#clock.monotonicMs()
        const counts = await Promise.all(wave.map(each => each.run(records, leftMs)))
        if (this.#onEnriched !== undefined) counts.forEach(this.#onEnriched)
      }
      const budget = { bytesLeft: ADDED_BYTES_MAX }
      for (const each of records) each.write(budget)
    } catch (error) {
      // Not expected; but whatever it is, no record is lost by it, and none is delivered half done.
      for (const each of records) each.failAll(`the enrichment failed: ${messageOf(error)}`)
    }
    return records
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map(each => each.close()))
  }
}

/** Most bytes that are added to the records of one event; the records beyond it come again. */
const ADDED_BYTES_MAX = 67_108_864

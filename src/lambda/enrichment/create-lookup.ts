/** Makes the look-up that `from` and `cache` of an enrichment describe. */

import { CachedLookup } from './cached-lookup.ts'
import { DynamoDbSource } from './dynamo-db-source.ts'
import { HttpSource } from './http-source.ts'
import { LookupCache } from './lookup-cache.ts'
import { S3ObjectSource } from './s3-object-source.ts'
import { S3Objects } from './s3-objects.ts'
import { S3Table } from './s3-table.ts'
import { ENRICHMENT_CACHE_DEFAULTS, ENRICHMENT_DEFAULTS, type EnrichmentSettings } from './settings.ts'
import type { Lookup, LookupSource, SourceSurroundings } from './source.ts'
import { SourceReader } from './source-reader.ts'
import { KEY_PLACE, type S3SourceSettings } from './source-settings.ts'

/** A failure that lasts is logged again after this time, in milliseconds. */
const LOUD_MS = 60_000
const TABLE_BYTES_MAX = 33_554_432

/**
 * Makes a look-up.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` if a header's variable is missing.
 */
export function createLookup(settings: EnrichmentSettings, surroundings: SourceSurroundings): Lookup {
  const { from } = settings
  const onSetupFailure = loudly(settings.into, surroundings)
  if (from.type === 's3' && !from.key.includes(KEY_PLACE)) {
    return createTable(settings, from, { surroundings, onSetupFailure })
  }
  const { clock, random } = surroundings
  const source = createSource(settings, surroundings)
  const cache = new LookupCache({ ...ENRICHMENT_CACHE_DEFAULTS, ...settings.cache })
  const { concurrency, batchMax, valueBytesMax } = { ...ENRICHMENT_DEFAULTS, ...settings }
  const reader = new SourceReader({ source, concurrency, batchMax, valueBytesMax, clock, random, onSetupFailure })
  return new CachedLookup({ source, reader, cache, clock })
}

function createSource(settings: EnrichmentSettings, surroundings: SourceSurroundings): LookupSource {
  const { from, timeoutMs, concurrency, valueBytesMax } = { ...ENRICHMENT_DEFAULTS, ...settings }
  switch (from.type) {
    case 'dynamoDb':
      return new DynamoDbSource(from, surroundings, timeoutMs)
    case 'http':
      return new HttpSource(from, surroundings, concurrency)
    case 's3':
      return new S3ObjectSource(new S3Objects(from, surroundings, timeoutMs), {
        key: from.key,
        bytesMax: valueBytesMax
      })
  }
}

function createTable(
  settings: EnrichmentSettings,
  from: S3SourceSettings,
  { surroundings, onSetupFailure }: { surroundings: SourceSurroundings; onSetupFailure: (reason: string) => void }
): Lookup {
  const { timeoutMs, valueBytesMax } = { ...ENRICHMENT_DEFAULTS, ...settings }
  const { ttlMs, staleMs } = { ...ENRICHMENT_CACHE_DEFAULTS, ...settings.cache }
  return new S3Table({
    objects: new S3Objects(from, surroundings, timeoutMs),
    key: from.key,
    format: from.format ?? (/\.(?:ndjson|jsonl)$/.test(from.key) ? 'ndjson' : 'json'),
    keyField: from.keyField ?? 'id',
    bytesMax: from.tableBytesMax ?? TABLE_BYTES_MAX,
    valueBytesMax,
    ttlMs,
    staleMs,
    clock: surroundings.clock,
    onSetupFailure
  })
}

/** Failures that somebody must mend: an error in the log, not more than once a minute. */
function loudly(into: string, { clock, logger }: SourceSurroundings): (reason: string) => void {
  let quietUntilMs = Number.NEGATIVE_INFINITY
  return reason => {
    const nowMs = clock.monotonicMs()
    if (nowMs < quietUntilMs) return
    quietUntilMs = nowMs + LOUD_MS
    logger.error({ enrichment: into }, `enrichment ${into} cannot look anything up: ${reason}`)
  }
}

/** How records get what is known elsewhere before they are delivered. */

/** The records of one partition; all lists have one entry per record. */
export interface EnrichablePartition {
  /** Parsed values. */
  readonly messages: readonly unknown[]
  /** JSON text of the value, or `undefined` for one that cannot be written. */
  textOf(index: number): string | undefined
  /** Whether a record is to be delivered at all; nothing is looked up for others. Default: all are. */
  isWanted?(index: number): boolean
}

/** What could not be enriched, and what then. A `retry` takes the later records of its key (or partition) with it. */
export interface EnrichmentFailure {
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  readonly retryAfterMs?: number
  readonly isUnavailable?: boolean
  /** Whether the key of this record may be what breaks the source: it broke, hung or cut the connection. */
  readonly isSuspect?: boolean
}

/** What became of the records of one partition; a record that is in neither map is delivered as it is. */
export interface EnrichedPartition {
  /** JSON text with what was added, by index. */
  readonly texts: ReadonlyMap<number, string>
  readonly failures: ReadonlyMap<number, EnrichmentFailure>
  /**
   * What was added to a record under a name, parsed when it is asked for: `null` for `missing: 'null'`, `undefined`
   * where nothing was added and the record's own member counts. Records with the same key share the value.
   */
  added(index: number, name: string): unknown
}

/** What one enrichment did in one call, for metrics. */
export interface EnrichmentCounts {
  /** Name of the member that it adds. */
  readonly into: string
  /** Records that have a key. */
  readonly records: number
  /** Distinct keys among them. */
  readonly keys: number
  /** Keys that the cache answered, those that are known to be absent included. */
  readonly hits: number
  /** Keys that the source was asked for. */
  readonly misses: number
  /** Keys that the source has nothing for. */
  readonly absent: number
  /** Keys answered by an entry whose time was over, because the source failed. */
  readonly stale: number
  /** Keys without an answer. */
  readonly failed: number
  /** How long it took, in milliseconds. */
  readonly durationMs: number
}

/** Looks things up for a whole event at once. */
export interface Enricher {
  /** Names of the members that it may add: routing by a field below one of them asks `added` first. */
  readonly names: ReadonlySet<string>
  /** Enriches the partitions, in `timeoutMs` at most. Never rejects. Answers one entry per partition. */
  enrich(partitions: readonly EnrichablePartition[], timeoutMs: number): Promise<readonly EnrichedPartition[]>
  close(): Promise<void>
}

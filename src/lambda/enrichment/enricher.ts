/** How records get what is known elsewhere before they are delivered. */

/** The records of one partition; all lists have one entry per record. */
export interface EnrichablePartition {
  /** Parsed values. */
  readonly messages: readonly unknown[]
  /** JSON text of the value, or `undefined` for one that cannot be written. */
  textOf(index: number): string | undefined
}

/** What could not be enriched, and what then. */
export interface EnrichmentFailure {
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  readonly retryAfterMs?: number
  readonly isUnavailable?: boolean
}

/** What became of the records of one partition; a record that is in neither is delivered as it is. */
export interface EnrichedPartition {
  /** JSON text with what was added, by index. */
  readonly texts: ReadonlyMap<number, string>
  readonly failures: ReadonlyMap<number, EnrichmentFailure>
}

/** Looks things up for a whole event at once. */
export interface Enricher {
  /** Enriches the partitions, in `timeoutMs` at most. Never rejects. Answers one entry per partition. */
  enrich(partitions: readonly EnrichablePartition[], timeoutMs: number): Promise<readonly EnrichedPartition[]>
  close(): Promise<void>
}

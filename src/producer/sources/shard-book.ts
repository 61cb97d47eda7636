/**
 * How far the shards of a stream are read, and which may be read next.
 *
 * A shard that was split or merged is followed by its children. Records of a
 * partition key lie in one shard at a time, so a child begins only when all that
 * was in its parents is safe: so the order per key holds. Pure: what to save is
 * `state()`, and the same book is made again from it.
 */

/** A shard as the stream lists it. */
export interface ListedShard {
  readonly shardId: string
  /** One parent after a split, two after a merge, none for a shard from the beginning. */
  readonly parentIds: readonly string[]
}

/** What is saved of a stream. */
export interface ShardState {
  /** Where shards without a position begin: everything the stream has, or what came since a time, in ms since 1970. */
  readonly startAt: 'trim-horizon' | number
  /** By shard: the sequence number behind which to go on; `null` when it was read to its end. */
  readonly shards: Readonly<Record<string, string | null>>
}

interface Shard {
  readonly parentIds: readonly string[]
  phase: 'waiting' | 'reading' | 'finished'
  sequenceNumber: string | undefined
}

/** The shards of one stream. */
export class ShardBook {
  readonly startAt: ShardState['startAt']
  readonly #saved: ReadonlyMap<string, string | null>
  readonly #shards = new Map<string, Shard>()

  constructor(state: ShardState) {
    this.startAt = state.startAt
    this.#saved = new Map(Object.entries(state.shards))
  }

  /** The stream has these shards now. Finished ones that it no longer has are forgotten. */
  listed(shards: readonly ListedShard[]): void {
    const ids = new Set(shards.map(({ shardId }) => shardId))
    for (const [id, shard] of this.#shards) if (shard.phase === 'finished' && !ids.has(id)) this.#shards.delete(id)
    for (const { shardId, parentIds } of shards) {
      if (this.#shards.has(shardId)) continue
      const saved = this.#saved.get(shardId)
      const phase = saved === null ? 'finished' : 'waiting'
      this.#shards.set(shardId, { parentIds, phase, sequenceNumber: saved ?? undefined })
    }
  }

  /** Shards that may be read now: nothing of their parents is left. Each is named once. */
  begin(): { readonly shardId: string; readonly sequenceNumber: string | undefined }[] {
    const ready = [...this.#shards].filter(([, shard]) => shard.phase === 'waiting' && this.#isNext(shard))
    return ready.map(([shardId, shard]) => {
      shard.phase = 'reading'
      return { shardId, sequenceNumber: shard.sequenceNumber }
    })
  }

  /** Everything up to a record is safe. */
  reached(shardId: string, sequenceNumber: string): void {
    const shard = this.#shards.get(shardId)
    if (shard !== undefined) shard.sequenceNumber = sequenceNumber
  }

  /** A shard has no more records, and all it had are safe. */
  finished(shardId: string): void {
    const shard = this.#shards.get(shardId)
    if (shard !== undefined) shard.phase = 'finished'
  }

  /** What to save. */
  state(): ShardState {
    const shards: Record<string, string | null> = {}
    // Of shards that were not listed again yet, what was saved still holds.
    if (this.#shards.size === 0) Object.assign(shards, Object.fromEntries(this.#saved))
    for (const [id, shard] of this.#shards) {
      if (shard.phase === 'finished') shards[id] = null
      else if (shard.sequenceNumber !== undefined) shards[id] = shard.sequenceNumber
    }
    return { startAt: this.startAt, shards }
  }

  /** A parent that the stream no longer has was read, or its records are gone. */
  #isNext(shard: Shard): boolean {
    return shard.parentIds.every(id => (this.#shards.get(id)?.phase ?? 'finished') === 'finished')
  }
}

/** A saved state; `undefined` if it is none. */
export function readShardState(value: unknown): ShardState | undefined {
  if (typeof value !== 'object' || value === null || !('startAt' in value) || !('shards' in value)) return undefined
  const { startAt, shards } = value
  if (startAt !== 'trim-horizon' && typeof startAt !== 'number') return undefined
  if (typeof shards !== 'object' || shards === null) return undefined
  const entries: [string, string | null][] = []
  for (const [id, sequenceNumber] of Object.entries(shards)) {
    if (typeof sequenceNumber !== 'string' && sequenceNumber !== null) return undefined
    entries.push([id, sequenceNumber])
  }
  return { startAt, shards: Object.fromEntries(entries) }
}

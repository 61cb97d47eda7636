/**
 * Commits what a mapping has done: one request at a time with whatever has moved since the last one.
 *
 * A commit that fails is repeated with the next; one for a partition that is gone is refused by the group, and rightly.
 */

import type { GroupMember } from '../../client/index.ts'
import { type Clock, messageOf, PipelineError, sleep } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** What commits are made from. */
export interface PartitionCommitsOptions {
  readonly topic: string
  readonly member: Pick<GroupMember, 'commitOffsets'>
  /** Offset to commit of every partition that is held. */
  readonly read: () => ReadonlyMap<number, number>
  readonly clock: Clock
  readonly logger: Logger
}

const RETRY_MS = 200
/** Requests of one `flush`. */
const ATTEMPTS_MAX = 6

/** Commits of one mapping. */
export class PartitionCommits {
  readonly #options: PartitionCommitsOptions
  readonly #committed = new Map<number, number>()
  #running: Promise<void> | undefined

  constructor(options: PartitionCommitsOptions) {
    this.#options = options
  }

  /** Offset that the group has for a partition, as far as this member knows. */
  committed(partition: number): number | undefined {
    return this.#committed.get(partition)
  }

  /** A partition comes or goes: its offset is to be committed anew. */
  forget(partition: number): void {
    this.#committed.delete(partition)
  }

  /** Something may have moved. */
  changed(): void {
    if (this.#running !== undefined || this.#moved().length === 0) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.changed()
    })
  }

  /** Commits what there is now; gives up after some failures. */
  async flush(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      // Through the one that may run: two at once could arrive the wrong way round, and the older offset would stay.
      this.changed()
      if (this.#running === undefined) return
      await this.#running
    }
  }

  #moved(): { partition: number; offset: number }[] {
    return [...this.#options.read()]
      .filter(([partition, offset]) => offset > (this.#committed.get(partition) ?? -1))
      .map(([partition, offset]) => ({ partition, offset }))
  }

  async #run(): Promise<void> {
    const { topic, member, clock, logger } = this.#options
    const moved = this.#moved()
    try {
      await member.commitOffsets(moved.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) })))
      for (const { partition, offset } of moved) this.#committed.set(partition, offset)
    } catch (error) {
      if (PipelineError.is(error, 'ERR_CLIENT_GENERATION_STALE')) {
        logger.debug({ topic, reason: error.message }, 'a partition is gone before its offset was committed')
      } else logger.warn({ topic, reason: messageOf(error) }, 'offsets were not committed; trying again')
      await sleep(clock, RETRY_MS)
    }
  }
}

/** Raw fetch. */

import type { FetcherOptions } from './fetcher-types.ts'

/** Reads partitions as whole record batches. */
export class Fetcher {
  constructor(_options: FetcherOptions) {}
  /** Begins to read a partition at an offset; again = anew from that offset. Not before `start` is anything fetched. */
  add(_from: { readonly topic: string; readonly partition: number; readonly offset: bigint }): void {}
  /** Stops reading a partition: after this call no chunk of it is delivered. */
  remove(_topic: string, _partition: number): void {}
  /** Delivers nothing of a partition until `resume`. */
  pause(_topic: string, _partition: number): void {}
  /** Goes on where `pause` stopped. */
  resume(_topic: string, _partition: number): void {}
  /** Begins to fetch. */
  start(): void {}
  /** Stops fetching; after it resolves nothing is delivered. Idempotent. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}

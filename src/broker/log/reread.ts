/**
 * Reads that go over several files or positions beside a compaction or a
 * removal. A segment that was replaced meanwhile makes what was read worthless:
 * positions of the old file were looked for in the new one; one that was removed
 * is missing, and a walk over the list skips others. So it is read again.
 */

import type { SegmentList } from './segment-list.ts'

/** Compactions of one log follow each other in seconds, so a second attempt is as good as certain. */
const ATTEMPT_COUNT_MAX = 20

/** Does the read, again where segments were replaced or removed while it ran. Rejects as the last attempt does. */
export async function readUnmixed<T>(segments: SegmentList, read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const { changeCount } = segments
    const isGood = (): boolean => changeCount === segments.changeCount || attempt === ATTEMPT_COUNT_MAX
    try {
      const result = await read()
      if (isGood()) return result
    } catch (error) {
      if (isGood()) throw error
    }
  }
}

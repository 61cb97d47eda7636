/** Replays run a dispatcher, which the console does not know: whoever starts the console brings the way to one. */

import type { Change } from '../../ops/index.ts'

/** What is to be delivered again. */
export interface ReplayWish {
  /** Group of the replay, never that of the live records. */
  readonly groupId: string
  /** Of those that the dispatcher reads. */
  readonly topics: readonly string[]
  /** Milliseconds since 1970; `null` = the oldest record. */
  readonly fromMs: number | null
  /** Not itself replayed; `null` = as far as there is now. */
  readonly toMs: number | null
  readonly isRestarted: boolean
}

/** Plans a replay; its `apply` runs the dispatcher to its end. */
export type PlanReplay = (wish: ReplayWish) => Promise<Change>

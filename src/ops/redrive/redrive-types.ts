/** What a redrive is asked, and what it works on. */

import type { Admin, Cluster } from '../../client/index.ts'
import type { Clock } from '../../core/index.ts'
import type { RecordQuery } from '../records/record-query.ts'
import type { RecordBound } from '../records/record-range.ts'
import type { RedriveAudit } from './audit-file.ts'
import type { RedriveRules } from './redrive-rules.ts'

/** Dead letters that may be named one by one. */
export const LETTERS_MAX = 1000

/** What is to be redriven. */
export interface RedriveRequest extends RedriveRules {
  readonly deadLetterTopic: string
  /** Conditions on the dead letters as they lie there. */
  readonly query?: RecordQuery
  /** Only dead letters from here on. Default: the beginning. */
  readonly since?: RecordBound
  /** What the caller calls `since`: `2h` is the same choice an hour later. Default: the bound itself. */
  readonly sinceName?: string
  /** Only dead letters before this. Default: the end as it is when it is planned. */
  readonly until?: RecordBound
  /**
   * Only these dead letters, which are redriven whatever an earlier run has done; 1 to `LETTERS_MAX`. The group of the
   * redrive goes when all is done. Default: all.
   */
  readonly letters?: readonly { readonly partition: number; readonly offset: bigint }[]
  /** Most records that are redriven by this run. Default: all. */
  readonly limit?: number
  /** Records per second. Default: as fast as the topics take them. */
  readonly ratePerSecond?: number
  /** Group of the redrive, which keeps its progress. Default: see `redriveGroup`. */
  readonly groupId?: string
  /** Begin anew whatever an earlier run has done. Default `false`. */
  readonly isRestarted?: boolean
  /** Who does it: goes into the headers of the records and the audit. */
  readonly by: string
  /** Most records between two commits: so many may be redriven once more after a kill. Default 1000. */
  readonly batchRecords?: number
}

/** What a redrive works on. */
export interface RedriveOpen {
  readonly cluster: Cluster
  readonly admin: Admin
  readonly clock: Clock
  /** Where each redriven record is noted. Default: nowhere. */
  readonly audit?: RedriveAudit
  /** Ends the look at the dead letters. */
  readonly signal?: AbortSignal
  /** Hears what could not be read. */
  readonly onTrouble?: (text: string) => void
}

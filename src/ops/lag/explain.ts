/** Flags and reasons in words, each with what to do about it. Pure. */

import type { HealthReason } from './health.ts'
import type { GroupLag, LagFlag, PartitionLag } from './lag-types.ts'

/** What a flag means, and its remedy. */
export interface Explained {
  readonly flag: LagFlag
  /** What has happened, with numbers and places. */
  readonly text: string
  readonly remedy: string
}

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
/** Most partitions that are named. */
const placesMax = 3

interface Words {
  readonly text: (partitions: readonly PartitionLag[]) => string
  readonly remedy: string
}

const sum = (partitions: readonly PartitionLag[], of: (each: PartitionLag) => bigint): string =>
  grouped.format(partitions.reduce((total, each) => total + of(each), 0n))

/** Worst first: so they are told. */
const words: Readonly<Record<LagFlag, Words>> = {
  dataLoss: {
    text: some => `${sum(some, each => each.lostRecords)} records were deleted by retention before the group read them`,
    remedy: 'They are gone. Raise retention.ms or retention.bytes, then the capacity; look at `auto.offset.reset`.'
  },
  hangingTransaction: {
    text: some => `an open transaction holds back ${sum(some, each => each.heldBackRecords)} offsets`,
    remedy: 'Find its producer and end it: kafka-transactions.sh find-hanging, then abort.'
  },
  aheadOfLog: {
    text: () => 'the group has committed more than the log holds: the topic was made anew, or a leader lost records',
    remedy: 'Reset the offsets: comporta offsets reset --to-earliest (or --to-latest).'
  },
  offline: {
    text: () => 'the partition has no leader, or may not be read: what is shown is old, or unknown',
    remedy: 'Look at the brokers of its replicas, or grant DESCRIBE on the topic.'
  },
  noTopic: {
    text: () => 'the topic does not exist any more',
    remedy: 'Its offsets expire by themselves, or: comporta offsets delete.'
  },
  unassigned: {
    text: () => 'nobody in the group reads it',
    remedy: 'Start consumers of the group, or look at why a member does not get it: comporta groups describe.'
  },
  noCommit: {
    text: () => 'the group has committed nothing here; the lag is that of a reader from the start of the log',
    remedy: 'A reader with `latest` skips it all: set `auto.offset.reset` to what is meant.'
  },
  persistent: {
    text: () => 'neither the offset nor the lag has changed since the last look',
    remedy: 'Look at the consumer that owns it: a record that fails again and again, or a target that hangs.'
  },
  compacted: {
    text: () => 'the topic is compacted: fewer records than offsets may be left to read',
    remedy: 'Take the lag for an upper bound.'
  },
  markersOnly: {
    text: () => 'all that is unread are markers of transactions: there is nothing to read',
    remedy: 'Nothing to do.'
  }
}

/** Flags that are worth a line of their own, worst first; the others are shown with the partition. */
const told: readonly LagFlag[] = [
  'dataLoss',
  'hangingTransaction',
  'aheadOfLog',
  'offline',
  'noTopic',
  'unassigned',
  'noCommit',
  'compacted'
]

/** What is to be said of a group's flags, worst first. */
export function explainFlags({ partitions }: GroupLag): Explained[] {
  return told.flatMap(flag => {
    // An empty partition that nobody has committed anything for is as it should be.
    const some = partitions.filter(each => each.flags.includes(flag) && (flag !== 'noCommit' || each.lagRecords > 0n))
    if (some.length === 0) return []
    const names = some.slice(0, placesMax).map(({ topic, partition }) => `${topic}-${partition}`)
    const more = some.length > placesMax ? ` and ${some.length - placesMax} more` : ''
    return [{ flag, text: `${words[flag].text(some)} (${names.join(', ')}${more})`, remedy: words[flag].remedy }]
  })
}

const reasons: Readonly<Record<HealthReason, string>> = {
  dataLoss: 'records lost',
  unreadable: 'cannot be read',
  partlyUnknown: 'partly unknown',
  stopped: 'not moving',
  lagHigh: 'lag high',
  lagFair: 'some lag',
  retentionNearlyFull: 'retention nearly used up',
  retentionFair: 'retention filling',
  lagGrows: 'growing',
  producerStopped: 'producer stopped',
  rateLow: 'few records'
}

/** A reason in two or three words. */
export function explainReason(reason: HealthReason): string {
  return reasons[reason]
}

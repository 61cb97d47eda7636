/** When a partition is hot: the rule of the doctor, and of whoever draws partitions. Pure. */

/** A partition is hot from twice the mean on. */
const HOT = 2
/** Of two partitions, one is hot only if it has nearly all. */
const HOT_OF_TWO = 0.9
/** Fewer records than this say nothing. */
const HOT_RECORDS_MIN = 100n

/** What a partition gets, and keeps. */
export interface PartitionCount {
  readonly partition: number
  /** Records that came while it was watched. */
  readonly fresh: bigint
  /** Records between the ends of its log. */
  readonly kept: bigint
}

/** A partition that has more than its share. */
export interface HotPartition {
  readonly partition: number
  /** Of the records of the topic, 0 to 1. */
  readonly share: number
  /** How many fair shares that is. */
  readonly timesFair: number
}

/** What was found of a topic. */
export interface HotPartitions {
  /** Whether new records were counted, or those that are kept because too few are new. */
  readonly isFresh: boolean
  /** The hottest first; empty = none. */
  readonly hot: readonly HotPartition[]
}

/** Partitions of one topic with at least twice their share of what is new, or of what is kept if little is new. */
export function hotPartitionsOf(counts: readonly PartitionCount[]): HotPartitions {
  const isFresh = sumOf(counts, each => each.fresh) >= HOT_RECORDS_MIN
  const countOf = (each: PartitionCount): bigint => (isFresh ? each.fresh : each.kept)
  const total = sumOf(counts, countOf)
  if (counts.length < 2 || total < HOT_RECORDS_MIN) return { isFresh, hot: [] }
  const least = counts.length === 2 ? HOT_OF_TWO : HOT / counts.length
  const hot = counts
    .map(each => ({ partition: each.partition, share: Number(countOf(each)) / Number(total) }))
    .filter(({ share }) => share >= least)
    .sort((left, right) => right.share - left.share)
    .map(each => ({ ...each, timesFair: each.share * counts.length }))
  return { isFresh, hot }
}

function sumOf(counts: readonly PartitionCount[], of: (each: PartitionCount) => bigint): bigint {
  return counts.reduce((sum, each) => sum + of(each), 0n)
}

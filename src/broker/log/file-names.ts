/**
 * Names of the files and folders of a data directory, as Apache Kafka writes
 * them, so that Kafka's own tools find what they expect.
 */

/** Suffix of the record batches of a segment. */
export const LOG_SUFFIX = '.log'
/** Suffix of a segment's offset index. */
export const INDEX_SUFFIX = '.index'
/** Suffix of a segment's time index. */
export const TIME_INDEX_SUFFIX = '.timeindex'
/** Suffix of a segment's index of aborted transactions; only segments with an abort marker have one. */
export const TRANSACTION_INDEX_SUFFIX = '.txnindex'
/** Suffix of a snapshot of the producer state at the offset in its name. */
export const SNAPSHOT_SUFFIX = '.snapshot'
/** Suffix of the folder of a partition that is being removed. */
export const DELETE_SUFFIX = '-delete'
/** Suffix of a partition folder that no topic owns, kept aside because it holds records. */
export const STRAY_SUFFIX = '-stray'

/** Longest folder name that common file systems take, in bytes. Topic names are ASCII. */
const FOLDER_NAME_BYTES_MAX = 255

/** What a file name of a partition folder says. */
export interface OffsetFileName {
  /** Base offset of the segment, or offset of the snapshot. */
  readonly offset: bigint
  /** One of the suffixes above, with its dot. */
  readonly suffix: string
}

/** The partition that a folder holds. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `00000000000000000042.log`: 20 digits, so that names sort as offsets do. */
export function offsetFileName(offset: bigint, suffix: string): string {
  return offset.toString().padStart(20, '0') + suffix
}

/** Reads a name made by `offsetFileName`; `undefined` for any other file. */
export function parseOffsetFileName(name: string): OffsetFileName | undefined {
  const match = /^(\d{20})(\.log|\.index|\.timeindex|\.txnindex|\.snapshot)$/.exec(name)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { offset: BigInt(match[1]), suffix: match[2] }
}

/** `orders-3`: folder of partition 3 of topic `orders`. */
export function partitionFolderName(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** Reads a name made by `partitionFolderName`; `undefined` for any other folder. */
export function parsePartitionFolderName(name: string): TopicPartition | undefined {
  if (name.endsWith(DELETE_SUFFIX) || name.endsWith(STRAY_SUFFIX)) return undefined
  const match = /^([a-zA-Z0-9._-]{1,249})-(\d{1,10})$/.exec(name)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { topic: match[1], partition: Number(match[2]) }
}

/**
 * Name of a partition folder set aside: `<topic>-<partition>.<32 hex digits><suffix>`.
 * The topic is cut where the whole would not fit in a folder name.
 */
export function asideFolderName(folder: string, uniqueHex: string, suffix: string): string {
  const tail = `.${uniqueHex}${suffix}`
  return folder.slice(0, FOLDER_NAME_BYTES_MAX - tail.length) + tail
}

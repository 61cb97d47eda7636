/**
 * Every topic configuration of Apache Kafka 4.3: name, type, default, allowed
 * values, and the broker settings that give its default. DescribeConfigs must
 * list them all, and a client may set any of them, so the table has also those
 * that a single node has no use for; `isInert` marks them.
 *
 * Source: Kafka `TopicConfig`, `LogConfig`, `ServerTopicConfigSynonyms`.
 */

/** How the text of a value is read. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list'

/** A broker setting that gives the default of a topic setting. */
export interface ServerSynonym {
  /** Name of the broker setting. */
  readonly name: string
  /** What its number is multiplied with to get the topic setting. Default 1. */
  readonly factor?: number
}

/** One topic setting. */
export interface TopicConfigEntry {
  readonly type: ConfigType
  /** Default as text, as Kafka prints it. */
  readonly default: string
  /** Smallest number. */
  readonly min?: bigint
  /** Largest number; that of the type if absent. */
  readonly max?: bigint
  /** Allowed values of a string, or of each item of a list. */
  readonly oneOf?: readonly string[]
  /** What the text of a value must look like besides. */
  readonly pattern?: RegExp
  /** Broker settings that override the default, first one wins. */
  readonly synonyms: readonly ServerSynonym[]
  /** Accepted, kept and shown, but without effect on a single node. */
  readonly isInert?: boolean
  /** What it means, in one or two sentences. */
  readonly doc: string
}

const HOUR_MS = 3_600_000
/** `partition:broker` of each replica, or `*` for all. Source: Kafka `ThrottledReplicaListValidator`. */
const THROTTLED_REPLICAS = /^\s*(\*|\d+:\d+(\s*,\s*\d+:\d+)*)?\s*$/
const LONG_MAX = '9223372036854775807'
const log = (name: string): ServerSynonym[] => [{ name: `log.${name}` }]
const cleaner = (name: string): ServerSynonym[] => [{ name: `log.cleaner.${name}` }]
const same = (name: string): ServerSynonym[] => [{ name }]

/** All topic settings by name. */
export const TOPIC_CONFIGS = {
  'cleanup.policy': {
    type: 'list',
    default: 'delete',
    oneOf: ['compact', 'delete'],
    synonyms: log('cleanup.policy'),
    doc: 'What becomes of old segments: "delete" removes them by time and size, "compact" keeps the last of each key.'
  },
  'compression.gzip.level': {
    type: 'int',
    default: '-1',
    min: -1n,
    max: 9n,
    pattern: /^\s*(-1|\+?0*[1-9])\s*$/,
    synonyms: same('compression.gzip.level'),
    doc: 'Level used when compression.type is gzip: 1 to 9, or -1 for the default of the library.'
  },
  'compression.lz4.level': {
    type: 'int',
    default: '9',
    min: 1n,
    max: 17n,
    synonyms: same('compression.lz4.level'),
    isInert: true,
    doc: 'Level used when compression.type is lz4.'
  },
  'compression.type': {
    type: 'string',
    default: 'producer',
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    synonyms: same('compression.type'),
    doc: 'Compression of stored batches. "producer" keeps what the producer chose.'
  },
  'compression.zstd.level': {
    type: 'int',
    default: '3',
    min: -131_072n,
    max: 22n,
    synonyms: same('compression.zstd.level'),
    isInert: true,
    doc: 'Level used when compression.type is zstd.'
  },
  'delete.retention.ms': {
    type: 'long',
    default: '86400000',
    min: 0n,
    synonyms: cleaner('delete.retention.ms'),
    doc: 'How long a compacted topic keeps tombstones, in milliseconds.'
  },
  'file.delete.delay.ms': {
    type: 'long',
    default: '60000',
    min: 0n,
    synonyms: log('segment.delete.delay.ms'),
    isInert: true,
    doc: 'Wait before a file is removed from disk, in milliseconds.'
  },
  'flush.messages': {
    type: 'long',
    default: LONG_MAX,
    min: 1n,
    synonyms: log('flush.interval.messages'),
    doc: 'After how many records the log is flushed to disk; 1 flushes before every acknowledgement.'
  },
  'flush.ms': {
    type: 'long',
    default: LONG_MAX,
    min: 0n,
    synonyms: [{ name: 'log.flush.interval.ms' }, { name: 'log.flush.scheduler.interval.ms' }],
    doc: 'After how long written records are flushed to disk, in milliseconds.'
  },
  'follower.replication.throttled.replicas': {
    type: 'list',
    default: '',
    pattern: THROTTLED_REPLICAS,
    synonyms: [],
    isInert: true,
    doc: 'Replicas whose replication is throttled on the side of the follower.'
  },
  'index.interval.bytes': {
    type: 'int',
    default: '4096',
    min: 0n,
    synonyms: log('index.interval.bytes'),
    doc: 'How many bytes of log lie between two entries of the offset index.'
  },
  'leader.replication.throttled.replicas': {
    type: 'list',
    default: '',
    pattern: THROTTLED_REPLICAS,
    synonyms: [],
    isInert: true,
    doc: 'Replicas whose replication is throttled on the side of the leader.'
  },
  'local.retention.bytes': {
    type: 'long',
    default: '-2',
    min: -2n,
    synonyms: log('local.retention.bytes'),
    isInert: true,
    doc: 'Bytes kept locally before deletion with tiered storage; -2 means retention.bytes.'
  },
  'local.retention.ms': {
    type: 'long',
    default: '-2',
    min: -2n,
    synonyms: log('local.retention.ms'),
    isInert: true,
    doc: 'Time kept locally before deletion with tiered storage; -2 means retention.ms.'
  },
  'max.compaction.lag.ms': {
    type: 'long',
    default: LONG_MAX,
    min: 1n,
    synonyms: cleaner('max.compaction.lag.ms'),
    doc: 'Longest time that a record of a compacted topic stays uncompacted, in milliseconds.'
  },
  'max.message.bytes': {
    type: 'int',
    default: '1048588',
    min: 0n,
    synonyms: same('message.max.bytes'),
    doc: 'Largest record batch that is accepted, in bytes, after compression.'
  },
  'message.timestamp.after.max.ms': {
    type: 'long',
    default: '3600000',
    min: 0n,
    synonyms: log('message.timestamp.after.max.ms'),
    doc: 'How far the timestamp of a record may lie in the future of the broker, in milliseconds. Only with CreateTime.'
  },
  'message.timestamp.before.max.ms': {
    type: 'long',
    default: LONG_MAX,
    min: 0n,
    synonyms: log('message.timestamp.before.max.ms'),
    doc: 'How far the timestamp of a record may lie in the past of the broker, in milliseconds. Only with CreateTime.'
  },
  'message.timestamp.type': {
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    synonyms: log('message.timestamp.type'),
    doc: 'Whether a record keeps the timestamp of its producer or gets the time of its append.'
  },
  'min.cleanable.dirty.ratio': {
    type: 'double',
    default: '0.5',
    min: 0n,
    max: 1n,
    synonyms: cleaner('min.cleanable.ratio'),
    doc: 'Share of uncompacted bytes at which compaction starts, 0 to 1.'
  },
  'min.compaction.lag.ms': {
    type: 'long',
    default: '0',
    min: 0n,
    synonyms: cleaner('min.compaction.lag.ms'),
    doc: 'Shortest time that a record of a compacted topic stays uncompacted, in milliseconds.'
  },
  'min.insync.replicas': {
    type: 'int',
    default: '1',
    min: 1n,
    synonyms: same('min.insync.replicas'),
    doc: 'Replicas that must have a record before acks=all is answered. A single node has one.'
  },
  preallocate: {
    type: 'boolean',
    default: 'false',
    synonyms: log('preallocate'),
    isInert: true,
    doc: 'Whether the file of a new segment gets its full size at once.'
  },
  'remote.log.copy.disable': {
    type: 'boolean',
    default: 'false',
    synonyms: [],
    isInert: true,
    doc: 'Whether tiered storage stops taking new segments.'
  },
  'remote.log.delete.on.disable': {
    type: 'boolean',
    default: 'false',
    synonyms: [],
    isInert: true,
    doc: 'Whether tiered data is removed when tiered storage is switched off.'
  },
  'remote.storage.enable': {
    type: 'boolean',
    default: 'false',
    // As in a Kafka whose brokers have no tiered storage.
    pattern: /^\s*false\s*$/i,
    synonyms: [],
    isInert: true,
    doc: 'Whether old segments go to tiered storage.'
  },
  'retention.bytes': {
    type: 'long',
    default: '-1',
    synonyms: log('retention.bytes'),
    doc: 'Size of a partition above which its oldest segments are removed, in bytes; -1 for no limit.'
  },
  'retention.ms': {
    type: 'long',
    default: '604800000',
    min: -1n,
    synonyms: [
      { name: 'log.retention.ms' },
      { name: 'log.retention.minutes', factor: 60_000 },
      { name: 'log.retention.hours', factor: HOUR_MS }
    ],
    doc: 'Age of its youngest record at which a segment is removed, in milliseconds; -1 for no limit.'
  },
  'segment.bytes': {
    type: 'int',
    default: '1073741824',
    min: 1_048_576n,
    synonyms: log('segment.bytes'),
    doc: 'Size at which a new segment file is begun, in bytes.'
  },
  'segment.index.bytes': {
    type: 'int',
    default: '10485760',
    min: 4n,
    synonyms: log('index.size.max.bytes'),
    doc: 'Size of the offset index at which a new segment is begun, in bytes.'
  },
  'segment.jitter.ms': {
    type: 'long',
    default: '0',
    min: 0n,
    synonyms: [{ name: 'log.roll.jitter.ms' }, { name: 'log.roll.jitter.hours', factor: HOUR_MS }],
    doc: 'Largest random time taken off segment.ms, so that partitions do not all roll at once, in milliseconds.'
  },
  'segment.ms': {
    type: 'long',
    default: '604800000',
    min: 1n,
    synonyms: [{ name: 'log.roll.ms' }, { name: 'log.roll.hours', factor: HOUR_MS }],
    doc: 'Age at which a new segment is begun even if the old one is not full, in milliseconds.'
  },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: 'false',
    synonyms: same('unclean.leader.election.enable'),
    isInert: true,
    doc: 'Whether a replica that is behind may become leader.'
  }
} as const satisfies Record<string, TopicConfigEntry>

/** Name of a topic setting. */
export type TopicConfigName = keyof typeof TOPIC_CONFIGS

/** All names, sorted. */
export const TOPIC_CONFIG_NAMES: readonly TopicConfigName[] = Object.keys(TOPIC_CONFIGS)
  .filter(isTopicConfigName)
  .toSorted()

/** Whether a text is the name of a topic setting. */
export function isTopicConfigName(name: string): name is TopicConfigName {
  return Object.hasOwn(TOPIC_CONFIGS, name)
}

/** The table row of a setting. */
export function topicConfigEntry(name: TopicConfigName): TopicConfigEntry {
  return TOPIC_CONFIGS[name]
}

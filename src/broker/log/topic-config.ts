/**
 * From texts to the settings a log runs with: topic override, else broker
 * setting, else Kafka's default. Also the checks behind CreateTopics and
 * AlterConfigs, and the rows behind DescribeConfigs.
 */

import {
  isTopicConfigName,
  TOPIC_CONFIG_NAMES,
  type TopicConfigEntry,
  topicConfigEntry,
  type TopicConfigName
} from './topic-config-table.ts'

/** Settings as texts, by name: overrides of a topic, or settings of the broker. */
export type ConfigTexts = Readonly<Record<string, string>>

/** Where a value comes from, as DescribeConfigs tells it. */
export type ConfigSource = 'topic' | 'broker' | 'default'

/** One setting with its value and origin. */
export interface ResolvedTopicConfig {
  readonly name: TopicConfigName
  readonly value: string
  readonly source: ConfigSource
  /** All values that could apply, the one that does first. */
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: ConfigSource }[]
}

/** The settings a partition's log runs with. */
export interface LogConfig {
  /** `segment.bytes`. Default 1_073_741_824. */
  readonly segmentBytes: number
  /** `segment.ms`. Default 604_800_000. */
  readonly segmentMs: number
  /** `segment.jitter.ms`. Default 0. */
  readonly segmentJitterMs: number
  /** `segment.index.bytes`. Default 10_485_760. */
  readonly segmentIndexBytes: number
  /** `index.interval.bytes`. Default 4_096. */
  readonly indexIntervalBytes: number
  /** `retention.bytes`; negative for no limit. Default -1. */
  readonly retentionBytes: number
  /** `retention.ms`; negative for no limit. Default 604_800_000. */
  readonly retentionMs: number
  /** `max.message.bytes`. Default 1_048_588. */
  readonly messageBytesMax: number
  /** `flush.messages`. Default: never by count. */
  readonly flushMessages: number
  /** `flush.ms`. Default: never by time. */
  readonly flushMs: number
  /** Whether `cleanup.policy` has `compact`. Default false. */
  readonly isCompacted: boolean
  /** Whether `cleanup.policy` has `delete`. Default true. */
  readonly isDeleted: boolean
  /** `min.cleanable.dirty.ratio`, 0 to 1. Default 0.5. */
  readonly minCleanableDirtyRatio: number
  /** `min.compaction.lag.ms`. Default 0. */
  readonly minCompactionLagMs: number
  /** `max.compaction.lag.ms`. Default: no limit. */
  readonly maxCompactionLagMs: number
  /** `delete.retention.ms`. Default 86_400_000. */
  readonly deleteRetentionMs: number
  /** `message.timestamp.type`. Default `CreateTime`. */
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** `message.timestamp.before.max.ms`. Default: no limit. */
  readonly timestampBeforeMsMax: number
  /** `message.timestamp.after.max.ms`. Default 3_600_000. */
  readonly timestampAfterMsMax: number
  /** `compression.type`. Default `producer`. */
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
}

/**
 * What is wrong with the overrides of a topic, as sentences that name the
 * setting; empty if nothing is. The caller answers INVALID_CONFIG(40).
 */
export function topicConfigProblems(overrides: ConfigTexts): string[] {
  const problems: string[] = []
  for (const [name, value] of Object.entries(overrides)) {
    const problem = isTopicConfigName(name)
      ? valueProblem(name, topicConfigEntry(name), value)
      : `Unknown topic config name: ${name}`
    if (problem !== undefined) problems.push(problem)
  }
  const minLag = numberOr(overrides['min.compaction.lag.ms'], 0)
  const maxLag = numberOr(overrides['max.compaction.lag.ms'], Number.POSITIVE_INFINITY)
  if (minLag > maxLag) problems.push(`min.compaction.lag.ms (${minLag}) is above max.compaction.lag.ms (${maxLag})`)
  return problems
}

/** Problems of the broker settings that give topic defaults; settings of other kinds are not looked at. */
export function brokerConfigProblems(settings: ConfigTexts): string[] {
  const problems: string[] = []
  for (const name of TOPIC_CONFIG_NAMES) {
    const entry = topicConfigEntry(name)
    for (const synonym of entry.synonyms) {
      const value = settings[synonym.name]
      // A negative log.retention.hours means no limit: its product need not be exact.
      const scaled = value === undefined ? undefined : scale(value, synonym.factor)
      const problem = scaled === undefined ? undefined : valueProblem(synonym.name, entry, scaled)
      if (problem !== undefined) problems.push(problem)
    }
  }
  return problems
}

/** One setting of a topic with its value and where it comes from. */
export function resolveTopicConfig(
  name: TopicConfigName,
  overrides: ConfigTexts,
  settings: ConfigTexts
): ResolvedTopicConfig {
  const entry = topicConfigEntry(name)
  const synonyms: { name: string; value: string; source: ConfigSource }[] = []
  const override = overrides[name]
  if (override !== undefined) synonyms.push({ name, value: override, source: 'topic' })
  for (const synonym of entry.synonyms) {
    const value = settings[synonym.name]
    if (value !== undefined)
      synonyms.push({ name: synonym.name, value: scale(value, synonym.factor), source: 'broker' })
  }
  // Where several broker settings stand behind one of a topic, those of Kafka have no default of their own.
  const [only, ...others] = entry.synonyms
  if (only !== undefined && others.length === 0) {
    synonyms.push({ name: only.name, value: entry.default, source: 'default' })
  }
  const first = synonyms[0]
  return { name, value: first?.value ?? entry.default, source: first?.source ?? 'default', synonyms }
}

/** All settings of a topic, sorted by name. */
export function describeTopicConfigs(overrides: ConfigTexts, settings: ConfigTexts): ResolvedTopicConfig[] {
  return TOPIC_CONFIG_NAMES.map(name => resolveTopicConfig(name, overrides, settings))
}

/** The settings a log runs with. Values must have passed the checks above. */
export function toLogConfig(overrides: ConfigTexts = {}, settings: ConfigTexts = {}): LogConfig {
  const text = (name: TopicConfigName): string => resolveTopicConfig(name, overrides, settings).value
  const number = (name: TopicConfigName): number => Number(text(name))
  const policies = listItems(text('cleanup.policy'))
  const isCompacted = policies.includes('compact')
  const maxCompactionLagMs = number('max.compaction.lag.ms')
  return {
    segmentBytes: number('segment.bytes'),
    // What must be compacted soon must leave the active segment soon. Source: Kafka `LogConfig.maxSegmentMs`.
    segmentMs: isCompacted ? Math.min(maxCompactionLagMs, number('segment.ms')) : number('segment.ms'),
    segmentJitterMs: number('segment.jitter.ms'),
    segmentIndexBytes: number('segment.index.bytes'),
    indexIntervalBytes: number('index.interval.bytes'),
    retentionBytes: number('retention.bytes'),
    retentionMs: number('retention.ms'),
    messageBytesMax: number('max.message.bytes'),
    flushMessages: number('flush.messages'),
    flushMs: number('flush.ms'),
    isCompacted,
    isDeleted: policies.includes('delete'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs,
    deleteRetentionMs: number('delete.retention.ms'),
    timestampType: text('message.timestamp.type') === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
    timestampBeforeMsMax: number('message.timestamp.before.max.ms'),
    timestampAfterMsMax: number('message.timestamp.after.max.ms'),
    compressionType: compressionTypeOf(text('compression.type'))
  }
}

function compressionTypeOf(text: string): LogConfig['compressionType'] {
  switch (text) {
    case 'uncompressed':
    case 'gzip':
    case 'snappy':
    case 'lz4':
    case 'zstd':
      return text
    default:
      return 'producer'
  }
}

function listItems(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

function numberOr(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : Number(text)
}

/** A broker setting in the unit of the topic setting; -1 stays -1, and what is no number is left for the check. */
function scale(text: string, factor = 1): string {
  if (factor === 1 || !/^-?\d+$/.test(text.trim())) return text
  const value = BigInt(text.trim())
  return value < 0n ? value.toString() : (value * BigInt(factor)).toString()
}

function valueProblem(name: string, entry: TopicConfigEntry, value: string): string | undefined {
  const prefix = `Invalid value ${value} for configuration ${name}`
  if (entry.pattern?.test(value) === false) return `${prefix}: it is not allowed`
  switch (entry.type) {
    case 'boolean':
      return /^(true|false)$/i.test(value.trim()) ? undefined : `${prefix}: expected true or false`
    case 'string':
      return entry.oneOf?.includes(value) === false ? `${prefix}: expected one of ${entry.oneOf.join(', ')}` : undefined
    case 'list': {
      const items = value.trim() === '' ? [] : value.split(',').map(item => item.trim())
      const wrong = items.find(item => entry.oneOf?.includes(item) === false)
      return wrong === undefined ? undefined : `${prefix}: expected items of ${entry.oneOf?.join(', ')}`
    }
    case 'double': {
      const number = value.trim() === '' ? Number.NaN : Number(value)
      const isIn = number >= Number(entry.min ?? -Infinity) && number <= Number(entry.max ?? Infinity)
      return isIn ? undefined : `${prefix}: expected a number from ${entry.min} to ${entry.max}`
    }
    case 'int':
      return integerProblem(prefix, entry, { value, bits: 32 })
    case 'long':
      return integerProblem(prefix, entry, { value, bits: 64 })
  }
}

function integerProblem(
  prefix: string,
  entry: TopicConfigEntry,
  { value, bits }: { value: string; bits: number }
): string | undefined {
  if (!/^[+-]?\d{1,19}$/.test(value.trim())) return `${prefix}: not a number of type ${entry.type.toUpperCase()}`
  const number = BigInt(value.trim().replace('+', ''))
  if (BigInt.asIntN(bits, number) !== number) return `${prefix}: not a number of type ${entry.type.toUpperCase()}`
  if (entry.min !== undefined && number < entry.min) return `${prefix}: value must be at least ${entry.min}`
  if (entry.max !== undefined && number > entry.max) return `${prefix}: value must be no more than ${entry.max}`
  return undefined
}

/**
 * Rows of DescribeConfigs: every setting of a topic or of the broker with its
 * value, source, type and synonyms.
 */

import type { DescribeConfigsResponseResourceResultInput } from '../../protocol/index.ts'
import { describeTopicConfigs, type ConfigType, TOPIC_CONFIG_NAMES, topicConfigEntry } from '../log/index.ts'
import { BROKER_SETTINGS } from '../settings.ts'
import type { BrokerState } from './broker-state.ts'

/** Kafka's `ConfigSource` numbers. */
export const CONFIG_SOURCES = { topic: 1, broker: 4, default: 5 } as const
/** Kafka's `ConfigType` numbers. */
const CONFIG_TYPES: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7
}

/** One setting with everything a client may ask about it. */
export interface ConfigRow {
  readonly name: string
  readonly value: string
  readonly source: keyof typeof CONFIG_SOURCES
  readonly type: ConfigType
  readonly isReadOnly: boolean
  readonly doc: string
  readonly synonyms: readonly {
    readonly name: string
    readonly value: string
    readonly source: keyof typeof CONFIG_SOURCES
  }[]
}

/** All settings of a topic with the given overrides. */
export function topicConfigRows(broker: BrokerState, overrides: Readonly<Record<string, string>>): ConfigRow[] {
  return describeTopicConfigs(overrides, broker.settings.given).map(({ name, value, source, synonyms }) => {
    const { type, doc } = topicConfigEntry(name)
    return { name, value, source, type, isReadOnly: false, doc, synonyms }
  })
}

/** All settings of the broker: its own table, those that give topic defaults, and where it is. */
export function brokerConfigRows(broker: BrokerState): ConfigRow[] {
  const { given } = broker.settings
  const rows = new Map<string, ConfigRow>()
  const add = (name: string, fallback: string, entry: { type: ConfigType; doc: string }): void => {
    const own = given[name]
    const source = own === undefined ? 'default' : 'broker'
    const synonyms: { name: string; value: string; source: 'broker' | 'default' }[] = []
    if (own !== undefined) synonyms.push({ name, value: own, source: 'broker' })
    synonyms.push({ name, value: fallback, source: 'default' })
    const { type, doc } = entry
    rows.set(name, { name, value: own ?? fallback, source, type, isReadOnly: true, doc, synonyms })
  }
  for (const [name, entry] of Object.entries(BROKER_SETTINGS)) add(name, entry.default, entry)
  for (const name of TOPIC_CONFIG_NAMES) {
    const entry = topicConfigEntry(name)
    const synonym = entry.synonyms.find(each => each.factor === undefined)
    if (synonym !== undefined) add(synonym.name, entry.default, entry)
  }
  for (const [name, value] of Object.entries(broker.identity)) {
    const synonyms = [{ name, value, source: 'broker' as const }]
    rows.set(name, { name, value, source: 'broker', type: 'string', isReadOnly: true, doc: '', synonyms })
  }
  return [...rows.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1))
}

/** A row as it goes over the wire. */
export function toResourceResult(
  row: ConfigRow,
  wanted: { includeSynonyms: boolean; includeDocumentation: boolean }
): DescribeConfigsResponseResourceResultInput {
  const synonyms = row.synonyms.map(({ name, value, source }) => ({ name, value, source: CONFIG_SOURCES[source] }))
  return {
    name: row.name,
    value: row.value,
    readOnly: row.isReadOnly,
    configSource: CONFIG_SOURCES[row.source],
    configType: CONFIG_TYPES[row.type],
    synonyms: wanted.includeSynonyms ? synonyms : [],
    documentation: wanted.includeDocumentation ? row.doc : null
  }
}

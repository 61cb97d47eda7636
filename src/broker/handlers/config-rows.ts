/**
 * Rows of DescribeConfigs: every setting of a topic or of the broker with its
 * value, source, type and synonyms.
 */

import type { DescribeConfigsResponseResourceResultInput } from '../../protocol/index.ts'
import { describeTopicConfigs, type ConfigType, TOPIC_CONFIG_NAMES, topicConfigEntry } from '../log/index.ts'
import { type DynamicLayer, isDynamicSetting } from '../dynamic-settings.ts'
import { BROKER_SETTINGS } from '../settings.ts'
import type { BrokerState } from './broker-state.ts'

/** Kafka's `ConfigSource` numbers. */
export const CONFIG_SOURCES = { topic: 1, node: 2, cluster: 3, static: 4, default: 5 } as const
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
  /** `null` for what nobody knows, which might be a secret. */
  readonly value: string | null
  readonly source: keyof typeof CONFIG_SOURCES
  readonly type: ConfigType
  readonly isReadOnly: boolean
  readonly doc: string
  readonly synonyms: readonly ConfigSynonym[]
}

/** A value that applies, or would if those before it did not. */
export interface ConfigSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: keyof typeof CONFIG_SOURCES
}

/** All settings of a topic with the given overrides. */
export function topicConfigRows(broker: BrokerState, overrides: Readonly<Record<string, string>>): ConfigRow[] {
  return describeTopicConfigs(overrides, broker.settings.given).map(({ name, value, synonyms: found }) => {
    const { type, doc } = topicConfigEntry(name)
    const synonyms = found.flatMap((synonym): ConfigSynonym[] => {
      if (synonym.source !== 'broker') return [{ ...synonym, source: synonym.source }]
      const values = broker.settings.valuesOf(synonym.name)
      // The value in force may have been scaled (hours to milliseconds): that of the setting has its own unit.
      return values.map((each, index) => ({
        ...each,
        name: synonym.name,
        ...(index === 0 && { value: synonym.value })
      }))
    })
    return { name, value, source: synonyms[0]?.source ?? 'default', type, isReadOnly: false, doc, synonyms }
  })
}

/** All settings of the broker: its own table, those that give topic defaults, and where it is. */
export function brokerConfigRows(broker: BrokerState): ConfigRow[] {
  const { settings } = broker
  const rows = new Map<string, ConfigRow>()
  const add = (name: string, fallback: string, { type, doc }: { type: ConfigType; doc: string }): void => {
    const synonyms: ConfigSynonym[] = settings.valuesOf(name).map(each => ({ ...each, name }))
    synonyms.push({ name, value: fallback, source: 'default' })
    const { value = fallback, source = 'default' as const } = synonyms[0] ?? {}
    rows.set(name, { name, value, source, type, isReadOnly: !isDynamicSetting(name), doc, synonyms })
  }
  for (const [name, entry] of Object.entries(BROKER_SETTINGS)) add(name, entry.default, entry)
  for (const name of TOPIC_CONFIG_NAMES) {
    const entry = topicConfigEntry(name)
    const synonym = entry.synonyms.find(each => each.factor === undefined)
    if (synonym !== undefined) add(synonym.name, entry.default, entry)
  }
  for (const [name, value] of Object.entries(broker.identity)) {
    const synonyms = [{ name, value, source: 'static' as const }]
    rows.set(name, { name, value, source: 'static', type: 'string', isReadOnly: true, doc: '', synonyms })
  }
  for (const row of [...dynamicConfigRows(broker, 'cluster'), ...dynamicConfigRows(broker, 'node')]) {
    if (!rows.has(row.name)) rows.set(row.name, row)
  }
  return [...rows.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1))
}

/** What was set at run time in one layer of the broker's settings. */
export function dynamicConfigRows(broker: BrokerState, layer: DynamicLayer): ConfigRow[] {
  return Object.entries(broker.dynamicSettings.layer(layer)).map(([name, text]) => {
    const isKnown = isDynamicSetting(name)
    // As in Kafka: what nobody knows may be a secret, so its value is not shown.
    const value = isKnown ? text : null
    const synonyms = [{ name, value, source: layer }]
    return { name, value, source: layer, type: 'string', isReadOnly: !isKnown, doc: '', synonyms }
  })
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
    isSensitive: row.value === null,
    configSource: CONFIG_SOURCES[row.source],
    configType: CONFIG_TYPES[row.type],
    synonyms: wanted.includeSynonyms ? synonyms : [],
    documentation: wanted.includeDocumentation ? row.doc : null
  }
}

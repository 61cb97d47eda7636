/**
 * Broker settings that are changed while it runs, and kept over restarts: for
 * the whole cluster, or for this node alone, which wins. Source: KIP-226.
 *
 * Kafka lets a part of its settings be changed so. Of those, this broker obeys
 * `DYNAMIC_SETTINGS` and the defaults of topics; others that Kafka could change
 * are refused instead of being taken and having no effect.
 *
 *   file `dynamic-settings.json` => `{ "cluster": { name: value, … }, "node": { … } }`
 */

import path from 'node:path'
import { messageOf, PipelineError } from '../core/index.ts'
import { TOPIC_CONFIG_NAMES, brokerConfigProblems, topicConfigEntry } from './log/index.ts'
import { readIfPresent, replaceFile } from './log/small-files.ts'
import { type BrokerSettings, brokerSettingEntry, brokerSettingProblem } from './settings.ts'

const FILE = 'dynamic-settings.json'
/** Settings that nobody knows may be secrets: they are kept, and neither shown nor readable for others. */
const OWNER_ONLY = 0o600
/** Settings of the broker's own table that are read at every use. */
const DYNAMIC_SETTINGS: ReadonlySet<string> = new Set([
  'max.connection.creation.rate',
  'max.connections',
  'max.connections.per.ip',
  'max.connections.per.ip.overrides',
  'producer.id.expiration.ms'
])

/** Whom a setting is for: all brokers of the cluster, or this one. */
export type DynamicLayer = 'cluster' | 'node'

type Texts = Readonly<Record<string, string>>

/** The settings that were changed at run time. */
export class DynamicSettings {
  readonly #file: string
  readonly #settings: BrokerSettings
  readonly #onChange: () => void
  #layers: Readonly<Record<DynamicLayer, Texts>>
  #change: Promise<unknown> = Promise.resolve()

  private constructor(options: DynamicSettingsOptions, layers: Readonly<Record<DynamicLayer, Texts>>) {
    this.#file = path.join(options.dataDir, FILE)
    this.#settings = options.settings
    this.#onChange = options.onChange
    this.#layers = layers
  }

  /**
   * Reads what was changed in earlier runs and puts it in force.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if the file cannot be understood.
   */
  static async open(options: DynamicSettingsOptions): Promise<DynamicSettings> {
    const layers = await readLayers(path.join(options.dataDir, FILE))
    options.settings.setDynamic(layers)
    return new DynamicSettings(options, layers)
  }

  /** What is set in a layer. */
  layer(layer: DynamicLayer): Texts {
    return this.#layers[layer]
  }

  /**
   * Replaces what is set in a layer, durably, and puts it in force.
   *
   * @returns Why not, if so.
   */
  replace(layer: DynamicLayer, texts: Texts, { validateOnly }: { validateOnly: boolean }): Promise<string | undefined> {
    const changed = this.#change.then(async () => {
      const problem = layerProblem(this.#layers[layer], texts)
      if (problem !== undefined || validateOnly) return problem
      const layers = { ...this.#layers, [layer]: { ...texts } }
      await replaceFile(this.#file, `${JSON.stringify(layers, null, 2)}\n`, OWNER_ONLY)
      this.#layers = layers
      this.#settings.setDynamic(layers)
      this.#onChange()
      return undefined
    })
    // The next change follows this one whatever became of it; its caller hears of a failure.
    this.#change = changed.catch(() => undefined)
    return changed
  }
}

/** What the settings that change need. */
export interface DynamicSettingsOptions {
  readonly dataDir: string
  readonly settings: BrokerSettings
  /** Called when something has changed: whoever keeps values must look again. */
  readonly onChange: () => void
}

/** Whether a setting can be changed while the broker runs. */
export function isDynamicSetting(name: string): boolean {
  return DYNAMIC_SETTINGS.has(name) || topicDefaults().has(name)
}

let topicDefaultNames: ReadonlySet<string> | undefined

/** Settings that give topics their defaults. As in Kafka, those in hours and minutes cannot change, those in ms can. */
function topicDefaults(): ReadonlySet<string> {
  topicDefaultNames ??= new Set(
    TOPIC_CONFIG_NAMES.flatMap(name => topicConfigEntry(name).synonyms)
      .filter(synonym => synonym.factor === undefined && synonym.name !== 'log.flush.scheduler.interval.ms')
      .map(synonym => synonym.name)
  )
  return topicDefaultNames
}

/** Kafka's sentence about a layer that cannot be; what was set before may stay, whatever it is. */
function layerProblem(before: Texts, texts: Texts): string | undefined {
  const changed = Object.keys(texts).filter(name => texts[name] !== before[name])
  const fixed = changed.filter(name => isKnown(name) && !isDynamicSetting(name))
  if (fixed.length > 0) return `Cannot update these configs dynamically: [${fixed.join(', ')}]`
  const own = changed.flatMap(name => brokerSettingProblem(name, texts[name] ?? '') ?? [])
  return [...own, ...brokerConfigProblems(texts)][0]
}

/** Settings that are read where they matter, and have no row in the table. */
const OTHER_SETTINGS: ReadonlySet<string> = new Set([
  'advertised.listeners',
  'broker.id',
  'listeners',
  'log.dir',
  'log.dirs',
  'log.flush.offset.checkpoint.interval.ms',
  'node.id',
  'producer.id.expiration.check.interval.ms'
])
/** Settings of listeners, which have a table of their own. */
const LISTENER_SETTINGS = /^(listener\.|ssl\.|sasl\.|connections\.max\.reauth\.ms$)/

/** Those of some names that have no effect here: misspelt, or settings of Kafka that one node does not need. */
export function settingsWithoutEffect(names: readonly string[]): string[] {
  return names.filter(name => !isKnown(name) && !LISTENER_SETTINGS.test(name))
}

/** Whether the broker has a setting; names that nobody knows are kept, as in Kafka. */
function isKnown(name: string): boolean {
  if (brokerSettingEntry(name) !== undefined || OTHER_SETTINGS.has(name)) return true
  return TOPIC_CONFIG_NAMES.some(topic => topicConfigEntry(topic).synonyms.some(synonym => synonym.name === name))
}

async function readLayers(file: string): Promise<Readonly<Record<DynamicLayer, Texts>>> {
  const text = (await readIfPresent(file))?.toString()
  if (text === undefined) return { cluster: {}, node: {} }
  try {
    const parsed: unknown = JSON.parse(text)
    return { cluster: textsIn(parsed, 'cluster'), node: textsIn(parsed, 'node') }
  } catch (cause) {
    const message = `${file} must hold the settings of "cluster" and "node": ${messageOf(cause)}`
    throw new PipelineError('ERR_BROKER_DATA_DAMAGED', message, { cause, fields: { file } })
  }
}

function textsIn(parsed: unknown, layer: DynamicLayer): Texts {
  const found = new Map(Object.entries(parsed ?? {})).get(layer)
  const texts = Object.entries(found ?? {}).map(([name, value]): [string, string] => {
    if (typeof value !== 'string') throw new TypeError(`${name} is not a text`)
    return [name, value]
  })
  return Object.fromEntries(texts)
}

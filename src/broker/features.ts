/**
 * Feature levels of the cluster: which protocols its clients may use.
 *
 * `transaction.version` 2 makes clients run transactions as in KIP-890,
 * `group.version` 1 lets them use the consumer protocol of KIP-848. Clients read
 * the levels in ApiVersions; UpdateFeatures changes them, durably.
 *
 *   file `features.properties` => `epoch=<number>`, then `<feature>=<level>` for every feature, Java properties
 *
 * Source: KIP-584, KIP-1022. Ranges and first levels are those of Apache Kafka 4.3.
 */

import path from 'node:path'
import { PipelineError } from '../core/index.ts'
import type { KafkaErrorName } from '../protocol/index.ts'
import { formatProperties, parseProperties, readIfPresent, replaceFile } from './log/small-files.ts'

const FILE = 'features.properties'
const UPGRADE = 1
const SAFE_DOWNGRADE = 2
const UNSAFE_DOWNGRADE = 3
/** Levels a feature can have, and the one it begins with. */
const FEATURES = {
  'group.version': { min: 0, max: 1, first: 1 },
  'metadata.version': { min: 7, max: 30, first: 30 },
  'transaction.version': { min: 0, max: 2, first: 2 }
} as const

/** Name of a feature. */
export type FeatureName = keyof typeof FEATURES

/** The lowest and highest level of a feature that this broker knows. */
export interface FeatureRange {
  readonly name: FeatureName
  readonly min: number
  readonly max: number
}

/** A change that UpdateFeatures asks for. */
export interface FeatureUpdate {
  readonly name: string
  /** 0 takes the feature away. */
  readonly level: number
  /** Kafka's `UpgradeType`: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade. */
  readonly upgradeType: number
}

/** Why an update was refused. */
export interface FeatureRefusal {
  readonly error: KafkaErrorName
  readonly message: string
}

/** What the store needs. */
export interface FeaturesOptions {
  readonly dataDir: string
  readonly nodeId: number
  /** Levels instead of Kafka's first ones, for a broker that poses as an older release. Nothing is stored then. */
  readonly posed?: Partial<Record<FeatureName, number>> | undefined
}

/** The feature levels of a broker. */
export class Features {
  readonly #options: FeaturesOptions
  readonly #file: string
  #levels: ReadonlyMap<FeatureName, number>
  #epoch: bigint
  #isPosed: boolean
  #change: Promise<unknown> = Promise.resolve()

  private constructor(options: FeaturesOptions, stored: { levels: Map<FeatureName, number>; epoch: bigint }) {
    this.#options = options
    this.#file = path.join(options.dataDir, FILE)
    this.#isPosed = options.posed !== undefined
    this.#levels = stored.levels
    this.#epoch = stored.epoch
  }

  /**
   * Reads the levels of a data folder, or begins with Kafka's.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if the file is there and cannot be understood.
   */
  static async open(options: FeaturesOptions): Promise<Features> {
    const levels = new Map<FeatureName, number>()
    if (options.posed !== undefined) {
      for (const name of names()) {
        const level = options.posed[name]
        if (level !== undefined) levels.set(name, level)
      }
      return new Features(options, { levels, epoch: levels.size === 0 ? -1n : 1n })
    }
    const file = path.join(options.dataDir, FILE)
    const text = (await readIfPresent(file))?.toString()
    const stored = text === undefined ? undefined : parseProperties(text)
    const epoch = stored?.get('epoch') ?? (text === undefined ? '1' : '')
    for (const name of names()) {
      const level = stored?.get(name) ?? String(FEATURES[name].first)
      if (!/^\d{1,4}$/.test(level) || Number(level) > FEATURES[name].max) throw damaged(file)
      levels.set(name, Number(level))
    }
    if (!/^\d{1,18}$/.test(epoch)) throw damaged(file)
    return new Features(options, { levels, epoch: BigInt(epoch) })
  }

  /** Level of a feature now; 0 is off. */
  level(name: FeatureName): number {
    return this.#levels.get(name) ?? 0
  }

  /** Counts the changes; clients ignore levels with an older epoch, and all levels while it is -1. */
  get epoch(): bigint {
    return this.#epoch
  }

  /** What could be set. */
  supported(): FeatureRange[] {
    if (this.#isPosed && this.#levels.size === 0) return []
    return names().map(name => ({ name, min: FEATURES[name].min, max: FEATURES[name].max }))
  }

  /** What is set: features with a level of 0 are left out. */
  finalized(): { name: FeatureName; level: number }[] {
    return names()
      .map(name => ({ name, level: this.level(name) }))
      .filter(({ level }) => level > 0)
  }

  /**
   * Changes all named levels, or none.
   *
   * @returns Why not, if so; `undefined` when the change is durable.
   */
  update(updates: readonly FeatureUpdate[], validateOnly: boolean): Promise<FeatureRefusal | undefined> {
    const changed = this.#change.then(() => this.#update(updates, validateOnly))
    // The next change follows this one whatever became of it; its caller hears of a failure.
    this.#change = changed.catch(() => undefined)
    return changed
  }

  async #update(updates: readonly FeatureUpdate[], validateOnly: boolean): Promise<FeatureRefusal | undefined> {
    const levels = new Map(this.#levels)
    for (const update of updates) {
      const problem = this.#problem(update)
      if (problem !== undefined) return refusal(problem)
      if (isFeatureName(update.name)) levels.set(update.name, update.level)
    }
    const isChanged = [...levels].some(([name, level]) => level !== this.level(name))
    if (validateOnly || !isChanged) return undefined
    const epoch = this.#epoch + 1n
    if (!this.#isPosed) {
      const lines = Object.fromEntries([...levels].map(([name, level]) => [name, String(level)]))
      await replaceFile(this.#file, formatProperties({ epoch: String(epoch), ...lines }))
    }
    this.#levels = levels
    this.#epoch = epoch
    return undefined
  }

  #problem({ name, level, upgradeType }: FeatureUpdate): string | undefined {
    const now = isFeatureName(name) ? this.level(name) : 0
    const mayDowngrade = upgradeType === SAFE_DOWNGRADE || upgradeType === UNSAFE_DOWNGRADE
    const start = `Invalid update version ${level} for feature ${name}.`
    const controller = `Local controller ${this.#options.nodeId}`
    if (!isFeatureName(name)) return `${start} ${controller} does not support this feature.`
    if (!mayDowngrade && upgradeType !== UPGRADE)
      return `${start} The controller does not support the given upgrade type.`
    const { min, max } = FEATURES[name]
    if (level < 0) return `${start} A feature version cannot be less than 0.`
    if (level > max || level < min) return `${start} ${controller} only supports versions ${min}-${max}`
    if (level < now && !mayDowngrade) {
      const how = 'without setting the upgrade type to either safe or unsafe downgrade.'
      return `${start} Can't downgrade the version of this feature ${how}`
    }
    if (level > now && mayDowngrade) return `${start} Can't downgrade to a newer version.`
    // Kafka refuses this where records would be lost; nothing here depends on the level, but clients see it.
    if (name === 'metadata.version' && level < now) {
      const why = 'Refusing to perform the requested downgrade because it might delete metadata information.'
      return `Unsupported metadata.version downgrade from ${now} to ${level}. ${why}`
    }
    return undefined
  }
}

function refusal(problem: string): FeatureRefusal {
  const message = `The update failed for all features since the following feature had an error: ${problem}`
  return { error: 'INVALID_UPDATE_VERSION', message }
}

function names(): FeatureName[] {
  return Object.keys(FEATURES).filter(isFeatureName)
}

function isFeatureName(name: string): name is FeatureName {
  return Object.hasOwn(FEATURES, name)
}

function damaged(file: string): PipelineError {
  const message = `${file} must hold an epoch and a level for every feature; remove it to begin with Kafka's levels`
  return new PipelineError('ERR_BROKER_DATA_DAMAGED', message, { fields: { file } })
}

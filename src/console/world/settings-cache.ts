/**
 * Settings of topics for the page of a topic: the one thing that views ask the cluster for.
 *
 * Limits: `TOPICS_MAX` topics, each asked for at most once in `AGE_MS`, whoever looks. What cannot be read is empty.
 */

import type { Admin, ConfigEntry } from '../../client/index.ts'
import { type Clock, messageOf, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { TopicDetail } from '../api/topics.ts'

/** Settings as they are shown. */
export type ShownSettings = TopicDetail['settings']

const AGE_MS = 60_000
const TOPICS_MAX = 200
const TIMEOUT_MS = 5000

/** What is shown although it is the default. */
const NOTABLE: ReadonlySet<string> = new Set([
  'cleanup.policy',
  'compression.type',
  'max.message.bytes',
  'message.timestamp.type',
  'min.insync.replicas',
  'retention.bytes',
  'retention.ms',
  'segment.bytes',
  'segment.ms'
])

/** Source: Kafka `DescribeConfigsResponse`, `ConfigSource`. */
const SOURCES: Readonly<Record<number, string>> = {
  1: 'topic',
  2: 'broker',
  3: 'cluster',
  4: 'broker file',
  5: 'default',
  8: 'group'
}

interface Kept {
  readonly value: Promise<ShownSettings>
  readonly untilMs: number
}

/** See the module. */
export class SettingsCache {
  readonly #admin: Pick<Admin, 'describeConfigs'>
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #kept = new Map<string, Kept>()

  constructor(admin: Pick<Admin, 'describeConfigs'>, clock: Clock, logger: Logger) {
    this.#admin = admin
    this.#clock = clock
    this.#logger = logger
  }

  /** Settings that differ from the default, or matter; empty if they cannot be read. */
  of(topic: string): Promise<ShownSettings> {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#kept.get(topic)
    if (known !== undefined && known.untilMs > nowMs) return known.value
    this.#kept.delete(topic)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < TOPICS_MAX) break
      this.#kept.delete(oldest)
    }
    const value = this.#ask(topic)
    this.#kept.set(topic, { value, untilMs: nowMs + AGE_MS })
    return value
  }

  async #ask(topic: string): Promise<ShownSettings> {
    try {
      const asked = this.#admin.describeConfigs([{ type: 'topic', name: topic }])
      const [found] = (await within(this.#clock, TIMEOUT_MS, asked)) ?? []
      return found?.errorCode === 0 ? shown(found.entries) : []
    } catch (error) {
      this.#logger.debug({ topic, error: messageOf(error) }, 'settings of a topic cannot be read')
      return []
    }
  }
}

function shown(entries: readonly ConfigEntry[]): ShownSettings {
  return entries
    .filter(({ name, isDefault }) => !isDefault || NOTABLE.has(name))
    .map(({ name, value, isSensitive, source }) => ({
      name,
      value: isSensitive ? '' : (value ?? ''),
      source: SOURCES[source] ?? 'unknown'
    }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

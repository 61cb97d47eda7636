/**
 * Names of retry topics: `<topic>.<groupId>.retry-<delay>`.
 *
 * A group may have any name and be long, a topic may not: what a topic name
 * cannot hold is replaced, and a hash keeps names apart that would become alike.
 * Source: Kafka `Topic.validate`, 1 to 249 of letters, digits, ".", "_", "-".
 */

import { createHash } from 'node:crypto'

import type { TopicPartition } from '../../client/index.ts'

/** Longest topic name in Kafka. */
const NAME_LENGTH_MAX = 249
const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000]
] as const

/** The retry topic of a topic for a group and a delay. */
export function retryTopicName(topic: string, groupId: string, delayMs: number): string {
  const suffix = `.retry-${delayName(delayMs)}`
  const legal = groupId.replace(/[^a-zA-Z0-9._-]/g, '_')
  const name = `${topic}.${legal}${suffix}`
  if (legal === groupId && name.length <= NAME_LENGTH_MAX) return name
  const hash = createHash('sha256').update(`${topic}\n${groupId}`).digest('hex').slice(0, 12)
  const room = NAME_LENGTH_MAX - suffix.length - hash.length - 1
  return `${`${topic}.${legal}`.slice(0, room)}-${hash}${suffix}`
}

/** A delay in its largest whole unit: `30s`, `5m`, `1h`, else `1500ms`. */
export function delayName(delayMs: number): string {
  for (const [unit, unitMs] of UNITS) if (delayMs % unitMs === 0) return `${delayMs / unitMs}${unit}`
  return `${delayMs}ms`
}

/** One tier of retries of a topic. */
export interface RetryTier {
  /** 1 for the first tier; 0 is the topic itself. */
  readonly stage: number
  readonly topic: string
  readonly delayMs: number
}

/** The retry topics of a group. */
export class RetryTopics {
  readonly #groupId: string
  readonly #delays: readonly number[]
  readonly #tiers = new Map<string, readonly RetryTier[]>()

  constructor(groupId: string, delays: readonly number[]) {
    this.#groupId = groupId
    this.#delays = delays
  }

  /** Tiers of a topic, the shortest delay first. */
  tiersOf(topic: string): readonly RetryTier[] {
    let tiers = this.#tiers.get(topic)
    if (tiers === undefined) {
      tiers = this.#delays.map((delayMs, index) => ({
        stage: index + 1,
        topic: retryTopicName(topic, this.#groupId, delayMs),
        delayMs
      }))
      this.#tiers.set(topic, tiers)
    }
    return tiers
  }

  /** The retry partitions that go with a partition: whoever has that one reads and commits these, too. */
  companionsOf({ topic, partition }: TopicPartition): TopicPartition[] {
    return this.tiersOf(topic).map(tier => ({ topic: tier.topic, partition }))
  }
}

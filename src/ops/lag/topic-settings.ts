/**
 * What topics say of retention, and how large partitions are: asked where records are unread, kept for a while, and
 * done without where a right is missing.
 */

import { Admin, type Cluster, partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import type { RetentionSettings } from './retention.ts'

/** How long settings are kept, in milliseconds. */
const settingsAgeMaxMs = 300_000
/** How long sizes are kept, in milliseconds: they only turn offsets into bytes. */
const sizesAgeMaxMs = 60_000
/** How long what was refused is not asked again, in milliseconds. */
const refusedAgeMs = 300_000
const names = ['retention.ms', 'retention.bytes', 'cleanup.policy']

interface Kept<T> {
  readonly value: T | undefined
  readonly untilMs: number
}

/** A partition, who leads it, and how many offsets it holds. */
export interface LedPartition extends TopicPartition {
  readonly leaderId: number
  readonly offsetCount: number
}

/** Settings and sizes, as far as they can be had. */
export class TopicSettings {
  readonly #cluster: Cluster
  readonly #admin: Admin
  readonly #settings = new Map<string, Kept<RetentionSettings>>()
  readonly #sizes = new Map<string, Kept<number>>()
  #noSizesUntilMs = 0
  #problem: string | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#admin = new Admin(cluster)
  }

  /** Why something is not known, for people. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** `undefined` = not known. */
  settingsOf(topic: string): RetentionSettings | undefined {
    return this.#settings.get(topic)?.value
  }

  /** What a record takes on the leader's disk, in bytes; `undefined` = not known. */
  recordBytesOf(at: TopicPartition): number | undefined {
    // As a rule nothing is limited by size, and no key needs to be made.
    return this.#sizes.size === 0 ? undefined : this.#sizes.get(partitionKeyOf(at))?.value
  }

  /** Asks what is not known yet, or too old, of partitions with unread records. Forgets all others. */
  async look(partitions: readonly LedPartition[]): Promise<void> {
    this.#problem = undefined
    const topics = new Set(partitions.map(({ topic }) => topic))
    for (const topic of this.#settings.keys()) if (!topics.has(topic)) this.#settings.delete(topic)
    await this.#lookAtSettings([...topics])
    const limited = partitions.filter(({ topic }) => {
      const settings = this.settingsOf(topic)
      return settings?.isDeleted === true && settings.retentionBytes !== undefined
    })
    const keys = new Set(limited.map(partitionKeyOf))
    for (const key of this.#sizes.keys()) if (!keys.has(key)) this.#sizes.delete(key)
    await this.#lookAtSizes(limited)
  }

  async #lookAtSettings(topics: readonly string[]): Promise<void> {
    const nowMs = this.#cluster.clock.monotonicMs()
    const asked = topics.filter(topic => (this.#settings.get(topic)?.untilMs ?? -Infinity) <= nowMs)
    if (asked.length === 0) return
    try {
      const resources = asked.map(name => ({ type: 'topic' as const, name }))
      for (const { name, errorCode, entries } of await this.#admin.describeConfigs(resources, { names })) {
        const value = errorCode === 0 ? settingsFrom(entries) : undefined
        if (value === undefined) this.#problem = `retention of ${name} is not known: needs the right DESCRIBE_CONFIGS`
        this.#settings.set(name, { value, untilMs: nowMs + settingsAgeMaxMs })
      }
    } catch (error) {
      // Who may not ask, or whose broker is away, is shown lag without headroom.
      this.#problem = `retention is not known: ${messageOf(error)}`
      for (const topic of asked) this.#settings.set(topic, { value: undefined, untilMs: nowMs + settingsAgeMaxMs })
    }
  }

  async #lookAtSizes(partitions: readonly LedPartition[]): Promise<void> {
    const nowMs = this.#cluster.clock.monotonicMs()
    if (nowMs < this.#noSizesUntilMs) return
    const byLeader = new Map<number, LedPartition[]>()
    for (const each of partitions) {
      if (each.leaderId < 0 || (this.#sizes.get(partitionKeyOf(each))?.untilMs ?? -Infinity) > nowMs) continue
      const some = byLeader.get(each.leaderId) ?? []
      some.push(each)
      byLeader.set(each.leaderId, some)
    }
    await Promise.all([...byLeader].map(([leaderId, some]) => this.#lookAtLeader(leaderId, some)))
  }

  async #lookAtLeader(leaderId: number, partitions: readonly LedPartition[]): Promise<void> {
    const nowMs = this.#cluster.clock.monotonicMs()
    // The size changes with the count: both are of the same moment.
    const counts = new Map(partitions.map(each => [partitionKeyOf(each), each.offsetCount]))
    try {
      for (const { partitions: found } of await this.#admin.describeLogDirs(leaderId, partitions)) {
        for (const each of found) {
          const count = counts.get(partitionKeyOf(each)) ?? 0
          if (count === 0) continue
          const kept = { value: Number(each.sizeBytes) / count, untilMs: nowMs + sizesAgeMaxMs }
          this.#sizes.set(partitionKeyOf(each), kept)
        }
      }
    } catch (error) {
      // The size of a record batch stands in for it, and what follows is marked as an estimate.
      const isRefused = PipelineError.is(error) && !error.retriable
      if (isRefused) this.#noSizesUntilMs = nowMs + refusedAgeMs
      this.#problem = `sizes of partitions are estimated: ${messageOf(error)}`
    }
  }
}

function settingsFrom(entries: readonly { readonly name: string; readonly value: string | null }[]): RetentionSettings {
  const values = new Map(entries.map(({ name, value }) => [name, value]))
  const policies = (values.get('cleanup.policy') ?? 'delete').split(',').map(each => each.trim())
  return {
    retentionMs: limitFrom(values.get('retention.ms')),
    retentionBytes: limitFrom(values.get('retention.bytes')),
    isDeleted: policies.includes('delete'),
    isCompacted: policies.includes('compact')
  }
}

/** -1 is "without limit". */
function limitFrom(text: string | null | undefined): number | undefined {
  const value = text === null || text === undefined ? Number.NaN : Number(text)
  return value >= 0 ? value : undefined
}

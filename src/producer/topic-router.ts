/**
 * Which topic an event goes to, by the text of one field.
 *
 * Single values win over ranges; among ranges the first in the file wins. A
 * range takes whole and broken numbers, written as a number or as its text.
 */

import type { RouteConfig } from './options.ts'

interface Range {
  readonly from: number
  readonly to: number
  readonly topic: string
}

const decimal = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/

/** Chooses topics. */
export class TopicRouter {
  /** Field to route by; `undefined` when every event goes to one topic. */
  readonly field: string | undefined
  readonly #byValue = new Map<string, string>()
  readonly #ranges: Range[] = []
  readonly #otherwise: string | undefined

  constructor(config: RouteConfig) {
    if ('topic' in config) {
      this.#otherwise = config.topic
      return
    }
    this.field = config.field
    this.#otherwise = config.otherwise
    for (const [topic, values] of Object.entries(config.topics)) {
      for (const value of values) {
        if (typeof value === 'object') this.#ranges.push({ ...value, topic })
        else this.#byValue.set(String(value), topic)
      }
    }
  }

  /** All topics that an event may go to. */
  get topics(): readonly string[] {
    const topics = [...this.#byValue.values(), ...this.#ranges.map(range => range.topic)]
    return [...new Set(this.#otherwise === undefined ? topics : [...topics, this.#otherwise])]
  }

  /** The topic for a field's text (`undefined` = the field is absent), or `undefined` if no topic takes it. */
  topicFor(value: string | undefined): string | undefined {
    if (value === undefined) return this.#otherwise
    return this.#byValue.get(value) ?? this.#inRange(value) ?? this.#otherwise
  }

  #inRange(value: string): string | undefined {
    if (this.#ranges.length === 0 || !decimal.test(value)) return undefined
    const number = Number(value)
    return this.#ranges.find(range => number >= range.from && number <= range.to)?.topic
  }
}

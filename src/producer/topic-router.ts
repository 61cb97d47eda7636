/**
 * Which topic an event goes to: a rule, then the weights of that rule, then the split of the topic.
 *
 * All forms of `producer.route` become one table of rules. Routing by one field
 * (`field` and `topics`) means: single values win over ranges, among ranges the
 * first in the file wins.
 */

import { eventTopics, routedTopics } from '../config/index.ts'
import { compileEventPattern, type FieldCondition, PipelineError, readFieldCondition } from '../core/index.ts'
import type { EventFields, FieldSet } from './event-fields.ts'
import type { RouteConfig } from './options.ts'
import { HeavyDetector, HeavyWatch } from './routing/heavy-detector.ts'
import { halfFor, type SplitTopics } from './routing/heavy-split.ts'
import { type RuleCondition, RuleTable } from './routing/rule-table.ts'
import { WeightedChoice } from './routing/weighted-choice.ts'

/** A topic that events are routed to, and what happens to them there. */
export interface RoutedTopic {
  readonly name: string
  readonly split: SplitTopics | undefined
  /** Field that the split looks at; -1 = the key. */
  readonly splitField: number
  readonly watch: HeavyWatch | undefined
  /** Field that the watch counts; -1 = the key. */
  readonly watchField: number
}

type Rules = Extract<RouteConfig, { rules: unknown }>['rules']

const BY_KEY = -1
const NONE = -1

/** Chooses topics. */
export class TopicRouter {
  /** All topics that an event may end in. */
  readonly topics: readonly string[]
  /** Watches over heavy hitters; absent = none. */
  readonly detector: HeavyDetector | undefined
  /** Field to route by; `undefined` with rules, and when every event goes to one topic. */
  readonly field: string | undefined
  readonly #routeField: number
  readonly #table: RuleTable | undefined
  readonly #targets: readonly (RoutedTopic | WeightedChoice<RoutedTopic>)[]
  readonly #otherwise: RoutedTopic | undefined
  /** Number of the rule that took the last event, from 0; -1 = none. */
  rule = NONE

  /** @param fields - Gets the fields that will be read. */
  constructor(config: RouteConfig, fields: FieldSet) {
    this.topics = eventTopics({ route: config })
    const { detector } = config
    const routed = new Map(routedTopics({ route: config }).map(name => [name, routedTopic(name, config, fields)]))
    const topicOf = (name: string): RoutedTopic => routed.get(name) ?? routedTopic(name, config, fields)
    const watches = [...routed.values()].flatMap(({ watch }) => watch ?? [])
    this.detector = detector === undefined ? undefined : new HeavyDetector(watches, detector.windowMs)
    const otherwise = 'topic' in config ? config.topic : config.otherwise
    this.#otherwise = otherwise === undefined ? undefined : topicOf(otherwise)
    this.field = 'field' in config ? config.field : undefined
    this.#routeField = this.field === undefined ? NONE : fields.add(this.field)
    const { conditions, targets } = tableOf(config, topicOf)
    this.#targets = targets
    this.#table = conditions.length === 0 ? undefined : new RuleTable(conditions, fields)
  }

  /** The topic that the rules name, or `undefined` if none takes the event. `rule` says which rule it was. */
  route(event: EventFields, key: Buffer | null): RoutedTopic | undefined {
    this.rule = this.#table?.find(event) ?? NONE
    if (this.rule === NONE) return this.#otherwise
    const target = this.#targets[this.rule]
    return target instanceof WeightedChoice ? target.choose(key) : target
  }

  /**
   * The topic that an event ends in. Counts it, where somebody watches.
   *
   * @param keyText - Text of its key; `undefined` = it has none.
   */
  topicFor(routed: RoutedTopic, event: EventFields, keyText: string | undefined): string {
    const { watch, split } = routed
    if (watch !== undefined) {
      const text = routed.watchField === BY_KEY ? keyText : event.text(routed.watchField)
      if (text !== undefined) watch.add(text)
    }
    if (split === undefined) return routed.name
    return halfFor(split, routed.splitField === BY_KEY ? keyText : event.text(routed.splitField))
  }

  /** Why an event has no topic. */
  problemOf(event: EventFields): string {
    if (this.field === undefined) return 'no rule takes the event'
    const isThere = event.text(this.#routeField) !== undefined
    const what = isThere ? 'has a value that no topic takes' : 'is missing, or no string, number or boolean'
    return `the field ${this.field} ${what}`
  }
}

function routedTopic(name: string, config: RouteConfig, fields: FieldSet): RoutedTopic {
  const { detector, split: splits = {} } = config
  const split = Object.hasOwn(splits, name) ? splits[name] : undefined
  const topics = split && { ...split.topics, heavyValues: new Set(split.heavy.map(String)) }
  const isWatched = detector !== undefined && (detector.topics?.includes(name) ?? true)
  const watchedField = split?.field ?? detector?.field
  const fieldOf = (field: string | undefined): number => (field === undefined ? BY_KEY : fields.add(field))
  return {
    name,
    split: topics,
    splitField: fieldOf(split?.field),
    watch: isWatched ? new HeavyWatch({ topic: name, field: watchedField, split: topics }, detector) : undefined,
    watchField: fieldOf(isWatched ? watchedField : undefined)
  }
}

interface Table {
  readonly conditions: readonly RuleCondition[]
  readonly targets: readonly (RoutedTopic | WeightedChoice<RoutedTopic>)[]
}

function tableOf(config: RouteConfig, topicOf: (name: string) => RoutedTopic): Table {
  if ('topic' in config) return { conditions: [], targets: [] }
  if ('rules' in config) {
    return {
      conditions: config.rules.map((rule, index) => conditionOf(rule, index)),
      targets: config.rules.map(rule => targetOf(rule, config.priorities, topicOf))
    }
  }
  const only = (condition: FieldCondition): RuleCondition => ({ fields: new Map([[config.field, condition]]) })
  const single: [RuleCondition, RoutedTopic][] = []
  const ranged: [RuleCondition, RoutedTopic][] = []
  for (const [name, values] of Object.entries(config.topics)) {
    const texts = values.flatMap(value => (typeof value === 'object' ? [] : [String(value)]))
    single.push([only({ texts, ranges: [], patterns: [] }), topicOf(name)])
    for (const value of values) {
      if (typeof value === 'object') ranged.push([only({ texts: [], ranges: [value], patterns: [] }), topicOf(name)])
    }
  }
  const all = [...single, ...ranged]
  return { conditions: all.map(([condition]) => condition), targets: all.map(([, topic]) => topic) }
}

function conditionOf({ when }: Rules[number], index: number): RuleCondition {
  const invalid = (path: readonly PropertyKey[], message: string): never => {
    const place = ['producer.route.rules', index, 'when', ...path].map(String).join('.')
    throw new PipelineError('ERR_CONFIG_INVALID', `${place}: ${message}`)
  }
  const fields = new Map<string, FieldCondition>()
  for (const [name, list] of Object.entries(when?.fields ?? {})) {
    fields.set(
      name,
      readFieldCondition(list, (path, message) => invalid(['fields', name, ...path], message))
    )
  }
  if (when?.value === undefined) return { fields }
  return { fields, value: compileEventPattern(when.value, (path, message) => invalid(['value', ...path], message)) }
}

function targetOf(
  rule: Rules[number],
  priorities: Readonly<Record<string, string>>,
  topicOf: (name: string) => RoutedTopic
): RoutedTopic | WeightedChoice<RoutedTopic> {
  if (rule.to !== undefined) {
    return new WeightedChoice(rule.to.map(({ topic, weight }) => ({ name: topic, weight, value: topicOf(topic) })))
  }
  const name = rule.topic ?? priorities[rule.priority ?? '']
  if (name !== undefined) return topicOf(name)
  throw new PipelineError('ERR_CONFIG_INVALID', `producer.route.rules: no topic for the priority ${rule.priority}`)
}

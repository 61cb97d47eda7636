/** What the settings of routing, keys and validation allow on their own, but not together with the others. */

import { closestName } from '../spelling.ts'
import type { Report } from './common.ts'
import { errorTopics, eventTopics, routedTopics } from './producer-topics.ts'
import type { ProducerConfig } from './producer.ts'

/** Reports routes, keys and checks that do not go together. */
export function checkRouting(producer: ProducerConfig, report: Report): void {
  const { route } = producer
  const at: Report = (path, message) => report(['producer', 'route', ...path], message)
  if ('topics' in route) checkValues(route.topics, at)
  if ('rules' in route) checkRules(route, at)
  checkSplits(producer, at)
  checkDetector(producer, at)
  checkValidation(producer, report)
}

type Route = ProducerConfig['route']

function checkValues(topics: Extract<Route, { topics: unknown }>['topics'], report: Report): void {
  const owners = new Map<string, string>()
  for (const [topic, values] of Object.entries(topics)) {
    for (const value of values) {
      if (typeof value === 'object') {
        if (value.from > value.to) report(['topics', topic], `the range ${value.from} to ${value.to} is empty`)
        continue
      }
      const owner = owners.get(String(value))
      if (owner !== undefined) report(['topics', topic], `the value ${value} already goes to ${owner}`)
      owners.set(String(value), topic)
    }
  }
}

function checkRules(route: Extract<Route, { rules: unknown }>, report: Report): void {
  const names = new Set<string>()
  const priorities = Object.keys(route.priorities)
  let takesAll: string | undefined
  for (const [index, rule] of route.rules.entries()) {
    const path = ['rules', index]
    if (takesAll !== undefined) report(path, `is never reached: ${takesAll} takes every event`)
    if (rule.name !== undefined && names.has(rule.name)) report([...path, 'name'], `${rule.name} is there twice`)
    if (rule.name !== undefined) names.add(rule.name)
    if (rule.when === undefined) takesAll ??= rule.name ?? `rule ${index + 1}`
    if (rule.priority !== undefined && !Object.hasOwn(route.priorities, rule.priority)) {
      const closest = closestName(rule.priority, priorities)
      const help = closest === undefined ? `add it to route.priorities` : `did you mean ${closest}?`
      report([...path, 'priority'], `there is no topic for the priority ${rule.priority}; ${help}`)
    }
  }
  if (takesAll !== undefined && route.otherwise !== undefined) {
    report(['otherwise'], `is never reached: ${takesAll} takes every event`)
  }
  const used = new Set(route.rules.map(rule => rule.priority))
  for (const name of priorities) {
    if (!used.has(name)) report(['priorities', name], 'no rule has this priority')
  }
}

function checkSplits(producer: ProducerConfig, report: Report): void {
  const { split = {} } = producer.route
  const routed = routedTopics(producer)
  for (const [topic, { topics, heavy, field }] of Object.entries(split)) {
    const path = ['split', topic]
    if (!routed.includes(topic)) report(path, `no event is routed to ${topic}${didYouMean(topic, routed)}`)
    if (topics.heavy === topics.light) report([...path, 'topics'], 'heavy and light are the same topic')
    for (const half of [topics.heavy, topics.light]) {
      if (half !== topic && Object.hasOwn(split, half)) report([...path, 'topics'], `${half} is split itself`)
    }
    const detects = producer.route.detector?.mode === 'move' && watchedTopics(producer).includes(topic)
    if (heavy.length === 0 && !detects) report([...path, 'heavy'], 'is empty, and no detector with mode move fills it')
    if (field === undefined && producer.key.strategy === 'none') {
      report([...path, 'field'], 'is missing: records have no key to split by')
    }
  }
}

function watchedTopics(producer: ProducerConfig): readonly string[] {
  return producer.route.detector?.topics ?? routedTopics(producer)
}

function checkDetector(producer: ProducerConfig, report: Report): void {
  const { detector, split = {} } = producer.route
  if (detector === undefined) return
  const routed = routedTopics(producer)
  for (const [index, topic] of (detector.topics ?? []).entries()) {
    const path = ['detector', 'topics', index]
    if (!routed.includes(topic)) report(path, `no event is routed to ${topic}${didYouMean(topic, routed)}`)
    else if (detector.mode === 'move' && !Object.hasOwn(split, topic)) {
      report(path, `has no split: say under route.split.${topic} where what is heavy moves to`)
    }
  }
  if (detector.mode === 'move' && detector.topics === undefined && Object.keys(split).length === 0) {
    report(['detector', 'mode'], 'move needs a split: say under route.split where what is heavy moves to')
  }
  if (detector.mode === 'move' && producer.delivery.transaction !== undefined) {
    report(['detector', 'mode'], 'move needs a moment without open records, which delivery.transaction does not give')
  }
  if (detector.counters * detector.share < 2) {
    const needed = Math.ceil(2 / detector.share)
    report(['detector', 'counters'], `are too few to tell a share of ${detector.share}: at least ${needed}`)
  }
  const hasField = (topic: string): boolean =>
    detector.field !== undefined || (Object.hasOwn(split, topic) && split[topic]?.field !== undefined)
  if (producer.key.strategy === 'none' && !watchedTopics(producer).every(hasField)) {
    report(['detector', 'field'], 'is missing: records have no key to count')
  }
}

function checkValidation(producer: ProducerConfig, report: Report): void {
  const routed = routedTopics(producer)
  const { topics } = producer.validate
  for (const topic of Object.keys(topics)) {
    if (routed.includes(topic)) continue
    report(['producer', 'validate', 'topics', topic], `no event is routed to ${topic}${didYouMean(topic, routed)}`)
  }
  const written = eventTopics(producer)
  for (const topic of errorTopics(producer)) {
    if (topic === producer.deadLetterTopic || !written.includes(topic)) continue
    report(pathOf(producer, topic), `${topic} is also a topic for events: invalid ones would be read as valid`)
  }
}

/** Where an error topic is named. */
function pathOf({ validate }: ProducerConfig, topic: string): PropertyKey[] {
  if (validate.errorTopic === topic) return ['producer', 'validate', 'errorTopic']
  const owner = Object.entries(validate.topics).find(([, check]) => check.errorTopic === topic)
  if (owner === undefined) return ['producer', 'route', 'rules']
  return ['producer', 'validate', 'topics', owner[0], 'errorTopic']
}

function didYouMean(name: string, known: readonly string[]): string {
  const closest = closestName(name, known)
  return closest === undefined ? `; there are: ${known.join(', ')}` : `; did you mean ${closest}?`
}

/** The topics that a producer writes to. */

import type { ProducerConfig } from './producer.ts'

/** The topics that routing names, before any split. */
export function routedTopics({ route }: Pick<ProducerConfig, 'route'>): readonly string[] {
  if ('topic' in route) return [route.topic]
  const otherwise = route.otherwise === undefined ? [] : [route.otherwise]
  if ('topics' in route) return [...new Set([...Object.keys(route.topics), ...otherwise])]
  const named = route.rules.flatMap(({ topic, to = [], priority }) => [
    ...(topic === undefined ? [] : [topic]),
    ...to.map(each => each.topic),
    ...(priority === undefined ? [] : [route.priorities[priority] ?? []].flat())
  ])
  return [...new Set([...named, ...otherwise])]
}

/** The topics that events may end in: those that routing names, each with the two of its split instead. */
export function eventTopics(producer: Pick<ProducerConfig, 'route'>): readonly string[] {
  const { split = {} } = producer.route
  const halves = (topic: string): readonly string[] => {
    const parts = Object.hasOwn(split, topic) ? split[topic]?.topics : undefined
    return parts === undefined ? [topic] : [parts.heavy, parts.light]
  }
  return [...new Set(routedTopics(producer).flatMap(halves))]
}

/** The topics that bad events go to: the dead letter topic, and those of validation. */
export function errorTopics(producer: ProducerConfig): readonly string[] {
  const { deadLetterTopic, route, validate } = producer
  const rules = 'rules' in route ? route.rules : []
  const checks = [...Object.values(validate.topics), ...rules.flatMap(rule => rule.validate ?? [])]
  const named = [validate.errorTopic, ...checks.map(check => check.errorTopic)]
  return [...new Set([deadLetterTopic, ...named.filter(topic => topic !== undefined)])]
}

/** All topics that a producer writes to. */
export function writtenTopics(producer: ProducerConfig): readonly string[] {
  return [...new Set([...eventTopics(producer), ...errorTopics(producer)])]
}

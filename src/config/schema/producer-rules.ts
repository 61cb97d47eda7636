/** What each setting of `producer:` allows on its own, but not together with the others. */

import type { Report } from './common.ts'
import { checkKafkaSources } from './producer-kafka-rules.ts'
import type { ProducerConfig } from './producer.ts'
import { checkRate } from './producer-rate.ts'
import { scenarioProblems } from './scenario.ts'

/** Reports settings of the producer that do not go together. */
export function checkProducer(producer: ProducerConfig, report: Report): void {
  const stdinCount = producer.sources.filter(source => source.type === 'stdin').length
  if (stdinCount > 1) report(['producer', 'sources'], 'standard input can be a source only once')
  producer.sources.forEach((source, index) => {
    if (source.type !== 'generator') return
    for (const { path, message } of scenarioProblems(source)) report(['producer', 'sources', index, ...path], message)
  })
  checkRoute(producer.route, report)
  checkKafkaSources(producer, report)
  checkRate({ rate: producer.rate, topics: topicsOf(producer), hasSpill: 'spill' in producer }, report)
}

function checkRoute(route: ProducerConfig['route'], report: Report): void {
  if (!('topics' in route)) return
  const owners = new Map<string, string>()
  for (const [topic, values] of Object.entries(route.topics)) {
    for (const value of values) {
      if (typeof value === 'object') {
        if (value.from > value.to)
          report(['producer', 'route', 'topics', topic], `the range ${value.from} to ${value.to} is empty`)
        continue
      }
      const owner = owners.get(String(value))
      if (owner !== undefined)
        report(['producer', 'route', 'topics', topic], `the value ${value} already goes to ${owner}`)
      owners.set(String(value), topic)
    }
  }
}

/** The topics that events may go to. */
function topicsOf({ route, deadLetterTopic }: ProducerConfig): string[] {
  if ('topic' in route) return [route.topic, deadLetterTopic]
  const { topics, otherwise } = route
  return [...Object.keys(topics), ...(otherwise === undefined ? [] : [otherwise]), deadLetterTopic]
}

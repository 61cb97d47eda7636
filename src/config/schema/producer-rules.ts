/** What each setting of `producer:` allows on its own, but not together with the others. */

import type { Report } from './common.ts'
import { checkAway } from './producer-away.ts'
import { checkKafkaSources } from './producer-kafka-rules.ts'
import type { ProducerConfig } from './producer.ts'
import { checkHeaders } from './producer-headers.ts'
import { checkRate } from './producer-rate.ts'
import { checkRouting } from './producer-routing-rules.ts'
import { writtenTopics } from './producer-topics.ts'
import { checkTransaction } from './producer-transaction.ts'
import { checkSources } from './producer-source-rules.ts'
import { scenarioProblems } from './scenario.ts'

/** Reports settings of the producer that do not go together. */
export function checkProducer(producer: ProducerConfig, report: Report): void {
  const stdinCount = producer.sources.filter(source => source.type === 'stdin').length
  if (stdinCount > 1) report(['producer', 'sources'], 'standard input can be a source only once')
  producer.sources.forEach((source, index) => {
    if (source.type !== 'generator') return
    for (const { path, message } of scenarioProblems(source)) report(['producer', 'sources', index, ...path], message)
  })
  checkSources(producer.sources, report)
  checkRouting(producer, report)
  checkKafkaSources(producer, report)
  checkHeaders(producer.headers, report)
  checkAway(producer, report)
  checkTransaction(producer, report)
  checkRate({ rate: producer.rate, topics: writtenTopics(producer), hasSpill: producer.spill !== undefined }, report)
}

/** What Kafka sources may not do: read what the pipeline writes, or pass what has no way. */

import type { Report } from './common.ts'
import { eventTopics, writtenTopics } from './producer-topics.ts'
import type { ProducerConfig } from './producer.ts'

/** Reports Kafka sources that would read what the pipeline writes, or cannot do what they are told. */
export function checkKafkaSources(producer: ProducerConfig, report: Report): void {
  const written = writtenTopics(producer)
  for (const [index, source] of producer.sources.entries()) {
    if (source.type !== 'kafka') continue
    const path = ['producer', 'sources', index]
    for (const topic of source.topics) {
      if (source.cluster === undefined && written.includes(topic)) {
        report([...path, 'topics'], `the pipeline writes to ${topic}: its events would go round for ever`)
      }
    }
    if (source.tombstones !== 'pass') continue
    if (!source.keepKey) report([...path, 'tombstones'], 'records without a value pass only with `keepKey: true`')
    if (eventTopics(producer).length !== 1) {
      report([...path, 'tombstones'], 'records without a value have no field to route by: they pass to one topic only')
    }
  }
}

/** Topics that a dispatcher was told of and cannot see: said at the start, because it only waits for them. */

import type { DispatcherConfig } from '../config/index.ts'
import { kafkaErrorName } from '../protocol/index.ts'
import type { Logger } from '../telemetry/index.ts'

/** What the cluster says of one topic. */
interface TopicAnswer {
  readonly topic: string
  readonly errorCode: number
}

/** All topics that a configuration names. */
export function topicsNamedIn({ topics, deadLetterTopic, target }: DispatcherConfig): string[] {
  const output = target.type === 'topic' && target.topic !== undefined ? [target.topic] : []
  return [...new Set([...topics, deadLetterTopic, ...output])]
}

/** Warns of each topic that is not there, or not for this client, and says what waits for it. */
export function warnOfMissingTopics(config: DispatcherConfig, answers: readonly TopicAnswer[], logger: Logger): void {
  const errors = new Map(answers.map(({ topic, errorCode }) => [topic, errorCode]))
  for (const topic of topicsNamedIn(config)) {
    const errorCode = errors.get(topic)
    if (errorCode === 0) continue
    const reason =
      errorCode === undefined || errorCode === 3 ? 'does not exist' : `cannot be seen (${kafkaErrorName(errorCode)})`
    logger.warn({ topic }, `${waitsFor(topic, config)}: it ${reason}`)
  }
}

function waitsFor(topic: string, { topics, deadLetterTopic }: DispatcherConfig): string {
  if (topics.includes(topic)) return 'nothing is dispatched of a topic until it is there'
  if (topic === deadLetterTopic) return 'a partition with a bad record waits for the dead letter topic'
  return 'everything waits for the topic of the target'
}

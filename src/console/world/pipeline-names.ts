/** What topics and groups are in a pipeline, as its file says. Pure. */

import {
  errorTopics,
  type EventSourceMappingConfig,
  eventTopics,
  type OperationsConfig,
  type PipelineConfig
} from '../../config/index.ts'
import type { TopicRow } from '../api/topics.ts'

/** Source: `retryTopicName` of the dispatcher: `<topic>.<group>.retry-<delay>`. */
const RETRY = /\.retry-(\d+)(ms|s|m|h|d)$/
/** Names that people give to topics of dead letters. */
const DEAD_LETTERS = /(?:^|[._-])(?:dlq|dlt|dead[._-]?letters?)(?:$|[._-])/i
const INTERNAL = /^__|[.-]internal$/
const UNIT_SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }
const KAFKA_DESTINATION = 'kafka://'

/** Names of a pipeline; empty without one. */
export interface PipelineNames {
  readonly events: ReadonlySet<string>
  readonly deadLetters: ReadonlySet<string>
  /** Groups whose work the pipeline is, and those with an objective. */
  readonly groups: ReadonlySet<string>
}

/** Reads the names. */
export function pipelineNames(pipeline: PipelineConfig | undefined, { slo }: OperationsConfig): PipelineNames {
  const { producer, dispatcher, eventSourceMappings = [] } = pipeline ?? {}
  const events = [
    ...(producer === undefined ? [] : eventTopics(producer)),
    ...(dispatcher?.topics ?? []),
    ...eventSourceMappings.map(({ topic }) => topic)
  ]
  const deadLetters = [
    ...(producer === undefined ? [] : errorTopics(producer)),
    ...(dispatcher === undefined ? [] : [dispatcher.deadLetterTopic]),
    ...eventSourceMappings.flatMap(mapping => deadLetterTopicOf(mapping) ?? [])
  ]
  const groups = [
    ...(dispatcher === undefined ? [] : [dispatcher.groupId]),
    ...eventSourceMappings.flatMap(({ groupId, uuid }) => groupId ?? uuid ?? []),
    ...slo.map(({ group }) => group)
  ]
  return { events: new Set(events), deadLetters: new Set(deadLetters), groups: new Set(groups) }
}

/** The topic that records of a mapping go to that fail; `undefined` = none, or it is no topic. */
export function deadLetterTopicOf({ onFailure }: EventSourceMappingConfig): string | undefined {
  return onFailure?.startsWith(KAFKA_DESTINATION) === true ? onFailure.slice(KAFKA_DESTINATION.length) : undefined
}

/** What a topic is. */
export function roleOfTopic(topic: string, isInternal: boolean, names: PipelineNames): TopicRow['role'] {
  if (isInternal || INTERNAL.test(topic)) return 'internal'
  if (names.events.has(topic)) return 'events'
  if (names.deadLetters.has(topic) || DEAD_LETTERS.test(topic)) return 'deadLetters'
  return RETRY.test(topic) ? 'retries' : 'other'
}

/** Seconds that records wait in a retry topic; `undefined` = it is none of this group and topic. */
export function retryDelayOf(name: string, topic: string): number | undefined {
  const [, amount, unit = ''] = name.startsWith(`${topic}.`) ? (RETRY.exec(name) ?? []) : []
  const seconds = UNIT_SECONDS[unit]
  return amount === undefined || seconds === undefined ? undefined : Number(amount) * seconds
}

/** What boards and rules are made for: a pipeline, or any. */

import type { PipelineConfig } from '../../config/index.ts'
import { HEALTH, type HealthThresholds } from '../slo/conditions.ts'
import type { SloObjective } from '../slo/objective.ts'

/** A topic that a group reads, and how long it keeps records. */
export interface BoardTopic {
  readonly name: string
  /** `retention.ms`; absent = not limited by time. */
  readonly retentionMs: number | undefined
}

/** Settings of boards. */
export interface BoardSettings {
  /** Name of the pipeline; in titles and in names of resources. Default `comporta`: templates for any pipeline. */
  readonly name: string
  /** Groups of dispatchers; empty = all there are. */
  readonly groups: readonly string[]
  /** Topics that are read; empty = all there are, with Kafka's default retention. */
  readonly topics: readonly BoardTopic[]
  readonly objectives: readonly SloObjective[]
  readonly health: HealthThresholds
  /** Address of the runbook, to which `#comporta…` is added. */
  readonly runbookUrl: string
  /** Prometheus' job of the scrape configuration, as a regular expression. */
  readonly job: string
}

/** Where the runbook is, and how Prometheus calls what it scrapes. */
export type BoardPlaces = Pick<BoardSettings, 'runbookUrl' | 'job'>

/** Places where nobody says otherwise. */
export const BOARD_PLACES: BoardPlaces = { runbookUrl: 'docs/guides/runbook.md', job: '.*comporta.*' }

/** Settings of templates that fit any pipeline. */
export function genericBoards(places: BoardPlaces = BOARD_PLACES): BoardSettings {
  return { name: 'comporta', groups: [], topics: [], objectives: [], health: HEALTH, ...places }
}

/** Settings of a pipeline file: its group, its topics and their retention, its objectives and thresholds. */
export function pipelineBoards(pipeline: PipelineConfig, places: BoardPlaces = BOARD_PLACES): BoardSettings {
  const { name, dispatcher, topics, operations } = pipeline
  return {
    name,
    groups: dispatcher === undefined ? [] : [dispatcher.groupId],
    topics: (dispatcher?.topics ?? []).map(topic => ({
      name: topic,
      retentionMs: retentionOf(topics[topic]?.config['retention.ms'])
    })),
    objectives: operations.slo,
    health: operations.health,
    ...places
  }
}

/** -1 is Kafka's word for keeping records whatever their age. */
function retentionOf(text: string | undefined): number | undefined {
  const retentionMs = text === undefined ? RETENTION_MS_DEFAULT : Number(text)
  return Number.isFinite(retentionMs) && retentionMs > 0 ? retentionMs : undefined
}

/** Kafka's default for `log.retention.hours`. */
export const RETENTION_MS_DEFAULT = 604_800_000

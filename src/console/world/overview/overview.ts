/** The first page: `GET /api/overview`. Made once for each look and each answer of the processes, whoever asks. */

import type { PipelineConfig } from '../../../config/index.ts'
import type { GroupLag } from '../../../ops/index.ts'
import type { HealthLevel, Series } from '../../api/common.ts'
import type { NodeKind, Overview, PipelineNode } from '../../api/overview.ts'
import type { InstanceLook } from '../../flow/instance-types.ts'
import { worstOf } from '../group-health.ts'
import { type GroupRows, statusOf } from '../group-rows.ts'
import type { LookIndex } from '../look-index.ts'
import { shortNumber, shortNumbers } from '../numbers.ts'
import { orderBy } from '../order.ts'
import { type PipelineNames, roleOfTopic } from '../pipeline-names.ts'
import type { SeriesName, World, WorldLook } from '../world-types.ts'
import { drawCluster } from './cluster-picture.ts'
import { ProducerRate } from './instance-facts.ts'
import { Picture } from './picture.ts'
import { drawPipeline } from './pipeline-picture.ts'

/** What overviews are made from. */
export interface OverviewOptions {
  readonly world: World
  readonly pipeline: PipelineConfig | undefined
  readonly rows: GroupRows
  readonly names: PipelineNames
}

const WORST_MAX = 5
const TOPIC_KINDS: ReadonlySet<NodeKind> = new Set(['topic', 'deadLetters', 'retries'] as const)

/** Makes overviews. */
export class OverviewMaker {
  readonly #options: OverviewOptions
  readonly #producerRate = new ProducerRate()
  #last: { readonly look: WorldLook; readonly instances: readonly InstanceLook[]; readonly made: Overview } | undefined

  constructor(options: OverviewOptions) {
    this.#options = options
  }

  /** Takes note of what processes last said. */
  see(instances: readonly InstanceLook[]): void {
    this.#producerRate.see(instances)
  }

  /** The overview of a look. */
  make(look: WorldLook, index: LookIndex, instances: readonly InstanceLook[]): Overview {
    if (this.#last?.look === look && this.#last.instances === instances) return this.#last.made
    const made = this.#make(look, index, instances)
    this.#last = { look, instances, made }
    return made
  }

  #make(look: WorldLook, index: LookIndex, instances: readonly InstanceLook[]): Overview {
    const { scan, report, freshness } = look
    const { pipeline, rows, names } = this.#options
    const picture = new Picture()
    const easel = { picture, index, rows }
    if (pipeline === undefined) drawCluster(easel)
    else drawPipeline({ ...easel, pipeline, instances, producerRate: this.#producerRate.rate })
    const { nodes, edges } = picture
    const topicCount = index.topics.filter(
      each => roleOfTopic(each.topic, each.isInternal, names) !== 'internal'
    ).length
    const drawn = nodes.filter(({ kind, name }) => TOPIC_KINDS.has(kind) && scan.topics.has(name))
    const drawnGroups = nodes.filter(({ kind, name }) => kind === 'group' && look.groupsById.has(name))
    return {
      freshness,
      pipeline: pipeline?.name ?? '',
      clusterId: scan.clusterId,
      brokerCount: scan.brokers.length,
      topicCount,
      groupCount: report.groups.length,
      health: healthOf(pipeline === undefined ? nodes : nodes.filter(each => isOwn(each, names))),
      nodes,
      edges,
      hiddenTopics: Math.max(0, topicCount - drawn.length),
      hiddenGroups: Math.max(0, report.groups.length - drawnGroups.length),
      groupsByStatus: countStatuses(report.groups, index),
      arrivalRate: this.#total('arrivalRate'),
      serviceRate: this.#total('serviceRate'),
      worstLagSeconds: this.#total('lagSeconds'),
      worst: worstGroups(report.groups, index)
    }
  }

  #total(name: SeriesName): Series {
    const { timesMs, values } = this.#options.world.totalSeries(name)
    return { timesMs, values: shortNumbers(values) }
  }
}

/** Groups of others who read along say nothing of the pipeline. */
function isOwn({ kind, name }: PipelineNode, { groups }: PipelineNames): boolean {
  return kind !== 'group' || groups.has(name)
}

/** Of processes that the console does not know nothing is known, and nothing follows from it. */
function healthOf(nodes: readonly PipelineNode[]): HealthLevel {
  const known = nodes.filter(({ kind, health }) => {
    const isProcess = kind === 'source' || kind === 'producer' || kind === 'target'
    return !(isProcess && health === 'unknown')
  })
  return known.length === 0 ? 'idle' : worstOf(known.map(({ health }) => health))
}

function countStatuses(groups: readonly GroupLag[], index: LookIndex): Overview['groupsByStatus'] {
  const counts = { OK: 0, WARN: 0, ERR: 0, NONE: 0 }
  for (const group of groups) counts[statusOf(group, index)] += 1
  return counts
}

function worstGroups(all: readonly GroupLag[], index: LookIndex): Overview['worst'] {
  const groups = all.filter(({ groupId }) => !index.isRestingReplay(groupId))
  const order = orderBy(groups.length, at => lateness(groups[at]), true)
  return [...order.subarray(0, WORST_MAX)].flatMap(at => {
    const group = groups[at]
    if (group === undefined || group.problem !== undefined || group.lagRecords === 0n) return []
    return [
      {
        groupId: group.groupId,
        lagSeconds: shortNumber(group.lagSeconds),
        lagRecords: group.lagRecords.toString()
      }
    ]
  })
}

/** Seconds first; of those that are unknown the number of records tells. */
function lateness(group: GroupLag | undefined): number | undefined {
  if (group === undefined || group.problem !== undefined || group.lagRecords === 0n) return undefined
  return (group.lagSeconds ?? 0) + Math.min(1, Number(group.lagRecords) / 1e12)
}

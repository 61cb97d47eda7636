/** Looks at a group and its fleet for a rollout: what cannot be seen is a problem, which keeps the gates shut. */

import { Admin, type Cluster } from '../../client/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { FleetActuator } from '../fleet/fleet.ts'
import { LagMonitor } from '../lag/lag-monitor.ts'
import type { LagReport } from '../lag/lag-types.ts'
import type { RolloutObservation } from './rollout-types.ts'
import { guardedLook } from '../fleet/guarded.ts'

/** Source: Kafka `UNKNOWN_TOPIC_OR_PARTITION`. */
const UNKNOWN_TOPIC = 3

/** What is looked at. */
export interface RolloutSightOptions {
  readonly cluster: Cluster
  readonly group: string
  /** Only these topics. Default: all that the group reads. */
  readonly topics?: readonly string[]
  readonly isReadCommitted?: boolean
  /** Its records are counted; absent = there is none. */
  readonly deadLetterTopic?: string | undefined
  readonly fleet: FleetActuator
  readonly clock: Clock
}

/** Looks again and again. */
export class RolloutSight {
  readonly #options: RolloutSightOptions
  readonly #monitor: LagMonitor
  readonly #admin: Admin

  constructor(options: RolloutSightOptions) {
    const { cluster, clock, group, topics, isReadCommitted } = options
    this.#options = options
    this.#admin = new Admin(cluster)
    this.#monitor = new LagMonitor({
      cluster,
      clock,
      groups: [group],
      windowSize: 2,
      withRetention: false,
      ...(topics === undefined ? {} : { topics }),
      ...(isReadCommitted === undefined ? {} : { isReadCommitted })
    })
  }

  /** One look. Never throws: what failed is among its problems. */
  async look(signal?: AbortSignal): Promise<RolloutObservation> {
    const { fleet, group: groupId, clock, deadLetterTopic } = this.#options
    const problems: string[] = []
    const guarded = guardedLook(problems)
    const [instances, group, report, deadLetters] = await Promise.all([
      guarded('the fleet does not answer', () => fleet.instances(signal)),
      guarded('the group could not be described', async () => (await this.#admin.describeGroups([groupId]))[0]),
      guarded('the lag could not be read', () => this.#monitor.look(signal)),
      deadLetterTopic === undefined
        ? undefined
        : guarded('the dead letters could not be counted', () => this.#count(deadLetterTopic))
    ])
    return {
      atMs: clock.now(),
      instances: instances?.map(({ id, state, health, incarnation }) => ({
        id,
        state,
        health,
        incarnation: incarnation ?? id
      })),
      groupState: group?.errorCode === 0 ? group.state : undefined,
      members: group?.members.map(({ memberId, assignment }) => ({ memberId, partitions: assignment.length })),
      ...lagOf(report, groupId),
      deadLetters,
      problems
    }
  }

  /** Records that the dead letter topic has ever had; none where it does not exist yet. */
  async #count(topic: string): Promise<bigint> {
    const { topics } = await this.#admin.describeTopics([topic])
    const [found] = topics
    if (found === undefined || found.errorCode === UNKNOWN_TOPIC) return 0n
    if (found.errorCode !== 0)
      throw new PipelineError('ERR_OPS_REFUSED', `${topic}: ${kafkaErrorName(found.errorCode)}`)
    const ends = await this.#admin.listOffsets(
      found.partitions.map(({ partition }) => ({ topic, partition, at: 'latest' as const }))
    )
    return ends.reduce((sum, { offset }) => sum + (offset > 0n ? offset : 0n), 0n)
  }
}

type LagSeen = Pick<RolloutObservation, 'lagSeconds' | 'partitionCount'>

/** Age of the oldest unread record of all partitions, `undefined` if that of any is not known. */
export function lagOf(report: LagReport | undefined, groupId: string): LagSeen {
  const group = report?.groups.find(each => each.groupId === groupId)
  if (group === undefined || group.problem !== undefined) return { lagSeconds: undefined, partitionCount: undefined }
  const partitions = group.partitions.filter(({ flags }) => !flags.includes('noTopic'))
  let lagSeconds: number | undefined = 0
  for (const each of partitions) {
    // What is said of a partition without a leader is old, or nothing at all: that is no lag of 0.
    const isUnknown = !each.isKnown || each.flags.includes('offline')
    if (!isUnknown && each.lagRecords === 0n) continue
    if (isUnknown || each.lagSeconds === undefined) return { lagSeconds: undefined, partitionCount: partitions.length }
    lagSeconds = Math.max(lagSeconds, each.lagSeconds)
  }
  return { lagSeconds, partitionCount: partitions.length }
}

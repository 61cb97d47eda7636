/** What dispatchers say of their partitions: whether an operator paused them, and what they wait for. Pure. */

import { dispatcherSaid } from '../flow/flow-view.ts'
import type { InstanceLook } from '../flow/instance-types.ts'

/** What the dispatcher that owns a partition says of it. */
export interface PartitionSaid {
  readonly isPaused: boolean
  /** In the dispatcher's word; `null` = nothing. */
  readonly heldUpBy: string | null
}

/** What is said of the partitions of a group. */
export class GroupSaid {
  readonly #partitions = new Map<string, PartitionSaid>()

  constructor(looks: readonly InstanceLook[], groupId: string) {
    for (const look of looks) {
      const said = dispatcherSaid(look)
      if (said?.groupId !== groupId) continue
      for (const { topic, partition, blockedBy, fetchPausedBy } of said.partitions) {
        const heldUpBy = fetchPausedBy ?? blockedBy
        const isPaused = fetchPausedBy === 'operator' || blockedBy === 'operator'
        this.#partitions.set(`${topic} ${partition}`, { isPaused, heldUpBy })
      }
    }
  }

  /** `undefined` = no dispatcher is known that owns it. */
  of(topic: string, partition: number): PartitionSaid | undefined {
    return this.#partitions.size === 0 ? undefined : this.#partitions.get(`${topic} ${partition}`)
  }
}

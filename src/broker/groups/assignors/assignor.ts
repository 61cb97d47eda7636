/**
 * What a server-side assignor is: a pure function from the members, what they
 * subscribe to and what they have, to what each of them shall have.
 */

import type { Partitions } from '../consumer-group-types.ts'

/** One member as an assignor sees it. */
export interface AssignmentMember {
  readonly memberId: string
  readonly instanceId: string | null
  /** Ids of the topics it subscribes to that exist. */
  readonly topicIds: ReadonlySet<string>
  /** What it is to have now: the target before this one. */
  readonly target: Partitions
}

/** The group as an assignor sees it. */
export interface AssignmentInput {
  readonly members: readonly AssignmentMember[]
  /** Partitions of a topic. */
  readonly partitionCount: (topicId: string) => number
}

/** What every member shall have, by member id. Members without partitions may be missing. */
export type GroupAssignment = ReadonlyMap<string, Partitions>

/** An assignor. */
export interface Assignor {
  /** Kafka's name of it. */
  readonly name: string
  assign(input: AssignmentInput): GroupAssignment
}

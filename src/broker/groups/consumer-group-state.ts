/**
 * State of one consumer group: what its records say, and nothing else.
 *
 * `apply` is the only way to change it, so a restart replays the same code.
 * Beside the members it keeps who owns which partition: the epoch of the owner
 * by partition, from which the others know whether a partition is free.
 */

import type { ConsumerGroupRecord } from './consumer-group-records.ts'
import {
  type ConsumerGroupState,
  type ConsumerMember,
  type CurrentAssignment,
  type MemberMetadata,
  NO_PARTITIONS,
  NOTHING_OWNED,
  type OwnedPartitions,
  type Partitions,
  type ResolvedRegex
} from './consumer-group-types.ts'

/** A member that has said nothing and has nothing. */
const BLANK_METADATA: MemberMetadata = {
  instanceId: null,
  rackId: null,
  clientId: '',
  clientHost: '',
  topicNames: [],
  topicRegex: '',
  rebalanceTimeoutMs: -1,
  assignor: null,
  classic: null
}

const BLANK_ASSIGNMENT: CurrentAssignment = {
  epoch: 0,
  previousEpoch: -1,
  state: 'stable',
  assigned: NOTHING_OWNED,
  pendingRevocation: NOTHING_OWNED
}

/** A member before it has joined. */
export function blankMember(memberId: string): ConsumerMember {
  return { memberId, ...BLANK_METADATA, ...BLANK_ASSIGNMENT }
}

/** The metadata of a member, for its record. */
export function metadataOf(member: ConsumerMember): MemberMetadata {
  const { instanceId, rackId, clientId, clientHost, topicNames, topicRegex } = member
  const { rebalanceTimeoutMs, assignor, classic } = member
  return { instanceId, rackId, clientId, clientHost, topicNames, topicRegex, rebalanceTimeoutMs, assignor, classic }
}

/** The current assignment of a member, for its record. */
export function currentOf({
  epoch,
  previousEpoch,
  state,
  assigned,
  pendingRevocation
}: ConsumerMember): CurrentAssignment {
  return { epoch, previousEpoch, state, assigned, pendingRevocation }
}

/** What is known of one consumer group. */
export class ConsumerGroupRecords {
  #epoch = 0
  #metadataHash = 0n
  #assignmentEpoch = 0
  #assignmentTimestampMs = -1
  readonly #members = new Map<string, ConsumerMember>()
  readonly #instances = new Map<string, string>()
  readonly #targets = new Map<string, Partitions>()
  readonly #regexes = new Map<string, ResolvedRegex>()
  /** Id of the owner of each partition, by topic id. */
  readonly #owners = new Map<string, Map<number, string>>()

  /** Grows with everything that may change the assignment; 0 before the first member. */
  get epoch(): number {
    return this.#epoch
  }

  /** Hash of the subscribed topics and their partition counts at that epoch. */
  get metadataHash(): bigint {
    return this.#metadataHash
  }

  /** Epoch of the group that the target assignment was made for. */
  get assignmentEpoch(): number {
    return this.#assignmentEpoch
  }

  /** When the target assignment was made, in epoch milliseconds; -1 if never. */
  get assignmentTimestampMs(): number {
    return this.#assignmentTimestampMs
  }

  /** The members, oldest first. */
  get members(): ReadonlyMap<string, ConsumerMember> {
    return this.#members
  }

  /** Topics that the patterns of members have matched, by pattern. */
  get regexes(): ReadonlyMap<string, ResolvedRegex> {
    return this.#regexes
  }

  /** State, as Kafka names it. */
  get state(): ConsumerGroupState {
    if (this.#members.size === 0) return 'Empty'
    if (this.#epoch > this.#assignmentEpoch) return 'Assigning'
    for (const member of this.#members.values()) {
      if (member.state !== 'stable' || member.epoch !== this.#assignmentEpoch) return 'Reconciling'
    }
    return 'Stable'
  }

  /** A member by its id. */
  member(memberId: string): ConsumerMember | undefined {
    return this.#members.get(memberId)
  }

  /** The static member of an instance id. */
  staticMember(instanceId: string): ConsumerMember | undefined {
    const memberId = this.#instances.get(instanceId)
    return memberId === undefined ? undefined : this.#members.get(memberId)
  }

  /** What a member shall have. */
  target(memberId: string): Partitions {
    return this.#targets.get(memberId) ?? NO_PARTITIONS
  }

  /** Ids that have a target record, members or not. */
  get targetIds(): Iterable<string> {
    return this.#targets.keys()
  }

  /** Id of the member that has a partition, or has not given it back yet. */
  ownerOf(topicId: string, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition)
  }

  /** Takes a record over. */
  apply(record: ConsumerGroupRecord): void {
    switch (record.kind) {
      case 'epoch':
        this.#epoch = record.value?.epoch ?? 0
        this.#metadataHash = record.value?.metadataHash ?? 0n
        return
      case 'targetEpoch':
        this.#assignmentEpoch = record.value?.epoch ?? 0
        this.#assignmentTimestampMs = record.value?.timestampMs ?? -1
        return
      case 'target':
        if (record.value === undefined) this.#targets.delete(record.memberId)
        else this.#targets.set(record.memberId, record.value)
        return
      case 'regex':
        if (record.value === undefined) this.#regexes.delete(record.pattern)
        else this.#regexes.set(record.pattern, record.value)
        return
      case 'member':
        this.#applyMetadata(record.memberId, record.value)
        return
      case 'current':
        this.#applyCurrent(record.memberId, record.value)
    }
  }

  /** Records that remove the group from the log. */
  tombstones(): ConsumerGroupRecord[] {
    const records: ConsumerGroupRecord[] = []
    for (const memberId of this.#members.keys()) records.push({ kind: 'current', memberId, value: undefined })
    for (const memberId of this.#targets.keys()) records.push({ kind: 'target', memberId, value: undefined })
    records.push({ kind: 'targetEpoch', value: undefined })
    for (const memberId of this.#members.keys()) records.push({ kind: 'member', memberId, value: undefined })
    for (const pattern of this.#regexes.keys()) records.push({ kind: 'regex', pattern, value: undefined })
    records.push({ kind: 'epoch', value: undefined })
    return records
  }

  #applyMetadata(memberId: string, metadata: MemberMetadata | undefined): void {
    const known = this.#members.get(memberId)
    if (metadata === undefined) {
      if (known === undefined) return
      this.#forgetInstance(known)
      this.#disown(known)
      this.#members.delete(memberId)
      return
    }
    if (known !== undefined && known.instanceId !== metadata.instanceId) this.#forgetInstance(known)
    this.#members.set(memberId, { ...(known ?? blankMember(memberId)), ...metadata })
    if (metadata.instanceId !== null) this.#instances.set(metadata.instanceId, memberId)
  }

  #applyCurrent(memberId: string, current: CurrentAssignment | undefined): void {
    const known = this.#members.get(memberId)
    if (known !== undefined) this.#disown(known)
    // The tombstone comes before that of the metadata, or after it in a log that was compacted.
    if (current === undefined) {
      if (known !== undefined) this.#members.set(memberId, { ...known, ...BLANK_ASSIGNMENT })
      return
    }
    const member = { ...(known ?? blankMember(memberId)), ...current }
    this.#members.set(memberId, member)
    this.#own(memberId, member.assigned)
    this.#own(memberId, member.pendingRevocation)
  }

  #own(memberId: string, partitions: OwnedPartitions): void {
    for (const [topicId, epochs] of partitions) {
      const owners = this.#owners.get(topicId) ?? new Map<number, string>()
      this.#owners.set(topicId, owners)
      for (const partition of epochs.keys()) owners.set(partition, memberId)
    }
  }

  /** Only what is still this member's: its successor may have been written before its tombstone. */
  #disown({ memberId, assigned, pendingRevocation }: ConsumerMember): void {
    for (const partitions of [assigned, pendingRevocation]) {
      for (const [topicId, epochs] of partitions) {
        const owners = this.#owners.get(topicId)
        if (owners === undefined) continue
        for (const partition of epochs.keys()) if (owners.get(partition) === memberId) owners.delete(partition)
        if (owners.size === 0) this.#owners.delete(topicId)
      }
    }
  }

  #forgetInstance({ memberId, instanceId }: ConsumerMember): void {
    if (instanceId !== null && this.#instances.get(instanceId) === memberId) this.#instances.delete(instanceId)
  }
}

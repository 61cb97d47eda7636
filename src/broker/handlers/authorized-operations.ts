/**
 * What a caller may do to a cluster, topic or group: one bit per operation code
 * of Kafka's `AclOperation`, in the answers that were asked for it (KIP-430).
 */

import { authorizedOperations, CLUSTER, type Subject } from '../security/acls/index.ts'
import type { BrokerState } from './broker-state.ts'

/** What a caller may do to the cluster; nothing if it may not even describe it. */
export function operationsOnCluster({ authorizer }: BrokerState, caller: Subject): number {
  if (!authorizer.wouldAllow(caller, 'describe', CLUSTER)) return 0
  return authorizedOperations(authorizer, caller, { type: 'cluster', name: CLUSTER.name })
}

/** What a caller may do to a topic. */
export function operationsOnTopic({ authorizer }: BrokerState, caller: Subject, name: string): number {
  return authorizedOperations(authorizer, caller, { type: 'topic', name })
}

/** What a caller may do to a group. */
export function operationsOnGroup({ authorizer }: BrokerState, caller: Subject, name: string): number {
  return authorizedOperations(authorizer, caller, { type: 'group', name })
}

/**
 * What handlers ask before they look at what a request names: the error that
 * the caller gets for a resource it may not touch, and the lists it may see.
 *
 * The check comes first: whether a topic or group exists is not said to whoever
 * may not describe it. What a whole request needs is said by `clusterOperation` or
 * `needs` in the handler's definition instead.
 */

import { KAFKA_ERRORS, type KafkaErrorName } from '../../protocol/index.ts'
import { CLUSTER, type OperationName, type ResourceTypeName, type Subject } from '../security/acls/index.ts'
import type { BrokerState } from './broker-state.ts'

/** What a caller may be refused, and the error it then gets. */
const ERRORS = {
  topic: 'TOPIC_AUTHORIZATION_FAILED',
  group: 'GROUP_AUTHORIZATION_FAILED',
  cluster: 'CLUSTER_AUTHORIZATION_FAILED',
  transactionalId: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  delegationToken: 'DELEGATION_TOKEN_AUTHORIZATION_FAILED',
  user: 'CLUSTER_AUTHORIZATION_FAILED'
} as const satisfies Record<ResourceTypeName, KafkaErrorName>

/** A right to a resource. */
export interface Need {
  readonly operation: OperationName
  readonly type: ResourceTypeName
  readonly name: string
}

/** Why a caller may not do something to a resource; `undefined` if it may. */
export function authorizationError(broker: BrokerState, caller: Subject, need: Need): KafkaErrorName | undefined {
  return broker.authorizer.isAllowed(caller, need.operation, need) ? undefined : ERRORS[need.type]
}

/** Whether a caller may do something to a topic. */
export function mayTopic(
  broker: BrokerState,
  caller: Subject,
  { operation, name }: { readonly operation: OperationName; readonly name: string }
): boolean {
  return broker.authorizer.isAllowed(caller, operation, { type: 'topic', name })
}

/** Whether a topic is shown to a caller in a list that it asked for as a whole. */
export function maySeeTopic(broker: BrokerState, caller: Subject, name: string): boolean {
  return broker.authorizer.wouldAllow(caller, 'describe', { type: 'topic', name })
}

/** Whether a caller may create a topic: it may create any in the cluster, or this one. */
export function mayCreateTopic(broker: BrokerState, caller: Subject, name: string): boolean {
  return (
    broker.authorizer.wouldAllow(caller, 'create', CLUSTER) || mayTopic(broker, caller, { operation: 'create', name })
  )
}

/** Types of resources with settings: Kafka's `ConfigResource.Type` numbers. */
const CONFIG_RESOURCES: ReadonlyMap<number, ResourceTypeName> = new Map([
  [2, 'topic'],
  [4, 'cluster'], // a broker
  [8, 'cluster'], // loggers of a broker
  [16, 'cluster'], // client metrics
  [32, 'group']
])

/** Why a caller may not see or change the settings of a resource; `undefined` if it may, or there is no such type. */
export function configRefusal(
  broker: BrokerState,
  caller: Subject,
  need: { readonly operation: OperationName; readonly resourceType: number; readonly resourceName: string }
): { error: KafkaErrorName; message: string } | undefined {
  const type = CONFIG_RESOURCES.get(need.resourceType)
  if (type === undefined) return undefined
  const name = type === 'cluster' ? CLUSTER.name : need.resourceName
  const error = authorizationError(broker, caller, { operation: need.operation, type, name })
  return error === undefined ? undefined : { error, message: KAFKA_ERRORS[error].message }
}

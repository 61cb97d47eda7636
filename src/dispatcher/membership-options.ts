/** What the settings of a dispatcher say about its membership of the group. */

import type { DispatcherConfig } from '../config/index.ts'
import type { MemberOptions } from './kafka-side.ts'

/** The options of the member that the settings decide. */
export function membershipOf(config: DispatcherConfig): Omit<MemberOptions, 'groupId' | 'topics' | 'listener'> {
  const { groupInstanceId, serverAssignor } = config
  return {
    groupProtocol: config.groupProtocol,
    ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    isStaticPlaceGivenUp: config.staticStop === 'leave',
    sessionTimeoutMs: config.sessionTimeoutMs,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    topicCheckIntervalMs: config.topicCheckIntervalMs,
    assignors: config.assignors,
    ...(serverAssignor === undefined ? {} : { serverAssignor }),
    autoOffsetReset: config.autoOffsetReset,
    isReadCommitted: config.isolationLevel === 'read_committed'
  }
}

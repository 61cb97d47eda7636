/** ListPartitionReassignments, version 0: nothing is ever being reassigned on one node. */

import { listPartitionReassignmentsApi } from '../../protocol/index.ts'
import { defineHandler } from './handler.ts'

/** The handler of ListPartitionReassignments. */
export const listPartitionReassignmentsHandler = defineHandler({
  api: listPartitionReassignmentsApi,
  clusterOperation: 'describe',
  handle: () => ({ topics: [] }),
  fail: (_request, code) => ({ errorCode: code })
})

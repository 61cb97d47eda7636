/**
 * FindCoordinator, versions 0 to 6: this broker coordinates every group and every
 * transactional id. The topic under them is created when it is first asked for.
 *
 * Share groups are not supported: asking for their coordinator is INVALID_REQUEST,
 * which no client retries, with a message that says why.
 * Source: KIP-699 (batched keys, version 4).
 */

import { type FindCoordinatorResponseInput, findCoordinatorApi, type KafkaErrorName } from '../../protocol/index.ts'
import { authorizationError } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, errorMessage } from './handler.ts'

const GROUP = 0
const TRANSACTION = 1
const BATCHED_KEYS_VERSION = 4
const NOT_SUPPORTED = 'This broker coordinates consumer groups and transactions; share groups are not supported.'

/** The handler of FindCoordinator. */
export const findCoordinatorHandler = defineHandler({
  api: findCoordinatorApi,
  handle: async (broker, request, caller): Promise<FindCoordinatorResponseInput> => {
    const keyError = await keyTypeError(broker, request.keyType)
    const answerFor = (key: string): CoordinatorAnswer =>
      answer(broker, caller.listener, mayFindError(broker, caller, { keyType: request.keyType, key }) ?? keyError)
    if (caller.apiVersion >= BATCHED_KEYS_VERSION) {
      return { coordinators: request.coordinatorKeys.map(key => ({ key, ...answerFor(key) })) }
    }
    return answerFor(request.key)
  },
  // Each form has its own place for the error, and refuses the other's.
  fail: ({ coordinatorKeys }, code) =>
    coordinatorKeys.length === 0
      ? { errorCode: code }
      : { coordinators: coordinatorKeys.map(key => ({ key, errorCode: code })) }
})

async function keyTypeError(broker: BrokerState, keyType: number): Promise<KafkaErrorName> {
  if (keyType !== GROUP && keyType !== TRANSACTION) return 'INVALID_REQUEST'
  const topic = keyType === GROUP ? broker.offsetsTopic : broker.transactions
  return (await topic.ensureCreated()) ? 'NONE' : 'COORDINATOR_NOT_AVAILABLE'
}

/** Why the caller may not learn who coordinates a group or transactional id. */
function mayFindError(
  broker: BrokerState,
  caller: Caller,
  { keyType, key }: { keyType: number; key: string }
): KafkaErrorName | undefined {
  if (keyType === GROUP) return authorizationError(broker, caller, { operation: 'describe', type: 'group', name: key })
  if (keyType !== TRANSACTION) return undefined
  return authorizationError(broker, caller, { operation: 'describe', type: 'transactionalId', name: key })
}

interface CoordinatorAnswer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

function answer(broker: BrokerState, listener: string, error: KafkaErrorName): CoordinatorAnswer {
  const { host, port } = broker.endpointOf(listener)
  const node = error === 'NONE' ? { nodeId: broker.nodeId, host, port } : { nodeId: -1, host: '', port: -1 }
  return {
    errorCode: errorCode(error),
    errorMessage: error === 'INVALID_REQUEST' ? NOT_SUPPORTED : errorMessage(error),
    ...node
  }
}

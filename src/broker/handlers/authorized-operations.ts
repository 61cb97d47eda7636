/**
 * What a client may do: everything, since there is no authorizer. One bit per
 * operation code of Kafka's `AclOperation`, as Kafka answers it (KIP-430).
 */

/** CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE. */
export const AUTHORIZED_CLUSTER_OPERATIONS: number = bits([5, 7, 8, 9, 10, 11, 12])
/** READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS. */
export const AUTHORIZED_TOPIC_OPERATIONS: number = bits([3, 4, 5, 6, 7, 8, 10, 11])
/** READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS. */
export const AUTHORIZED_GROUP_OPERATIONS: number = bits([3, 6, 8, 10, 11])

function bits(operations: readonly number[]): number {
  return operations.reduce((mask, operation) => mask | (1 << operation), 0)
}

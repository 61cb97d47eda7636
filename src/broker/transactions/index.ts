/** Transaction coordinator: transactional ids, their state in `__transaction_state`, and the markers that end them. */

export { type Marker, type MarkerWriter, TransactionCoordinator } from './transaction-coordinator.ts'
export type { IdentityAnswer, PartitionsRequest, TransactionSettings } from './transaction-coordinator.ts'
export { PartitionMarkers } from './marker-writer.ts'
export { StateTopic, TRANSACTION_STATE_TOPIC, type TransactionLog } from './state-topic.ts'
export { isState } from './transaction-records.ts'
export { clientTransactionVersion } from './transaction-state.ts'
export {
  partitionsOf,
  type TopicPartition,
  type TransactionMetadata,
  type TransactionState
} from './transaction-state.ts'
export type { ProducerIdentity } from './transaction.ts'

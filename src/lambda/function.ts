/**
 * The door for code that is bundled into functions: `comporta/function`.
 *
 * The room's other door brings the embedded runtime, its workers and the event source mapping with it. This one leads
 * only to what runs *inside* a function, and a bundler keeps of it what a function uses: a handler with `kafkaBatch`
 * needs neither an AWS SDK, Powertools nor the Kafka client. See docs/decisions/0007.
 */

export { createDistributor, type Distributor, type DistributorContext } from './distributor/distributor.ts'
export type { DistributorObserver } from './distributor/observer.ts'
export type { DistributorOptions, RoutedRecord } from './distributor/options.ts'
export type { DistributorResponse } from './distributor/verdict.ts'
export { createEnricher, type EnricherDependencies } from './enrichment/create-enricher.ts'
export type { Enricher } from './enrichment/enricher.ts'
export type { EnrichmentSettings } from './enrichment/settings.ts'
export type {
  ComportaEvent,
  ComportaFailure,
  ComportaResponse,
  ComportaText,
  KafkaBatchItemFailure,
  KafkaBatchResponse,
  KafkaEvent,
  KafkaEventHeader,
  KafkaEventRecord,
  KafkaSchemaMetadata,
  MskKafkaEvent,
  SelfManagedKafkaEvent
} from './event/event-types.ts'
export type { RecordHeader } from './event/event-partition.ts'
export type { FailedRecord, KafkaBatchRun } from './kafka-batch/batch-run.ts'
export {
  type AnswerTo,
  type BatchAnswer,
  kafkaBatch,
  type KafkaBatchContext,
  type KafkaBatchFunction,
  type RecordHandler,
  type RecordsHandler
} from './kafka-batch/kafka-batch.ts'
export type { KafkaRecord, RecordContent, RecordHeaders } from './kafka-batch/kafka-record.ts'
export type { FailureAction, KafkaBatchLogger, KafkaBatchOptions } from './kafka-batch/options.ts'
export type { RecordOrder } from './kafka-batch/partition-progress.ts'
export {
  DeadLetterRecord,
  RecordOutcome,
  RetryRecord,
  type RetryRecordOptions,
  SkipRecord
} from './kafka-batch/record-outcomes.ts'
export type { SchemaIssue, SchemaResult, StandardSchema } from './kafka-batch/standard-schema.ts'
export type { BatchGuard, GuardedBatch, GuardedPartition } from './idempotency/batch-guard.ts'
export { createBatchGuard, type GuardDependencies } from './idempotency/create-guard.ts'
export type { IdempotencySettings } from './idempotency/settings.ts'
export { type PowertoolsInstances, powertoolsObserver } from './observability/powertools-observer.ts'

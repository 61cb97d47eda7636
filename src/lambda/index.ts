/** `lambda`: the distributor function, and the embedded Lambda runtime (the Invoke API over worker threads). */

export { builtinDistributor } from './distributor/builtin.ts'
export { createDistributor, type Distributor, type DistributorContext } from './distributor/distributor.ts'
export type {
  DistributorObserver,
  ObservedBatch,
  ObservedFailures,
  ObservedPartition,
  ObservedRequest,
  ObservedResult
} from './distributor/observer.ts'
export type { DistributorOptions, DistributorRouting, RoutedRecord, RouteOptions } from './distributor/options.ts'
export type { DistributorResponse } from './distributor/verdict.ts'
export type { ComportaFailure, KafkaBatchItemFailure } from './event/event-types.ts'
export { idempotencyPolicy } from './idempotency/policy.ts'
export { createEnricher, type EnricherDependencies } from './enrichment/create-enricher.ts'
export type {
  EnrichablePartition,
  EnrichedPartition,
  Enricher,
  EnrichmentCounts,
  EnrichmentFailure
} from './enrichment/enricher.ts'
export { enrichmentPolicy } from './enrichment/policy.ts'
export { type EnrichmentCacheSettings, enrichmentProblems, type EnrichmentSettings } from './enrichment/settings.ts'
export type {
  AwsPlace,
  DynamoDbSourceSettings,
  HttpSourceSettings,
  KeyAttribute,
  S3SourceSettings,
  SortKeyAttribute,
  SourceSettings
} from './enrichment/source-settings.ts'
export type {
  LogKeys,
  PowertoolsLogger,
  PowertoolsMetrics,
  PowertoolsTracer,
  XraySubsegment
} from './observability/powertools.ts'
export { type PowertoolsInstances, powertoolsObserver } from './observability/powertools-observer.ts'
export { observabilityProblems, type ObservabilitySettings } from './observability/settings.ts'
export { destinationProblem } from './runtime/events/destination-arn.ts'
export type { Faults, FaultsInput, FaultsStatus, LatencyDistribution } from './runtime/faults.ts'
export type { FunctionStatus } from './runtime/managed-function.ts'
export type {
  AliasOptions,
  EventOptions,
  FunctionOptions,
  LambdaRuntimeOptions,
  VersionOptions
} from './runtime/options.ts'
export { type LambdaRuntime, startLambdaRuntime } from './runtime/runtime.ts'
export {
  EventSourceMapping,
  type MappingRunOptions,
  type MappingStatus,
  startEventSourceMapping
} from './esm/event-source-mapping.ts'
export {
  MappingApi,
  type MappingApiAnswer,
  type MappingApiOptions,
  type MappingApiRequest,
  type StartedMapping
} from './esm/mapping-api.ts'
export { mappingOptionsOf, type MappingRequest } from './esm/mapping-request.ts'
export {
  type EventSourceMappingOptions,
  mappingProblems,
  type MappingProblem,
  type StartingPosition
} from './esm/settings.ts'
export type { InvocationContext } from './worker/invocation.ts'

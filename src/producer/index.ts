/** `producer`: from sources of events to topics. Validate, route, key, limit the rate, publish, dead-letter. */

export { DEAD_LETTER_HEADER } from './dead-letters.ts'
export { EVENT_OUTCOME, type Refusal, type Settlement } from './delivery.ts'
export type { ChunkContext } from './chunk-context.ts'
export { ChunkBuilder, type EventChunk } from './event-chunk.ts'
export type { BrokenRule, EventErrorClass, EventProblem } from './event-problem.ts'
export type { Intake, Submission, SubmitOptions } from './intake.ts'
export { LineSplitter } from './line-splitter.ts'
export type { OutletState } from './outlet.ts'
export {
  type DrainReport,
  type Producer,
  type ProducerOptions,
  type ProducerState,
  type ProducerStatus,
  startProducer
} from './producer.ts'
export type { ProducerTotals } from './producer-metrics.ts'
export type { HeavyReport, HeavyValue } from './routing/heavy-detector.ts'
export type { PartitionerInput, PartitionFunction } from './routing/partitioner.ts'
export { type SchemaProblem, schemaProblems } from './validation/compile-schemas.ts'
export { chunkOfEvents } from './sources/events-chunk.ts'
export { DirectorySource, type DirectorySourceOptions } from './sources/directory-source.ts'
export { FollowSource, type FollowSourceOptions } from './sources/follow-source.ts'
export { type HttpAddress, HttpSource, type HttpSourceOptions } from './sources/http-source.ts'
export { KafkaSource, type KafkaSourceOptions } from './sources/kafka-source.ts'
export { KinesisSource, type KinesisSourceOptions } from './sources/kinesis-source.ts'
export {
  type CreateSource,
  moduleSource,
  type ModuleSourceOptions,
  type SourceContext
} from './sources/module-source.ts'
export { type ChunkHooks, OpenChunks } from './sources/open-chunks.ts'
export { SqsSource, type SqsSourceOptions } from './sources/sqs-source.ts'
export { compareQuota, ensureQuota, type QuotaComparison } from './rate/kafka-quota.ts'
export type { Source, SourceProgress, SourceReport } from './sources/source.ts'
export { StateFile, type StateFileOptions, type StateFileParts } from './sources/source-state.ts'
export { fileSource, type LineSourceOptions, StreamSource, streamSource } from './sources/stream-source.ts'
export { type SyslogAddress, SyslogSource, type SyslogSourceOptions } from './sources/syslog/syslog-source.ts'
export { TRUCK_CODES, TRUCK_EVENT_KIND, type TruckBatch, TruckEvents, truckPopulation } from './sources/truck-events.ts'
export { fnv1a64Hex } from './fnv1a64.ts'
export { TruckSource, type TruckSourceOptions } from './sources/truck-source.ts'

/** `config`: the pipeline file: schema, environment, loading, messages with line numbers. */

export { HANDLER_TEMPLATE, PIPELINE_TEMPLATE } from './template.ts'
export { loadPipelineFile, parsePipeline, type PipelineCheck, pipelineJsonSchema } from './load.ts'
export { dispatcherConfig, type DispatcherInput } from './dispatcher-config.ts'
export { producerConfig, type ProducerInput } from './producer-config.ts'
export type { Place, Problem } from './problems.ts'
export type { DispatcherConfig, TargetConfig } from './schema/dispatcher.ts'
export type { RecordFilterConfig } from './schema/dispatcher-filter.ts'
export type { KafkaConfig, TopicConfig } from './schema/kafka.ts'
export type { FunctionConfig, LambdaConfig } from './schema/lambda.ts'
export type { PipelineConfig } from './schema/pipeline.ts'
export type { ProducerConfig, SourceConfig } from './schema/producer.ts'
export type { Environment } from './source.ts'

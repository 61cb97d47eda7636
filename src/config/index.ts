/** `config`: the pipeline file: schema, environment, loading, messages with line numbers. */

export { HANDLER_TEMPLATE, PIPELINE_TEMPLATE } from './template.ts'
export { loadPipelineFile, parsePipeline, type PipelineCheck, pipelineJsonSchema } from './load.ts'
export { checkConsole, CONSOLE_PORT, type ConsoleConfig, consoleDefaults } from './schema/console.ts'
export { dispatcherConfig, type DispatcherInput } from './dispatcher-config.ts'
export { kafkaConfig, type KafkaInput } from './kafka-config.ts'
export { producerConfig, type ProducerInput } from './producer-config.ts'
export { loadScenarioFile, parseScenario, scenarioConfig, type ScenarioInput, scenarioJsonSchema } from './scenario.ts'
export {
  loadSimulationFile,
  parseSimulation,
  parseYamlValue,
  simulationConfig,
  type SimulationInput,
  simulationJsonSchema
} from './simulation.ts'
export type { Place, Problem } from './problems.ts'
export type { DispatcherConfig, TargetConfig } from './schema/dispatcher.ts'
export type { RecordFilterConfig } from './schema/dispatcher-filter.ts'
export type { EventSourceMappingConfig } from './schema/event-source-mappings.ts'
export type { KafkaConfig, TopicConfig } from './schema/kafka.ts'
export type { BearerSaslConfig, IamSaslConfig, PasswordSaslConfig } from './schema/kafka-sasl.ts'
export type { SecretText, SourceOfCredentials } from './schema/kafka-sources.ts'
export type { TlsConfig } from './schema/kafka-tls.ts'
export type { LambdaConfig } from './schema/lambda.ts'
export type { FunctionConfig } from './schema/lambda-functions.ts'
export { type CostConfig, costDefaults } from './schema/operations-cost.ts'
export { type FleetConfig, type RolloutConfig, rolloutDefaults } from './schema/operations-fleet.ts'
export { type ScaleConfig, scaleDefaults } from './schema/operations-scale.ts'
export { type OperationsConfig, operationsDefaults } from './schema/operations.ts'
export type { AlertConfig } from './schema/operations-alerts.ts'
export type { PipelineConfig } from './schema/pipeline.ts'
export { errorTopics, eventTopics, routedTopics, writtenTopics } from './schema/producer-topics.ts'
export { type ProducerWarning, producerWarnings } from './schema/producer-warnings.ts'
export type { ProducerConfig, SourceConfig } from './schema/producer.ts'
export type { EventCheckConfig } from './schema/producer-validation.ts'
export { transactionDefaults } from './schema/producer-transaction.ts'
export type { ScenarioConfig } from './schema/scenario.ts'
export type { SimulationConfig, SimulationEvent } from './schema/simulation.ts'
export type { SimulationAutoscale } from './schema/simulation-autoscale.ts'
export type { LogsConfig } from './schema/telemetry-logs.ts'
export type { MetricsConfig } from './schema/telemetry-metrics.ts'
export type { TracesConfig } from './schema/telemetry-traces.ts'
export { type TelemetryConfig, telemetryDefaults } from './schema/telemetry.ts'
export { simulationSeconds, type SimulationTime } from './schema/simulation-time.ts'
export type { Environment } from './source.ts'

/**
 * Which cluster an operation is for: the one of the pipeline file, or one that
 * is named on the command line, for people who have no pipeline file.
 */

import type { Command } from 'commander'

import type { Admin, Cluster } from '../../client/index.ts'
import type { KafkaConfig, PipelineConfig } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type CommonOptions, loadPipeline, loggerFor } from '../context.ts'
import { connectCluster } from '../wiring.ts'

/** Options of every operation. */
export interface ClusterCommandOptions extends CommonOptions {
  readonly brokers?: string
  /** The name that Kafka's own tools have for it. */
  readonly bootstrapServer?: string
  readonly commandConfig?: string
}

/** A cluster that an operation talks to. */
export interface OpenCluster {
  readonly cluster: Cluster
  readonly admin: Admin
  /** How it is reached. */
  readonly kafka: KafkaConfig
  /** The pipeline file; absent where `--brokers` named the cluster. */
  readonly pipeline: PipelineConfig | undefined
  readonly logger: Logger
}

/** Adds the options that name a cluster. */
export function withClusterOptions(command: Command): Command {
  return command
    .option('--brokers <addresses>', 'a cluster instead of that of the pipeline file: host:port,host:port')
    .option('--bootstrap-server <addresses>', 'the same, as Kafka’s own tools call it')
    .option('--command-config <file>', 'Java client properties: how that cluster is reached (security, timeouts)')
}

/**
 * Connects, runs, and closes the connections whatever comes of it.
 *
 * @param name - Name of the command: part of the client id, and of log lines.
 */
export async function withCluster<T>(
  name: string,
  options: ClusterCommandOptions,
  run: (open: OpenCluster) => Promise<T>
): Promise<T> {
  const { kafka, pipeline } = await clusterOf(options)
  const logger = loggerFor(name, options)
  const { Admin } = await import('../../client/index.ts')
  const cluster = await connectCluster(kafka, name, logger)
  try {
    return await run({ cluster, admin: new Admin(cluster), kafka, pipeline, logger })
  } finally {
    await cluster.close()
  }
}

/** The cluster that the command line or the pipeline file names. */
export async function clusterOf(
  options: ClusterCommandOptions
): Promise<{ kafka: KafkaConfig; pipeline: PipelineConfig | undefined }> {
  const brokers = options.brokers ?? options.bootstrapServer
  if (options.commandConfig !== undefined)
    return { kafka: await kafkaByProperties(options.commandConfig, brokers), pipeline: undefined }
  if (brokers === undefined) {
    const pipeline = await loadPipeline(options)
    return { kafka: pipeline.kafka, pipeline }
  }
  const { kafkaConfig } = await import('../../config/index.ts')
  return { kafka: kafkaConfig({ bootstrapServers: brokers }), pipeline: undefined }
}

async function kafkaByProperties(path: string, brokers: string | undefined): Promise<KafkaConfig> {
  const { kafkaConfig } = await import('../../config/index.ts')
  const { readClientProperties } = await import('./client-properties.ts')
  const { readInput } = await import('../properties.ts')
  const { kafka, environment, ignored } = readClientProperties(readInput(path), process.env)
  const bootstrapServers = brokers ?? kafka.bootstrapServers
  if (bootstrapServers === undefined) {
    throw new PipelineError('ERR_CLI_USAGE', `${path} has no bootstrap.servers: name the brokers with --brokers`)
  }
  Object.assign(process.env, environment)
  if (ignored.length > 0) process.stderr.write(`warning: ${path}: without effect here: ${ignored.join(', ')}\n`)
  return kafkaConfig({ ...kafka, bootstrapServers })
}

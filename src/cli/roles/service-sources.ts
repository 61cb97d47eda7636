/** Sources that read from another service: what they need besides their settings. */

import type { Cluster } from '../../client/index.ts'
import { type KafkaConfig, type ProducerConfig, type SourceConfig, writtenTopics } from '../../config/index.ts'
import { KafkaSource, KinesisSource, type Source, SqsSource } from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { connectCluster } from '../wiring.ts'

/** What sources are placed in. */
export interface SourceSurroundings {
  readonly kafka: KafkaConfig
  readonly producer: ProducerConfig
  /** The cluster that the producer writes to. */
  readonly cluster: Cluster
  readonly logger: Logger
  /** Whether sources forget their state and begin anew. */
  readonly isRestart: boolean
}

/** A source that reads another topic, over connections of its own. */
export function kafkaSource(
  source: Extract<SourceConfig, { type: 'kafka' }>,
  { kafka, producer, cluster, logger }: SourceSurroundings
): Source {
  const { cluster: settings = kafka, type: _, ...options } = source
  return new KafkaSource({
    ...options,
    connect: () => connectCluster(settings, 'source', logger),
    target: { cluster, topics: writtenTopics(producer) },
    logger
  })
}

/** A source in AWS. */
export function awsSource(
  source: Extract<SourceConfig, { type: 'kinesis' | 'sqs' }>,
  { logger, isRestart }: SourceSurroundings
): Source {
  return source.type === 'sqs'
    ? new SqsSource({ ...source, logger })
    : new KinesisSource({ ...source, isRestart, logger })
}

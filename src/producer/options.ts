/**
 * The options of this room, as the pipeline file gives them.
 *
 * The schema in `config` is the one place that has defaults, ranges and
 * descriptions; these names are views of it, so that neither can drift.
 */

import type { ProducerConfig, SourceConfig } from '../config/index.ts'

/** `producer.route:` Which topic an event goes to. */
export type RouteConfig = ProducerConfig['route']
/** `producer.key:` What becomes the key of a record. */
export type KeyConfig = ProducerConfig['key']
/** `producer.rate:` The limits before Kafka. */
export type RateConfig = NonNullable<ProducerConfig['rate']>
/** `producer.headers:` What goes with every record. */
export type HeaderConfig = NonNullable<ProducerConfig['headers']>
/** `producer.sources[]` with `type: http`. */
export type HttpSourceConfig = Extract<SourceConfig, { type: 'http' }>
/** `producer.sources[]` with `type: kafka`. */
export type KafkaSourceConfig = Extract<SourceConfig, { type: 'kafka' }>
/** `producer.sources[]` with `type: kinesis`. */
export type KinesisSourceConfig = Extract<SourceConfig, { type: 'kinesis' }>
/** `producer.sources[]` with `type: sqs`. */
export type SqsSourceConfig = Extract<SourceConfig, { type: 'sqs' }>
/** `producer.sources[]` with `type: generator`. */
export type GeneratorConfig = Extract<SourceConfig, { type: 'generator' }>

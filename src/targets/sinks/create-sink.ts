/**
 * Makes sinks from their settings: one line per type.
 *
 * A sink is loaded when a target of its type is configured, so a distributor with HTTP targets loads neither an SDK nor
 * the Kafka client. The functions that check settings are loaded always: they come from files without heavy imports.
 */

import { type Clock, PipelineError, type Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { dynamoDbSinkProblems } from './dynamo-db-settings.ts'
import { eventBridgeSinkProblems } from './event-bridge-settings.ts'
import { HttpSink, httpSinkProblems } from './http-sink.ts'
import { kafkaSinkProblems } from './kafka-settings.ts'
import { kinesisSinkProblems } from './kinesis-settings.ts'
import { lambdaSinkProblems } from './lambda-settings.ts'
import type { RecordSink } from './record-sink.ts'
import { s3SinkProblems } from './s3-settings.ts'
import type { SinkSettings } from './sink-settings.ts'
import { snsSinkProblems } from './sns-settings.ts'
import { sqsSinkProblems } from './sqs-settings.ts'
import { stepFunctionsSinkProblems } from './step-functions-settings.ts'

/** What a sink needs from its surroundings. */
export interface SinkDependencies {
  readonly clock: Clock
  /** For jitter. Default: the machine's generator. */
  readonly random?: Random
  readonly logger?: Logger
  /** Variables that settings may name with `{ env: NAME }`. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

type Problems = (given: unknown, environment?: Readonly<Record<string, string | undefined>>) => string[]

/** Checks of settings by type. */
const PROBLEMS: Readonly<Record<SinkSettings['type'], Problems>> = {
  http: httpSinkProblems,
  sqs: sqsSinkProblems,
  sns: snsSinkProblems,
  eventBridge: eventBridgeSinkProblems,
  kinesis: kinesisSinkProblems,
  stepFunctions: stepFunctionsSinkProblems,
  dynamoDb: dynamoDbSinkProblems,
  s3: s3SinkProblems,
  lambda: lambdaSinkProblems,
  kafka: kafkaSinkProblems
}

/** Types of targets. */
export const SINK_TYPES: readonly string[] = Object.keys(PROBLEMS)

/**
 * Every problem of a target's settings; empty when they can work.
 *
 * @param environment - Where `{ env: … }` is looked up; without it only the form is checked.
 */
export function sinkProblems(given: unknown, environment?: SinkDependencies['environment']): string[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || !('type' in given)) {
    return [`is neither an http or https address nor an object with type: ${SINK_TYPES.join(', ')}`]
  }
  const { type } = given
  if (typeof type !== 'string' || !Object.hasOwn(PROBLEMS, type)) {
    return [`type: "${String(type)}" is none of ${SINK_TYPES.join(', ')}`]
  }
  // Boundary: an own member of the table.
  return PROBLEMS[type as SinkSettings['type']](given, environment)
}

/**
 * Makes a sink.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured.
 */
export function createSink(
  name: string,
  settings: SinkSettings,
  dependencies: SinkDependencies
): RecordSink | Promise<RecordSink> {
  const { clock, environment, logger } = dependencies
  const surroundings = { name, environment, clock, ...(logger === undefined ? {} : { logger }) }
  // What the distributor reads itself.
  const { timeoutMs, retry: _, ...own } = settings
  const timing = timeoutMs === undefined ? {} : { timeoutMs }
  switch (own.type) {
    case 'http': {
      const { type: __, ...options } = own
      return new HttpSink({ ...options, name, environment, clock })
    }
    case 'sqs': {
      const { type: __, ...options } = own
      return import('./sqs-sink.ts').then(({ SqsSink }) => new SqsSink({ ...options, ...surroundings }))
    }
    case 'sns': {
      const { type: __, ...options } = own
      return import('./sns-sink.ts').then(({ SnsSink }) => new SnsSink({ ...options, ...surroundings }))
    }
    case 'eventBridge': {
      const { type: __, ...options } = own
      return import('./event-bridge-sink.ts').then(
        ({ EventBridgeSink }) => new EventBridgeSink({ ...options, ...surroundings })
      )
    }
    case 'kinesis': {
      const { type: __, ...options } = own
      return import('./kinesis-sink.ts').then(({ KinesisSink }) => new KinesisSink({ ...options, ...surroundings }))
    }
    case 'stepFunctions': {
      const { type: __, ...options } = own
      return import('./step-functions-sink.ts').then(
        ({ StepFunctionsSink }) => new StepFunctionsSink({ ...options, ...timing, ...surroundings })
      )
    }
    case 'dynamoDb': {
      const { type: __, ...options } = own
      return import('./dynamo-db-sink.ts').then(
        ({ DynamoDbSink }) => new DynamoDbSink({ ...options, ...timing, ...surroundings })
      )
    }
    case 's3': {
      const { type: __, ...options } = own
      return import('./s3-sink.ts').then(({ S3Sink }) => new S3Sink({ ...options, ...timing, ...surroundings }))
    }
    case 'lambda': {
      const { type: __, ...options } = own
      return import('./lambda-sink.ts').then(
        ({ LambdaSink }) => new LambdaSink({ ...options, ...timing, ...surroundings })
      )
    }
    case 'kafka': {
      const { type: __, ...options } = own
      return import('./kafka-sink.ts').then(
        ({ KafkaSink }) => new KafkaSink({ ...options, ...timing, ...surroundings })
      )
    }
    default:
      throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target ${name}: has an unknown type`)
  }
}

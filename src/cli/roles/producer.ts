/** The producer as a role: sources of the pipeline file, standard input, or a file. */

import type { Cluster } from '../../client/index.ts'
import type { KafkaConfig, PipelineConfig, ProducerConfig, SourceConfig } from '../../config/index.ts'
import { isRetriable, messageOf, sleep, systemClock } from '../../core/index.ts'
import {
  HttpSource,
  type Producer,
  type Source,
  startProducer,
  SyslogSource,
  TruckSource
} from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { keepYoungGenerationSmall } from '../process/memory.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { startRoleTraces } from '../telemetry/role-traces.ts'
import { connectRole, ensureTopics } from '../wiring.ts'
import { lineSource } from './line-sources.ts'
import { ownSource, syslogText } from './own-sources.ts'
import { PRODUCER_TIMEOUT_MS, ProducerReadiness } from './readiness/producer.ts'
import { lookEveryMs } from './readiness/progress.ts'
import { type RoleEndpoint, type RoleEndpointOptions, startRoleEndpoint } from './role-endpoint.ts'
import { awsSource, kafkaSource, type SourceSurroundings } from './service-sources.ts'

/** Wait between looks for a Kafka that was away at the start, in milliseconds. */
const LOOK_AGAIN_MS = 2000

/** What the role is told. */
export interface ProducerRoleOptions extends RoleEndpointOptions {
  readonly kafka: KafkaConfig
  readonly producer: ProducerConfig
  /** The pipeline whose missing topics are created first; absent = they must be there. */
  readonly topics?: PipelineConfig
  /** Sources forget their state and begin anew. Default false. */
  readonly isRestart?: boolean
}

/** A producer that runs, and its parts for commands that report on it. */
export interface ProducerRole extends RunningRole {
  readonly producer: Producer
}

/** Starts the sources; the role has finished when all of them have come to their end. */
export async function startProducerRole(options: ProducerRoleOptions, logger: Logger): Promise<ProducerRole> {
  // The memory of an outage that lasts is that of its garbage: a large young generation lets it grow old first.
  if (options.producer.spill !== undefined) keepYoungGenerationSmall()
  const endpoint = await startRoleEndpoint(options, { role: 'producer', logger })
  const mayBeAway = options.producer.whenAway.mode === 'spill'
  const cluster = await connectRole(options.kafka, 'producer', { logger, meter: endpoint.meter, mayBeAway })
  const stop = new AbortController()
  const traces = await startRoleTraces(options.telemetry, 'producer', logger)
  try {
    if (options.topics !== undefined) {
      if (cluster.isKnown) await ensureTopics(cluster, options.topics)
      else void ensureTopicsLater(cluster, options.topics, { logger, signal: stop.signal })
    }
    const own = { cluster, logger: logger.child({ room: 'producer' }) }
    const { tracer } = traces
    const producer = await startProducer({ config: options.producer, ...own, meter: endpoint.meter, tracer })
    endpoint.describeBy(() => producer.status())
    const around = { ...options, ...own, isRestart: options.isRestart === true }
    const sources = await Promise.all(options.producer.sources.map(source => createSource(source, around)))
    const failed: string[] = []
    const reports = sources.map(async source => {
      const report = await producer.run(source)
      if (report.error !== undefined) failed.push(report.name)
      return report
    })
    serveReadiness(endpoint, producer, failed)
    const http = sources.filter(source => source instanceof HttpSource)
    const addresses = await Promise.all(http.map(source => source.listening))
    const urls = addresses.map(({ protocol, host, port }) => `${protocol}://${host}:${port}/events`)
    const syslog = sources.filter(source => source instanceof SyslogSource)
    const ports = (await Promise.all(syslog.map(source => source.listening))).map(address => syslogText(address))
    const finished = Promise.all(reports).then(all => {
      const failed = all.find(report => report.error !== undefined)?.error
      if (failed !== undefined) throw failed
    })
    finished.catch(() => undefined) // whoever runs the role awaits it
    return {
      producer,
      info: {
        ...(urls.length === 0 ? {} : { events: urls.join(' ') }),
        ...(ports.length === 0 ? {} : { syslog: ports.join(' ') }),
        ...endpoint.info
      },
      finished,
      status: () => statusOf(producer),
      drain: async deadlineMs => {
        stop.abort()
        const { error, spill, sources } = await producer.drain(deadlineMs)
        // That of a source was logged when the source failed.
        const isLogged = sources.some(source => source.error === error)
        if (error !== undefined && !isLogged)
          logger.error({ code: error.code, error: error.message }, 'not all events are in Kafka')
        await cluster.close()
        await endpoint.close()
        await traces.close()
        // What is on disk is not lost, but it is not in Kafka either: whoever started this has to start it again.
        return { isComplete: (spill?.recordCount ?? 0) === 0 }
      }
    }
  } catch (error) {
    stop.abort()
    await cluster.close()
    await endpoint.close()
    await traces.close()
    throw error
  }
}

function serveReadiness(endpoint: RoleEndpoint, producer: Producer, failed: readonly string[]): void {
  const readiness = new ProducerReadiness(failed)
  endpoint.readyBy(() => {
    readiness.look(producer.status(), systemClock.monotonicMs())
    return readiness.verdict()
  }, lookEveryMs(PRODUCER_TIMEOUT_MS))
}

/** Creates the topics once Kafka is there. Never rejects. */
async function ensureTopicsLater(
  cluster: Cluster,
  pipeline: PipelineConfig,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal }
): Promise<void> {
  while (!signal.aborted) {
    try {
      await ensureTopics(cluster, pipeline)
      return
    } catch (error) {
      if (signal.aborted) return
      const isLasting = !isRetriable(error)
      logger.warn({ error: messageOf(error) }, isLasting ? 'topics were not created' : 'Kafka is still away')
      if (isLasting || !(await sleep(systemClock, LOOK_AGAIN_MS, signal))) return
    }
  }
}

async function createSource(source: SourceConfig, around: SourceSurroundings): Promise<Source> {
  switch (source.type) {
    case 'http':
      return httpSource(source, around)
    case 'file':
    case 'stdin':
    case 'directory':
    case 'follow':
      return lineSource(source, around)
    case 'syslog':
    case 'module':
      return await ownSource(source, around)
    case 'generator': {
      const { type: _, ...load } = source
      return new TruckSource(load)
    }
    case 'kafka':
      return kafkaSource(source, around)
    case 'kinesis':
    case 'sqs':
      return awsSource(source, around)
  }
}

function httpSource(source: Extract<SourceConfig, { type: 'http' }>, around: SourceSurroundings): Source {
  const correlationHeaders = around.producer.headers?.correlationId?.httpHeaders
  const { logger } = around
  return new HttpSource({ ...source, logger, ...(correlationHeaders === undefined ? {} : { correlationHeaders }) })
}

function statusOf(producer: Producer): RoleStatus {
  const { totals } = producer.status()
  return {
    produced: totals.deliveredCount,
    deadLettered: totals.deadLetteredCount,
    refused: totals.refusedCount,
    failed: totals.failedCount
  }
}

/** From the pipeline file to running parts: the one place where rooms meet. */

import type { Cluster } from '../client/index.ts'
import type { DispatcherConfig, PipelineConfig, TargetConfig } from '../config/index.ts'
import { PipelineError } from '../core/index.ts'

export { connectCluster, connectRole } from './connect.ts'

/**
 * The dispatcher's section with the address of the embedded Lambda runtime filled
 * in, where the functions run in it and no other is named. It sends no
 * more batches at once than the function takes: a throttled one counts as an
 * outage, so a few too many would open the breaker again and again.
 */
export function dispatcherWithEndpoint(pipeline: PipelineConfig, endpoint?: string): DispatcherConfig | undefined {
  const { dispatcher, lambda } = pipeline
  if (dispatcher === undefined || lambda?.runtime !== 'embedded') return dispatcher
  const address = endpoint ?? `http://${lambda.host}:${lambda.port}`
  type Sender = { readonly target: TargetConfig; readonly concurrency: number }
  const settle = ({ target, concurrency }: Sender): Sender => {
    if (target.type !== 'lambda' || target.endpoint !== undefined) return { target, concurrency }
    const taken = lambda.functions[target.functionName]?.concurrency ?? concurrency
    return { target: { ...target, endpoint: address }, concurrency: Math.max(1, Math.min(concurrency, taken)) }
  }
  // A class with a target of its own has a limit of its own.
  const priorities = dispatcher.priorities.map(each => {
    const { target, concurrency = dispatcher.concurrency } = each
    return target === undefined ? each : { ...each, ...settle({ target, concurrency }) }
  })
  return { ...dispatcher, ...settle(dispatcher), priorities }
}

/** Partitions of a coordinator topic that is created here: most instances that can share a rate. */
const RATE_SHARES = 60

/** Creates the topics of the pipeline file that do not exist yet, and its dead letter topics. Returns the created. */
export async function ensureTopics(cluster: Cluster, pipeline: PipelineConfig): Promise<string[]> {
  const { Admin } = await import('../client/index.ts')
  const { errorTopics } = await import('../config/index.ts')
  const wanted = new Map(Object.entries(pipeline.topics))
  const forErrors = pipeline.producer === undefined ? [] : errorTopics(pipeline.producer)
  for (const topic of [...forErrors, pipeline.dispatcher?.deadLetterTopic]) {
    if (topic !== undefined && !wanted.has(topic))
      wanted.set(topic, { partitions: 1, replicationFactor: -1, config: {} })
  }
  const shared = pipeline.producer?.rate?.shared
  if (shared?.type === 'topic' && !wanted.has(shared.topic))
    wanted.set(shared.topic, { partitions: RATE_SHARES, replicationFactor: -1, config: {} })
  const stateTopic = pipeline.producer?.delivery.transaction?.stateTopic
  if (stateTopic !== undefined && !wanted.has(stateTopic))
    wanted.set(stateTopic, { partitions: 1, replicationFactor: -1, config: { 'cleanup.policy': 'compact' } })
  const admin = new Admin(cluster)
  const { topics } = await admin.describeTopics([...wanted.keys()])
  const existing = new Set(topics.filter(each => each.errorCode === 0).map(each => each.topic))
  const missing = [...wanted].filter(([topic]) => !existing.has(topic))
  if (missing.length === 0) return []
  const results = await admin.createTopics(
    missing.map(([topic, options]) => ({
      topic,
      partitionCount: options.partitions,
      replicationFactor: options.replicationFactor,
      configs: options.config
    }))
  )
  const failed = results.filter(result => result.errorCode !== 0 && result.errorName !== 'TOPIC_ALREADY_EXISTS')
  if (failed.length > 0) {
    const reasons = failed.map(each => `${each.name}: ${each.errorName} ${each.errorMessage ?? ''}`.trimEnd())
    throw new PipelineError('ERR_CLI_TOPICS', `cannot create topics: ${reasons.join('; ')}`)
  }
  return missing.map(([topic]) => topic)
}

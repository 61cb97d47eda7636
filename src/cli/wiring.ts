/** From the pipeline file to running parts: the one place where rooms meet. */

import { readFile } from 'node:fs/promises'

import type { Cluster, ClusterOptions, OauthToken, SaslOptions, TlsOptions } from '../client/index.ts'
import type { DispatcherConfig, KafkaConfig, PipelineConfig, TargetConfig } from '../config/index.ts'
import { messageOf, PipelineError } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'

/** Connects to the cluster that `kafka:` names. */
export async function connectCluster(kafka: KafkaConfig, role: string, logger: Logger): Promise<Cluster> {
  const tls = await tlsOptions(kafka.tls)
  const options: ClusterOptions = {
    bootstrapServers: kafka.bootstrapServers,
    clientId: `${kafka.clientId}-${role}`,
    requestTimeoutMs: kafka.requestTimeoutMs,
    connectTimeoutMs: kafka.connectTimeoutMs,
    bootstrapTimeoutMs: kafka.connectTimeoutMs,
    logger,
    ...(tls === undefined ? {} : { tls }),
    ...(kafka.sasl === undefined ? {} : { sasl: saslOptions(kafka.sasl) })
  }
  const { Cluster } = await import('../client/index.ts')
  return await Cluster.connect(options)
}

async function tlsOptions(tls: KafkaConfig['tls']): Promise<TlsOptions | boolean | undefined> {
  if (tls === undefined || typeof tls === 'boolean') return tls
  const [ca, cert, key] = await Promise.all([readPem(tls.ca, 'ca'), readPem(tls.cert, 'cert'), readPem(tls.key, 'key')])
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName })
  }
}

async function readPem(path: string | undefined, setting: string): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new PipelineError('ERR_CONFIG_INVALID', `kafka.tls.${setting}: ${messageOf(error)}`, { cause: error })
  }
}

function saslOptions(sasl: NonNullable<KafkaConfig['sasl']>): SaslOptions {
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password }
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512':
      return { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password }
    case 'OAUTHBEARER':
      return { mechanism: sasl.mechanism, token: () => ({ value: sasl.token }) }
    case 'AWS_MSK_IAM':
      return { mechanism: 'OAUTHBEARER', token: () => mskToken(sasl.region) }
  }
}

/** Loaded only when asked for, because AWS's signer brings its credential providers with it. */
async function mskToken(region: string): Promise<OauthToken> {
  const { generateAuthToken } = await import('aws-msk-iam-sasl-signer-js')
  const { token } = await generateAuthToken({ region })
  return { value: token }
}

/**
 * The dispatcher's section with the address of the embedded Lambda runtime filled
 * in, where the pipeline file has that runtime and names no other. It sends no
 * more batches at once than the function takes: a throttled one counts as an
 * outage, so a few too many would open the breaker again and again.
 */
export function dispatcherWithEndpoint(pipeline: PipelineConfig, endpoint?: string): DispatcherConfig | undefined {
  const { dispatcher, lambda } = pipeline
  if (dispatcher === undefined || lambda === undefined) return dispatcher
  const address = endpoint ?? `http://${lambda.host}:${lambda.port}`
  type Sender = { readonly target: TargetConfig; readonly concurrency: number }
  const settle = ({ target, concurrency }: Sender): Sender => {
    if (target.type !== 'lambda' || target.endpoint !== undefined) return { target, concurrency }
    const taken = lambda.functions[target.functionName]?.concurrency ?? concurrency
    return { target: { ...target, endpoint: address }, concurrency: Math.min(concurrency, taken) }
  }
  // A class with a target of its own has a limit of its own.
  const priorities = dispatcher.priorities.map(each => {
    const { target, concurrency = dispatcher.concurrency } = each
    return target === undefined ? each : { ...each, ...settle({ target, concurrency }) }
  })
  return { ...dispatcher, ...settle(dispatcher), priorities }
}

/** Creates the topics of the pipeline file that do not exist yet, and its dead letter topics. Returns the created. */
export async function ensureTopics(cluster: Cluster, pipeline: PipelineConfig): Promise<string[]> {
  const { Admin } = await import('../client/index.ts')
  const wanted = new Map(Object.entries(pipeline.topics))
  for (const topic of [pipeline.producer?.deadLetterTopic, pipeline.dispatcher?.deadLetterTopic]) {
    if (topic !== undefined && !wanted.has(topic))
      wanted.set(topic, { partitions: 1, replicationFactor: -1, config: {} })
  }
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

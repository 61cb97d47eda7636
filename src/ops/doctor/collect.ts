/**
 * Collects the facts, each on its own: a right that is missing makes one fact
 * unknown, with the name of the right, and leaves the others. Only looks.
 */

import { Admin, type Cluster, type ClusterMetadata, type LogDir } from '../../client/index.ts'
import { type Clock, messageOf, PipelineError, sleep } from '../../core/index.ts'
import {
  apiVersionsApi,
  describeTransactionsApi,
  fetchApi,
  kafkaErrorName,
  listTransactionsApi
} from '../../protocol/index.ts'
import { LagMonitor } from '../lag/lag-monitor.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan } from '../scan/scan-types.ts'
import { type MskQuestion, profileOf } from './collect-msk.ts'
import { newestTimestamps, sampleTopics, watchCommits } from './collect-records.ts'
import {
  type BrokerVersion,
  type CertificateFact,
  type DoctorFacts,
  known,
  type Known,
  type OpenTransaction,
  type PipelineFact,
  type Settings,
  unknown
} from './facts.ts'

/** What is looked at, and how long. */
export interface CollectOptions {
  readonly cluster: Cluster
  /** Default: that of the cluster client. */
  readonly clock?: Clock
  readonly bootstrapServers: readonly string[]
  readonly pipeline?: PipelineFact | undefined
  /** Read by who knows where they are. Default: unknown. */
  readonly certificates?: Known<readonly CertificateFact[]>
  /** Time between two looks, for rates, in milliseconds; 0 = one look. Default 2_000. */
  readonly intervalMs?: number
  /** Samples records, and watches commits for so many seconds. Default: neither. */
  readonly sampleSeconds?: number | undefined
  /** Shows keys whole. Default `false`. */
  readonly showKeys?: boolean | undefined
  readonly msk?: MskQuestion | undefined
  readonly signal?: AbortSignal
  /** Hears what is being looked at. */
  readonly onProgress?: (text: string) => void
}

const TOPIC_SETTINGS = [
  'cleanup.policy',
  'max.message.bytes',
  'message.timestamp.type',
  'min.insync.replicas',
  'retention.bytes',
  'retention.ms',
  'segment.bytes',
  'segment.ms',
  'unclean.leader.election.enable'
] as const
const BROKER_SETTINGS = ['replica.fetch.max.bytes', 'message.max.bytes', 'auto.create.topics.enable'] as const
const NOT_ASKED = 'not asked: --sample does'

/**
 * Collects everything.
 *
 * @throws PipelineError of the connection if no broker answers.
 */
export async function collectFacts(options: CollectOptions): Promise<DoctorFacts> {
  const { cluster, signal, intervalMs = 2_000, sampleSeconds, onProgress = () => undefined } = options
  const clock = options.clock ?? cluster.clock
  const patience = signal === undefined ? {} : { signal }
  onProgress('topics, groups and offsets')
  const metadata = await cluster.metadata()
  const scan = await scanCluster(cluster, { isReadCommitted: true, ...patience })
  onProgress('settings, releases, disks, transactions')
  const [topicConfigs, brokerConfigs, logDirs, versions, transactions, newest, lag, profile] = await Promise.all([
    settingsOfTopics(cluster, metadata, options.pipeline),
    settingsOfBrokers(cluster, metadata),
    disksOf(cluster, metadata),
    versionsOf(cluster, metadata),
    transactionsOf(cluster, metadata),
    newestTimestamps(cluster, scan),
    lagOf(cluster, signal),
    profileOf([...options.bootstrapServers, ...metadata.brokers.map(({ host }) => host)], options.msk)
  ])
  const isSampled = sampleSeconds !== undefined
  if (isSampled) onProgress('newest records')
  const samples = isSampled
    ? await sampleTopics(cluster, scan, {
        showKeys: options.showKeys ?? false,
        first: [...(options.pipeline?.dispatcher?.topics ?? []), ...Object.keys(options.pipeline?.topics ?? {})],
        ...patience
      })
    : unknown(NOT_ASKED)
  if (isSampled) onProgress(`commits, for ${sampleSeconds} s`)
  const commits = isSampled
    ? await watchCommits(cluster, scan, { clock, seconds: sampleSeconds, ...patience })
    : unknown(NOT_ASKED)
  if (intervalMs > 0) onProgress('a second look')
  const later = await laterScan(cluster, { scan, clock, intervalMs, ...patience })
  return {
    nowMs: clock.now(),
    bootstrapServers: options.bootstrapServers,
    metadata,
    scan,
    later,
    lag,
    topicConfigs,
    brokerConfigs,
    logDirs,
    versions,
    transactions,
    newest,
    samples,
    commits,
    certificates: options.certificates ?? unknown('not looked at'),
    profile,
    pipeline: options.pipeline
  }
}

/** A fact, or what kept it away. */
async function attempt<T>(right: string, ask: () => Promise<T>): Promise<Known<T>> {
  try {
    return known(await ask())
  } catch (error) {
    return unknown(withRight(messageOf(error), right))
  }
}

function withRight(reason: string, right: string): string {
  return /AUTHORIZATION|AUTHORISATION/.test(reason) ? `${reason}; it needs ${right}` : reason
}

async function settingsOfTopics(
  cluster: Cluster,
  metadata: ClusterMetadata,
  pipeline: PipelineFact | undefined
): Promise<Known<ReadonlyMap<string, Settings>>> {
  const right = 'DESCRIBE_CONFIGS on the topics'
  const names = metadata.topics.map(({ topic }) => topic)
  const wanted = new Set<string>([...TOPIC_SETTINGS, ...settingsNamed(pipeline)])
  const found = await attempt(right, () =>
    new Admin(cluster).describeConfigs(
      names.map(name => ({ type: 'topic', name })),
      { names: [...wanted] }
    )
  )
  if (!found.isKnown) return found
  const refused = found.value.find(({ errorCode }) => errorCode !== 0)
  const readable = found.value.filter(({ errorCode }) => errorCode === 0)
  if (readable.length === 0 && refused !== undefined)
    return unknown(withRight(kafkaErrorName(refused.errorCode), right))
  return known(new Map(readable.map(({ name, entries }) => [name, settingsOf(entries)])))
}

function settingsNamed(pipeline: PipelineFact | undefined): string[] {
  return Object.values(pipeline?.topics ?? {}).flatMap(({ config }) => Object.keys(config))
}

function settingsOf(entries: readonly { readonly name: string; readonly value: string | null }[]): Settings {
  return new Map(entries.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const])))
}

async function settingsOfBrokers(
  cluster: Cluster,
  { brokers }: ClusterMetadata
): Promise<Known<ReadonlyMap<number, Settings>>> {
  const right = 'DESCRIBE_CONFIGS on the cluster'
  const found = await attempt(right, () =>
    new Admin(cluster).describeConfigs(
      brokers.map(({ nodeId }) => ({ type: 'broker', name: String(nodeId) })),
      { names: BROKER_SETTINGS }
    )
  )
  if (!found.isKnown) return found
  const refused = found.value.find(({ errorCode }) => errorCode !== 0)
  if (refused !== undefined) return unknown(withRight(kafkaErrorName(refused.errorCode), right))
  return known(new Map(found.value.map(({ name, entries }) => [Number(name), settingsOf(entries)])))
}

async function disksOf(cluster: Cluster, { brokers }: ClusterMetadata): Promise<Known<readonly LogDir[]>> {
  return await attempt('DESCRIBE on the cluster', async () => {
    const all = await Promise.all(brokers.map(({ nodeId }) => new Admin(cluster).describeLogDirs(nodeId, [])))
    const dirs = all.flat()
    // Without the right Kafka answers nothing at all instead of an error, before version 3 of the API.
    if (dirs.length === 0) throw new PipelineError('ERR_OPS_REFUSED', 'CLUSTER_AUTHORIZATION_FAILED')
    return dirs
  })
}

async function versionsOf(cluster: Cluster, { brokers }: ClusterMetadata): Promise<Known<readonly BrokerVersion[]>> {
  const question = { clientSoftwareName: 'comporta', clientSoftwareVersion: '0' }
  return await attempt('nothing', () =>
    Promise.all(
      brokers.map(async ({ nodeId }) => {
        const { apiKeys, supportedFeatures } = await cluster.send(apiVersionsApi, question, { to: { nodeId } })
        return {
          nodeId,
          metadataVersionMax: supportedFeatures.find(({ name }) => name === 'metadata.version')?.maxVersion,
          fetchVersionMax: apiKeys.find(({ apiKey }) => apiKey === fetchApi.key)?.maxVersion ?? 0
        }
      })
    )
  )
}

/** Most transactions that are described. */
const TRANSACTIONS_MAX = 100

async function transactionsOf(
  cluster: Cluster,
  { brokers }: ClusterMetadata
): Promise<Known<readonly OpenTransaction[]>> {
  return await attempt('DESCRIBE on the transactional ids', async () => {
    const found = await Promise.all(brokers.map(({ nodeId }) => openTransactionsOf(cluster, nodeId)))
    return found.flat()
  })
}

async function openTransactionsOf(cluster: Cluster, nodeId: number): Promise<OpenTransaction[]> {
  const to = { nodeId }
  const stateFilters = ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence']
  const listed = await cluster.send(listTransactionsApi, { stateFilters }, { to })
  if (listed.errorCode !== 0) throw new PipelineError('ERR_OPS_REFUSED', kafkaErrorName(listed.errorCode))
  const transactionalIds = listed.transactionStates.slice(0, TRANSACTIONS_MAX).map(each => each.transactionalId)
  if (transactionalIds.length === 0) return []
  const { transactionStates } = await cluster.send(describeTransactionsApi, { transactionalIds }, { to })
  return transactionStates
    .filter(({ errorCode }) => errorCode === 0)
    .map(each => ({
      transactionalId: each.transactionalId,
      state: each.transactionState,
      startMs: Number(each.transactionStartTimeMs),
      timeoutMs: each.transactionTimeoutMs,
      topics: each.topics.map(({ topic }) => topic)
    }))
}

async function lagOf(cluster: Cluster, signal: AbortSignal | undefined): Promise<DoctorFacts['lag']> {
  return await attempt('DESCRIBE on the groups', () => new LagMonitor({ cluster }).look(signal))
}

interface LaterScan {
  readonly scan: ClusterScan
  readonly clock: Clock
  readonly intervalMs: number
  readonly signal?: AbortSignal
}

async function laterScan(cluster: Cluster, later: LaterScan): Promise<Known<ClusterScan>> {
  const { scan, clock, intervalMs, signal } = later
  if (intervalMs <= 0) return unknown('one look only')
  const waitMs = Math.max(0, scan.takenAtMs + intervalMs - clock.now())
  if (!(await sleep(clock, waitMs, signal))) return unknown('stopped before the second look')
  return await attempt('DESCRIBE on the topics', () =>
    scanCluster(cluster, { groups: [], topics: [...scan.topics.keys()], ...(signal === undefined ? {} : { signal }) })
  )
}

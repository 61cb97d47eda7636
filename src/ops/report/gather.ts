/**
 * Collects what a report is written from: looks at the lag for a while, a scan,
 * the doctor's findings. Whatever cannot be had becomes a gap with its reason;
 * the report is written all the same.
 */

import type { Cluster } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import { type Clock, messageOf, sleep } from '../../core/index.ts'
import { LagMonitor } from '../lag/lag-monitor.ts'
import type { LagReport } from '../lag/lag-types.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ReportFacts, ReportFinding, ReportPartitionPlan } from './report-facts.ts'

/** What is collected from a cluster. */
export type ClusterFindings = Pick<ReportFacts, 'looks' | 'plans' | 'gaps'> &
  Partial<Pick<ReportFacts, 'scan' | 'findings'>>

/** How it is collected. */
export interface GatherOptions {
  readonly cluster: Cluster
  readonly pipeline: PipelineConfig | undefined
  /** Only this group. Default: that of the pipeline file, or all. */
  readonly group?: string | undefined
  /** How long the lag is watched, in milliseconds. */
  readonly watchMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onProgress: (text: string) => void
  /** The doctor, if it is to be asked. */
  readonly doctor?: () => Promise<readonly ReportFinding[]>
  /** Plans the partitions of a topic from two looks at it, if that is wanted. */
  readonly planTopic?: (topic: string) => Promise<ReportPartitionPlan>
}

/** Looks within the time: enough for a curve, not so many that the looking is the load. */
const looksMax = 60
const periodMinMs = 1000

/** Collects it. */
export async function gatherFindings(options: GatherOptions): Promise<ClusterFindings> {
  const { cluster, pipeline, signal, onProgress } = options
  const gaps: string[] = []
  const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T | undefined> => {
    if (signal.aborted) return undefined
    onProgress(what)
    try {
      return await run()
    } catch (error) {
      gaps.push(`${what}: ${messageOf(error)}`)
      return undefined
    }
  }
  const topics = pipeline?.dispatcher?.topics
  const scan = await attempt('looking at the cluster', () => scanCluster(cluster))
  const looks = (await attempt('watching the lag', () => watchLag(options))) ?? []
  const { doctor, planTopic } = options
  const findings = doctor === undefined ? undefined : await attempt('asking the doctor', doctor)
  const plans: ReportPartitionPlan[] = []
  for (const topic of topics ?? []) {
    if (planTopic === undefined) break
    const plan = await attempt(`planning the partitions of ${topic}`, () => planTopic(topic))
    if (plan !== undefined) plans.push(plan)
  }
  return {
    ...(scan === undefined ? {} : { scan }),
    ...(findings === undefined ? {} : { findings }),
    looks,
    plans,
    gaps
  }
}

async function watchLag(options: GatherOptions): Promise<LagReport[]> {
  const { cluster, clock, pipeline, group = pipeline?.dispatcher?.groupId, watchMs, signal, onProgress } = options
  const monitor = new LagMonitor({ cluster, clock, ...(group === undefined ? {} : { groups: [group] }) })
  const periodMs = Math.max(periodMinMs, watchMs / looksMax)
  const endMs = clock.monotonicMs() + watchMs
  const looks = [await monitor.look(signal)]
  for (;;) {
    const leftMs = endMs - clock.monotonicMs()
    if (leftMs <= 0 || signal.aborted) return looks
    onProgress(`watching the lag: ${Math.ceil(leftMs / 1000)} s to go`)
    if (!(await sleep(clock, Math.min(periodMs, leftMs), signal))) return looks
    looks.push(await monitor.look(signal))
  }
}

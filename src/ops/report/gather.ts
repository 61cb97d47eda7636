/**
 * Collects what a report is written from: looks at the lag for a while, a scan,
 * the doctor's findings. Whatever cannot be had becomes a gap with its reason;
 * the report is written all the same.
 */

import type { Cluster } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import { type Clock, messageOf, sleep } from '../../core/index.ts'
import { type DoctorOptions, runDoctor } from '../doctor/run-doctor.ts'
import { LagMonitor } from '../lag/lag-monitor.ts'
import type { LagReport } from '../lag/lag-types.ts'
import { planTopicPartitions, type TopicPlan } from '../partitions/collect-plan.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ReportFacts, ReportPartitionPlan } from './report-facts.ts'

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
  /** Certificates of this machine and of the brokers, for the doctor; absent = the doctor is not asked. */
  readonly doctor?: Pick<DoctorOptions, 'certificates' | 'bootstrapServers'> | undefined
}

/** Looks within the time: enough for a curve, not so many that the looking is the load. */
const looksMax = 60
const PROGRESS_MS = 10_000
const periodMinMs = 1000
/** How long a plan looks at a topic at most, in milliseconds. */
const planMsMax = 15_000

/** Collects it, all at the same time: rates are then of the same minutes. */
export async function gatherFindings(options: GatherOptions): Promise<ClusterFindings> {
  const { cluster, pipeline, watchMs, signal, onProgress, doctor } = options
  const gaps: string[] = []
  const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T | undefined> => {
    onProgress(what)
    try {
      return await run()
    } catch (error) {
      gaps.push(`${what}: ${messageOf(error)}`)
      return undefined
    }
  }
  const observeMs = Math.min(planMsMax, watchMs)
  const [scan, looks = [], findings, plans] = await Promise.all([
    attempt('looking at the cluster', () => scanCluster(cluster, { signal })),
    attempt('watching the lag', () => watchLag(options)),
    doctor && attempt('asking the doctor', () => runDoctor({ cluster, pipeline, signal, ...doctor })),
    Promise.all(
      (pipeline?.dispatcher?.topics ?? []).map(topic =>
        attempt(`planning the partitions of ${topic}`, async () =>
          planText(await planTopicPartitions({ cluster, topic, observeMs }))
        )
      )
    )
  ])
  return {
    ...(scan === undefined ? {} : { scan }),
    ...(findings === undefined ? {} : { findings }),
    looks,
    plans: plans.filter(plan => plan !== undefined),
    gaps
  }
}

function planText({ plan, movement }: TopicPlan): ReportPartitionPlan {
  return {
    topic: plan.topic,
    partitions: plan.partitions,
    recommended: plan.recommended,
    answer: plan.answer,
    // Without keys in the sample the share of all keys is what is known.
    movedShare: movement.sampledKeys > 0 ? movement.keyShare : movement.theoreticalShare,
    movedTo: movement.to
  }
}

async function watchLag(options: GatherOptions): Promise<LagReport[]> {
  const { cluster, clock, pipeline, group = pipeline?.dispatcher?.groupId, watchMs, signal, onProgress } = options
  const monitor = new LagMonitor({ cluster, clock, ...(group === undefined ? {} : { groups: [group] }) })
  const periodMs = Math.max(periodMinMs, watchMs / looksMax)
  const endMs = clock.monotonicMs() + watchMs
  const looks = [await monitor.look(signal)]
  let saidMs = Number.POSITIVE_INFINITY
  for (;;) {
    const leftMs = endMs - clock.monotonicMs()
    if (leftMs <= 0 || signal.aborted) return looks
    if (saidMs - leftMs >= PROGRESS_MS) {
      onProgress(`watching the lag: ${Math.ceil(leftMs / 1000)} s to go`)
      saidMs = leftMs
    }
    if (!(await sleep(clock, Math.min(periodMs, leftMs), signal))) return looks
    looks.push(await monitor.look(signal))
  }
}

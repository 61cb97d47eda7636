/**
 * How many partitions a topic should have. Pure.
 *
 * The count is the largest of what the peak needs to get in, what it needs to get out, and the instances that are
 * wanted at the same time; then the next count that many group sizes divide evenly; then whatever limits of the
 * cluster allow. What more partitions cannot cure is said first: they cost a rebalance, open files, memory and the
 * order of keys, and there is no way back.
 *
 * Source: the throughput formula max(in / per partition, out / per partition) of Kafka's documentation, Amazon MSK
 * quotas.
 */

import {
  brokerLimit,
  type ClusterProfile,
  EXPRESS_PARTITION_MB,
  SERVERLESS_COMPACTED_MAX,
  SERVERLESS_CREATES_MAX,
  SERVERLESS_LEADERS_MAX,
  SERVERLESS_PARTITION_MB
} from './msk-limits.ts'
import { counted } from '../words/counted.ts'

/** What is known, measured or wished. Rates are records per second unless they say otherwise. */
export interface PartitionFacts {
  readonly topic: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly isCompacted: boolean
  /** Highest rate at which records come. */
  readonly peakIn: number
  /** Highest rate at which they must leave; default `peakIn`. */
  readonly peakOut?: number
  /** What one partition takes; `undefined` = not measured. */
  readonly perPartitionIn?: number | undefined
  /** What one partition gives: what one consumer of it does, target included; `undefined` = not measured. */
  readonly perPartitionOut?: number | undefined
  /** Whether `perPartitionOut` was measured, not given. Default `false`. */
  readonly isPerPartitionMeasured?: boolean
  /** Rate that the readers keep up with as they are; `undefined` = they do not, or it was not seen. */
  readonly keepsUpAt?: number | undefined
  /** Mean record, in bytes; with it the limits of MSK in MB/s count. */
  readonly recordBytes?: number | undefined
  /** Instances that are to work at the same time; 0 = no wish. */
  readonly consumersWanted: number
  /** Instances that work now. */
  readonly consumers: number
  /** Rate of one instance; `undefined` = as one partition. */
  readonly perConsumer?: number | undefined
  /** Records not read yet. */
  readonly backlog: number
  /** Time in which the backlog is to be gone, in seconds. */
  readonly targetDrainSeconds: number
  /** Factor for growth to come, at least 1. */
  readonly growth: number
  /** Share of the busiest key in the traffic, 0 to 1; `undefined` = no sample. */
  readonly hotKeyShare?: number | undefined
  readonly hotKey?: string | undefined
  /** What the target takes in all; `undefined` = not known. */
  readonly targetRate?: number | undefined
  /** Processor of the consumers, 0 to 1; `undefined` = not known. */
  readonly consumerCpu?: number | undefined
  readonly cluster: ClusterFacts
}

/** The cluster as a whole. */
export interface ClusterFacts {
  readonly profile: ClusterProfile
  readonly brokers: number
  readonly brokerType?: string | undefined
  /** Partition replicas of all topics; for Serverless leaders. */
  readonly replicas: number
  /** Leaders of compacted topics. */
  readonly compacted: number
}

/** One demand on the count. */
export interface PartitionNeed {
  readonly reason: string
  readonly count: number
}

/** A limit that the count has to keep. */
export interface PartitionCap {
  readonly reason: string
  /** Partitions that this topic may have under it. */
  readonly count: number
  /** Whether the cluster refuses more, or only advises against it. */
  readonly isHard: boolean
}

/**
 * `grow`, `enough` as it is, `willNotHelp`: more partitions are not the cure, or `unknown`: what a partition gives is
 * not known, and the readers were not seen to keep up with the peak.
 */
export type PlanVerdict = 'grow' | 'enough' | 'willNotHelp' | 'unknown'

/** The plan for one topic. */
export interface PartitionPlan {
  readonly topic: string
  readonly partitions: number
  readonly verdict: PlanVerdict
  /** Count that is recommended; today's where nothing is to be done. */
  readonly recommended: number
  /** Least count that meets all needs. */
  readonly needed: number
  readonly needs: readonly PartitionNeed[]
  readonly caps: readonly PartitionCap[]
  /** Group sizes that divide the recommended count evenly. */
  readonly evenMembers: readonly number[]
  /** Other counts worth a thought, with what they divide by. */
  readonly alternatives: readonly { readonly count: number; readonly evenMembers: readonly number[] }[]
  /** Why more partitions would not help, one each. */
  readonly obstacles: readonly string[]
  /** Why not simply more. */
  readonly costs: readonly string[]
  readonly warnings: readonly string[]
  /** The answer to "why so many partitions, and so many consumers?". */
  readonly answer: string
}

/** Counts that are shown. */
const CANDIDATES_MAX = 4
/** How far above the need a rounder count may lie. */
const ROUND_UP_MAX = 1.5
/** Above this share of its processor a consumer is busy itself. Source: the users' rule "CPU below 50 %". */
const CPU_BUSY = 0.5
const MB = 1_000_000

/** Plans one topic. */
export function planPartitions(facts: PartitionFacts): PartitionPlan {
  const needs = needsOf(facts)
  const needed = Math.max(1, ...needs.map(({ count }) => count))
  const caps = capsOf(facts)
  const cap = Math.min(...caps.map(({ count }) => count), Number.POSITIVE_INFINITY)
  const obstacles = obstaclesOf(facts, needed)
  const candidates = candidatesOf(facts.partitions, needed, cap)
  const best = candidates[0] ?? Math.max(facts.partitions, Math.min(needed, cap))
  const verdict = verdictOf(facts, needed, obstacles.length > 0)
  const recommended = verdict === 'grow' ? best : facts.partitions
  return {
    topic: facts.topic,
    partitions: facts.partitions,
    verdict,
    recommended,
    needed,
    needs,
    caps,
    evenMembers: divisorsOf(recommended),
    alternatives: candidates
      .filter(count => count !== recommended)
      .slice(0, 3)
      .map(count => ({ count, evenMembers: divisorsOf(count) })),
    obstacles,
    costs: costsOf(facts, Math.max(recommended, best)),
    warnings: warningsOf(facts, { recommended, needed, cap }),
    answer: answerOf(facts, { needed, needs, verdict, recommended })
  }
}

function verdictOf(facts: PartitionFacts, needed: number, hasObstacles: boolean): PlanVerdict {
  if (needed > facts.partitions) return hasObstacles ? 'willNotHelp' : 'grow'
  return facts.perPartitionOut !== undefined || isKeptUpWith(facts) ? 'enough' : 'unknown'
}

/** Whether the readers, as they are, were seen to do what is asked of them at peak. */
function isKeptUpWith({ keepsUpAt, peakIn, peakOut = peakIn }: PartitionFacts): boolean {
  return keepsUpAt !== undefined && peakOut <= keepsUpAt
}

/** Whole numbers that divide a count, ascending: the group sizes in which every member has the same share. */
export function divisorsOf(count: number): number[] {
  const small: number[] = []
  for (let each = 1; each * each <= count; each += 1) if (count % each === 0) small.push(each)
  const large = small.map(each => count / each).filter(each => each * each > count)
  return [...small, ...large.toReversed()]
}

function needsOf(facts: PartitionFacts): PartitionNeed[] {
  const { growth, peakIn, perPartitionIn, perPartitionOut, recordBytes, cluster } = facts
  const peakOut = facts.peakOut ?? peakIn
  const needs: PartitionNeed[] = []
  const need = (reason: string, count: number): void => void needs.push({ reason, count: ceil(count) })
  const grown = growth === 1 ? '' : ` × ${growth} for growth`
  if (perPartitionIn !== undefined)
    need(`${shown(peakIn)}/s in${grown}, ${shown(perPartitionIn)}/s per partition`, (peakIn * growth) / perPartitionIn)
  if (perPartitionOut !== undefined)
    need(
      `${shown(peakOut)}/s out${grown}, ${shown(perPartitionOut)}/s per partition`,
      (peakOut * growth) / perPartitionOut
    )
  if (facts.consumersWanted > 0)
    need(`${facts.consumersWanted} consumers at the same time, one partition each at least`, facts.consumersWanted)
  const perConsumer = facts.perConsumer ?? perPartitionOut
  if (facts.backlog > 0 && perConsumer !== undefined) {
    const rate = peakIn + facts.backlog / facts.targetDrainSeconds
    need(
      `${shown(facts.backlog)} unread records gone in ${shown(facts.targetDrainSeconds)} s at ` +
        `${shown(perConsumer)}/s per consumer`,
      rate / perConsumer
    )
  }
  if (recordBytes !== undefined) {
    const mbIn = (peakIn * growth * recordBytes) / MB
    const mbOut = (peakOut * growth * recordBytes) / MB
    if (cluster.profile === 'serverless') {
      need(
        `${shown(mbIn)} MB/s in, ${SERVERLESS_PARTITION_MB.in} MB/s per partition`,
        mbIn / SERVERLESS_PARTITION_MB.in
      )
      need(
        `${shown(mbOut)} MB/s out, ${SERVERLESS_PARTITION_MB.out} MB/s per partition`,
        mbOut / SERVERLESS_PARTITION_MB.out
      )
    }
    if (cluster.profile === 'express')
      need(`${shown(mbIn)} MB/s in, ${EXPRESS_PARTITION_MB} MB/s per partition`, mbIn / EXPRESS_PARTITION_MB)
  }
  return needs
}

function capsOf({ cluster, replicationFactor, partitions, isCompacted }: PartitionFacts): PartitionCap[] {
  const own = partitions * replicationFactor
  if (cluster.profile === 'serverless') {
    const caps = [
      {
        reason: `${SERVERLESS_LEADERS_MAX} partitions of a Serverless cluster`,
        free: SERVERLESS_LEADERS_MAX - cluster.replicas
      }
    ]
    if (isCompacted)
      caps.push({
        reason: `${SERVERLESS_COMPACTED_MAX} compacted partitions of a Serverless cluster`,
        free: SERVERLESS_COMPACTED_MAX - cluster.compacted
      })
    return caps.map(({ reason, free }) => ({ reason, count: Math.max(0, free + partitions), isHard: true }))
  }
  const limit = brokerLimit(cluster.profile, cluster.brokerType)
  if (limit === undefined) return []
  const others = cluster.replicas - own
  const under = (perBroker: number): number =>
    Math.max(0, Math.floor((perBroker * cluster.brokers - others) / replicationFactor))
  const what =
    `replicas per broker${cluster.brokerType === undefined ? '' : ` (${cluster.brokerType})`}, ` +
    `${counted(cluster.brokers, 'broker')}`
  const caps = [
    { reason: `${shown(limit.recommended)} ${what}, recommended`, count: under(limit.recommended), isHard: false }
  ]
  if (Number.isFinite(limit.max) && limit.max !== limit.recommended)
    caps.push({ reason: `${shown(limit.max)} ${what}, most`, count: under(limit.max), isHard: true })
  return caps
}

/** Counts worth having, best first: multiples of today's, then those that most group sizes divide. */
function candidatesOf(today: number, needed: number, cap: number): number[] {
  const least = Math.max(needed, today)
  const most = Math.min(cap, Math.max(least + 2, Math.floor(least * ROUND_UP_MAX)))
  const all = Array.from({ length: Math.max(0, most - least + 1) }, (_, index) => {
    const count = least + index
    return { count, isMultiple: count % today === 0, divisors: divisorsOf(count).length }
  })
  return all
    .toSorted((a, b) => Number(b.isMultiple) - Number(a.isMultiple) || b.divisors - a.divisors || a.count - b.count)
    .slice(0, CANDIDATES_MAX)
    .map(({ count }) => count)
}

function obstaclesOf(facts: PartitionFacts, needed: number): string[] {
  const { hotKeyShare, perPartitionOut, peakIn, growth, partitions, consumers, targetRate, consumerCpu } = facts
  const peakOut = facts.peakOut ?? peakIn
  const obstacles: string[] = []
  if (hotKeyShare !== undefined && perPartitionOut !== undefined && hotKeyShare * peakOut * growth > perPartitionOut) {
    const key = facts.hotKey === undefined ? 'one key' : `the key ${facts.hotKey}`
    obstacles.push(
      `${key} has ${percent(hotKeyShare)} of the traffic, ${shown(hotKeyShare * peakOut * growth)}/s, and one ` +
        'partition does ' +
        `${shown(perPartitionOut)}/s: a key is never in two partitions; split it (producer.keys: sub-keys), then grow`
    )
  }
  if (targetRate !== undefined && targetRate < peakOut)
    obstacles.push(
      `the target takes ${shown(targetRate)}/s and ${shown(peakOut)}/s come: more partitions only bring more ` +
        'requests to it; ' +
        'raise its limit first, or send larger batches'
    )
  if (consumers > 0 && consumers < Math.min(partitions, needed))
    obstacles.push(
      `${consumers} ${consumers === 1 ? 'consumer has' : 'consumers share'} ${partitions} partitions: ` +
        `up to ${partitions} of them can work already; add ` +
        'consumers first'
    )
  if (consumerCpu !== undefined && consumerCpu >= CPU_BUSY)
    obstacles.push(
      `consumers use ${percent(consumerCpu)} of their processor: they are busy themselves, not short of partitions; ` +
        'larger or more instances first'
    )
  return obstacles
}

function costsOf(facts: PartitionFacts, count: number): string[] {
  const replicas = count * facts.replicationFactor
  return [
    `${shown(replicas)} replicas: about ${shown(replicas * 3)} open files on the brokers (log, index and time ` +
      'index of the active segment)',
    'each rebalance hands out every partition: its time grows with their number, and with eager assignors all ' +
      'stop for it',
    `batches get smaller: ${shown(facts.peakIn / count)} records/s per partition at peak fill a batch of 500 in ` +
      `${shown((500 * count) / Math.max(facts.peakIn, 1))} s; batch.ageMs sends it earlier, and each costs an ` +
      'invocation',
    'each dispatcher buffers per partition, each producer batches per partition: memory on both sides',
    'a broker that fails hands over each of its leaders: the time without a leader grows with their number',
    'there is no way back: Kafka cannot take partitions away'
  ]
}

function warningsOf(
  { partitions, isCompacted, cluster, consumers, perPartitionOut, isPerPartitionMeasured: isMeasured }: PartitionFacts,
  { recommended, needed, cap }: { readonly recommended: number; readonly needed: number; readonly cap: number }
): string[] {
  const warnings: string[] = []
  if (perPartitionOut === undefined)
    warnings.push(
      'what a partition gives is not measured, as none was behind all the time: give --per-partition, or look while ' +
        'a backlog is drained'
    )
  else if (isMeasured === true && consumers > 0 && consumers < partitions)
    warnings.push(
      `${shown(perPartitionOut)}/s per partition is what ${counted(consumers, 'consumer')} ` +
        `of ${partitions} partitions gave: if each shares its time among them, more consumers raise it`
    )
  if (needed > cap)
    warnings.push(`the need of ${needed} is above what the cluster takes, ${cap}: more or larger brokers first`)
  if (cluster.profile !== 'serverless' && brokerLimit(cluster.profile, cluster.brokerType) === undefined)
    warnings.push(
      `no limit is known for brokers of type ${cluster.brokerType ?? '(not given)'}: name it with --broker-type`
    )
  if (recommended > partitions && recommended % partitions !== 0)
    warnings.push(
      `${recommended} is no multiple of ${partitions}: keys also move between the partitions of today; ` +
        `${Math.ceil(recommended / partitions) * partitions} would move them into new ones only`
    )
  if (recommended > partitions && isCompacted)
    warnings.push('a compacted topic: the old value of a key that moves stays in its old partition for good')
  if (cluster.profile === 'serverless' && recommended - partitions > SERVERLESS_CREATES_MAX)
    warnings.push(`Serverless creates ${SERVERLESS_CREATES_MAX} partitions in 5 minutes: it goes in steps`)
  return warnings
}

function answerOf(
  facts: PartitionFacts,
  found: {
    readonly needed: number
    readonly needs: readonly PartitionNeed[]
    readonly verdict: PlanVerdict
    readonly recommended: number
  }
): string {
  const { partitions, consumers } = facts
  const largest = found.needs.reduce<PartitionNeed | undefined>(
    (a, b) => (a === undefined || b.count > a.count ? b : a),
    undefined
  )
  const why =
    largest === undefined ? '' : `${found.needed} ${found.needed === 1 ? 'is' : 'are'} needed (${largest.reason})`
  const seen = isKeptUpWith(facts)
    ? `they keep up with ${shown(facts.peakOut ?? facts.peakIn)}/s`
    : 'what a partition gives is not measured'
  const reasons = facts.perPartitionOut === undefined ? [seen, why].filter(text => text !== '').join('; ') : why
  const share = consumers === 0 ? 'no consumer works now' : shareText(partitions, consumers)
  const rest = partitions - found.needed
  const reserve =
    facts.perPartitionOut === undefined
      ? `up to ${partitions} consumers without a growth`
      : rest > 0
        ? `${rest} ${rest === 1 ? 'is' : 'are'} reserve: up to ${partitions} consumers without a growth`
        : 'there is no reserve'
  return `${partitions} partitions and ${counted(consumers, 'consumer')}: ${reasons}; ${share}; ${reserve}.`
}

function shareText(partitions: number, consumers: number): string {
  if (consumers > partitions) return `${consumers - partitions} of ${consumers} consumers have nothing to do`
  const least = Math.floor(partitions / consumers)
  const more = partitions % consumers
  if (more === 0) return `each consumer has ${least}`
  return `${more} consumers have ${least + 1} and ${consumers - more} have ${least}: uneven`
}

/** Rounds up, and forgives what floating point adds. */
function ceil(value: number): number {
  return Math.max(1, Math.ceil(value - 1e-9))
}

function percent(value: number): string {
  return `${Math.round(value * 100)} %`
}

function shown(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })
}

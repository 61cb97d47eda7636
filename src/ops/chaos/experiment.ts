/**
 * What an experiment of `chaos` is: data that says what is harmed, and a check that says what should be true then.
 *
 * An experiment harms nothing by itself. Its actions are carried out by a `ChaosWorld`, which is a whole pipeline of
 * real processes for the command and a made-up one in tests; `runExperiment` leads from one to the other.
 */

import type { ChaosObservation } from './observation.ts'

/** Parts of the pipeline that can be harmed. `dispatcher` is one of several, `consumers` are all of them. */
export type ChaosPart = 'broker' | 'dispatcher' | 'consumers' | 'producer' | 'lambda' | 'services'

/** Faults of the function, as the Lambda runtime takes them (docs/guides/lambda.md). */
export interface ChaosFaults {
  /** Wait before each invocation, in milliseconds. */
  readonly extraLatencyMs?: number
  /** Shares of invocations, 0 to 1. */
  readonly failureRatio?: number
  readonly throttleRatio?: number
  readonly timeoutRatio?: number
}

/** How the network treats what one dispatcher sends and is sent. */
export type NetworkTreatment = 'pass' | 'cut' | 'swallow' | { readonly delayMs: number }

/** One step of harm. */
export type ChaosAction =
  /** Nothing, for so long. */
  | { readonly do: 'wait'; readonly ms: number }
  /** Waits until the group has shared out all partitions; no longer than `maxMs`. */
  | { readonly do: 'untilAssigned'; readonly maxMs: number }
  /** Waits until the partitions of what is frozen or cut off belong to others; no longer than `maxMs`. */
  | { readonly do: 'untilTakenOver'; readonly maxMs: number }
  /** SIGKILL. */
  | { readonly do: 'kill'; readonly part: ChaosPart }
  /** A stop as of a deployment: what is in flight is finished. */
  | { readonly do: 'drain'; readonly part: ChaosPart }
  /** Starts it again where it was: same port, same folder. */
  | { readonly do: 'start'; readonly part: ChaosPart }
  /** SIGSTOP. */
  | { readonly do: 'freeze'; readonly part: 'broker' | 'dispatcher' }
  /** SIGCONT for whatever is frozen. */
  | { readonly do: 'thaw' }
  | { readonly do: 'faults'; readonly faults: ChaosFaults }
  /** Of the first dispatcher. */
  | { readonly do: 'network'; readonly treatment: NetworkTreatment }
  /** One more dispatcher; `skewMs` sets its clock wrong (`afterMs` after its start), `as` names it in the group. */
  | {
      readonly do: 'join'
      readonly as?: string
      readonly skewMs?: number
      readonly afterMs?: number
      /** It should end by itself, and its reason should hold this text. */
      readonly failsWith?: string
    }
  /** The dispatcher that joined last leaves. */
  | { readonly do: 'leave' }
  /** One more producer, whose clock is wrong. */
  | { readonly do: 'skewProducer'; readonly skewMs: number }
  /** The broker's certificate is replaced by one that is good for so long. */
  | { readonly do: 'renewCertificate'; readonly validMs: number }
  /** Waits until the broker's certificate has ended. */
  | { readonly do: 'untilExpired' }
  /** Bad records of every kind, straight into the topic, among sound ones. */
  | { readonly do: 'poison'; readonly count: number }
  /** The larger topic gets so many partitions more. */
  | { readonly do: 'grow'; readonly partitions: number }

/** What the pipeline must have for an experiment. */
export interface ChaosNeeds {
  /** Dispatchers at the start. Default 2. */
  readonly dispatchers?: number
  /** The first dispatcher speaks to Kafka through a proxy. */
  readonly isProxied?: boolean
  /** Kafka is reached over TLS, and the broker's first certificate is good for so long, in milliseconds. */
  readonly certificateMs?: number
  /** The dispatchers of the start are static members with these names. */
  readonly instanceIds?: readonly string[]
  /** Why it cannot be done to a cluster that is not ours; absent if it can. */
  readonly isEmbeddedOnly?: string
}

/** When a run is given up before harm becomes damage. */
export interface AbortConditions {
  /** Lag as so many seconds of the load. */
  readonly lagSecondsMax: number
  /** Sound records in the dead letter topic: more of them than the load's own bad ones. */
  readonly strayDeadLettersMax: number
  /** Parts whose end is part of the experiment: beginnings of their names. */
  readonly mayEnd?: readonly string[]
}

/** An experiment. */
export interface ChaosExperiment {
  /** As given on the command line. */
  readonly name: string
  /** What is done, in one sentence. */
  readonly summary: string
  /** What should hold, in one sentence. */
  readonly hypothesis: string
  readonly needs: ChaosNeeds
  readonly harm: readonly ChaosAction[]
  readonly abort: AbortConditions
  /** Longest time from the end of the harm to the steady state, in milliseconds. */
  readonly recoverWithinMs: number
  /** Most deliveries that may repeat. 0 for everything planned. */
  readonly duplicatesMax: number
  /** The rest of the hypothesis: one sentence for each thing that is not so. Loss and order are judged anyway. */
  readonly refute?: (observed: ChaosObservation) => readonly string[]
}

/** Batches of a dispatcher at the target at once, in the pipeline that is harmed. */
export const CHAOS_CONCURRENCY = 2
/** Records of one batch there. */
export const CHAOS_BATCH_RECORDS = 100
/** An event with code 300 goes to both services. */
const SERVICES_MAX = 2

/**
 * Most deliveries that repeat when so many dispatchers end without a word: docs/decisions/0006, for each service that a
 * record may go to.
 */
export function repeatsAfterCrash(dispatchers: number): number {
  return dispatchers * (4 * CHAOS_CONCURRENCY - 1) * CHAOS_BATCH_RECORDS * SERVICES_MAX
}

/** Most deliveries that repeat when the target ends: what was at it. */
export function repeatsAfterTargetCrash(dispatchers: number): number {
  return dispatchers * CHAOS_CONCURRENCY * CHAOS_BATCH_RECORDS * SERVICES_MAX
}

/** What most experiments stop at. */
export const USUAL_ABORT: AbortConditions = { lagSecondsMax: 120, strayDeadLettersMax: 0 }

/** How long the harm of an experiment lasts at least, in milliseconds: its own waits. */
export function harmMs(experiment: ChaosExperiment): number {
  return experiment.harm.reduce((sum, action) => sum + (action.do === 'wait' ? action.ms : 0), 0)
}

/** An action in words. */
export function describeAction(action: ChaosAction): string {
  switch (action.do) {
    case 'wait':
      return `wait ${action.ms / 1000} s`
    case 'untilAssigned':
      return 'wait until all partitions are shared out'
    case 'untilTakenOver':
      return 'wait until others have its partitions'
    case 'kill':
      return `SIGKILL: ${partNames[action.part]}`
    case 'drain':
      return `stop in order: ${partNames[action.part]}`
    case 'start':
      return `start again: ${partNames[action.part]}`
    case 'freeze':
      return `SIGSTOP: ${partNames[action.part]}`
    case 'thaw':
      return 'SIGCONT'
    case 'faults':
      return `the function: ${faultsText(action.faults)}`
    case 'network':
      return `the network of one dispatcher: ${treatmentText(action.treatment)}`
    case 'join':
      return `a dispatcher joins${joinText(action)}`
    case 'leave':
      return 'the dispatcher that joined last leaves'
    case 'skewProducer':
      return `a producer starts whose clock is off by ${action.skewMs / 3_600_000} h`
    case 'renewCertificate':
      return `the broker’s certificate is renewed, for ${action.validMs / 1000} s`
    case 'untilExpired':
      return 'wait until the broker’s certificate has ended'
    case 'poison':
      return `${action.count} bad records among sound ones`
    case 'grow':
      return `${action.partitions} partitions more`
  }
}

const partNames: Readonly<Record<ChaosPart, string>> = {
  broker: 'the broker',
  dispatcher: 'one dispatcher',
  consumers: 'all dispatchers',
  producer: 'the producer',
  lambda: 'the Lambda runtime',
  services: 'the services behind the function'
}

function faultsText(faults: ChaosFaults): string {
  const parts = Object.entries(faults).map(([name, value]: [string, number]) => {
    return name === 'extraLatencyMs' ? `${value} ms slower` : `${name.replace('Ratio', '')} ${value * 100} %`
  })
  return parts.join(', ')
}

function treatmentText(treatment: NetworkTreatment): string {
  if (typeof treatment === 'object') return `${treatment.delayMs} ms late`
  return { pass: 'whole again', cut: 'cut', swallow: 'half open: connected, but nothing arrives' }[treatment]
}

function joinText({ as, skewMs, failsWith }: Extract<ChaosAction, { do: 'join' }>): string {
  return [
    as === undefined ? '' : ` as ${as}`,
    skewMs === undefined ? '' : ` whose clock is off by ${skewMs / 3_600_000} h`,
    failsWith === undefined ? '' : ', which must be refused'
  ].join('')
}

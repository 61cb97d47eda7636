/**
 * The questions that a review asks of a pipeline, and the answers that numbers
 * give. An answer says where it comes from; what was not measured is said to be
 * unknown, with the command that finds it out. Nothing is answered from hope.
 */

import type { GroupLag } from '../lag/lag-types.ts'
import type { ReportExperiment, ReportFacts } from './report-facts.ts'
import { counted } from '../words/counted.ts'

/** Where an answer comes from. */
export type AnswerSource = 'measured' | 'computed' | 'configured' | 'not known'

/** A question with its answer. */
export interface ReviewAnswer {
  readonly question: string
  readonly answer: string
  readonly source: AnswerSource
}

type Ask = (facts: ReportFacts) => Omit<ReviewAnswer, 'question'>

const asked: readonly (readonly [question: string, ask: Ask])[] = [
  ['How long does a rebalance pause us?', pauseOfRebalance],
  ['How many rebalances a day?', rebalancesADay],
  ['Why so many partitions, and so many consumers?', whySoMany],
  ['Why machines whose only work is to call a function?', whyMachines],
  ['What does a batch cost?', costOfBatch],
  ['Why not a single topic?', whyTopics],
  ['What if a consumer becomes slow, or stops?', slowConsumer],
  ['What if the function becomes slow?', slowFunction],
  ['What breaks when partitions grow?', growth],
  ['Can records be lost?', loss],
  ['What is the largest risk today?', largestRisk],
  ['Who wakes up at 3 a.m.?', whoWakesUp]
]

/** Answers all of them. */
export function reviewAnswers(facts: ReportFacts): ReviewAnswer[] {
  return asked.map(([question, ask]) => ({ question, ...ask(facts) }))
}

const measured = (answer: string): Omit<ReviewAnswer, 'question'> => ({ answer, source: 'measured' })
const computed = (answer: string): Omit<ReviewAnswer, 'question'> => ({ answer, source: 'computed' })
const configured = (answer: string): Omit<ReviewAnswer, 'question'> => ({ answer, source: 'configured' })
const unknown = (answer: string): Omit<ReviewAnswer, 'question'> => ({ answer, source: 'not known' })

function pauseOfRebalance({ experiments }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const paused = experiments.filter(each => each.longestPauseMs !== undefined && (each.rebalances ?? 0) > 0)
  if (paused.length === 0) {
    return unknown('Not rehearsed: `comporta chaos run rolling-replace,kill-dispatcher --json` measures it.')
  }
  const each = paused.map(({ name, longestPauseMs = 0 }) => `${milliseconds(longestPauseMs)} (${name})`)
  return measured(`The longest time in which a partition was not served: ${each.join(', ')}.`)
}

function rebalancesADay({ looks }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const groups = looks[0]?.groups ?? []
  const first = looks[0]
  const last = looks.at(-1)
  if (first === undefined || last === undefined || looks.length < 2) {
    return unknown('The group was looked at once only: `comporta report --for 10m` watches it.')
  }
  const seconds = (last.takenAtMs - first.takenAtMs) / 1000
  const unsettled = looks.filter(({ groups: now }) => now.some(({ state }) => state.includes('Rebalanc'))).length
  const names = groups.map(({ groupId }) => groupId).join(', ')
  const seen = unsettled === 0 ? 'none was seen' : `the group was unsettled in ${unsettled} of ${looks.length} looks`
  return measured(
    `Within ${Math.round(seconds)} s of watching ${names || 'no group'} ${seen}. ` +
      'In a steady state there should be none: ' +
      'only a deployment, a failure or scaling causes one.'
  )
}

function whySoMany({ plans, looks }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const members = looks
    .at(-1)
    ?.groups.map(({ groupId, memberCount }) => `${groupId} has ${counted(memberCount, 'member')}`)
  if (plans.length === 0) return unknown('`comporta partitions plan` answers it from measured rates.')
  const suffix = members === undefined || members.length === 0 ? '' : ` ${members.join(', ')}.`
  return computed(`${plans.map(({ topic, answer }) => `${topic}: ${answer}`).join(' ')}${suffix}`)
}

function whyMachines({ cost }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  if (cost === undefined) return unknown('`comporta cost --compare` prices the dispatcher beside AWS’s own mapping.')
  const kind = cost.alternatives.find(({ difference }) => difference === 0)?.cluster
  const same = cost.alternatives.filter(({ cluster }) => cluster === kind)
  const priced = same.map(({ invoker, report }) => `${invoker} ${dollars(report.monthly)}`)
  return computed(
    `A month costs, by who invokes: ${priced.join(', ')}. What the dispatcher adds for its price: order by key with ` +
      'parallel batches, retries that keep the order, dead letters per record, a breaker and limits, commits only ' +
      'after success.'
  )
}

function costOfBatch({ cost }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  if (cost === undefined) return unknown('`comporta cost` answers it.')
  const { best, options, reason } = cost.advice
  const now = options.find(({ recordsMax }) => recordsMax === best.recordsMax) ?? best
  const each = now.invocations === 0 ? 0 : now.monthly / now.invocations
  return computed(
    `${dollars(each * 1e6)} for a million batches, ${dollars(now.perMillion)} for a million records in the function, ` +
      `${dollars(cost.report.perMillion)} with everything else; ${reason}.`
  )
}

function whyTopics({ looks, pipeline }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const rates = new Map<string, number>()
  for (const { topic, arrivalRate } of looks.at(-1)?.groups.flatMap(({ partitions }) => partitions) ?? []) {
    rates.set(topic, (rates.get(topic) ?? 0) + (arrivalRate ?? 0))
  }
  const total = [...rates.values()].reduce((sum, rate) => sum + rate, 0)
  const reason =
    'Topics keep apart what differs in priority, pace and owner: a flood in one does not delay the other, and ' +
    'each is scaled by itself.'
  if (total > 0) {
    const shares = [...rates].map(([topic, rate]) => `${topic} ${Math.round((rate / total) * 100)} %`)
    return measured(`Shares of the traffic: ${shares.join(', ')}. ${reason}`)
  }
  const topics = pipeline?.dispatcher?.topics ?? []
  if (topics.length === 0) return unknown('No pipeline file, and no traffic was seen.')
  return configured(`${topics.join(', ')}. ${reason}`)
}

function slowConsumer({ experiments }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  return rehearsal(
    experiments,
    ['stop', 'kill-dispatcher'],
    'its partitions go to the others; offsets stay where they are'
  )
}

function slowFunction({ experiments }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  return rehearsal(experiments, ['slow-target', 'target-away'], 'the intake pauses, lag grows, nothing is dropped')
}

function rehearsal(
  experiments: readonly ReportExperiment[],
  names: readonly string[],
  design: string
): Omit<ReviewAnswer, 'question'> {
  const found = experiments.filter(({ name }) => names.includes(name))
  if (found.length === 0) {
    return unknown(`By design ${design}. Not rehearsed: \`comporta chaos run ${names.join(',')}\`.`)
  }
  const each = found.map(({ name, holds, recoveredMs, duplicates, lost }) => {
    const numbers = [
      lost === undefined ? '' : `${lost} lost`,
      duplicates === undefined ? '' : `${duplicates} delivered twice`,
      recoveredMs === undefined ? '' : `steady again after ${milliseconds(recoveredMs)}`
    ].filter(Boolean)
    return `${name}: ${holds ? 'held' : 'DID NOT HOLD'}${numbers.length === 0 ? '' : ` (${numbers.join(', ')})`}`
  })
  return measured(`Rehearsed. ${each.join('; ')}.`)
}

function growth({ plans }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const moved = plans.filter(({ movedShare }) => movedShare !== undefined)
  const rule =
    'Order per key across the change, unless `comporta partitions migrate` is used; records stay where they are.'
  if (moved.length === 0) return unknown(`${rule} Which keys move: \`comporta partitions plan\`.`)
  const each = moved.map(
    ({ topic, partitions, movedTo = 0, movedShare = 0 }) =>
      `${topic} from ${partitions} to ${movedTo}: ${Math.round(movedShare * 100)} % of the keys move`
  )
  return computed(`${rule} ${each.join('; ')}.`)
}

function loss({ experiments, looks }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const lossy = (looks.at(-1)?.groups ?? []).filter(({ flags }) => flags.includes('dataLoss'))
  if (lossy.length > 0) {
    const names = lossy.map(({ groupId }) => groupId).join(', ')
    return measured(`It has happened: retention deleted records before ${names} read them. See \`comporta lag\`.`)
  }
  const headroom = smallest(looks.at(-1)?.groups.map(({ headroomSeconds }) => headroomSeconds) ?? [])
  const until =
    headroom === undefined
      ? 'Nothing that is unread is about to be deleted.'
      : `The oldest unread record is deleted in ${hours(headroom)}.`
  if (experiments.length === 0) return looks.length === 0 ? unknown('`comporta chaos run all`.') : measured(until)
  const lost = experiments.reduce((sum, each) => sum + (each.lost ?? 0), 0)
  return measured(`${lost} records were lost in ${experiments.length} rehearsed failures. ${until}`)
}

function largestRisk({ findings }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  if (findings === undefined) return unknown('`comporta doctor` looks for it.')
  const worst =
    findings.find(({ severity }) => severity === 'error') ?? findings.find(({ severity }) => severity === 'warn')
  if (worst === undefined) {
    const open = findings.filter(({ severity }) => severity === 'unknown').length
    const unseen = open === 0 ? '' : ` ${counted(open, 'check')} could not be made or were not asked for: see below.`
    return measured(`None of the checks of \`comporta doctor\` found one.${unseen}`)
  }
  return measured(`${worst.title}: ${worst.reason} What to do: ${worst.fix}`)
}

function whoWakesUp({ pipeline, looks }: ReportFacts): Omit<ReviewAnswer, 'question'> {
  const last = looks.at(-1)?.groups ?? []
  const now = last.map(groupNow).join('; ')
  const { slo = [], alerts = [] } = pipeline?.operations ?? {}
  const prefix = now === '' ? '' : `Now: ${now}. `
  if (slo.length === 0 && alerts.length === 0) {
    return unknown(
      `${prefix}Nobody: neither objectives nor alerts are configured (\`operations.slo\`, \`operations.alerts\`).`
    )
  }
  return configured(
    `${prefix}${counted(slo.length, 'objective')} on the age of the oldest unread record, ` +
      `${counted(alerts.length, 'place')} told ` +
      'when their error budget burns. The pipeline degrades by lag, not by loss: whoever wakes up scales, and ' +
      'puts out no fire.'
  )
}

function groupNow({ groupId, status, lagRecords, lagSeconds }: GroupLag): string {
  const age = lagSeconds === undefined ? '' : `, ${Math.round(lagSeconds)} s old`
  return `${groupId} is ${status} with ${lagRecords.toLocaleString('en-US')} records behind${age}`
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter(value => value !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function milliseconds(value: number): string {
  return value >= 10_000 ? `${Math.round(value / 1000)} s` : `${Math.round(value)} ms`
}

function hours(seconds: number): string {
  return seconds >= 7200 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 60)} min`
}

function dollars(value: number): string {
  const digits = value !== 0 && Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2)
  return `${digits} USD`
}

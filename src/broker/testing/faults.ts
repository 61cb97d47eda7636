/**
 * Faults on demand: makes chosen requests fail, wait, vanish or lose their
 * connection, so that a test can see what its client does then.
 *
 * A rule names an API and may narrow it to a client or a topic; it counts the
 * requests it matches and acts on the n-th and as many after it as it says. The
 * first rule that acts on a request decides. Pure: what a fault does is in
 * `fault-task.ts`.
 *
 * Limits: `RULE_COUNT_MAX` rules at a time.
 */

import { PipelineError } from '../../core/index.ts'
import { ALL_APIS, KAFKA_ERRORS, type KafkaErrorName } from '../../protocol/index.ts'

/** Most rules at a time: every request is held against each of them. */
export const RULE_COUNT_MAX = 1000
const FAULT_NAMES = ['close', 'closeAfter', 'drop', 'dropAnswer'] as const

/** What a fault sees of a request. */
export interface FaultRequest {
  readonly apiKey: number
  /** Kafka's name, such as `Produce`. */
  readonly apiName: string
  readonly apiVersion: number
  /** Empty if the client gave none. */
  readonly clientId: string
  /** Names of the topics that the request names; read from it when asked for. */
  readonly topics: readonly string[]
}

/**
 * What happens to a request.
 *
 * - `'close'`: the connection is closed, the request does nothing.
 * - `'closeAfter'`: the request is done, then the connection is closed instead of an answer.
 * - `'drop'`: the request does nothing and gets no answer.
 * - `'dropAnswer'`: the request is done and gets no answer.
 * - `delayMs`: the request runs so many milliseconds later, by the broker's clock.
 * - `error`, `errorCode`: the request does nothing and is answered with this error of Kafka.
 */
export type Fault =
  | (typeof FAULT_NAMES)[number]
  | { readonly delayMs: number }
  | { readonly error: KafkaErrorName }
  | { readonly errorCode: number }

/** Called for every request before it runs; `undefined` lets it run. */
export type FaultHook = (request: FaultRequest) => Fault | undefined

/** Which requests get which fault. */
export interface FaultRule {
  /** Kafka's name of the API, such as `Produce`, or its key. */
  readonly api: string | number
  /** Only requests of this client id. */
  readonly clientId?: string | RegExp
  /** Only requests that name this topic. */
  readonly topic?: string | RegExp
  /** The first matching request that gets the fault, counted from 1. Default 1. */
  readonly nth?: number
  /** How many requests get it, from the n-th on; `Infinity` for all. Default 1. */
  readonly times?: number
  readonly fault: Fault
}

/** A rule that is in force. */
export interface Injection {
  /** Requests that matched so far. */
  readonly matched: number
  /** Requests that got the fault so far. */
  readonly applied: number
  /** Resolves when `applied` has reached `count`, default 1. */
  untilApplied(count?: number): Promise<void>
  /** Ends the rule. Idempotent. */
  remove(): void
}

interface ActiveRule {
  readonly rule: FaultRule
  readonly apiKey: number
  matched: number
  applied: number
  readonly waiters: Set<() => void>
}

/** The rules of one broker. */
export class Faults {
  readonly #hook: FaultHook | undefined
  readonly #rules = new Set<ActiveRule>()

  /** @param hook - Asked after the rules, for what they cannot say. */
  constructor(hook?: FaultHook) {
    this.#hook = hook
  }

  /** Whether any request could get a fault. */
  get isActive(): boolean {
    return this.#hook !== undefined || this.#rules.size > 0
  }

  /**
   * Puts a rule in force.
   *
   * @throws PipelineError `ERR_BROKER_INVALID_FAULT` if no API, error or count is what the rule says.
   */
  inject(rule: FaultRule): Injection {
    const active = { rule, apiKey: checkRule(rule), matched: 0, applied: 0, waiters: new Set<() => void>() }
    if (this.#rules.size >= RULE_COUNT_MAX) throw invalid(`there are ${RULE_COUNT_MAX} fault rules already`)
    this.#rules.add(active)
    return {
      get matched(): number {
        return active.matched
      },
      get applied(): number {
        return active.applied
      },
      untilApplied: (count = 1) => untilApplied(active, count),
      remove: () => void this.#rules.delete(active)
    }
  }

  /** Ends all rules. */
  clear(): void {
    this.#rules.clear()
  }

  /** The fault of a request, if it gets one. */
  decide(request: FaultRequest): Fault | undefined {
    let fault: Fault | undefined
    for (const active of this.#rules) {
      if (!matches(active, request)) continue
      active.matched += 1
      const { nth = 1, times = 1 } = active.rule
      if (fault !== undefined || active.matched < nth || active.matched >= nth + times) continue
      fault = active.rule.fault
      active.applied += 1
      for (const wake of active.waiters) wake()
    }
    return fault ?? this.#hook?.(request)
  }
}

function matches({ rule, apiKey }: ActiveRule, request: FaultRequest): boolean {
  if (apiKey !== request.apiKey) return false
  if (rule.clientId !== undefined && !isLike(rule.clientId, request.clientId)) return false
  const { topic } = rule
  return topic === undefined || request.topics.some(name => isLike(topic, name))
}

function isLike(pattern: string | RegExp, text: string): boolean {
  // `search` and not `test`, which remembers where a global pattern left off.
  return typeof pattern === 'string' ? pattern === text : text.search(pattern) >= 0
}

function untilApplied(active: ActiveRule, count: number): Promise<void> {
  if (active.applied >= count) return Promise.resolve()
  return new Promise(resolve => {
    const wake = (): void => {
      if (active.applied < count) return
      active.waiters.delete(wake)
      resolve()
    }
    active.waiters.add(wake)
  })
}

/** The API key of a rule that can be kept. */
function checkRule({ api, nth = 1, times = 1, fault }: FaultRule): number {
  const known = ALL_APIS.find(each => each.key === api || each.name === api)
  if (known === undefined)
    throw invalid(`there is no API ${JSON.stringify(api)}: write Produce, Fetch, Metadata, … or its key`)
  if (!Number.isInteger(nth) || nth < 1) throw invalid(`nth is ${nth}: the first request is 1`)
  if (times !== Infinity && (!Number.isInteger(times) || times < 1)) throw invalid(`times is ${times}: at least 1`)
  if (!isFault(fault)) {
    throw invalid(
      `the fault is ${JSON.stringify(fault)}: write { error }, { errorCode }, { delayMs }, ${FAULT_NAMES.join(', ')}`
    )
  }
  if (typeof fault === 'object' && 'delayMs' in fault && !(fault.delayMs >= 0 && Number.isFinite(fault.delayMs))) {
    throw invalid(`delayMs is ${fault.delayMs}: milliseconds of 0 and more`)
  }
  if (typeof fault === 'object' && 'error' in fault && !Object.hasOwn(KAFKA_ERRORS, fault.error)) {
    throw invalid(`Kafka has no error ${JSON.stringify(fault.error)}`)
  }
  return known.key
}

function isFault(fault: unknown): boolean {
  if (typeof fault !== 'object' || fault === null) return FAULT_NAMES.some(name => name === fault)
  return ['error', 'errorCode', 'delayMs'].some(name => name in fault)
}

function invalid(message: string): PipelineError {
  return new PipelineError('ERR_BROKER_INVALID_FAULT', message)
}

/**
 * The flow of one dispatcher: a route per target, what may change while it runs, and who watches.
 *
 * A route has slots, and so a breaker, a pace and limits of its own. Without
 * priorities there is one; a class of topics with its own target has its own,
 * all other classes share the first, which divides its leave among them.
 */

import type { DispatcherConfig } from '../../config/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import type { Target } from '../../targets/index.ts'
import { type Logger, type Meter, type MetricNameOf, observedGaugeOf } from '../../telemetry/index.ts'
import type { BreakerState } from '../breaker.ts'
import type { BatchLimits } from '../lane-surroundings.ts'
import { type SlotLimits, SlotQueue, type SlotsDescription } from '../slots.ts'
import { LiveSettings, type SettingsChange } from './live-settings.ts'

/** A target and the way to it. */
export interface Route {
  /** The class that it is for; `all` for those that share the dispatcher's target. */
  readonly name: string
  readonly target: Target
  readonly slots: SlotQueue
  /** Limits of the next batch, as they are at the moment of asking. */
  readonly batch: BatchLimits
  /** When the latest invocation was sent that the target has answered: evidence that it is well. */
  readonly health: { answeredSentMs: number }
}

/** What flow control is made from. */
export interface FlowControlOptions {
  readonly config: DispatcherConfig
  readonly target: Target
  /** Targets of classes that have their own, by the name of the class. */
  readonly classTargets?: Readonly<Record<string, Target>> | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Told when the breaker of a route changes its state. */
  readonly onBreaker: (route: Route, state: BreakerState) => void
}

/** Routes as JSON can hold them. */
export interface FlowDescription {
  readonly routes: readonly (SlotsDescription & { readonly name: string; readonly target: string })[]
}

const SHARED = 'all'

/** Routes and live settings of a dispatcher. */
export class FlowControl {
  readonly settings: LiveSettings
  readonly routes: readonly Route[]
  readonly #routeOfTopic = new Map<string, Route>()
  readonly #shared: Route
  readonly #logger: Logger

  constructor(options: FlowControlOptions) {
    const { config, target, classTargets = {}, logger } = options
    this.#logger = logger
    this.settings = new LiveSettings(config, changed => this.#configure(changed))
    this.#shared = this.#createRoute(options, { name: SHARED, target })
    const routes = [this.#shared]
    for (const { name, topics, target: described } of config.priorities) {
      if (described === undefined) continue
      const own = Object.hasOwn(classTargets, name) ? classTargets[name] : undefined
      if (own === undefined) throw noTarget(name)
      const route = this.#createRoute(options, { name, target: own })
      routes.push(route)
      for (const topic of topics) this.#routeOfTopic.set(topic, route)
    }
    this.routes = routes
  }

  /** The way that batches of a topic go. */
  routeOf(topic: string): Route {
    return this.#routeOfTopic.get(topic) ?? this.#shared
  }

  /** What the breakers are doing: the worst of them. */
  get breakerState(): BreakerState {
    const states = new Set(this.routes.map(({ slots }) => slots.breakerState))
    return states.has('open') ? 'open' : states.has('halfOpen') ? 'halfOpen' : 'closed'
  }

  /** Most invocations at once, all targets together, by configuration. */
  get concurrencyMax(): number {
    let sum = 0
    for (const { name } of this.routes) sum += slotLimits(this.settings.config, name).concurrency
    return sum
  }

  /** Changes settings; see `LiveSettings.update`. */
  update(change: SettingsChange): string[] {
    return this.#told(this.settings.update(change))
  }

  /** Takes a whole configuration; see `LiveSettings.replace`. */
  replace(config: DispatcherConfig): string[] {
    return this.#told(this.settings.replace(config))
  }

  /** Nobody gets leave until `resume`. */
  hold(): void {
    for (const { slots } of this.routes) slots.hold()
  }

  /** Ends `hold`. */
  resume(): void {
    for (const { slots } of this.routes) slots.resume()
  }

  /** Ends all timers. */
  close(): void {
    for (const { slots } of this.routes) slots.close()
  }

  /** What is going on, in full. */
  describe(): FlowDescription {
    return {
      routes: this.routes.map(({ name, target, slots }) => ({ name, target: target.name, ...slots.describe() }))
    }
  }

  /** Tells a meter, whenever it asks. */
  observe(meter: Meter, group: string): void {
    for (const [name, read] of GAUGES) {
      observedGaugeOf(meter, name).addCallback(result => {
        for (const route of this.describe().routes) {
          read(route, (value, more) => result.observe(value, { group, target: route.target, ...more }))
        }
      })
    }
  }

  #configure(config: DispatcherConfig): void {
    for (const { name, slots } of this.routes) slots.configure(slotLimits(config, name))
  }

  #told(paths: string[]): string[] {
    if (paths.length > 0) this.#logger.info({ settings: paths }, 'settings have changed')
    return paths
  }

  #createRoute(options: FlowControlOptions, { name, target }: { name: string; target: Target }): Route {
    const { settings } = this
    const slots = new SlotQueue({
      ...slotLimits(settings.config, name),
      clock: options.clock,
      logger: options.logger.child({ target: target.name }),
      onBreaker: state => options.onBreaker(route, state)
    })
    const batch: BatchLimits = {
      get recordsMax(): number {
        return slots.recordsMax
      },
      get bytesMax(): number {
        return Math.min(slots.bytesMax, target.bodyBytesMax)
      },
      get ageMs(): number {
        return settings.config.batch.ageMs
      }
    }
    const route: Route = { name, target, slots, batch, health: { answeredSentMs: Number.NEGATIVE_INFINITY } }
    return route
  }
}

type RouteDescription = FlowDescription['routes'][number]
type Tell = (value: number, attributes?: Readonly<Record<string, string>>) => void

const GAUGES: readonly (readonly [MetricNameOf<'gauge'>, (route: RouteDescription, tell: Tell) => void])[] = [
  ['comporta.dispatcher.concurrency_limit', ({ concurrency }, tell) => tell(concurrency.limit)],
  [
    'comporta.dispatcher.adaptive_limit',
    ({ concurrency }, tell) => {
      if (concurrency.mode !== 'off') tell(concurrency.wouldBe ?? concurrency.limit, { mode: concurrency.mode })
    }
  ],
  [
    'comporta.dispatcher.latency_ratio',
    ({ concurrency }, tell) => {
      if (concurrency.latencyRatio !== null) tell(concurrency.latencyRatio)
    }
  ],
  ['comporta.dispatcher.batch_records_max', ({ concurrency }, tell) => tell(concurrency.batchRecordsMax)],
  ['comporta.dispatcher.in_flight_records', ({ inFlightLimits }, tell) => tell(inFlightLimits.records)],
  ['comporta.dispatcher.in_flight_bytes', ({ inFlightLimits }, tell) => tell(inFlightLimits.bytes)],
  ['comporta.dispatcher.breaker_open', ({ breaker }, tell) => tell(breaker.state === 'closed' ? 0 : 1)],
  [
    'comporta.dispatcher.waiting',
    ({ classes }, tell) => {
      for (const { name, waiting } of classes) tell(waiting, { class: name })
    }
  ],
  [
    'comporta.dispatcher.oldest_wait_ms',
    ({ classes }, tell) => {
      for (const { name, oldestWaitMs } of classes) tell(oldestWaitMs, { class: name })
    }
  ],
  [
    'comporta.dispatcher.starved',
    ({ classes }, tell) => {
      for (const { name, isStarved } of classes) tell(isStarved ? 1 : 0, { class: name })
    }
  ]
]

/** The limits of a route's slots. A class with its own target has its own concurrency, and nobody to share it with. */
function slotLimits(config: DispatcherConfig, name: string): SlotLimits {
  const { priorities, concurrency } = config
  const own = name === SHARED ? undefined : priorities.find(each => each.name === name)
  return {
    ...config,
    concurrency: own?.concurrency ?? concurrency,
    priorities: own === undefined ? priorities.filter(({ target }) => target === undefined) : []
  }
}

function noTarget(name: string): PipelineError {
  const message = `class ${name} of dispatcher.priorities has a target of its own, which was not passed`
  return new PipelineError('ERR_DISPATCHER_TARGET_INVALID', message)
}

/**
 * A fleet of processes on this machine: dispatchers of one pipeline file, each in
 * a process of its own.
 *
 * One that crashes is started again after a pause that grows with each crash in a
 * row. One that is taken away, or made anew, finishes what it has in flight and
 * commits it first, so that nothing is delivered twice. Changes happen one after
 * the other. The fleet lives in this process and ends with it.
 */

import { backoffMs, messageOf, PipelineError, sleep, systemClock, systemRandom } from '../../core/index.ts'
import type { FleetActuator, FleetInstance, FleetSize, InstanceState } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type RoleProcess, Supervisor } from '../process/supervisor.ts'
import type { DispatcherRoleOptions } from '../roles/dispatcher.ts'

/** Options of `LocalFleet`. */
export interface LocalFleetOptions {
  /** What each process is started with; asked for at each start, so that one that is made anew has what holds now. */
  readonly dispatcher: () => Promise<DispatcherRoleOptions> | DispatcherRoleOptions
  /** Longest drain of one, in milliseconds. */
  readonly drainMs: number
  readonly logger: Logger
  readonly logLevel: string
  /** Folder for the log files. Default: they log to this process's own standard error. */
  readonly logDir?: string
}

/** A place in the fleet: processes come and go in it. */
interface Slot {
  readonly index: number
  readonly name: string
  state: InstanceState
  process: RoleProcess | undefined
  crashes: number
  crashedMs: number
  /** Aborts the pause before the next start. */
  readonly stop: AbortController
}

const restartBackoff = { initialMs: 500, maxMs: 30_000 }
/** One that has run for this long does not count among crashes in a row. */
const SOUND_MS = 60_000

/** See the module. */
export class LocalFleet implements FleetActuator {
  readonly name = 'local'
  readonly #options: LocalFleetOptions
  readonly #supervisor: Supervisor
  readonly #slots: Slot[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false
  #isComplete = true

  constructor(options: LocalFleetOptions) {
    const { logLevel, logDir } = options
    this.#options = options
    this.#supervisor = new Supervisor({
      logLevel,
      ...(logDir === undefined ? {} : { logDir }),
      onCrash: (name, error) => this.#onCrash(name, error)
    })
  }

  /** Pages of the processes' metrics. */
  get metricsUrls(): readonly string[] {
    return this.#slots.flatMap(({ process }) => (process?.isRunning === true ? (process.info['metrics'] ?? []) : []))
  }

  /** Whether everything that was drained so far had finished all that it had. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  size(): Promise<FleetSize> {
    const running = this.#slots.filter(({ state }) => state === 'running').length
    return Promise.resolve({ wanted: this.#slots.length, running, min: undefined, max: undefined })
  }

  instances(): Promise<readonly FleetInstance[]> {
    return Promise.resolve(
      this.#slots.map(({ name, state, process, crashes }) => ({
        id: name,
        state,
        health: process === undefined ? state : `process ${process.pid}`,
        crashes,
        ...(process === undefined ? {} : { incarnation: `${process.pid}` })
      }))
    )
  }

  /** Comes back when all of them are ready, or have finished what they had. */
  async resize(count: number): Promise<void> {
    await this.#inTurn(async () => {
      while (this.#slots.length > count) {
        const slot = this.#slots.at(-1)
        if (slot !== undefined) await this.#end(slot)
        this.#slots.pop()
      }
      const added: Slot[] = []
      while (this.#slots.length < count && !this.#isClosed) {
        const slot = newSlot(this.#slots.length)
        this.#slots.push(slot)
        added.push(slot)
      }
      // Together: the group rebalances once for all that come within its first delay.
      await Promise.all(added.map(slot => this.#start(slot)))
    })
  }

  async restart(instance: string): Promise<void> {
    await this.#inTurn(async () => {
      const slot = this.#slots.find(({ name }) => name === instance)
      if (slot === undefined) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no process ${instance}`)
      await this.#end(slot)
      const fresh = newSlot(slot.index)
      this.#slots[slot.index] = fresh
      await this.#start(fresh)
    })
  }

  /** Drains all of them. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const slot of this.#slots) slot.stop.abort()
    await this.#inTurn(async () => {
      await Promise.all(this.#slots.map(slot => this.#end(slot)))
      await this.#supervisor.close()
    })
  }

  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(run)
    this.#turn = mine.catch(() => undefined)
    return await mine
  }

  async #start(slot: Slot): Promise<void> {
    slot.state = 'starting'
    try {
      const options = await this.#options.dispatcher()
      const started = await this.#supervisor.start({
        role: 'dispatcher',
        name: slot.name,
        options: named(options, slot)
      })
      slot.process = started
      slot.state = 'running'
    } catch (error) {
      slot.state = 'failed'
      if (!slot.stop.signal.aborted) void this.#startAgain(slot, error)
    }
  }

  async #end(slot: Slot): Promise<void> {
    slot.stop.abort()
    slot.state = 'stopping'
    if (slot.process?.isRunning !== true) return
    if (await slot.process.drain(this.#options.drainMs)) return
    this.#isComplete = false
    this.#options.logger.warn({ instance: slot.name }, 'not all was finished in time: some of it is delivered again')
  }

  #onCrash(name: string, error: PipelineError): void {
    const slot = this.#slots.find(each => each.name === name)
    // One that fails while it starts is handled where its start is awaited.
    if (slot?.state === 'running') void this.#startAgain(slot, error)
  }

  async #startAgain(slot: Slot, error: unknown): Promise<void> {
    const nowMs = systemClock.monotonicMs()
    slot.state = 'failed'
    slot.crashes = nowMs - slot.crashedMs > SOUND_MS ? 1 : slot.crashes + 1
    slot.crashedMs = nowMs
    const waitMs = backoffMs(restartBackoff, slot.crashes, systemRandom)
    const fields = { instance: slot.name, crashes: slot.crashes, waitMs, error: messageOf(error) }
    this.#options.logger.error(fields, 'a dispatcher has ended by itself; starting it again')
    if (!(await sleep(systemClock, waitMs, slot.stop.signal))) return
    await this.#start(slot)
  }
}

function newSlot(index: number): Slot {
  const name = `dispatcher-${index + 1}`
  return {
    index,
    name,
    state: 'starting',
    process: undefined,
    crashes: 0,
    crashedMs: 0,
    stop: new AbortController()
  }
}

/** Static members of one machine need an id each. */
function named(options: DispatcherRoleOptions, { index }: Slot): DispatcherRoleOptions {
  const { groupInstanceId } = options.dispatcher
  if (groupInstanceId === undefined) return options
  return { ...options, dispatcher: { ...options.dispatcher, groupInstanceId: `${groupInstanceId}-${index + 1}` } }
}

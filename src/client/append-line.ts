/**
 * The connections of an appender: so many to each leader, each with its requests in flight. Pure: no I/O, no clock.
 *
 * Kafka answers the requests of a connection one after the other and reads the
 * next one only then, so one connection keeps one of its threads busy, and with
 * a second one it reads and appends at the same time. A partition always uses
 * the same connection to its leader: that keeps its order.
 *
 * A broker that throttles (KIP-219) answers at once, says for how long, and
 * reads nothing more from that connection meanwhile. What were sent would wait
 * in its socket, with its request timeout running: so nothing is sent.
 */

/** The place of a request in the order of its connection. */
export interface AppendTurn {
  /** Resolves when all requests before it have left. */
  readonly before: Promise<void>
  /** It has left, or it failed. Idempotent. */
  done(): void
}

/** One connection to one leader. */
export class AppendLine {
  readonly leaderId: number
  /** Name of the connection. */
  readonly lane: string
  inFlightCount = 0
  /** Nothing is sent before this time of the monotonic clock: the broker throttles. */
  restUntilMs = Number.NEGATIVE_INFINITY

  #lastTurn: Promise<void> | undefined
  #turnCount = 0

  constructor(leaderId: number, lane: string) {
    this.leaderId = leaderId
    this.lane = lane
  }

  /** Whether requests are being made ready. */
  get hasTurns(): boolean {
    return this.#turnCount > 0
  }

  /** Gives a request its place behind those that are being made ready: they leave in the order in which they came. */
  takeTurn(): AppendTurn {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.#lastTurn ?? Promise.resolve()
    this.#lastTurn = promise
    this.#turnCount += 1
    let isDone = false
    const done = (): void => {
      if (isDone) return
      isDone = true
      this.#turnCount -= 1
      resolve()
    }
    return { before, done }
  }

  /**
   * The broker reads nothing for a while.
   *
   * @returns By how much that makes the rest longer, in milliseconds.
   */
  throttle(throttleTimeMs: number, nowMs: number): number {
    const restUntilMs = Math.max(this.restUntilMs, nowMs + throttleTimeMs)
    const addedMs = restUntilMs - Math.max(this.restUntilMs, nowMs)
    this.restUntilMs = restUntilMs
    return addedMs
  }
}

/** All lines of one appender. */
export class AppendLines {
  readonly #lanes: readonly string[]
  readonly #byLeader = new Map<number, readonly AppendLine[]>()

  /** @param lanes - Names of the connections to each leader. */
  constructor(lanes: readonly string[]) {
    this.#lanes = lanes
  }

  get lanes(): readonly string[] {
    return this.#lanes
  }

  /** The line of a partition; `undefined` if it has no leader. */
  of(leaderId: number, partition: number): AppendLine | undefined {
    if (leaderId < 0) return undefined
    let lines = this.#byLeader.get(leaderId)
    if (lines === undefined) {
      lines = this.#lanes.map(lane => new AppendLine(leaderId, lane))
      this.#byLeader.set(leaderId, lines)
    }
    return lines[partition % lines.length]
  }
}

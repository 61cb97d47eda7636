/** The target of the simulation: takes batches, is slow, refuses, breaks off, or answers nonsense, by chance. */

import { type Random, randomInt, type VirtualClock } from '../../src/core/index.ts'
import type { RecordFailure, Target, TargetBatch, TargetOutcome } from '../../src/targets/index.ts'
import type { Invocation, Ledger } from './ledger.ts'
import type { ClusterLogs, SimRecord } from './logs.ts'
import { nameOf } from './member.ts'
import type { SimProcess } from './process.ts'

/** What a target does with a batch, apart from what its records are. */
export type Mood = 'well' | 'silent' | 'refusing' | 'throttling' | 'breaking' | 'nonsense' | 'throwing'

/** How a target is. */
export interface TargetHealth {
  /** Longest time that it works on a batch, in milliseconds. */
  latencyMaxMs: number
  /** Moods with their shares, drawn for each batch. Default: well. */
  moods: readonly Mood[]
}

export const WELL: TargetHealth = { latencyMaxMs: 20, moods: ['well'] }

interface Payload {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly { readonly o: number }[]
  /** As the dispatcher counts: of a retry topic, if that is where a record waits. */
  readonly offsets: number[]
  readonly keys: (string | null)[]
}

/** What a target is made of. */
export interface SimTargetOptions {
  readonly clock: VirtualClock
  readonly random: Random
  readonly ledger: Ledger
  readonly logs: ClusterLogs
}

/** The partition that records come from: retry topics have the numbers of their origin. */
function originOf({ partition }: Payload): string {
  return nameOf({ topic: 't', partition })
}

/** A service that all processes send to. */
export class SimTarget {
  health: TargetHealth = WELL
  readonly #options: SimTargetOptions
  /** Times that a flaky record was tried. */
  readonly #tries = new Map<string, number>()

  constructor(options: SimTargetOptions) {
    this.#options = options
  }

  /** The target as one process sees it. */
  seenBy(process: SimProcess, timeoutMs: number): Target {
    return {
      name: 'simulated',
      bodyBytesMax: 1_000_000,
      timeoutMs,
      invoke: (batch, signal) => this.#invoke(process, batch, signal),
      close: () => Promise.resolve()
    }
  }

  #invoke(process: SimProcess, batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const { clock, random, ledger } = this.#options
    const payload = JSON.parse(batch.body.toString('utf8')) as Payload
    const origins = { offsets: payload.messages.map(({ o }) => o), keys: payload.keys }
    const invocation = ledger.sent(process.name, originOf(payload), origins)
    signal.addEventListener('abort', () => ledger.givenUp(invocation), { once: true })
    const { moods, latencyMaxMs } = this.health
    const mood = moods[randomInt(random, moods.length)] ?? 'well'
    const wayMs = 1 + randomInt(random, 5)
    return new Promise((resolve, reject) => {
      const answer = (outcome: TargetOutcome, told: readonly number[]): void => {
        clock.after(1 + randomInt(random, 5), () =>
          process.enter(() => {
            if (!invocation.isGivenUp) for (const offset of told) invocation.told.add(offset)
            ledger.note(`#${invocation.id} is answered: ${outcome.kind}`)
            if (mood === 'throwing') reject(new Error('the socket hung up'))
            else resolve(outcome)
          })
        )
      }
      clock.after(wayMs, () => {
        if (mood === 'refusing' || mood === 'throttling') {
          ledger.over(invocation)
          const retryAfterMs = mood === 'throttling' ? { retryAfterMs: randomInt(random, 300) } : {}
          answer({ kind: 'unavailable', reason: mood, ...retryAfterMs }, [])
          return
        }
        clock.after(1 + randomInt(random, latencyMaxMs), () => this.#work({ invocation, payload, mood, answer }))
      })
    })
  }

  #work(request: {
    invocation: Invocation
    payload: Payload
    mood: Mood
    answer: (outcome: TargetOutcome, told: readonly number[]) => void
  }): void {
    const { random, ledger } = this.#options
    const { invocation, payload, mood, answer } = request
    // One that has failed may have taken all the same.
    const isTaken = mood === 'well' || random.next() < 0.5
    const { outcome, taken } = this.#judge(payload)
    if (isTaken) ledger.delivered(invocation, taken)
    if (isTaken && outcome.kind === 'partial') {
      for (const { action, offset } of outcome.failures) {
        if (action !== 'skip') continue
        ledger.skipped(originOf(payload), payload.messages[payload.offsets.indexOf(Number(offset))]?.o ?? -1)
      }
    }
    ledger.over(invocation)
    if (mood === 'well') answer(outcome, taken)
    else if (mood === 'breaking' || mood === 'throwing') {
      answer({ kind: 'unavailable', reason: mood, isSuspect: true }, [])
    } else if (mood === 'nonsense') {
      const failures: RecordFailure[] = [{ offset: 999_999_999n, action: 'retry', reason: 'never sent' }]
      answer({ kind: 'partial', failures }, [])
    }
  }

  /** What the records ask for. */
  #judge({ partition, offsets, messages, keys }: Payload): { outcome: TargetOutcome; taken: readonly number[] } {
    const records = messages.map(({ o }) => this.#record('t', partition, o))
    if (records.some(record => record?.kind === 'rejected')) {
      return { outcome: { kind: 'rejected', reason: 'bad', errorClass: 'TypeError' }, taken: [] }
    }
    const failures: RecordFailure[] = []
    const failedKeys = new Set<string>()
    const taken: number[] = []
    for (const [index, offset] of offsets.entries()) {
      const kind = records[index]?.kind ?? 'plain'
      const key = keys[index] ?? null
      const isFollower = key !== null && failedKeys.has(key)
      const action = isFollower ? 'retry' : this.#actionOf(`${partition}@${messages[index]?.o}`, kind)
      if (action === 'retry' && key !== null) failedKeys.add(key)
      if (action === undefined) taken.push(messages[index]?.o ?? -1)
      else failures.push({ offset: BigInt(offset), action, reason: kind })
    }
    return failures.length === 0
      ? { outcome: { kind: 'ok' }, taken }
      : { outcome: { kind: 'partial', failures }, taken }
  }

  #actionOf(name: string, kind: SimRecord['kind']): RecordFailure['action'] | undefined {
    if (kind === 'deadLetter' || kind === 'skip') return kind
    if (kind !== 'flaky') return undefined
    const tries = (this.#tries.get(name) ?? 0) + 1
    this.#tries.set(name, tries)
    return tries <= 2 ? 'retry' : undefined
  }

  #record(topic: string, partition: number, offset: number): SimRecord | undefined {
    return this.#options.logs.find(topic, partition)?.records.get(offset)
  }
}

/** Live progress of a run: one line repainted on a terminal, a line every two seconds elsewhere. */

import { systemClock } from '../../core/index.ts'

/** What a run knows of itself at one moment; counts from its start. */
export interface Progress {
  readonly phase: string
  readonly produced: number
  readonly total: number
  readonly delivered: number
  readonly deadLettered: number
  readonly lag: number
  readonly batches: number
  readonly inFlight: number
}

/** Where progress is shown. */
export interface ProgressOutput {
  readonly isTTY?: boolean
  /** Width of the terminal. */
  readonly columns?: number
  write(text: string): unknown
}

/** Shows progress until it is stopped. */
export class ProgressLine {
  readonly #output: ProgressOutput
  readonly #isQuiet: boolean
  #last: { progress: Progress; atMs: number } | undefined
  #lastPrintMs = Number.NEGATIVE_INFINITY
  #isPainted = false

  constructor(output: ProgressOutput, isQuiet: boolean) {
    this.#output = output
    this.#isQuiet = isQuiet
  }

  /** Shows where the run is; call it a few times a second. */
  show(progress: Progress): void {
    const nowMs = systemClock.monotonicMs()
    const periodMs = this.#output.isTTY === true ? 500 : 2000
    if (this.#isQuiet || nowMs - this.#lastPrintMs < periodMs) return
    const line = formatProgress(progress, this.#last?.progress, nowMs - (this.#last?.atMs ?? nowMs))
    this.#last = { progress, atMs: nowMs }
    this.#lastPrintMs = nowMs
    if (this.#output.isTTY === true) {
      // A line that wraps cannot be repainted.
      this.#output.write(`\r\u001B[2K${line.slice(0, (this.#output.columns ?? 200) - 1)}`)
      this.#isPainted = true
    } else this.#output.write(`${line}\n`)
  }

  /** Prints a line of its own, above the progress. */
  note(text: string): void {
    if (this.#isQuiet) return
    this.#output.write(this.#isPainted ? `\r\u001B[2K${text}\n` : `${text}\n`)
    this.#isPainted = false
  }

  /** Ends the painted line. */
  end(): void {
    if (this.#isPainted) this.#output.write('\n')
    this.#isPainted = false
  }
}

/** One line: totals, and rates since the last line. */
export function formatProgress(now: Progress, before: Progress | undefined, elapsedMs: number): string {
  const rate = (count: number, earlier: number | undefined): string =>
    `${thousands(elapsedMs > 0 ? ((count - (earlier ?? 0)) * 1000) / elapsedMs : 0).padStart(7)}/s`
  const share = now.total === 0 ? 100 : Math.floor((now.produced * 100) / now.total)
  return [
    now.phase.padEnd(9),
    `produced ${thousands(now.produced)} (${share} %) ${rate(now.produced, before?.produced)}`,
    `delivered ${thousands(now.delivered)} ${rate(now.delivered, before?.delivered)}`,
    `lag ${thousands(now.lag)}`,
    `batches ${thousands(now.batches)}`,
    `in flight ${now.inFlight}`,
    `dead letters ${thousands(now.deadLettered)}`
  ].join('  ')
}

/** A whole number with commas. */
export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/**
 * The lines that Lambda itself writes around an invocation, as text or, with
 * `AWS_LAMBDA_LOG_FORMAT=JSON`, as platform events.
 *
 * Source: Lambda developer guide, "Log formats" and "Telemetry API event schema".
 */

/** How log lines are written. */
export type LogFormat = 'text' | 'json'

/** What the end of an invocation reports. */
export interface InvocationReport {
  readonly requestId: string
  readonly durationMs: number
  readonly memoryMb: number
  readonly maxMemoryMb: number
  /** Only for the first invocation of an environment. */
  readonly initMs: number | undefined
  readonly status: 'success' | 'error' | 'timeout'
  readonly errorType: string | undefined
}

/** What is known about the start of an environment that failed. */
export interface InitReport {
  readonly initMs: number
  /** `invoke` when the start was tried again for an invocation. */
  readonly phase: 'init' | 'invoke'
  readonly status: 'error' | 'timeout'
  readonly errorType: string
}

/** Writes lines in one format; `nowMs` gives platform events their time. */
export class PlatformLog {
  readonly #format: LogFormat
  readonly #nowMs: () => number

  constructor(format: LogFormat, nowMs: () => number) {
    this.#format = format
    this.#nowMs = nowMs
  }

  start(requestId: string, version: string): string {
    if (this.#format === 'json') return this.#event('platform.start', { requestId, version })
    return `START RequestId: ${requestId} Version: ${version}\n`
  }

  /** END and REPORT. */
  end(report: InvocationReport): string {
    const { requestId, durationMs, memoryMb, maxMemoryMb, initMs, status, errorType } = report
    // Since August 2025 the start is billed as well.
    const billedMs = Math.ceil(durationMs + (initMs ?? 0))
    if (this.#format === 'json') {
      const metrics = {
        durationMs: rounded(durationMs),
        billedDurationMs: billedMs,
        memorySizeMB: memoryMb,
        maxMemoryUsedMB: maxMemoryMb,
        ...(initMs === undefined ? {} : { initDurationMs: rounded(initMs) })
      }
      const error = errorType === undefined ? {} : { errorType }
      return this.#event('platform.report', { requestId, metrics, status, ...error })
    }
    const init = initMs === undefined ? '' : `Init Duration: ${initMs.toFixed(2)} ms\t`
    return (
      `END RequestId: ${requestId}\nREPORT RequestId: ${requestId}\tDuration: ${durationMs.toFixed(2)} ms\t` +
      `Billed Duration: ${billedMs} ms\tMemory Size: ${memoryMb} MB\tMax Memory Used: ${maxMemoryMb} MB\t${init}` +
      `${statusText(status, errorType)}\n`
    )
  }

  /** The start of an environment failed. */
  initReport({ initMs, phase, status, errorType }: InitReport): string {
    if (this.#format === 'json') {
      const metrics = { durationMs: rounded(initMs) }
      const error = status === 'timeout' ? {} : { errorType }
      return this.#event('platform.initReport', { phase, status, metrics, ...error })
    }
    return `INIT_REPORT Init Duration: ${initMs.toFixed(2)} ms\tPhase: ${phase}\t${statusText(status, errorType)}\n`
  }

  /** An invocation took too long. */
  timedOut(requestId: string, seconds: string): string {
    // As platform event the report says it.
    if (this.#format === 'json') return ''
    return `${new Date(this.#nowMs()).toISOString()} ${requestId} Task timed out after ${seconds} seconds\n\n`
  }

  #event(type: string, record: object): string {
    return `${JSON.stringify({ time: new Date(this.#nowMs()).toISOString(), type, record })}\n`
  }
}

function statusText(status: InvocationReport['status'], errorType: string | undefined): string {
  if (status === 'success') return ''
  return status === 'timeout' ? 'Status: timeout' : `Status: error\tError Type: ${errorType ?? 'Unknown'}`
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000
}

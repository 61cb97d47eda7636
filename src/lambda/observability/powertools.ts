/**
 * The parts of AWS's Powertools that are used, by their shape: whoever brings a logger only needs no metrics, and
 * nobody needs a package that is not used.
 */

/** Fields of a log line. */
export type LogKeys = Record<string, string | number | boolean | readonly string[] | undefined>

/** `Logger` of `@aws-lambda-powertools/logger`. */
export interface PowertoolsLogger {
  /** Takes request id, function and cold start from Lambda's context. */
  addContext(context: never): void
  appendKeys(keys: LogKeys): void
  removeKeys(names: string[]): void
  debug(message: string, fields: LogKeys): void
  info(message: string, fields: LogKeys): void
  warn(message: string, fields: LogKeys): void
  error(message: string, fields: LogKeys): void
}

/** `Metrics` of `@aws-lambda-powertools/metrics`. */
export interface PowertoolsMetrics {
  addDimension(name: string, value: string): unknown
  addMetric(name: string, unit: 'Count' | 'Bytes' | 'Milliseconds', value: number): unknown
  captureColdStartMetric(functionName?: string): void
  /** Writes what was added, and forgets it and its dimensions. */
  publishStoredMetrics(): unknown
}

/** A subsegment of X-Ray. */
export interface XraySubsegment {
  /** In epoch seconds. */
  start_time: number
  addAnnotation(name: string, value: string | number | boolean): void
  addErrorFlag(): void
  addFaultFlag(): void
  close(): void
}

/** `Tracer` of `@aws-lambda-powertools/tracer`. */
export interface PowertoolsTracer {
  isTracingEnabled(): boolean
  getSegment(): { addNewSubsegment(name: string): XraySubsegment } | undefined
}

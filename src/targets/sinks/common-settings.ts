/** What every target of the distributor may have, whatever its type. Read by the distributor, not by the sinks. */

/** How often a target is tried within one invocation. */
export interface SinkRetrySettings {
  /** Most attempts for a record, the first one included. Integer, 1 to 10. Default 2. */
  readonly attemptsMax?: number
  /** Wait before the second attempt, in milliseconds; it doubles, less up to half at random. Default 100. */
  readonly backoffMs?: number
}

/** What every target may have. */
export interface CommonSinkSettings {
  /** Longest wait for one answer of the target, in milliseconds. Default: the distributor's `timeoutMs`. */
  readonly timeoutMs?: number
  /** Default: the distributor's `retry`. */
  readonly retry?: SinkRetrySettings
}

/** Members that every target may have. */
export const COMMON_SINK_MEMBERS: readonly string[] = ['type', 'timeoutMs', 'retry']

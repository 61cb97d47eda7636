/** `core`: errors, clock and timers, seeded random, bounded queues. No I/O; every room may import it. */

export { type BackoffOptions, backoffMs } from './backoff.ts'
export { BoundedQueue, type BoundedQueueOptions } from './bounded-queue.ts'
export { type Clock, sleep, systemClock, type Timer, turn, within } from './clock.ts'
export { Doorbell } from './doorbell.ts'
export type { ErrorCodeEntry } from './error-codes/entry.ts'
export { ERROR_CODES, type ErrorCode, errorCodeEntry } from './error-codes/index.ts'
export {
  BODY_BYTES_MAX,
  bodyBytes,
  decodeFinished,
  encodeFinished,
  METADATA_LENGTH_MAX,
  type OffsetRanges,
  varintSize
} from './finished-ranges.ts'
export { compileEventPattern, type EventPattern, type PatternReport } from './event-pattern.ts'
export { decimalOf, type FieldCondition, type NumberRange, readFieldCondition } from './field-condition.ts'
export { headerProblem } from './http-headers.ts'
export {
  briefMessageOf,
  invariant,
  isRetriable,
  messageOf,
  PipelineError,
  type PipelineErrorOptions
} from './errors.ts'
export { type Random, randomInt, SeededRandom, systemRandom } from './random.ts'
export { printableText } from './printable-text.ts'
export { readTextTemplate, type TextTemplate } from './text-template.ts'
export { TokenBucket, type TokenBucketOptions } from './token-bucket.ts'
export { VirtualClock } from './virtual-clock.ts'

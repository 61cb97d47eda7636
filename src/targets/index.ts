/** `targets`: where a batch can go. Each target sends one encoded batch and says what happened. */

export { appendOutcome } from './append-outcome.ts'
export { createTarget, type TargetDependencies, type TargetSettings } from './create.ts'
export { isRetriableError } from './failures.ts'
export { httpStatusOutcome, HttpTarget, type HttpTargetOptions } from './http-target.ts'
export { functionErrorOutcome, LambdaTarget, type LambdaTargetOptions, serviceErrorOutcome } from './lambda-target.ts'
export { type FunctionToLoad, loadFunction } from './load-function.ts'
export { type ModuleContext, type ModuleHandler, ModuleTarget, type ModuleTargetOptions } from './module-target.ts'
export { readReply, readReplyText } from './reply.ts'
export {
  type BatchRecords,
  INVALID_REPLY,
  type RecordFailure,
  type Target,
  type TargetBatch,
  type TargetOutcome,
  TOO_LARGE
} from './target.ts'
export { isExactlyOnceTarget, type MadeRecords, TopicTarget, type TopicTargetOptions } from './topic-target.ts'
export {
  loadTopicTransform,
  type TopicContext,
  type TopicInput,
  type TopicOutput,
  type TopicRoute,
  type TopicTransform
} from './topic-transform.ts'

/** Answers of EventBridge and Kinesis: one per entry, in the order of the request. */

import { type EntryAnswers, type EntryError, NO_ANSWER } from './aws-sink.ts'

/** One entry of the answer. */
interface IndexedAnswer {
  readonly ErrorCode?: string | undefined
  readonly ErrorMessage?: string | undefined
}

/** Those that failed, by position. An entry without an answer has failed: nobody knows whether it arrived. */
export function indexedAnswers(given: readonly IndexedAnswer[], count: number): EntryAnswers {
  const answers = new Map<number, EntryError>()
  for (let position = 0; position < count; position += 1) {
    const answer = given[position]
    const code = answer === undefined ? NO_ANSWER : answer.ErrorCode
    if (code === undefined || code === '') continue
    answers.set(position, { code, message: answer?.ErrorMessage, isSenderFault: undefined })
  }
  return answers
}

/** Answers of EventBridge and Kinesis: one per entry, in the order of the request. */

import type { EntryAnswers, EntryError } from './aws-sink.ts'

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
    const code = answer === undefined ? 'NoAnswer' : answer.ErrorCode
    if (code === undefined || code === '') continue
    const isMissing = answer === undefined ? false : undefined
    answers.set(position, { code, message: answer?.ErrorMessage, isSenderFault: isMissing })
  }
  return answers
}

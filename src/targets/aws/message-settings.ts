/** How a queue's or a topic's settings become messages, and its answers failures. */

import { type EntryAnswers, type EntryError, NO_ANSWER } from './aws-sink.ts'
import { templateOf } from './aws-settings.ts'
import type { MessageSettings } from './message-entries.ts'

/** Settings that queues and topics have in common. */
interface GivenSettings {
  readonly message?: 'record' | 'batch'
  readonly group?: string
  readonly deduplicationId?: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly messageRecordsMax?: number
}

const PLACE = { topic: '{topic}', partition: '{partition}', offset: '{offset}' } as const

/** Settings with every default filled in. */
export function messageSettings(
  given: GivenSettings,
  { isFifo, bytesMax }: { readonly isFifo: boolean; readonly bytesMax: number }
): MessageSettings {
  const { message: mode = 'record' } = given
  const group = given.group ?? (isFifo && mode === 'record' ? '{key}' : undefined)
  const attributes = given.attributes ?? (mode === 'record' ? { ...PLACE, key: '{key}' } : PLACE)
  return {
    mode,
    isFifo,
    bytesMax,
    group: group === undefined ? undefined : templateOf(group),
    deduplicationId: given.deduplicationId === undefined ? undefined : templateOf(given.deduplicationId),
    attributes: Object.entries(attributes).map(([name, text]) => ({ name, template: templateOf(text) })),
    messageRecordsMax: given.messageRecordsMax ?? 500
  }
}

/** An entry of `Failed` in the answers of SQS and SNS. */
interface FailedEntry {
  readonly Id: string | undefined
  readonly Code: string | undefined
  readonly Message?: string | undefined
  readonly SenderFault: boolean | undefined
}

/** An answer of SQS or SNS. */
interface BatchAnswer {
  readonly Successful?: readonly { readonly Id?: string | undefined }[] | undefined
  readonly Failed?: readonly FailedEntry[] | undefined
}

/** What failed, by position: ids are positions. An entry in no list has failed: nobody knows whether it arrived. */
export function batchAnswers({ Successful = [], Failed = [] }: BatchAnswer, count: number): EntryAnswers {
  const taken = new Set(Successful.map(({ Id }) => Id))
  const failed = new Map(Failed.map(each => [each.Id, each]))
  const answers = new Map<number, EntryError>()
  for (let position = 0; position < count; position += 1) {
    const id = String(position)
    const failure = failed.get(id)
    if (failure === undefined && taken.has(id)) continue
    const { Code = NO_ANSWER, Message, SenderFault } = failure ?? {}
    answers.set(position, { code: Code, message: Message, isSenderFault: SenderFault })
  }
  return answers
}

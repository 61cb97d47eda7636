/** How a queue's or a topic's settings become messages, and its answers failures. */

import {
  type AwsSinkParts,
  DELIVERY_BYTES_MAX,
  DELIVERY_RECORDS_MAX,
  type EntryAnswers,
  type EntryError,
  NO_ANSWER
} from './aws-sink.ts'
import { templateOf } from './aws-settings.ts'
import type { MessageEntry, MessageSettings } from './message-entries.ts'

/** Most messages of a request. Source: SQS API reference, SendMessageBatch; SNS API reference, PublishBatch. */
const ENTRIES_MAX = 10

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

/** What a sink of messages takes in a delivery, and in a request. */
export function messageLimits({
  isFifo,
  bytesMax,
  order
}: {
  readonly isFifo: boolean
  readonly bytesMax: number
  readonly order: 'key' | 'loose'
}): Pick<AwsSinkParts<MessageEntry, never>, 'limits' | 'entryLimits'> {
  return {
    limits: {
      recordsMax: DELIVERY_RECORDS_MAX,
      bytesMax: DELIVERY_BYTES_MAX,
      recordBytesMax: bytesMax,
      ...(isFifo ? {} : { isUnordered: true })
    },
    entryLimits: { entriesMax: ENTRIES_MAX, bytesMax, groupEntriesMax: order === 'key' ? 1 : ENTRIES_MAX }
  }
}

/** What an entry has in requests of SQS and SNS alike; the body has another name in each. Its id is its position. */
export function entryMembers({ attributes, groupId, deduplicationId }: MessageEntry, position: number) {
  return {
    Id: String(position),
    ...(attributes === undefined ? {} : { MessageAttributes: attributes }),
    ...(groupId === undefined ? {} : { MessageGroupId: groupId }),
    ...(deduplicationId === undefined ? {} : { MessageDeduplicationId: deduplicationId })
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

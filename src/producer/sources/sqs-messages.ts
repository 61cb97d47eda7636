/** Messages of a queue as events, and which of them may be deleted afterwards. Pure. */

import type { Message } from '@aws-sdk/client-sqs'

import type { AppendHeader } from '../../client/index.ts'
import { EVENT_OUTCOME } from '../delivery.ts'
import type { EventChunk } from '../event-chunk.ts'
import type { EventProblem } from '../event-problem.ts'

/** How messages become events. */
export interface SqsRowOptions {
  /** `sns`: a body is an SNS notification, and its message the event. */
  readonly unwrap: 'none' | 'sns'
  /** The message group becomes the key. */
  readonly keepKey: boolean
  /** The attributes of a message become headers. */
  readonly keepHeaders: boolean
}

const noNotification: EventProblem = { errorClass: 'malformed', reason: 'the body is no SNS notification' }

/** The messages of one answer, in their order. */
export function sqsChunk(messages: readonly Message[], options: SqsRowOptions, position: number): EventChunk {
  const problems = new Map<number, EventProblem>()
  const bodies = messages.map((message, index) => {
    const body = message.Body ?? ''
    const event = options.unwrap === 'sns' ? notificationOf(body) : body
    if (event === undefined) problems.set(index, noNotification)
    return Buffer.from(event ?? body)
  })
  const spans = new Uint32Array(messages.length * 2)
  let end = 0
  for (const [index, body] of bodies.entries()) {
    spans[index * 2] = end
    end += body.length
    spans[index * 2 + 1] = end
  }
  return {
    bytes: Buffer.concat(bodies),
    spans,
    lines: Uint32Array.from(messages, (_, index) => index + 1),
    count: messages.length,
    position: position + end,
    rowNames: index => messages[index]?.MessageId ?? '',
    ...(problems.size === 0 ? {} : { problems }),
    ...(options.keepKey ? { rowKeys: index => textOrNull(messages[index]?.Attributes?.MessageGroupId) } : {}),
    ...(options.keepHeaders ? { rowHeaders: index => headersOf(messages[index]) } : {})
  }
}

/**
 * The messages that may be deleted: those whose events are safe. In a FIFO queue, from the first one of a group that
 * is not, none of the group: they come again together, in order.
 */
export function deletable(messages: readonly Message[], outcomes: Uint8Array, isFifo: boolean): Message[] {
  const heldGroups = new Set<string>()
  return messages.filter((message, index) => {
    const isSafe = outcomes[index] !== EVENT_OUTCOME.failed && outcomes[index] !== 0
    const group = message.Attributes?.MessageGroupId ?? ''
    if (!isSafe && isFifo) heldGroups.add(group)
    return isSafe && !heldGroups.has(group)
  })
}

/** The text that was published to SNS; `undefined` if the body is no notification. */
function notificationOf(body: string): string | undefined {
  try {
    const envelope: unknown = JSON.parse(body)
    if (typeof envelope !== 'object' || envelope === null) return undefined
    if (!('Type' in envelope) || envelope.Type !== 'Notification') return undefined
    return 'Message' in envelope && typeof envelope.Message === 'string' ? envelope.Message : undefined
  } catch {
    return undefined // not JSON: no notification either
  }
}

function textOrNull(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text)
}

function headersOf(message: Message | undefined): AppendHeader[] | undefined {
  const attributes = Object.entries(message?.MessageAttributes ?? {})
  if (attributes.length === 0) return undefined
  return attributes.map(([key, { BinaryValue, StringValue }]) => {
    const value = BinaryValue === undefined ? Buffer.from(StringValue ?? '') : Buffer.from(BinaryValue)
    return { key, value }
  })
}

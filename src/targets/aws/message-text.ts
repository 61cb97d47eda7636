/**
 * Text as AWS's queues and topics take it.
 *
 * A body holds the characters of XML 1.0 only. JSON has raw characters outside of
 * that in strings alone, where an escape means the same: so a body is never
 * refused for its characters, and its JSON value is the one that was produced.
 * Source: SQS API reference, SendMessage; W3C XML 1.0, production `Char`.
 */

import { createHash } from 'node:crypto'

const REFUSED = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
const ALL_REFUSED = new RegExp(REFUSED, 'gu')

/** Whether a text has characters that a queue refuses. */
export function hasRefusedCharacters(text: string): boolean {
  return REFUSED.test(text)
}

/** JSON text with characters that a queue refuses written as escapes. */
export function safeJsonText(json: string): string {
  if (!REFUSED.test(json)) return json
  return json.replace(ALL_REFUSED, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Most characters of a group or deduplication id. Source: SQS and SNS, `MessageGroupId`. */
const ID_MAX = 128
const PLAIN_ID = /^[\x21-\x7e]{1,128}$/

/**
 * Name of a message group: letters, digits and punctuation. Others are percent-encoded; what is too long becomes its
 * SHA-256. Two keys that share a name by that would share an order, and nothing else.
 */
export function groupIdOf(text: string): string {
  if (PLAIN_ID.test(text)) return text
  const encoded = text === '' || !text.isWellFormed() ? '' : encodeURIComponent(text)
  return encoded !== '' && encoded.length <= ID_MAX ? encoded : sha256(text)
}

/** A deduplication id: as it is, or its SHA-256. Two ids never become one, which would lose a message. */
export function deduplicationIdOf(text: string): string {
  return PLAIN_ID.test(text) ? text : sha256(text)
}

/** SHA-256 in hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

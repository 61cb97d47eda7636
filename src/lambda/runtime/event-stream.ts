/**
 * Messages of `application/vnd.amazon.eventstream`, in which streamed answers
 * travel:
 *
 *     int32 total length | int32 length of headers | crc32 of both
 *     headers: { int8 length, name, int8 7 (string), int16 length, value }…
 *     payload | crc32 of all before
 *
 * Source: AWS SDKs, "Amazon event stream encoding" (Smithy, `aws.protocols`).
 */

import { crc32 } from 'node:zlib'

const STRING = 7
const PRELUDE_BYTES = 8
const CRC_BYTES = 4

/** One message with string headers. */
export function encodeEventStreamMessage(headers: Readonly<Record<string, string>>, payload: Uint8Array): Buffer {
  const encoded = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)))
  const totalBytes = PRELUDE_BYTES + CRC_BYTES + encoded.length + payload.byteLength + CRC_BYTES
  const message = Buffer.allocUnsafe(totalBytes)
  message.writeUInt32BE(totalBytes, 0)
  message.writeUInt32BE(encoded.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, PRELUDE_BYTES)), PRELUDE_BYTES)
  encoded.copy(message, PRELUDE_BYTES + CRC_BYTES)
  message.set(payload, PRELUDE_BYTES + CRC_BYTES + encoded.length)
  const end = totalBytes - CRC_BYTES
  message.writeUInt32BE(crc32(message.subarray(0, end)), end)
  return message
}

function encodeHeader(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)]
  const head = Buffer.from([nameBytes.length])
  const type = Buffer.from([STRING, valueBytes.length >> 8, valueBytes.length & 0xff])
  return Buffer.concat([head, nameBytes, type, valueBytes])
}

/** A piece of a streamed answer. */
export function payloadChunk(payload: Uint8Array): Buffer {
  const headers = {
    ':event-type': 'PayloadChunk',
    ':content-type': 'application/octet-stream',
    ':message-type': 'event'
  }
  return encodeEventStreamMessage(headers, payload)
}

/** The end of a streamed answer. */
export function invokeComplete(end: {
  readonly ErrorCode?: string
  readonly ErrorDetails?: string
  readonly LogResult?: string
}): Buffer {
  const headers = { ':event-type': 'InvokeComplete', ':content-type': 'application/json', ':message-type': 'event' }
  return encodeEventStreamMessage(headers, Buffer.from(JSON.stringify(end)))
}

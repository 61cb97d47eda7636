/**
 * Lines of text as events:
 *
 *   {"message":"…","file":"/var/log/app.log","line":12,"host":"web-1"}
 *
 * The same line makes the same event each time it is read, so that a repeated one
 * can be recognized. `message` is the line as UTF-8; a line that is not UTF-8 is
 * read as ISO 8859-1, byte by byte, and says so with `"charset":"latin1"`.
 */

import { isUtf8 } from 'node:buffer'

import { ChunkBuilder, type EventChunk, spanEnd, spanStart } from '../event-chunk.ts'

/** What lines of text are given besides themselves. */
export interface TextLines {
  /** Value of `file`: path of the file, or `stdin`. */
  readonly file: string
  /** Value of `host`: name of this machine. */
  readonly host: string
}

/** The chunk with an object in the place of every line. What was too long to be kept stays marked so. */
export function wrapLines(chunk: EventChunk, text: TextLines): EventChunk {
  const file = `,"file":${JSON.stringify(text.file)},"line":`
  const host = `,"host":${JSON.stringify(text.host)}`
  const builder = new ChunkBuilder()
  const isAllUtf8 = isUtf8(chunk.bytes)
  let json = ''
  let bytes = 0
  for (let index = 0; index < chunk.count; index += 1) {
    const start = spanStart(chunk, index)
    const end = spanEnd(chunk, index)
    const line = chunk.lines[index] ?? 0
    const isText = isAllUtf8 || isUtf8(chunk.bytes.subarray(start, end))
    const message = chunk.bytes.toString(isText ? 'utf8' : 'latin1', start, end)
    const event = `{"message":${JSON.stringify(message)}${file}${line}${host}${isText ? '}' : ',"charset":"latin1"}'}`
    const eventBytes = Buffer.byteLength(event)
    builder.add(bytes, bytes + eventBytes, line)
    const wholeBytes = chunk.truncated?.get(index)
    if (wholeBytes !== undefined) builder.markTruncated(wholeBytes)
    json += event
    bytes += eventBytes
  }
  return builder.build(Buffer.from(json), chunk.position)
}

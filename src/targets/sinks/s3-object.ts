/**
 * An object for S3 from the records of one request. The same records give the same key and the same bytes, so that a
 * retry replaces what the first attempt wrote. Pure but for the compression, which runs in Node's thread pool.
 */

import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import type { TextTemplate } from '../../core/index.ts'
import { offsetsName } from './record-payload.ts'
import type { SinkRequest } from './record-sink.ts'
import { S3_PLACES } from './s3-settings.ts'

/** Digits of an offset, so that keys are listed in its order. */
const OFFSET_DIGITS = 16

/** How objects are written. */
export interface ObjectForm {
  readonly format: 'ndjson' | 'json'
  readonly gzip: boolean
}

/** Name behind the dot. */
export function extensionOf({ format, gzip: isCompressed }: ObjectForm): string {
  return isCompressed ? `${format}.gz` : format
}

/** The key of an object; `undefined` if it needs times and the records have none. */
export function objectKey(template: TextTemplate, request: SinkRequest, form: ObjectForm): string | undefined {
  const firstMs = request.timestamps?.[0]
  const isTimed = template.fields.some(field => isTimePlace(field))
  if (isTimed && firstMs === undefined) return undefined
  const places = placesOf(request, form, firstMs ?? 0)
  const [first = '', ...literals] = template.literals
  return first + template.fields.map((field, index) => `${places[field] ?? ''}${literals[index] ?? ''}`).join('')
}

function isTimePlace(field: string): boolean {
  const places: readonly string[] = S3_PLACES.time
  return places.includes(field)
}

function placesOf(request: SinkRequest, form: ObjectForm, firstMs: number): Readonly<Record<string, string>> {
  const { topic, partition, offsets } = request
  // Whatever a producer has set as time, a year of our own form comes out.
  const time = new Date(Math.min(Math.max(firstMs, 0), 253_402_300_799_999)).toISOString()
  const offsetText = (offset = 0): string => String(offset).padStart(OFFSET_DIGITS, '0')
  return {
    topic,
    partition: String(partition),
    offsets: offsetsName(offsets, OFFSET_DIGITS),
    first: offsetText(offsets[0]),
    last: offsetText(offsets.at(-1)),
    extension: extensionOf(form),
    timestamp: String(firstMs),
    yyyy: time.slice(0, 4),
    MM: time.slice(5, 7),
    dd: time.slice(8, 10),
    HH: time.slice(11, 13),
    mm: time.slice(14, 16)
  }
}

const compress = promisify(gzip)

/** The bytes of an object. */
export async function objectBody(texts: readonly string[], form: ObjectForm): Promise<Buffer> {
  const text = form.format === 'json' ? `[\n${texts.join(',\n')}\n]\n` : `${texts.map(oneLine).join('\n')}\n`
  return form.gzip ? compress(text) : Buffer.from(text, 'utf8')
}

/** JSON with line breaks between its tokens on one line; within a text there can be none. */
function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+\s*/g, ' ').trim() : text
}

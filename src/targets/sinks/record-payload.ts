/**
 * Records as one JSON object, in the form of the dispatcher's payload:
 *
 * ```
 * {"topic":"mt-c400","partition":3,"messages":[{…},{…}],"offsets":[12,14],"timestamps":[…],"keys":["T-1",null]}
 * ```
 *
 * Texts are passed on as they are; `timestamps` and `keys` are there if the event had them. Sizes are known before
 * anything is written.
 */

import { createHash } from 'node:crypto'

import type { SinkRequest } from './record-sink.ts'

/** Bytes of a payload without records. */
export function emptyPayloadBytes(request: SinkRequest): number {
  return Buffer.byteLength(payloadOf({ ...request, texts: [] }, []))
}

/** Most bytes that one record adds to a payload. */
export function payloadRecordBytes(request: SinkRequest, index: number): number {
  const key = request.keys === undefined ? '' : (JSON.stringify(request.keys[index] ?? null) ?? '')
  const numbers = String(request.offsets[index]).length + String(request.timestamps?.[index] ?? '').length
  return Buffer.byteLength(request.texts[index] ?? '') + Buffer.byteLength(key) + numbers + 4
}

/** The payload with the records of these indexes, or with all of them. */
export function payloadOf(request: SinkRequest, indexes?: readonly number[]): string {
  const { topic, partition, texts, offsets, timestamps, keys } = request
  const pick = <T>(list: readonly T[]): readonly (T | undefined)[] => indexes?.map(index => list[index]) ?? list
  const source = `{"topic":${JSON.stringify(topic)},"partition":${partition}`
  const times = timestamps === undefined ? '' : `,"timestamps":[${pick(timestamps).join(',')}]`
  const names = keys === undefined ? '' : `,"keys":${JSON.stringify(pick(keys))}`
  return `${source},"messages":[${pick(texts).join(',')}],"offsets":[${pick(offsets).join(',')}]${times}${names}}`
}

/**
 * Names a set of records of a partition: first and last offset, and where some between them are missing, a digest of
 * all. The same set has the same name at every attempt, and no other set has it.
 *
 * @param digits - Offsets are filled up with zeros to so many, so that names sort as offsets do. Default: not.
 */
export function offsetsName(offsets: readonly number[], digits = 0): string {
  const first = offsets[0] ?? 0
  const last = offsets.at(-1) ?? first
  const name = `${String(first).padStart(digits, '0')}-${String(last).padStart(digits, '0')}`
  // Also where they do not ascend, as in no event of Kafka: 5, 9, 7 are not 5 to 7.
  if (offsets.every((offset, index) => offset === first + index)) return name
  return `${name}-${createHash('sha256').update(offsets.join(',')).digest('hex').slice(0, 16)}`
}

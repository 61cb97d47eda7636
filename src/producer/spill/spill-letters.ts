/**
 * Dead letters of spilled records: whoever handed them over has had the answer
 * long ago, so the spill itself writes the letter of a record that Kafka refuses
 * for good.
 */

import type { AppendHeader, AppendRecord } from '../../client/index.ts'
import type { PipelineError } from '../../core/index.ts'
import { DEAD_LETTER_HEADER } from '../dead-letters.ts'

/** Name of the source in these letters. */
const SOURCE = 'spill'
const SHORTENED_BYTES = 16_384

/** The dead letter of a record that was refused; `undefined` if it is a dead letter that cannot be made shorter. */
export function letterOf(record: AppendRecord, error: PipelineError, topic: string): AppendRecord | undefined {
  if (record.topic === topic) return shortened(record)
  const headers = [
    header(DEAD_LETTER_HEADER.errorClass, 'undeliverable'),
    header(DEAD_LETTER_HEADER.reason, error.message),
    header(DEAD_LETTER_HEADER.source, SOURCE),
    header(DEAD_LETTER_HEADER.topic, record.topic)
  ]
  const { key, value, timestampMs } = record
  return { topic, key, value, headers, ...(timestampMs === undefined ? {} : { timestampMs }) }
}

function shortened(letter: AppendRecord): AppendRecord | undefined {
  const { value, headers = [] } = letter
  if (value === null || value.length <= SHORTENED_BYTES) return undefined
  const others = headers.filter(({ key }) => key !== DEAD_LETTER_HEADER.wholeBytes)
  return {
    ...letter,
    value: value.subarray(0, SHORTENED_BYTES),
    headers: [...others, header(DEAD_LETTER_HEADER.wholeBytes, String(value.length))]
  }
}

function header(key: string, value: string): AppendHeader {
  return { key, value: Buffer.from(value) }
}

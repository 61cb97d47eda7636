/**
 * Records for Kinesis, one per record: the value as it is, and a partition key.
 *
 * A record counts with its data and its partition key, in bytes. Source: Kinesis API reference, PutRecordsRequestEntry.
 */

import { parseExact, readsValue, type RecordTemplate, renderTemplate } from '../sinks/record-template.ts'
import type { SinkFailure, SinkRequest } from '../sinks/record-sink.ts'
import type { Entry } from './entry-plan.ts'
import { sha256 } from './message-text.ts'

/** One record of a stream. */
export interface StreamEntry extends Entry {
  readonly data: Buffer
  readonly partitionKey: string
}

/** How records are made. */
export interface StreamSettings {
  readonly partitionKey: RecordTemplate
  /** Most bytes of one record with its key. */
  readonly recordBytesMax: number
}

/** Source: the same, `PartitionKey`. */
const KEY_CHARACTERS_MAX = 256

/** Makes the records of one request. */
export function makeStreamEntries(
  request: SinkRequest,
  settings: StreamSettings
): { readonly entries: readonly StreamEntry[]; readonly refused: ReadonlyMap<number, SinkFailure> } {
  const entries: StreamEntry[] = []
  const refused = new Map<number, SinkFailure>()
  const needsValue = readsValue(settings.partitionKey)
  for (const [index, text] of request.texts.entries()) {
    const value = needsValue ? parseExact(text) : undefined
    const key = renderTemplate(settings.partitionKey, request, { index, value })
    const isKeyed = key !== undefined && key !== ''
    const partitionKey = partitionKeyOf(isKeyed ? key : (request.recordIds[index] ?? String(index)))
    const data = Buffer.from(text, 'utf8')
    const bytes = data.length + Buffer.byteLength(partitionKey)
    if (bytes > settings.recordBytesMax) {
      const reason = `the record would have ${bytes} bytes with its key, and ${settings.recordBytesMax} is the most`
      refused.set(index, { action: 'deadLetter', reason })
      continue
    }
    // Records without a key have no order among them.
    entries.push({ indexes: [index], bytes, group: isKeyed ? partitionKey : undefined, data, partitionKey })
  }
  return { entries, refused }
}

/** A partition key: as it is, or its SHA-256 where it is too long. */
function partitionKeyOf(text: string): string {
  return text.length <= KEY_CHARACTERS_MAX ? text : sha256(text)
}

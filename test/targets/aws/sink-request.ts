/** Requests for sinks, made for tests. */

import type { SinkRequest } from '../../../src/targets/sinks/record-sink.ts'

/** Records by what they hold: texts, and keys where the event has them. */
export function sinkRequest(records: readonly { text: string; key?: string | null }[], from = 100): SinkRequest {
  const offsets = records.map((_, index) => from + index)
  return {
    topic: 'mt-c300',
    partition: 3,
    offsets,
    texts: records.map(({ text }) => text),
    keys: records.map(({ key = null }) => key),
    timestamps: offsets.map(offset => Date.UTC(2026, 0, 1) + offset * 1000),
    recordIds: offsets.map(offset => `mt-c300-3-${offset}`),
    requestId: `mt-c300-3-${from}-${from + records.length - 1}`
  }
}

/** Numbered events: `{"n":0,"k":"a"}`, … with their keys. */
export function numbered(keys: readonly (string | null)[], from = 0): { text: string; key: string | null }[] {
  return keys.map((key, index) => ({ text: JSON.stringify({ n: from + index, k: key }), key }))
}

/** A signal that never fires. */
export const CALM: AbortSignal = new AbortController().signal

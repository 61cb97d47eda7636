/** Requests to sinks for tests. */

import type { SinkOutcome, SinkRequest } from '../../../src/targets/sinks/index.ts'

/** Records for a request: text, and key where it matters. */
export interface GivenRecord {
  readonly text: string
  readonly key?: string | null
  readonly offset?: number
  readonly timestampMs?: number
}

/** A request of `mt-c400-3`, from offset 100 on, at 2026-03-04 05:06:07 UTC. */
export function requestOf(records: readonly GivenRecord[], place: Partial<SinkRequest> = {}): SinkRequest {
  const offsets = records.map(({ offset }, index) => offset ?? 100 + index)
  return {
    topic: 'mt-c400',
    partition: 3,
    offsets,
    texts: records.map(({ text }) => text),
    keys: records.map(({ key }) => key ?? null),
    timestamps: records.map(({ timestampMs }, index) => timestampMs ?? Date.UTC(2026, 2, 4, 5, 6, 7) + index),
    recordIds: offsets.map(offset => `mt-c400-3-${offset}`),
    requestId: `mt-c400-3-${offsets[0]}-${offsets.at(-1)}`,
    ...place
  }
}

/** The failures of an outcome as plain entries. */
export function failuresOf(outcome: SinkOutcome): Record<number, string> {
  if (outcome.kind !== 'partial') return {}
  return Object.fromEntries([...outcome.failures].map(([index, { action }]) => [index, action]))
}

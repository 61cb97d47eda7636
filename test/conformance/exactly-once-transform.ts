/** A module for topic targets in tests: copies records, a little slowly, and now and then not at all at first. */

import { setTimeout as tick } from 'node:timers/promises'

import type { TopicInput, TopicOutput } from '../../src/targets/index.ts'

let callCount = 0

/** Copies the records. */
export async function transform(records: readonly TopicInput[]): Promise<TopicOutput[]> {
  callCount += 1
  await tick(callCount % 5)
  if (callCount % 17 === 0) throw Object.assign(new Error('not now'), { retriable: true })
  return records.map(({ key, value }) => ({ key, value }))
}

/** What commands say of events that a producer has on disk. */

import type { DrainReport, Producer } from '../../producer/index.ts'
import { thousands } from '../demo/progress.ts'

/** At the start: what an earlier run has left; empty if that is nothing. */
export function foundOnDisk(producer: Producer): string {
  const { spill } = producer.status()
  if (spill === undefined || spill.recordCount === 0) return ''
  return ` ${events(spill.recordCount)} of an earlier run are on disk (${spill.dir}) and go to Kafka first.`
}

/** At the end: what is left for the next start, as a line; empty if that is nothing. */
export function leftOnDisk({ spill }: DrainReport): string {
  if (spill === undefined || spill.recordCount === 0) return ''
  return `${events(spill.recordCount)} stay on disk (${spill.dir}): the next start replays them\n`
}

function events(count: number): string {
  return count === 1 ? '1 event' : `${thousands(count)} events`
}

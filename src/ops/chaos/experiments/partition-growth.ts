/** The experiment `partition-growth`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

const PARTITIONS_MORE = 8

/** A topic grows under load. */
export const partitionGrowth: ChaosExperiment = {
  name: 'partition-growth',
  summary:
    `The larger topic gets ${PARTITIONS_MORE} partitions more while events flow; then the producer is replaced, so ` +
    'that it knows of them at once.',
  hypothesis:
    'The new partitions are found and read; nothing is lost or comes twice; order holds for keys that did not move.',
  needs: {},
  harm: [
    { do: 'grow', partitions: PARTITIONS_MORE },
    { do: 'untilAssigned', maxMs: 40_000 },
    { do: 'wait', ms: 2000 },
    { do: 'drain', part: 'producer' },
    { do: 'start', part: 'producer' },
    { do: 'wait', ms: 2000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  duplicatesMax: 0,
  refute: ({ samples }) => {
    const before = new Set(samples[0]?.offsets?.keys())
    const last = [...(samples.findLast(({ offsets }) => offsets !== undefined)?.offsets ?? [])]
    const used = last.filter(([name, { committed }]) => !before.has(name) && committed > 0)
    return used.length === PARTITIONS_MORE ? [] : [`${used.length} of ${PARTITIONS_MORE} new partitions were read`]
  }
}

/** A topic grows under load. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

export const partitionGrowth: ChaosExperiment = {
  name: 'partition-growth',
  summary: 'The larger topic gets eight partitions more while events flow.',
  hypothesis:
    'The new partitions are found and read; nothing is lost or comes twice; order holds for every key that did not move.',
  needs: {},
  harm: [
    { do: 'grow', partitions: 8 },
    { do: 'untilAssigned', maxMs: 40_000 },
    { do: 'wait', ms: 2000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  duplicatesMax: 0
}

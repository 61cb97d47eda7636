/** The experiment `rolling-replace`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** A deployment: every dispatcher is replaced, one after the other. */
export const rollingReplace: ChaosExperiment = {
  name: 'rolling-replace',
  summary: 'Every dispatcher is replaced, one at a time: the new one joins, the old one is stopped in order.',
  hypothesis: 'A deployment is not noticed: nothing is lost and nothing comes twice.',
  needs: {},
  harm: [
    { do: 'join' },
    { do: 'untilAssigned', maxMs: 30_000 },
    { do: 'drain', part: 'dispatcher' },
    { do: 'untilAssigned', maxMs: 30_000 },
    { do: 'join' },
    { do: 'untilAssigned', maxMs: 30_000 },
    { do: 'drain', part: 'dispatcher' },
    { do: 'untilAssigned', maxMs: 30_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: 0
}

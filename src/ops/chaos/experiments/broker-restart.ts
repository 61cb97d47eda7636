/** The experiment `broker-restart`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'
import { OURS_ONLY } from './broker-kill.ts'

/** The broker is stopped and started in order. */
export const brokerRestart: ChaosExperiment = {
  name: 'broker-restart',
  summary: 'The embedded broker is stopped in order and started again two seconds later.',
  hypothesis: 'Producers and dispatchers wait and go on by themselves; nothing is lost; repeats are bounded.',
  needs: { isEmbeddedOnly: OURS_ONLY },
  harm: [
    { do: 'drain', part: 'broker' },
    { do: 'wait', ms: 2000 },
    { do: 'start', part: 'broker' },
    { do: 'untilAssigned', maxMs: 40_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  // A broker on one machine: commits that were under way may be lost with the coordinator.
  duplicatesMax: repeatsAfterCrash(2)
}

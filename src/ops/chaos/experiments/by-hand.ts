/** The experiment `by-hand`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** Harm that somebody else does. */
export const byHand: ChaosExperiment = {
  name: 'by-hand',
  summary: 'Nothing is harmed for 30 seconds: restart a broker, or do what you like, by your own means meanwhile.',
  hypothesis: 'Nothing is lost, order holds, repeats are those of a crash, and the pipeline is steady again by itself.',
  needs: {},
  harm: [{ do: 'wait', ms: 30_000 }],
  abort: USUAL_ABORT,
  recoverWithinMs: 60_000,
  duplicatesMax: repeatsAfterCrash(2)
}

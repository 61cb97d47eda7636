/** The experiment `kill-lambda`. */

import { type ChaosExperiment, repeatsAfterTargetCrash, USUAL_ABORT } from '../experiment.ts'

/** The function's runtime crashes with batches in it. */
export const killLambda: ChaosExperiment = {
  name: 'kill-lambda',
  summary: 'The Lambda runtime is killed (SIGKILL) and is back two seconds later.',
  hypothesis: 'Nothing is lost or given up, order holds, and only what was at the function comes twice.',
  needs: {},
  harm: [
    { do: 'kill', part: 'lambda' },
    { do: 'wait', ms: 2000 },
    { do: 'start', part: 'lambda' }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  duplicatesMax: repeatsAfterTargetCrash(2)
}

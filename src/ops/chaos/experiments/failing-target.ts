/** The experiment `failing-target`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** A function that fails, times out and is throttled now and then. */
export const failingTarget: ChaosExperiment = {
  name: 'failing-target',
  summary: 'For eight seconds 10 % of the invocations fail and another 30 % are throttled.',
  hypothesis:
    'Batches are tried again in their place: no sound record is dead lettered, order holds, nothing comes twice.',
  needs: {},
  harm: [
    { do: 'faults', faults: { failureRatio: 0.1, throttleRatio: 0.3 } },
    { do: 'wait', ms: 8000 },
    { do: 'faults', faults: { failureRatio: 0, throttleRatio: 0 } }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 60_000,
  // Injected failures come before the handler: what was not delivered cannot be delivered twice.
  duplicatesMax: 0
}

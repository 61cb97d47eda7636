/** The experiment `kill-dispatcher`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** A dispatcher crashes and another takes its place. */
export const killDispatcher: ChaosExperiment = {
  name: 'kill-dispatcher',
  summary: 'One dispatcher is killed (SIGKILL); a new one starts at once, as a supervisor would start it.',
  hypothesis: 'Nothing is lost, order holds, and no more comes twice than the killed dispatcher had not committed.',
  needs: {},
  harm: [{ do: 'kill', part: 'dispatcher' }, { do: 'join' }, { do: 'untilAssigned', maxMs: 30_000 }],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: repeatsAfterCrash(1)
}

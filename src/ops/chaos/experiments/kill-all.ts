/** The experiment `kill-all`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** Everything but the log and the services behind the function crashes at once. */
export const killAll: ChaosExperiment = {
  name: 'kill-all',
  summary: 'Producer, all dispatchers and the Lambda runtime are killed (SIGKILL) at once and started again.',
  hypothesis:
    'What Kafka has acknowledged is all that counts: nothing of it is lost, order holds, repeats are bounded.',
  needs: {},
  harm: [
    { do: 'kill', part: 'producer' },
    { do: 'kill', part: 'consumers' },
    { do: 'kill', part: 'lambda' },
    { do: 'start', part: 'lambda' },
    { do: 'start', part: 'consumers' },
    { do: 'start', part: 'producer' },
    { do: 'untilAssigned', maxMs: 40_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 40_000,
  duplicatesMax: repeatsAfterCrash(2)
}

/** The experiment `kill-producer`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** A producer crashes and another takes over its work. */
export const killProducer: ChaosExperiment = {
  name: 'kill-producer',
  summary: 'The producer is killed (SIGKILL); a new one goes on with the load.',
  hypothesis: 'Whatever Kafka had acknowledged is delivered once and in order; nothing is delivered that was not made.',
  needs: {},
  harm: [
    { do: 'kill', part: 'producer' },
    { do: 'wait', ms: 1000 },
    { do: 'start', part: 'producer' }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: 0
}

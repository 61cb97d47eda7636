/** The experiment `target-away`. */

import { type ChaosExperiment, repeatsAfterTargetCrash, USUAL_ABORT } from '../experiment.ts'

/** What the function delivers to is away, then back. */
export const targetAway: ChaosExperiment = {
  name: 'target-away',
  summary: 'The services behind the function are killed, and come back eight seconds later.',
  hypothesis:
    'Partitions pause and the group stays; nothing is given up; when the services are back all of it arrives.',
  needs: {},
  harm: [
    { do: 'kill', part: 'services' },
    { do: 'wait', ms: 8000 },
    { do: 'start', part: 'services' }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 60_000,
  duplicatesMax: repeatsAfterTargetCrash(2),
  refute: ({ rebalances }) =>
    rebalances === 0 ? [] : [`${rebalances} rebalances: a target that is away must not cost anybody his place`]
}

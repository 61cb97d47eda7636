/** The experiment `stop`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** A dispatcher stands still for longer than its session, and wakes up with batches in its hands. */
export const stop: ChaosExperiment = {
  name: 'stop',
  summary:
    'A dispatcher is stopped (SIGSTOP) until the group has gone on without it (session 6 s), then goes on (SIGCONT).',
  hypothesis:
    'Others take over; what wakes up is fenced and commits nothing; only what it had in its hands comes twice.',
  needs: {},
  harm: [
    { do: 'freeze', part: 'dispatcher' },
    { do: 'untilTakenOver', maxMs: 40_000 },
    { do: 'wait', ms: 1000 },
    { do: 'thaw' },
    { do: 'untilAssigned', maxMs: 30_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: repeatsAfterCrash(1),
  refute: ({ pause }) =>
    pause !== undefined && pause.ms > 25_000
      ? [`${pause.partition} stood still for ${Math.round(pause.ms)} ms, which is far above the session of 6 s`]
      : []
}

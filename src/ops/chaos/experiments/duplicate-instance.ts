/** The experiment `duplicate-instance`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** Two processes believe that they are the same static member. */
export const duplicateInstance: ChaosExperiment = {
  name: 'duplicate-instance',
  summary: 'A second dispatcher starts with the group.instance.id of one that runs.',
  hypothesis:
    'One of the two is fenced and ends with a clear error; the other one works; repeats are those of a crash.',
  needs: { instanceIds: ['a', 'b'] },
  harm: [
    { do: 'join', as: 'a' },
    { do: 'untilAssigned', maxMs: 40_000 },
    { do: 'wait', ms: 3000 }
  ],
  abort: { ...USUAL_ABORT, mayEnd: ['dispatcher'] },
  recoverWithinMs: 30_000,
  duplicatesMax: repeatsAfterCrash(1),
  refute: ({ ended }) => {
    if (ended.length === 1 && /instance/i.test(ended[0] ?? '')) return []
    return [`one of the two should have ended for its instance id; ended: ${ended.join('; ') || 'none'}`]
  }
}

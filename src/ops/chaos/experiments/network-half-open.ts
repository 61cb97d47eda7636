/** The experiment `network-half-open`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** A dispatcher's connections stay open and carry nothing. */
export const networkHalfOpen: ChaosExperiment = {
  name: 'network-half-open',
  summary: 'The connections of one dispatcher stay open but carry nothing, until others have its partitions.',
  hypothesis: 'Silence is noticed: others take over, the dispatcher finds its way back, repeats are those of a crash.',
  needs: { isProxied: true },
  harm: [
    { do: 'network', treatment: 'swallow' },
    { do: 'untilTakenOver', maxMs: 40_000 },
    { do: 'wait', ms: 2000 },
    { do: 'network', treatment: 'pass' },
    { do: 'untilAssigned', maxMs: 50_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 50_000,
  duplicatesMax: repeatsAfterCrash(1)
}

/** The experiment `network-cut`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** A dispatcher is cut off from Kafka. */
export const networkCut: ChaosExperiment = {
  name: 'network-cut',
  summary: 'The connections of one dispatcher to Kafka are broken and refused for ten seconds (session 6 s).',
  hypothesis:
    'Others take over its partitions; it comes back by itself; what it had not committed is all that comes twice.',
  needs: { isProxied: true },
  harm: [
    { do: 'network', treatment: 'cut' },
    { do: 'wait', ms: 10_000 },
    { do: 'network', treatment: 'pass' },
    { do: 'untilAssigned', maxMs: 40_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 40_000,
  duplicatesMax: repeatsAfterCrash(1),
  refute: ({ rebalances }) => (rebalances > 0 ? [] : ['nobody took over: no rebalance was seen'])
}

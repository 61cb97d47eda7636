/** The experiment `network-slow`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** A dispatcher's network is slow. */
export const networkSlow: ChaosExperiment = {
  name: 'network-slow',
  summary: 'Everything between one dispatcher and Kafka takes 250 ms longer in each direction, for eight seconds.',
  hypothesis: 'Slow is not dead: no rebalance, nothing comes twice, and the lag is worked off.',
  needs: { isProxied: true },
  harm: [
    { do: 'network', treatment: { delayMs: 250 } },
    { do: 'wait', ms: 8000 },
    { do: 'network', treatment: 'pass' }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  duplicatesMax: 0,
  refute: ({ rebalances }) => (rebalances === 0 ? [] : [`${rebalances} rebalances, although nobody was away`])
}

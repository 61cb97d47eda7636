/** The experiment `slow-target`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** Of the load: what 950 ms at the function leave uncommitted at least, less what a look may miss. */
const LAG_SECONDS_MIN = 0.7

/** The users' incident: the function goes from 120 to 950 ms. */
export const slowTarget: ChaosExperiment = {
  name: 'slow-target',
  summary: 'The function takes 120 ms, then 950 ms for ten seconds, then 120 ms again.',
  hypothesis: 'Lag grows and is worked off; nobody leaves the group, nothing comes twice, nothing is dead lettered.',
  needs: {},
  harm: [
    { do: 'faults', faults: { extraLatencyMs: 120 } },
    { do: 'wait', ms: 3000 },
    { do: 'faults', faults: { extraLatencyMs: 950 } },
    { do: 'wait', ms: 10_000 },
    { do: 'faults', faults: { extraLatencyMs: 120 } },
    { do: 'wait', ms: 2000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 60_000,
  duplicatesMax: 0,
  refute: ({ lagMax, before, rebalances }) => [
    // Whatever the rate: a record stays uncommitted for as long as its invocation takes.
    ...(lagMax > before.lagMax && lagMax > LAG_SECONDS_MIN * before.producedPerSecond
      ? []
      : [`lag did not grow (${lagMax}): the harm was not felt`]),
    ...(rebalances === 0 ? [] : [`${rebalances} rebalances: a slow target must not cost anybody his place`])
  ]
}

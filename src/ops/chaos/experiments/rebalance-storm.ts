/** The experiment `rebalance-storm`. */

import { type ChaosAction, type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

const round: readonly ChaosAction[] = [
  { do: 'join' },
  { do: 'wait', ms: 1000 },
  { do: 'leave' },
  { do: 'wait', ms: 1000 }
]

/** Members come and go every second. */
export const rebalanceStorm: ChaosExperiment = {
  name: 'rebalance-storm',
  summary: 'A dispatcher joins and leaves again, a second each, five times.',
  hypothesis:
    'Each partition goes on within moments, every hand-over is complete: nothing is lost and nothing comes twice.',
  needs: {},
  harm: [...round, ...round, ...round, ...round, ...round, { do: 'untilAssigned', maxMs: 30_000 }],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: 0,
  refute: ({ rebalances }) => (rebalances > 0 ? [] : ['no rebalance was seen'])
}

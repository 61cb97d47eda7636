/** The experiment `clock-skew`. */

import type { ChaosExperiment } from '../experiment.ts'

const hourMs = 3_600_000
/** What a dispatcher dead letters has a time, too. */
const BAD_RECORDS = 80
/** Several times what a rebalance costs. */
const PAUSE_MAX_MS = 15_000

/** Processes whose clocks are wrong, or jump. */
export const clockSkew: ChaosExperiment = {
  name: 'clock-skew',
  summary:
    'A dispatcher joins whose clock is 12 h ahead, one whose clock jumps back by 12 h while it works, and a producer ' +
    `whose clock is 12 h behind; ${BAD_RECORDS} bad records come meanwhile.`,
  hypothesis:
    'Nothing but timestamps depends on the time of day: no loss, no repeats, order holds, nobody is expelled.',
  needs: {},
  harm: [
    { do: 'join', skewMs: 12 * hourMs },
    { do: 'join', skewMs: -12 * hourMs, afterMs: 4000 },
    { do: 'skewProducer', skewMs: -12 * hourMs },
    { do: 'untilAssigned', maxMs: 30_000 },
    { do: 'poison', count: BAD_RECORDS },
    { do: 'wait', ms: 8000 },
    { do: 'leave' },
    { do: 'leave' },
    { do: 'untilAssigned', maxMs: 30_000 }
  ],
  abort: { lagSecondsMax: 120, strayDeadLettersMax: BAD_RECORDS },
  recoverWithinMs: 20_000,
  duplicatesMax: 0,
  refute: ({ pause }) =>
    pause !== undefined && pause.ms > PAUSE_MAX_MS
      ? [`${pause.partition} stood still for ${Math.round(pause.ms)} ms: more than ${PAUSE_MAX_MS} ms`]
      : []
}

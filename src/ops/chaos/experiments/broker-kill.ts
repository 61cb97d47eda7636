/** The experiment `broker-kill`. */

import { type ChaosExperiment, repeatsAfterCrash, USUAL_ABORT } from '../experiment.ts'

/** Why a broker that is not ours stays up. */
export const OURS_ONLY =
  'a broker of another cluster is not ours to stop: use its own means (a reboot of MSK, kubectl delete pod) while ' +
  '`comporta chaos run by-hand` runs'

/** The broker crashes and comes back on its log. */
export const brokerKill: ChaosExperiment = {
  name: 'broker-kill',
  summary: 'The embedded broker is killed (SIGKILL) and started again on its folder and port.',
  hypothesis: 'Nothing that was acknowledged is lost; everybody goes on by themselves; repeats are bounded.',
  needs: { isEmbeddedOnly: OURS_ONLY },
  harm: [
    { do: 'kill', part: 'broker' },
    { do: 'wait', ms: 1000 },
    { do: 'start', part: 'broker' },
    { do: 'untilAssigned', maxMs: 40_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 30_000,
  duplicatesMax: repeatsAfterCrash(2)
}

/** The experiment `certificate-rotated`. */

import { type ChaosExperiment, USUAL_ABORT } from '../experiment.ts'

/** Why the certificates of another cluster stay as they are. */
export const NOT_OUR_CERTIFICATE =
  'the certificates of another cluster are not ours to replace; `comporta check` says when they end'

/** The broker's certificate is renewed in time. */
export const certificateRotated: ChaosExperiment = {
  name: 'certificate-rotated',
  summary: 'The broker’s TLS certificate is renewed before it ends; a dispatcher joins after the old one has ended.',
  hypothesis: 'Nobody notices: no failure, no rebalance but the newcomer’s, nothing lost, nothing twice.',
  needs: { certificateMs: 45_000, isEmbeddedOnly: NOT_OUR_CERTIFICATE },
  harm: [
    { do: 'renewCertificate', validMs: 600_000 },
    { do: 'untilExpired' },
    { do: 'join' },
    { do: 'untilAssigned', maxMs: 30_000 }
  ],
  abort: USUAL_ABORT,
  recoverWithinMs: 20_000,
  duplicatesMax: 0
}

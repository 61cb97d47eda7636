/** The experiment `certificate-expired`. */

import { type ChaosExperiment, repeatsAfterCrash } from '../experiment.ts'
import { NOT_OUR_CERTIFICATE } from './certificate-rotated.ts'

/** The broker's certificate ends, and nobody has renewed it. */
export const certificateExpired: ChaosExperiment = {
  name: 'certificate-expired',
  summary:
    'The broker’s TLS certificate ends without a new one. A dispatcher that starts then must fail, then the ' +
    'certificate is renewed.',
  hypothesis:
    'It fails loudly and names the certificate; open connections go on; nothing is lost; a new certificate is enough.',
  needs: { certificateMs: 40_000, isEmbeddedOnly: NOT_OUR_CERTIFICATE },
  harm: [
    { do: 'untilExpired' },
    { do: 'join', failsWith: 'certificate has expired' },
    { do: 'wait', ms: 2000 },
    { do: 'renewCertificate', validMs: 600_000 },
    { do: 'join' },
    { do: 'untilAssigned', maxMs: 30_000 }
  ],
  abort: { lagSecondsMax: 120, strayDeadLettersMax: 0 },
  recoverWithinMs: 30_000,
  // Whoever lost its connection while the certificate had ended lost its place in the group.
  duplicatesMax: repeatsAfterCrash(2)
}

/** The experiment `poison-burst`. */

import { type ChaosExperiment } from '../experiment.ts'

const BAD_RECORDS = 400

/** Bad records of every kind among sound ones. */
export const poisonBurst: ChaosExperiment = {
  name: 'poison-burst',
  summary:
    `${BAD_RECORDS} bad records come straight into the topic among the load’s sound ones: malformed, cut off, ` +
    'oversized, not UTF-8, written to break out of the batch, and refused by the service.',
  hypothesis: 'Each of them, and nothing else, ends in the dead letter topic with a reason; the others pass in order.',
  needs: {},
  harm: [
    { do: 'poison', count: BAD_RECORDS },
    { do: 'wait', ms: 3000 }
  ],
  abort: { lagSecondsMax: 120, strayDeadLettersMax: BAD_RECORDS },
  recoverWithinMs: 90_000,
  duplicatesMax: 0,
  refute: ({ ledgers: { audit } }) =>
    audit.deadLettered >= BAD_RECORDS
      ? []
      : [`only ${audit.deadLettered} dead letters: ${BAD_RECORDS} bad records were written`]
}

/**
 * The distributor as AWS Lambda runs it: the entry of the bundle that `scripts/build-distributor.ts` makes of it and
 * `comporta lambda package` puts into an archive, beside its options. Handler: `index.handler`.
 *
 * The options are read once, when the environment starts: a wrong one ends the start, and every invocation says why.
 */

import { fileURLToPath } from 'node:url'

import { builtinDistributor } from '../distributor/builtin.ts'

const optionsBeside = fileURLToPath(new URL('distributor.json', import.meta.url))

/** The function. */
export const handler = builtinDistributor({ COMPORTA_DISTRIBUTOR_FILE: optionsBeside, ...process.env })

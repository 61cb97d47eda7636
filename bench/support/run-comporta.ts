/** The command line as a program, for the benchmarks: what `bin/comporta.js` runs. */

import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2))

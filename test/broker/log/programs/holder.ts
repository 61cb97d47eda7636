/** Opens a data folder, says so, and holds it until it is killed. */

import { LogManager } from '../../../../src/broker/log/index.ts'

await LogManager.open({ dataDir: process.argv[2] ?? '' })
process.stdout.write('ready\n')
setInterval(() => undefined, 1000)

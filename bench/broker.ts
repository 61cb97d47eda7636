/**
 * All benchmarks of the broker, one after the other, each with the same options where it has them.
 *
 *     npm run bench:broker -- [--runs 1] [--records 100000] [--bytes 200000000] [--seconds 5] [--only comporta]
 *
 * The defaults are those of a short run, which says that the programs work and not how fast the broker is.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { parseArgs } from 'node:util'

const PROGRAMS = {
  'broker-kafka': ['runs', 'records', 'only'],
  'broker-groups': ['runs', 'only'],
  'broker-start': ['runs', 'bytes'],
  'broker-idle': ['seconds', 'only']
} as const
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '1' },
    records: { type: 'string', default: '100000' },
    bytes: { type: 'string', default: '200000000' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string' }
  }
})

for (const [program, names] of Object.entries(PROGRAMS)) {
  const args = names.flatMap(name => (options[name] === undefined ? [] : [`--${name}`, options[name]]))
  console.log(`\n${program} ${args.join(' ')}`)
  const file = path.join(import.meta.dirname, `${program}.ts`)
  const child = spawn(process.execPath, [file, ...args], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null] // What a child emits.
  // The others are to be seen too.
  if (code !== 0) process.exitCode = 1
}

/** A runtime in a process of its own, for tests that kill it: prints its address. */

import path from 'node:path'

import { startLambdaRuntime } from '../../src/lambda/index.ts'

const runtime = await startLambdaRuntime({
  taskRoot: path.join(import.meta.dirname, 'functions'),
  functions: { spins: { handler: 'hostile.spins', timeoutMs: 60_000, isolation: 'process' } }
})
process.stdout.write(`${runtime.endpoint}\n`)

/** The example of the guide runs as it is printed. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

test('the example invokes its function and prints answer and log', async () => {
  const example = path.join(import.meta.dirname, '../../examples/lambda/invoke.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [example], { timeout: 60_000 })

  assert.match(stdout, /answer: \{"failures":\[\{"offset":1002,"action":"deadLetter","reason":"speed is missing"\}\]\}/)
  assert.match(stdout, /\tTR00019 is at 121 km\/h$/m)
})

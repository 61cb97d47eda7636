/** Parts of `comporta up` that are started again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Keeper } from '../../src/cli/process/keeper.ts'
import { type LogFields, silentLogger } from '../../src/telemetry/index.ts'

test('a part that fails again while it is started again is waited for longer, and started once', async t => {
  const stop = new AbortController()
  const waits: number[] = []
  const twice = Promise.withResolvers<void>()
  const error = (fields: LogFields): void => {
    waits.push(Number(fields['crashes']))
    if (waits.length === 2) twice.resolve()
  }
  const keeper = new Keeper({ ...silentLogger, error }, 'silent', stop.signal)
  t.after(() => keeper.close())
  const part = await keeper.startAside({ role: 'absent', name: 'absent', options: {} })
  assert.equal(part, undefined)
  // The exit of its process was heard of as well.
  await new Promise(resolve => setTimeout(resolve, 100))
  assert.deepEqual(waits, [1])
  await twice.promise
  stop.abort()
  assert.deepEqual(waits, [1, 2])
})

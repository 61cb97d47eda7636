/** Event source mappings with functions in the embedded runtime. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { esmWorld, untilDone } from './esm-support.ts'
import { startRuntime } from './support.ts'

test('functions in the embedded runtime: bisection, partial answers and answers that nobody understands', async t => {
  const each = { timeoutMs: 10_000, concurrency: 4 }
  const { endpoint } = await startRuntime(t, {
    functions: {
      whole: { ...each, handler: 'esm.whole' },
      partial: { ...each, handler: 'esm.partial' },
      nonsense: { ...each, handler: 'esm.nonsense' }
    }
  })
  const world = await esmWorld(t)
  await world.append(...['a', 'b', 'bad', 'c'].map(text => ({ text })))
  const provisioned = { endpoint, pollers: { min: 1 }, retriesMax: 1, batchSize: 4 }
  const whole = await world.map({ ...provisioned, functionName: 'whole', bisect: true })
  const partial = await world.map({ ...provisioned, functionName: 'partial', partialResponses: true })
  const nonsense = await world.map({ ...provisioned, functionName: 'nonsense', partialResponses: true })
  for (const mapping of [whole, partial, nonsense]) await untilDone(mapping, { 0: 4 })
  const told = [whole, partial, nonsense].map(mapping => {
    const { deliveredEventCount, droppedEventCount, invocations, functionErrors } = mapping.status().totals
    return { deliveredEventCount, droppedEventCount, invocations, functionErrors }
  })
  assert.deepEqual(told, [
    // abXc fails, ab passes, Xc fails, X fails twice and is dropped, c passes.
    { deliveredEventCount: 3, droppedEventCount: 1, invocations: 6, functionErrors: 4 },
    // abXc passes up to X, Xc does not pass X, and both are given up: AWS has no word for one record.
    { deliveredEventCount: 2, droppedEventCount: 2, invocations: 2, functionErrors: 0 },
    { deliveredEventCount: 0, droppedEventCount: 4, invocations: 2, functionErrors: 2 }
  ])
})

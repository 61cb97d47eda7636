/** Parts of `comporta up` that are started again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { distinctInstances } from '../../src/cli/roles/console.ts'
import { Keeper } from '../../src/cli/process/keeper.ts'
import { type LogFields, silentLogger } from '../../src/telemetry/index.ts'

// Symptom: with a console that hung, Ctrl-C took 40 s longer and ended with the code of unfinished work. Cause: it was
// stopped like a part that has records. Reach: a console process that is stopped or out of memory.
test('a console that hangs holds nobody up, and leaves nothing unfinished', async () => {
  const keeper = new Keeper(silentLogger, 'silent', new AbortController().signal)
  // Ready, and never heard of again.
  const code = `process.send({ kind: 'ready', info: {} }); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)`
  const preload = `data:text/javascript,${encodeURIComponent(code)}`
  await keeper.start({ role: 'console', name: 'console', options: {}, preload })
  const startedMs = performance.now()
  assert.equal(await keeper.close(1000, 100), true)
  assert.ok(performance.now() - startedMs < 5000)
})

// Symptom: a plan paused two dispatchers, and the order went twice to one. Cause: a process of another machine had the
// name of one of this run. Reach: console.instances with the name dispatcher, under up.
test('a process of another machine keeps apart from one of this run with its name', () => {
  const own = { name: 'dispatcher', role: 'dispatcher', url: 'http://127.0.0.1:1' } as const
  const other = { ...own, url: 'http://10.0.0.7:9404' }
  const names = distinctInstances([own], [other, { ...other, name: 'd2' }]).map(({ name }) => name)
  assert.deepEqual(names, ['dispatcher', 'dispatcher@10.0.0.7:9404', 'd2'])
})

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

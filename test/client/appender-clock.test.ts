/**
 * Symptom: a producer, or a dispatcher with a dead letter, stopped for two
 * minutes, without a word in any log: one batch was neither sent nor failed.
 * Cause: a timer may fire a fraction early. If the linger of a batch then ended
 * between two readings of the clock in one pump, it was not due for sending and
 * not waiting for its linger either: the next timer was its delivery timeout.
 * Reach: every appender with a linger, about one run of the demonstration in 20
 * on a busy machine.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { type Clock, systemClock } from '../../src/core/index.ts'

/** A clock that moves by `stepMs` with every reading, and whose timers fire at once. */
function restlessClock(stepMs: number): Clock {
  let nowMs = 0
  return {
    ...systemClock,
    monotonicMs: () => (nowMs += stepMs),
    after: (delayMs, callback) => systemClock.after(Math.min(delayMs, delayMs > 1000 ? delayMs : 0), callback)
  }
}

test('a batch whose linger ends between two readings of the clock is sent', { timeout: 20_000 }, async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  for (const stepMs of [0.3, 0.7, 1.1, 1.3, 1.9, 2.3]) {
    const appender = new Appender({ cluster, lingerMs: 5, clock: restlessClock(stepMs) })
    for (let round = 0; round < 5; round += 1) {
      await new Promise<void>((resolve, reject) => {
        const listener = { delivered: () => resolve(), failed: reject }
        assert.equal(appender.append({ topic: 't', key: null, value: Buffer.from('x') }, listener), true)
      })
    }
    await appender.close()
  }
})

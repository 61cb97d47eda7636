/** What clients cause from outside fills no disk. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BURST, LimitedLogger, PER_SECOND_MAX } from '../../../src/broker/server/limited-logger.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { RecordingLogger } from '../support.ts'

test('lines of information are limited as warnings are, and count together with them', () => {
  const inner = new RecordingLogger()
  const logger = new LimitedLogger(inner, new VirtualClock())
  for (let index = 0; index < BURST; index++) logger[index % 2 === 0 ? 'warn' : 'info']({ index }, 'denied')
  logger.info({}, 'one more')
  assert.equal(inner.lines.length, BURST)
  assert.deepEqual([...new Set(inner.lines.map(line => line.level))], ['warn', 'info'])
})

test('warnings beyond the limit are left out, counted and told; errors pass', async () => {
  const clock = new VirtualClock()
  const inner = new RecordingLogger()
  const logger = new LimitedLogger(inner, clock)
  for (let index = 0; index < BURST + 50; index++) logger.warn({ index }, 'closed')
  assert.equal(inner.lines.length, BURST)
  logger.error({}, 'broken')
  assert.equal(inner.lines.at(-1)?.message, 'broken')

  await clock.advance(1000)
  for (let index = 0; index < 50; index++) logger.warn({ index }, 'again')
  const again = inner.lines.filter(line => line.message === 'again')
  assert.equal(again.length, PER_SECOND_MAX)
  assert.deepEqual(again[0]?.fields, { index: 0, linesLeftOut: 50 })
  assert.deepEqual(again[1]?.fields, { index: 1 })

  await clock.advance(3_600_000)
  for (let index = 0; index < BURST + 50; index++) logger.warn({ index }, 'later')
  assert.equal(inner.lines.filter(line => line.message === 'later').length, BURST)
})

/** The error class: codes, retriability, recognition across copies of the package. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invariant, isRetriable, messageOf, PipelineError } from '../../src/core/index.ts'

test('an error takes its retriability from the table unless it knows better', () => {
  assert.equal(new PipelineError('ERR_CORE_ABORTED', 'stopping').retriable, false)
  assert.equal(new PipelineError('ERR_CORE_ABORTED', 'stopping', { retriable: true }).retriable, true)
})

test('an error carries its code, cause, Kafka code and fields', () => {
  const cause = new Error('underneath')
  const error = new PipelineError('ERR_CORE_ABORTED', 'stopping', { cause, kafkaCode: 27, fields: { topic: 't' } })

  assert.deepEqual(
    [error.code, error.message, error.cause, error.kafkaCode, error.fields],
    ['ERR_CORE_ABORTED', 'stopping', cause, 27, { topic: 't' }]
  )
  assert.equal(new PipelineError('ERR_CORE_ABORTED', 'stopping').kafkaCode, undefined)
})

test('an error of another copy of the package is recognised, a look-alike is not', () => {
  const foreign = { [Symbol.for('comporta.error')]: true, code: 'ERR_CORE_ABORTED', retriable: true }

  assert.ok(PipelineError.is(foreign))
  assert.ok(PipelineError.is(foreign, 'ERR_CORE_ABORTED'))
  assert.ok(!PipelineError.is(foreign, 'ERR_CORE_INVARIANT'))
  for (const other of [{ code: 'ERR_CORE_ABORTED' }, new Error('x'), 'ERR_CORE_ABORTED', null, undefined]) {
    assert.ok(!PipelineError.is(other))
  }
})

test('what is not ours is not retriable, and anything thrown has a text', () => {
  assert.equal(isRetriable(Object.assign(new Error('x'), { retriable: true })), false)
  assert.equal(isRetriable(new PipelineError('ERR_CORE_ABORTED', 'x', { retriable: true })), true)
  assert.deepEqual(
    [messageOf(new Error('said')), messageOf('thrown'), messageOf(undefined)],
    ['said', 'thrown', 'undefined']
  )
})

test('an invariant that does not hold throws its own code', () => {
  invariant(1 + 1 === 2, 'arithmetic')
  assert.throws(() => invariant(false, 'the lock is held'), { code: 'ERR_CORE_INVARIANT', message: /the lock is held/ })
})

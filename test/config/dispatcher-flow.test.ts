import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig, type DispatcherInput } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

const base: DispatcherInput = {
  groupId: 'g',
  topics: ['orders', 'mails', 'reports'],
  target: { type: 'http', url: 'http://127.0.0.1:1/' },
  deadLetterTopic: 'dead'
}

function problemsOf(input: Partial<DispatcherInput>): string {
  try {
    dispatcherConfig({ ...base, ...input })
    return ''
  } catch (error) {
    assert.ok(PipelineError.is(error) && error.code === 'ERR_CONFIG_INVALID')
    return error.message
  }
}

test('limits of the flow have defaults that hold nothing back', () => {
  const config = dispatcherConfig(base)
  assert.deepEqual(config.flow, { inFlight: {}, rate: { burstMs: 100 } })
  assert.deepEqual(config.adaptiveConcurrency, { mode: 'off', min: 1 })
  assert.deepEqual(config.breaker, { failuresMax: 5, openMs: 5000 })
  assert.deepEqual([config.priorities, config.starvationMs, config.progressTimeoutMs], [[], 30_000, 300_000])
  assert.equal(config.batch.adaptive, undefined)
})

test('limits that contradict one another are named', () => {
  const problems = problemsOf({
    concurrency: 4,
    adaptiveConcurrency: { mode: 'on', min: 5 },
    batch: { recordsMax: 100, adaptive: { recordsMin: 200, latencyTargetMs: 500 } },
    breaker: { openMs: 1000, openMaxMs: 500 }
  })
  assert.match(problems, /adaptiveConcurrency\.min: must be at most concurrency \(4\)/)
  assert.match(problems, /batch\.adaptive\.recordsMin: must be at most batch\.recordsMax \(100\)/)
  assert.match(problems, /breaker\.openMaxMs: must be at least openMs \(1000\)/)
})

test('each topic is in one class of priorities, and only topics of the dispatcher are', () => {
  const classOf = (name: string, topics: string[], share = 1) => ({ name, topics, share })
  assert.equal(problemsOf({ priorities: [classOf('a', ['orders']), classOf('b', ['mails', 'reports'])] }), '')
  const problems = problemsOf({ priorities: [classOf('a', ['orders', 'others']), classOf('a', ['orders'])] })
  assert.match(problems, /others is not one of dispatcher\.topics/)
  assert.match(problems, /orders is in class a already/)
  assert.match(problems, /a is the name of two classes/)
  assert.match(problems, /no class has mails, reports/)
})

/** Settings of a topic target that do not go together. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig, type DispatcherInput } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

function input(target: object, more: Partial<DispatcherInput> = {}): DispatcherInput {
  const base = { groupId: 'g', topics: ['in'], deadLetterTopic: 'dead' }
  return { ...base, ...more, target: { type: 'topic', ...target } as DispatcherInput['target'] }
}

function refusal(given: DispatcherInput): string {
  try {
    dispatcherConfig(given)
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
    return error.message
  }
  return 'accepted'
}

test('a topic target is accepted with its defaults', () => {
  const { target, isolationLevel } = dispatcherConfig(input({ topic: 'out', exactlyOnce: true }))
  assert.deepEqual(target, {
    type: 'topic',
    topic: 'out',
    exactlyOnce: true,
    transactionTimeoutMs: 10_000,
    timeoutMs: 30_000
  })
  assert.equal(isolationLevel, 'read_committed')
})

test('what does not go together with a topic target is refused', () => {
  const cases: readonly (readonly [DispatcherInput, RegExp])[] = [
    [input({}), /target\.topic.*is missing/],
    [input({ topicFrom: {} }), /topicFrom.*neither a header nor a field/],
    [input({ topic: 'in' }), /target\.topic.*one of dispatcher\.topics/],
    [input({ topic: 'out', transactionalIdPrefix: 'p' }), /transactionalIdPrefix.*without exactlyOnce/],
    [input({ topic: 'out', exactlyOnce: true }, { order: 'key' }), /exactlyOnce.*order "partition"/],
    [input({ topic: 'out', exactlyOnce: true }, { retry: { delays: [1000] } }), /exactlyOnce.*retry\.delays/],
    [input({ topic: 'out', exactlyOnce: true }, { transform: { file: 'x.mjs' } }), /exactlyOnce.*transform/]
  ]
  for (const [given, expected] of cases) assert.match(refusal(given), expected)
})

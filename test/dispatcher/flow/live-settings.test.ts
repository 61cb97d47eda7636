import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig, type DispatcherConfig } from '../../../src/config/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { LiveSettings } from '../../../src/dispatcher/flow/live-settings.ts'

function settingsOf() {
  const changes: DispatcherConfig[] = []
  const config = dispatcherConfig({
    groupId: 'g',
    topics: ['a', 'b'],
    target: { type: 'http', url: 'http://127.0.0.1:1/' },
    deadLetterTopic: 'dead',
    priorities: [
      { name: 'first', topics: ['a'], share: 70 },
      { name: 'second', topics: ['b'], share: 30 }
    ]
  })
  const settings = new LiveSettings(config, changed => changes.push(changed))
  return { settings, changes, config }
}

const codeOf = (run: () => unknown): { code: string; message: string } => {
  try {
    run()
  } catch (error) {
    if (PipelineError.is(error)) return { code: error.code, message: error.message }
    throw error
  }
  return { code: 'none', message: '' }
}

test('limits change, and what was not named stays', () => {
  const { settings, changes } = settingsOf()
  const paths = settings.update({
    batch: { recordsMax: 50, adaptive: { latencyTargetMs: 300 } },
    concurrency: 20,
    flow: { rate: { recordsPerSecond: 1000 } }
  })
  assert.deepEqual(paths.toSorted(), [
    'batch.adaptive.latencyTargetMs',
    'batch.adaptive.recordsMin',
    'batch.recordsMax',
    'concurrency',
    'flow.rate.recordsPerSecond'
  ])
  assert.equal(changes.length, 1)
  const { batch, concurrency, flow, breaker } = settings.config
  assert.deepEqual([batch.recordsMax, batch.ageMs, concurrency], [50, 1000, 20])
  assert.deepEqual(flow.rate, { recordsPerSecond: 1000, burstMs: 100 })
  assert.equal(breaker.failuresMax, 5)
})

test('null goes back to the default, which may be none', () => {
  const { settings } = settingsOf()
  settings.update({ flow: { rate: { recordsPerSecond: 1000 } }, breaker: { failuresMax: 9 } })
  settings.update({ flow: { rate: { recordsPerSecond: null } }, breaker: { failuresMax: null } })
  assert.deepEqual([settings.config.flow.rate, settings.config.breaker.failuresMax], [{ burstMs: 100 }, 5])
})

test('a change that is no change tells nobody', () => {
  const { settings, changes, config } = settingsOf()
  assert.deepEqual(settings.update({ concurrency: 10 }), [])
  assert.deepEqual(settings.replace(dispatcherConfig(config)), [])
  assert.deepEqual(changes, [])
})

test('what needs a restart is named, all of it, and nothing changes', () => {
  const { settings, changes } = settingsOf()
  const { code, message } = codeOf(() => settings.update({ concurrency: 20, groupId: 'other', bufferBytes: 2_000_000 }))
  assert.equal(code, 'ERR_DISPATCHER_NOT_CHANGEABLE')
  assert.match(message, /groupId, bufferBytes/)
  assert.equal(settings.config.concurrency, 10)
  assert.deepEqual(changes, [])
})

test('a value that the schema or the rules refuse changes nothing', () => {
  const { settings, changes } = settingsOf()
  assert.equal(codeOf(() => settings.update({ concurrency: 0 })).code, 'ERR_CONFIG_INVALID')
  const { code, message } = codeOf(() => settings.update({ adaptiveConcurrency: { mode: 'on', min: 11 } }))
  assert.equal(code, 'ERR_CONFIG_INVALID')
  assert.match(message, /adaptiveConcurrency\.min/)
  assert.deepEqual(changes, [])
})

test('shares of classes change, the classes do not', () => {
  const { settings, config } = settingsOf()
  const [first, second] = config.priorities
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(
    settings.update({
      priorities: [
        { ...first, share: 10 },
        { ...second, concurrency: 2 }
      ]
    }),
    ['priorities.0.share', 'priorities.1.concurrency']
  )
  const renamed = codeOf(() => settings.update({ priorities: [{ ...first, name: 'new' }, second] }))
  assert.match(renamed.message, /priorities\.0\.name/)
  const dropped = codeOf(() => settings.update({ priorities: [] }))
  assert.equal(dropped.code, 'ERR_DISPATCHER_NOT_CHANGEABLE')
})

/** Dead letters that our headers push over the largest size of their topic, on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Bench, LedgerTarget, until } from './dispatch-support.ts'

test('a dead letter that its topic finds too large becomes a reference, and its partition goes on', async t => {
  const bench = await Bench.open(t)
  const small = bench.given.uniqueName('small')
  await bench.admin.createTopics([{ topic: small, partitionCount: 1, configs: { 'max.message.bytes': '1500' } }])
  const pad = (length: number): string => JSON.stringify({ poison: true, pad: 'x'.repeat(length) })
  await bench.append([
    { key: 'whole', value: pad(400) },
    { key: 'no-reason', value: pad(800) },
    { key: 'reference', value: pad(1200) },
    { key: 'good', value: '{"n":1}' }
  ])
  const target = new LedgerTarget(({ messages }) => {
    if (JSON.stringify(messages).includes('poison')) throw new TypeError(`no ${'y'.repeat(300)}`)
  })
  const dispatcher = await bench.dispatch(target, { deadLetterTopic: small })
  await bench.untilDrained()
  await until(() => target.delivered.length === 1, 'the good one is delivered')
  await dispatcher.drain()
  assert.deepEqual(target.delivered, ['0@3'])
  const letters = await bench.deadLetters(3, small)
  const told = letters.map(({ key, value, headers }) => ({
    key,
    isWhole: value !== undefined,
    hasReason: headers['comporta-error-reason'] !== '',
    offset: headers['comporta-origin-offset'],
    valueBytes: headers['comporta-value-bytes']
  }))
  assert.deepEqual(told, [
    { key: 'whole', isWhole: true, hasReason: true, offset: '0', valueBytes: undefined },
    { key: 'no-reason', isWhole: true, hasReason: false, offset: '1', valueBytes: undefined },
    { key: 'reference', isWhole: false, hasReason: false, offset: '2', valueBytes: String(pad(1200).length) }
  ])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePipeline, type ProducerConfig } from '../../src/config/index.ts'

/** Reads a pipeline file whose producer has these lines from line 6 on. */
function read(lines: string): ProducerConfig | undefined {
  const text = `name: x
kafka: { bootstrapServers: 127.0.0.1:9092 }
producer:
  route: { topic: a }
  deadLetterTopic: dead
${lines}
`
  return parsePipeline(text, { fileName: 'comporta.yaml', environment: {} }).producer
}

test('without a word about it events wait while Kafka is away', () => {
  const producer = read('')
  assert.deepEqual(producer?.whenAway, { mode: 'wait', afterMs: 10_000 })
  assert.equal(producer.spill, undefined)
})

test('a spill has its defaults', () => {
  const producer = read('  whenAway: { mode: spill }\n  spill: { dir: spill }')
  assert.deepEqual(producer?.spill, { dir: 'spill', bytesMax: 1_073_741_824, segmentBytes: 16_777_216 })
})

test('settings for a Kafka that is away that do not go together are refused at their line', () => {
  for (const [lines, pattern] of [
    ['  whenAway: { mode: spill }', /6:\d+.*`spill` needs `producer\.spill`, which says where/],
    ['  spill: { dir: x }', /6:\d+.*needs `whenAway: \{ mode: spill \}`/],
    ['  whenAway: { mode: drop }', /6:\d+.*whenAway\.mode/],
    ['  whenAway: { afterMs: 99 }', /6:\d+.*afterMs/],
    ['  whenAway: { mode: spill }\n  spill: { dir: x, bytesMax: 33554432 }', /7:\d+.*bytesMax.*at least 69108864/],
    ['  whenAway: { mode: spill }\n  spill: { dir: x, segmentBytes: 536870913 }', /7:\d+.*at most half of bytesMax/],
    ['  whenAway: { mode: spill }\n  spill: { dir: "" }', /7:\d+.*dir/]
  ] as const) {
    assert.throws(
      () => read(lines),
      (error: unknown) => {
        assert.ok(error instanceof Error)
        const [, ...problems] = error.message.split('\n')
        assert.equal(problems.length, 1, error.message)
        assert.match(problems[0] ?? '', pattern)
        return true
      }
    )
  }
})

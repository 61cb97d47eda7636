import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePipeline } from '../../src/config/index.ts'

/** What is wrong with a pipeline file whose producer has these lines from line 6 on. */
function problemsOf(lines: string): string[] {
  const text = `name: x
kafka: { bootstrapServers: 127.0.0.1:9092 }
producer:
  route: { topic: a }
  deadLetterTopic: dead
${lines}
`
  try {
    parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
    return []
  } catch (error) {
    assert.ok(error instanceof Error)
    const [, ...problems] = error.message.split('\n')
    return problems.map(line => line.trim())
  }
}

test('limits and headers that mean nothing, or need something else, are refused at their line', () => {
  for (const [lines, pattern] of [
    ['  rate: { topics: { b: { recordsPerSecond: 1 } } }', /6:\d+.*no event goes to b/],
    ['  rate: { topics: { a: { burstMs: 5 } } }', /6:\d+.*says neither recordsPerSecond nor bytesPerSecond/],
    ['  rate: { recordsPerSecond: 1, whenExceeded: spill }', /6:\d+.*`spill` needs `producer\.whenAway/],
    ['  rate: { recordsPerSecond: 1, shared: { type: quota } }', /6:\d+.*`quota` needs `bytesPerSecond`/],
    ['  rate: { shared: { type: topic } }', /6:\d+.*there is no limit to share/],
    ['  rate: { recordsPerSecond: 0 }', /6:\d+.*recordsPerSecond/],
    ['  rate: { recordsPerSecond: 1, shared: { type: topic, sessionTimeoutMs: 5999 } }', /6:\d+.*sessionTimeoutMs/],
    ['  rate: { recordsPerSecond: 1, shared: { type: topic, fallbackShare: 1.5 } }', /6:\d+.*fallbackShare/],
    ['  headers: { trace: true, static: { tracestate: x } }', /6:\d+.*two headers have the name tracestate/],
    ['  headers: { correlationId: { httpHeaders: ["a b"] } }', /6:\d+.*headers/]
  ] as const) {
    const problems = problemsOf(lines)
    assert.equal(problems.length, 1, `${lines}: ${problems.join('; ')}`)
    assert.match(problems[0] ?? '', pattern)
  }
})

test('a token that no request could carry is refused, and not repeated', () => {
  const source = (token: string): string[] => problemsOf(`  sources: [{ type: http, token: "${token}" }]`)
  assert.deepEqual(source('0123456789abcdef'), [])
  for (const token of ['short-token', 'with blanks in between', 'ümlaut-ümlaut-ümlaut']) {
    const [problem = ''] = source(token)
    assert.match(problem, /token/)
    assert.ok(!problem.includes(token), problem)
  }
})

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { loadScenarioFile, parseScenario, scenarioConfig } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

function problemsOf(text: string): string {
  try {
    parseScenario(text, { fileName: 'load.yaml', environment: {} })
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
    return error.message
  }
  return ''
}

const root = join(import.meta.dirname, '../..')

test('the scenarios of the examples and the guides are sound', () => {
  const texts = globSync('examples/scenarios/*.yaml', { cwd: root }).map(file => readFileSync(join(root, file), 'utf8'))
  for (const file of globSync('docs/guides/*.md', { cwd: root })) {
    const page = readFileSync(join(root, file), 'utf8')
    texts.push(...[...page.matchAll(/^```yaml scenario\n([^]*?)^```/gm)].map(match => match[1] ?? ''))
  }
  assert.ok(texts.length >= 3)
  for (const text of texts) assert.equal(problemsOf(text), '')
})

test('an empty scenario is the truck example, and what is given is kept', () => {
  const { trucks, workers, codes } = scenarioConfig({})
  assert.deepEqual(trucks, { count: 1000, distribution: { type: 'pareto', topRatio: 0.2, topShare: 0.8 } })
  assert.deepEqual(workers, [{ count: 1, forMs: undefined }])
  assert.equal(codes, undefined)
  const text = 'recordsPerSecond: ${RATE:-13000}\nworkers: [{ count: 1, forMs: 60000 }, { count: 10 }]\n'
  const scenario = parseScenario(text, { fileName: 'load.yaml', environment: {} })
  assert.equal(scenario.recordsPerSecond, 13_000)
  assert.deepEqual(scenario.workers, [{ count: 1, forMs: 60_000 }, { count: 10 }])
})

test('every mistake in a scenario is named at its line', () => {
  const text = `recordsPerSecond: 0
trucks: { count: 10, distribution: { type: zipf, exponent: 9 } }
workes: 3
codes: { weights: { "70000": 1 } }
`
  const message = problemsOf(text)
  assert.match(message, /load\.yaml:1:1 recordsPerSecond/)
  assert.match(message, /load\.yaml:2:\d+ trucks\.distribution\.exponent/)
  assert.match(message, /load\.yaml:3:1 workes: no such setting; did you mean workers\?/)
})

test('settings that contradict each other are refused with the reason', () => {
  const cases: [string, RegExp][] = [
    ['workers: [{ count: 1, forMs: 10 }, { count: 2 }]', /phases of workers need recordsPerSecond/],
    ['bursts: { everyMs: 100, forMs: 10, factor: 2 }', /bursts need recordsPerSecond/],
    ['recordsPerSecond: 5\nbursts: { everyMs: 100, forMs: 100, factor: 2 }', /shorter than everyMs \(100\)/],
    ['recordsPerSecond: 5\nworkers: [{ count: 1 }, { count: 2 }]', /only the last phase has no end/],
    ['codes: { from: 5, to: 4 }', /the codes 5 to 4 are none/],
    ['codes: { weights: { "1": 0 } }', /at least one code must have a weight above 0/],
    ['codes: { weights: { "70000": 1 } }', /not a code: 0 to 65535/],
    ['trucks: 1000000\nworkers: 2', /40000000 counters, allowed are 20000000/]
  ]
  for (const [text, expected] of cases) assert.match(problemsOf(text), expected, text)
})

test('a scenario file that is not there is said so', async () => {
  await assert.rejects(loadScenarioFile('/nowhere/load.yaml', {}), error => {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_UNREADABLE'))
    return error.message.includes('/nowhere/load.yaml')
  })
})

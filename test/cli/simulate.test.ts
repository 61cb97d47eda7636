/** `comporta simulate`: scenarios by name and file, what-ifs, a pipeline file, and input that is wrong. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { calibrationLines, comparisonText, csvOf, resultText } from '../../src/cli/operations/simulation-text.ts'
import { parsePipeline, parseSimulation, simulationConfig } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { assumptionsOf, compareScenarios, scenarioOfPipeline, simulate, withSettings } from '../../src/ops/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

const SCENARIO = `name: small
startsAt: "08:00"
duration: 60
arrival: { recordsPerSecond: 100 }
topic: { partitions: 2, backlog: 5000 }
target: { baseMs: 200 }
`

test('a file with mistakes is refused with their lines, and what cannot be read by its exit code', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'bad.yaml'), SCENARIO.replace('partitions: 2', 'partition: 2').replace('60', 'soon'))
  const [bad, missing] = await Promise.all([
    runComporta(['simulate', 'bad.yaml'], { cwd }),
    runComporta(['simulate', 'nothing'], { cwd })
  ])
  assert.equal(bad.exitCode, 78)
  assert.match(bad.stderr, /bad\.yaml:3:1 duration: not a time/)
  assert.match(bad.stderr, /bad\.yaml:5:10 topic\.partition: no such setting; did you mean partitions\?/)
  assert.equal(missing.exitCode, 65)
  assert.match(missing.stderr, /incident-lag, incident-backlog/)
  assert.equal(exitCodeOf(new PipelineError('ERR_OPS_MEASUREMENT_INVALID', 'run.json is not JSON')), 65)
})

test('a run is told in words, as a curve and as CSV, and compared', () => {
  const scenario = parseSimulation(SCENARIO, { fileName: 'small.yaml', environment: {} })
  const result = simulate(scenario)
  const text = resultText(result, { columns: 80 })
  assert.match(text, /08:00:00 {2}lag is above normal/)
  assert.match(text, /lag +█[▁▂▃▄▅▆▇█]+ max 5,010 records/) // ten more come until the second look
  const [head, ...lines] = csvOf(result).trimEnd().split('\n')
  assert.equal(head, 'timesS,lag,lagSeconds,arrival,service,instances,invocations,targetMs,memoryBytes,lost')
  assert.equal(lines.length, result.series.timesS.length)
  const names = comparisonText(compareScenarios(scenario), scenario.startsAt)
    .split('\n')
    .map(line => line.slice(0, 17).trim())
  assert.deepEqual(names.slice(1, -1), [
    'as given',
    'double volume',
    'double partitions',
    'double batch',
    'double instances'
  ])
})

test('the scenario of the guide is one', () => {
  const guide = readFileSync(new URL('../../docs/guides/simulate.md', import.meta.url), 'utf8')
  const [, text = ''] = /^```yaml simulation\n([^]*?)^```/m.exec(guide) ?? []
  const scenario = parseSimulation(text, { fileName: 'docs/guides/simulate.md', environment: {} })
  const { summary } = simulate(withSettings(scenario, { mode: 'fluid' }))
  assert.ok(summary.produced > 0 && summary.lost === 0)
})

test('a pipeline file becomes a scenario, and what is measured takes the place of what is assumed', () => {
  const pipeline = parsePipeline(
    `name: orders
kafka: { bootstrapServers: "localhost:9092" }
topics: { orders: { partitions: 8 } }
dispatcher:
  groupId: orders
  topics: [orders]
  batch: { recordsMax: 200, ageMs: 300 }
  concurrency: 6
  order: key
  target: { type: http, url: "http://localhost:1/" }
  deadLetterTopic: dead
`,
    { fileName: 'comporta.yaml', environment: {} }
  )
  const scenario = scenarioOfPipeline(pipeline, { recordsPerSecond: 4000, instances: 2 })
  assert.deepEqual(
    [scenario.topic.partitions, scenario.group.concurrency, scenario.group.batch.recordsMax, scenario.group.order],
    [8, 6, 200, 'key']
  )
  assert.equal(scenario.arrival.recordsPerSecond, 4000)
  assert.deepEqual(assumptionsOf(pipeline, { recordsPerSecond: 4000, instances: 2 }), [
    '200 bytes a record (--set topic.recordBytes)',
    '100 ms an invocation (--calibrate, or --set target.baseMs)',
    'nothing waits at the start (--set topic.backlog)'
  ])
  const calibration = {
    sampleCount: 10,
    baseMs: 12,
    perRecordUs: 34,
    spreadRatio: 0,
    overheadMs: 1,
    cpuPerBatchMs: 0,
    cpuPerRecordUs: 0,
    rebalanceMs: undefined,
    isSizeVaried: false
  }
  assert.equal(scenarioOfPipeline(pipeline, { calibration }).target.baseMs, 12)
  assert.match(calibrationLines(calibration), /could not be told apart/)
})

test('a function in this runtime has the concurrency, the time-out and the memory of the file', () => {
  const text = `name: trucks
kafka: { bootstrapServers: embedded }
dispatcher: { groupId: g, topics: [t], target: { type: lambda, functionName: f }, deadLetterTopic: dead }
lambda: { runtime: embedded, functions: { f: { handler: ./f.mjs, concurrency: 3, timeoutMs: 7000, memoryMb: 512 } } }
`
  const { target } = scenarioOfPipeline(parsePipeline(text, { fileName: 'comporta.yaml', environment: {} }))
  assert.deepEqual([target.concurrencyMax, target.timeoutMs, target.memoryMb], [3, 7000, 512])
})

test('a setting that there is not is named with those that there are, and touches no prototype', () => {
  const scenario = parseSimulation(SCENARIO, { fileName: 'small.yaml', environment: {} })
  const isUnknown = (pattern: RegExp) => (error: unknown) =>
    PipelineError.is(error) && error.code === 'ERR_CONFIG_INVALID' && pattern.test(error.message)
  assert.throws(
    () => withSettings(scenario, { 'consumers.count': 4 }),
    isUnknown(/consumers: no such setting; there are: .*group/)
  )
  assert.throws(() => withSettings(scenario, { 'group.instance': 4 }), isUnknown(/did you mean instances\?/))
  assert.throws(() => withSettings(scenario, { '__proto__.polluted': 1 }), isUnknown(/__proto__/))
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('settings that do not go together are named', () => {
  const isInvalid = (pattern: RegExp) => (error: unknown) =>
    PipelineError.is(error) && error.code === 'ERR_CONFIG_INVALID' && pattern.test(error.message)
  const base = { duration: 10, arrival: { recordsPerSecond: 1 } }
  assert.throws(() => simulationConfig({ ...base, arrival: {} }), isInvalid(/recordsPerSecond or curve/))
  assert.throws(
    () => simulationConfig({ ...base, events: [{ at: '10:13', type: 'rebalance' }] }),
    isInvalid(/needs startsAt/)
  )
  assert.throws(
    () => simulationConfig({ ...base, events: [{ at: 1, type: 'partitions', count: 12 }] }),
    isInvalid(/more than the 12 before/)
  )
  assert.throws(() => simulationConfig({ ...base, sampleS: 1e-6 }), isInvalid(/sampleS: every/))
  assert.throws(
    () => simulate(simulationConfig({ duration: '30d', mode: 'exact', arrival: { recordsPerSecond: 1e6 } })),
    isInvalid(/take mode: fluid/)
  )
  assert.throws(() => withSettings(simulationConfig(base), { 'group.batch.recordMax': 1 }), isInvalid(/recordMax/))
  assert.throws(() => withSettings(simulationConfig(base), { 'seed.x.y': 1 }), isInvalid(/nothing at x|seed/))
})

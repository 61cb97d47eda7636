import assert from 'node:assert/strict'
import { test } from 'node:test'

import { withAbsolutePaths } from '../../src/cli/paths.ts'
import { dispatcherWithEndpoint } from '../../src/cli/wiring.ts'
import { parsePipeline, PIPELINE_TEMPLATE } from '../../src/config/index.ts'

function dispatcherOf(environment: Record<string, string> = {}): ReturnType<typeof dispatcherWithEndpoint> {
  return dispatcherWithEndpoint(parsePipeline(PIPELINE_TEMPLATE, { fileName: 'comporta.yaml', environment }))
}

test('the dispatcher sends the embedded function no more batches at once than it takes', () => {
  // The template gives its function 4; the dispatcher's own default is 10.
  assert.equal(dispatcherOf()?.concurrency, 4)
  assert.equal(dispatcherOf({ COMPORTA_DISPATCHER__CONCURRENCY: '2' })?.concurrency, 2)
})

test('a function elsewhere has its own limit', () => {
  const elsewhere = dispatcherOf({ COMPORTA_DISPATCHER__TARGET__ENDPOINT: 'http://10.0.0.1:9001' })
  assert.equal(elsewhere?.concurrency, 10)
})

test('one variable sends the batches of the same file to AWS: no local address, no limit of a local function', () => {
  const inAws = dispatcherOf({ LAMBDA_RUNTIME: 'aws' })
  assert.deepEqual(inAws?.target, { type: 'lambda', functionName: 'distributor', timeoutMs: 60_000 })
  assert.equal(inAws?.concurrency, 10)
})

test('the files of targets and transforms count from the folder of the pipeline file', () => {
  const text = `name: x
kafka: { bootstrapServers: "a:1" }
dispatcher:
  groupId: g
  topics: [t, u]
  deadLetterTopic: d
  target: { type: topic, topic: out, file: lib/make.mjs }
  transform: { file: clean.mjs }
  priorities:
    - { name: one, topics: [t], share: 1, target: { type: module, file: ../one.mjs } }
    - { name: two, topics: [u], share: 1 }
`
  const { dispatcher } = withAbsolutePaths(parsePipeline(text, { fileName: 'x', environment: {} }), '/pipelines/a')
  const fileOf = (target: object | undefined): unknown => target && Reflect.get(target, 'file')
  assert.equal(fileOf(dispatcher?.target), '/pipelines/a/lib/make.mjs')
  assert.equal(dispatcher?.transform?.file, '/pipelines/a/clean.mjs')
  assert.deepEqual(
    dispatcher.priorities.map(({ target }) => fileOf(target)),
    ['/pipelines/one.mjs', undefined]
  )
})

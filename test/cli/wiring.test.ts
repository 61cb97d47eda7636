import assert from 'node:assert/strict'
import { test } from 'node:test'

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

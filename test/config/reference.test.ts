/** Reference pages that are generated, or checked against the code. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

function check(script: string): void {
  const result = spawnSync(process.execPath, [`${root}/scripts/${script}`, '--check'], { encoding: 'utf8' })
  assert.equal(result.stderr, '')
  assert.equal(result.status, 0)
}

test('the reference page and the JSON Schema of the pipeline file are current', () => {
  check('generate-config-reference.ts')
})

test('the reference page of the command line is current', () => {
  check('generate-cli-reference.ts')
})

test('the page of metrics has the tables of the catalogue', () => {
  check('generate-metrics-reference.ts')
})

test('the page of metrics has the names of the lag endpoint', () => {
  const page = readFileSync(`${root}/docs/reference/metrics.md`, 'utf8')
  const endpoint = readFileSync(`${root}/src/ops/keda/lag-endpoint.ts`, 'utf8')
  const served = [...new Set(endpoint.match(/kafka_consumergroup_[a-z_]+|burrow_kafka_[a-z_]+/g))]
  assert.ok(served.length > 0)
  for (const name of served) assert.ok(page.includes(`\`${name}\``), name)
})

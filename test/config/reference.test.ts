import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('the reference page and the JSON Schema of the pipeline file are current', () => {
  const script = fileURLToPath(new URL('../../scripts/generate-config-reference.ts', import.meta.url))
  const result = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  assert.equal(result.stderr, '')
  assert.equal(result.status, 0)
})

/** The producer leaves the choice of a partition to the key, as Kafka's own does. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const root = path.join(import.meta.dirname, '../..')

test('the producer names no partition', () => {
  const files = globSync('src/producer/**/*.ts', { cwd: root })
  assert.ok(files.length > 5)
  for (const file of files) {
    const code = readFileSync(path.join(root, file), 'utf8')
      .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      .replace('readonly partition: undefined', '')
    assert.doesNotMatch(code, /\bpartition\b/, `${file}: a record for the appender must not choose its partition`)
  }
})

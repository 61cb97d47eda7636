/** The producer leaves the choice of a partition to the key, as Kafka's own does, but for one declared escape hatch. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const root = path.join(import.meta.dirname, '../..')

/** Runs the module that `producer.partitioner` names: the only file that may write a partition into a record. */
const escapeHatch = 'src/producer/routing/partitioner.ts'

/** What speaks of partitions that it reads or shares, or that the escape hatch has already chosen. */
const readers = /\/(?:rate|sources|spill|transactions)\//

test('the producer names no partition, except where its user has asked for that', () => {
  const files = globSync('src/producer/**/*.ts', { cwd: root }).filter(file => file !== escapeHatch)
  assert.ok(files.length > 5)
  for (const file of files) {
    const code = readFileSync(path.join(root, file), 'utf8')
      .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      // Where the resolver keeps what the escape hatch has chosen.
      .replace('partition: number | undefined\n', '')
    const message = `${file}: a record for the appender must not choose its partition`
    assert.doesNotMatch(code, readers.test(file) ? /(?<!this)\.partition = / : /\bpartition\b/, message)
  }
})

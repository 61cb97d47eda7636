/** Keys land where Kafka's own client puts them, whatever the partition count. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { runProcess } from '../support/child-process.ts'
import { kafkaClassPath } from '../support/kafka-jvm.ts'
import { partitionsLine, randomKeys } from '../support/key-partitions.ts'

const PROGRAM = join(import.meta.dirname, 'programs', 'KeyPartitions.java')

test('random keys are in the partitions of the Java client, in topics of 1 to 1000 partitions', async () => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  const keys = randomKeys(seed, 3000)
  const { stdout } = await runProcess('java', ['-cp', await kafkaClassPath(), PROGRAM], {
    stdin: `${keys.map(key => key.toString('base64')).join('\n')}\n`
  })
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, keys.length)
  for (const [index, key] of keys.entries()) {
    assert.equal(partitionsLine(key), lines[index], `seed ${seed}: ${key.toString('base64')}`)
  }
})

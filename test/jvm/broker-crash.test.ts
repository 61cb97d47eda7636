/** What a broker that was killed again and again leaves on disk, in the eyes of Kafka's own dump tool. */

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCrashWorld } from '../chaos/broker-crash-run.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'

const ROUNDS = 5

/** Every segment, index of aborted transactions and producer snapshot of a data folder. */
async function filesOf(dataDir: string, suffix: string): Promise<string[]> {
  const names = await readdir(dataDir, { recursive: true })
  return names.filter(name => name.endsWith(suffix) && name.includes('/')).map(name => join(dataDir, name))
}

test("Kafka's dump tool finds every batch valid that a killed broker left", async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  let batchCount = 0
  const verify = async (dataDir: string): Promise<void> => {
    const logs = await filesOf(dataDir, '.log')
    const dumped = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], ['--files', logs.join(','), '--deep-iteration'])
    const batches = dumped.stdout.match(/^baseOffset: .*$/gm) ?? []
    batchCount = batches.length
    assert.deepEqual(
      batches.filter(line => !line.includes('isvalid: true')),
      []
    )
    for (const suffix of ['.txnindex', '.snapshot']) {
      const files = await filesOf(dataDir, suffix)
      if (files.length === 0) continue
      const { stdout, stderr } = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], ['--files', files.join(',')])
      assert.doesNotMatch(stdout + stderr, /exception|corrupt/i)
    }
  }
  const report = await runCrashWorld({ seed, rounds: ROUNDS, loadMsMax: 400, verify })
  t.diagnostic(`${report.kills} kills, ${batchCount} batches`)
  assert.equal(batchCount, report.batchesOnDisk)
})

/** Ingest in transactions, killed and started again, on the embedded broker and on Apache Kafka. */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { createTopic, stage } from '../producer/kafka.ts'
import { numbersOf, readCommitted } from '../producer/read-committed.ts'
import { spawnBound } from '../support/child-process.ts'
import { uniqueName } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'

function lines(count: number): string[] {
  return Array.from(
    { length: count },
    (_, n) => `${JSON.stringify({ codigo: 400 + (n % 200), truck_id: `T${n % 9}`, n })}\n`
  )
}

test('killed at random instants and started again, an ingest has every line exactly once', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 7)
  const random = new SeededRandom(seed)
  const count = process.env['TRANSACTIONS'] === 'long' ? 200_000 : 4000
  const killsMax = process.env['TRANSACTIONS'] === 'long' ? 20 : 1
  const on = await stage(t)
  const state = uniqueName('ingest-state')
  await createTopic(on.cluster, { name: state, numPartitions: 1, config: { 'cleanup.policy': 'compact' } })
  const path = join(temporaryFolder(t), 'events.ndjson')
  await writeFile(path, lines(count).join(''))
  const program = join(import.meta.dirname, '../producer/transaction-child.ts')
  const topics = JSON.stringify({ events: on.topics, state })

  let exitCode: number | null = null
  for (let kills = 0; exitCode !== 0; kills += 1) {
    assert.ok(kills <= killsMax + 1, 'it comes to its end')
    const child = spawnBound(process.execPath, [program, on.bootstrapServers, path, topics])
    const closed = new Promise<number | null>(resolve => child.once('close', resolve))
    if (kills < killsMax) {
      const began = new Promise<void>(resolve =>
        child.stdout?.on('data', (text: Buffer) => void (/[1-9]/.test(text.toString()) && resolve()))
      )
      await Promise.race([began, closed])
      const timer = setTimeout(() => child.kill('SIGKILL'), random.next() * 120)
      exitCode = await closed
      clearTimeout(timer)
    } else {
      exitCode = await closed
    }
  }

  const records = await readCommitted(on.cluster, [on.topics.hot, on.topics.cold])
  assert.equal(records.length, count, `TEST_SEED=${seed}`)
  assert.deepEqual(numbersOf(records), [...Array(count).keys()], `TEST_SEED=${seed}`)
})

/** Load from a scenario file: foreseen, printed, published. */

import assert from 'node:assert/strict'
import { createWriteStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { StreamIntake } from '../../src/cli/load/stream-intake.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { TruckSource } from '../../src/producer/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

const SCENARIO = `name: ramp
records: 300
recordsPerSecond: 10000
workers: [{ count: 1, forMs: 10 }, { count: 4 }]
codes: { weights: { "300": 1, "400": 3 } }
trucks: 10
malformedRatio: 0.1
valueBytes: 256
seed: 7
`

test('a scenario is foreseen, printed the same for the same seed, and published', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'load.yaml'), SCENARIO)
  const foreseen = await runComporta(['generate', 'load.yaml', '--dry-run', '--json'], { cwd })
  assert.equal(foreseen.exitCode, 0, foreseen.stderr)
  const { phases, records } = JSON.parse(foreseen.stdout) as { phases: unknown; records: number }
  assert.equal(records, 300)
  assert.deepEqual(phases, [
    { workers: 1, recordsPerSecond: 2500, forMs: 10 },
    { workers: 4, recordsPerSecond: 10_000 }
  ])

  const printed = await runComporta(['generate', 'load.yaml', '--stdout', '--records', '50'], { cwd })
  assert.equal(printed.exitCode, 0, printed.stderr)
  const lines = printed.stdout.trimEnd().split('\n')
  assert.equal(lines.length, 50)
  const sound = lines.filter(line => line.endsWith('}'))
  assert.ok(sound.length < 50 && sound.every(line => line.length === 256))
  assert.ok(sound.every(line => [300, 400].includes((JSON.parse(line) as { codigo: number }).codigo)))

  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const route = '{ field: codigo, topics: { c300: [300] }, otherwise: c400 }'
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
topics: { c300: {}, c400: {} }
producer: { route: ${route}, deadLetterTopic: dead }
`
  )
  const published = await runComporta(['generate', 'load.yaml', '--json'], { cwd })
  assert.equal(published.exitCode, 0, published.stderr)
  const result = JSON.parse(published.stdout) as { published: number; deadLettered: number }
  assert.equal(result.published + result.deadLettered, 300)
  const ends = await new Admin(cluster).listOffsets(
    ['c300', 'c400', 'dead'].map(topic => ({ topic, partition: 0, at: 'latest' as const }))
  )
  assert.equal(
    ends.reduce((sum, { offset }) => sum + Number(offset), 0),
    300
  )
  assert.equal(Number(ends[2]?.offset), result.deadLettered)
})

test(
  'output that cannot be written ends the load with the reason',
  { skip: process.platform !== 'linux' },
  async () => {
    const intake = new StreamIntake(createWriteStream('/dev/full'))
    await assert.rejects(new TruckSource({ records: 10 }).run(intake, new AbortController().signal), error => {
      assert.ok(PipelineError.is(error, 'ERR_CLI_OUTPUT'))
      assert.equal(exitCodeOf(error), 74)
      return error.message.includes('ENOSPC')
    })
    assert.equal(intake.eventCount, 0)
  }
)

test('a wrong scenario and wrong numbers end with what is wrong', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'load.yaml'), 'trucks: 0\n')
  const wrong = await runComporta(['generate', 'load.yaml', '--dry-run'], { cwd })
  assert.equal(wrong.exitCode, 78)
  assert.match(wrong.stderr, /load\.yaml:1:1 trucks/)
  const rate = await runComporta(['generate', '--rate', '0'], { cwd })
  assert.equal(rate.exitCode, 64)
  assert.match(rate.stderr, /Give a number above 0/)
})

/** What cannot work says so with a code, a reason and an exit code, and leaves nothing running. */

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { DemoRun } from '../../src/cli/demo/run.ts'
import { ProgressLine } from '../../src/cli/demo/progress.ts'
import { PipelineError } from '../../src/core/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { type CommandOptions, runComporta, temporaryFolder } from '../support/comporta.ts'

/** Runs a command that must fail, and gives its exit code and its error as a program reads it. */
async function failureOf(
  args: readonly string[],
  options: CommandOptions
): Promise<{ exitCode: number | null; code: string; message: string }> {
  const { exitCode, stderr } = await runComporta([...args, '--json'], options)
  const line = stderr.split('\n').find(text => text.startsWith('{"error"')) ?? '{"error":{}}'
  const { error } = JSON.parse(line) as { error: { code: string; message: string } }
  return { exitCode, code: error.code, message: error.message }
}

const pipelineWith = (topics: string): string => `name: x
kafka: { bootstrapServers: "\${KAFKA}" }
topics: { ${topics} }
producer: { sources: [{ type: http, port: 0 }], route: { topic: t }, deadLetterTopic: dead }
`

test('a file that exists and one that does not are told apart from a wrong pipeline', async t => {
  const cwd = temporaryFolder(t)
  await runComporta(['init'], { cwd })
  const again = await failureOf(['init'], { cwd })
  assert.deepEqual([again.exitCode, again.code], [64, 'ERR_CLI_USAGE'])
  const absent = await failureOf(['ingest', 'absent.ndjson'], { cwd })
  assert.deepEqual([absent.exitCode, absent.code], [65, 'ERR_CLI_INPUT'])
  const folder = await failureOf(['ingest', '.'], { cwd })
  assert.deepEqual([folder.exitCode, folder.code], [65, 'ERR_CLI_INPUT'])
})

test('topics that Kafka refuses to create are named with its reason', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), pipelineWith('t: { partitions: 1, replicationFactor: 3 }'))
  const failure = await failureOf(['up', '--no-console'], { cwd, env: { KAFKA: broker.bootstrapServers } })
  assert.deepEqual([failure.exitCode, failure.code], [69, 'ERR_CLI_TOPICS'])
  assert.match(failure.message, /t: INVALID_REPLICATION_FACTOR/)
})

test('a part that cannot start is named with its reason, and the others are stopped', async t => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const address = taken.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const cwd = temporaryFolder(t)
  await runComporta(['init'], { cwd })
  const failure = await failureOf(['up', '--no-console'], {
    cwd,
    env: { COMPORTA_KAFKA__EMBEDDED__PORT: String(port) }
  })
  assert.deepEqual([failure.exitCode, failure.code], [69, 'ERR_CLI_ROLE_FAILED'])
  assert.match(failure.message, /broker .*EADDRINUSE/)
})

test('a part that no second start can help gives its exit code to the whole', async t => {
  const cwd = temporaryFolder(t)
  await runComporta(['init'], { cwd })
  writeFileSync(join(cwd, 'no-folder'), '')
  const env = { COMPORTA_KAFKA__EMBEDDED__PORT: '0', COMPORTA_KAFKA__EMBEDDED__DATA_DIR: 'no-folder' }
  const failure = await failureOf(['up', '--no-console'], { cwd, env })
  assert.deepEqual([failure.exitCode, failure.code], [74, 'ERR_CLI_ROLE_FAILED'])
})

test('a port for metrics that is taken is named', async t => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const address = taken.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const cwd = temporaryFolder(t)
  const failure = await failureOf(['broker', '--port', '0', '--data', 'data', '--metrics-port', String(port)], { cwd })
  assert.deepEqual([failure.exitCode, failure.code], [69, 'ERR_CLI_PORT'])
})

test('a run in which nothing moves is given up, with where to look', async t => {
  const signal = new AbortController().signal
  const line = new ProgressLine({ write: () => undefined }, true)
  const options = {
    records: 100,
    rate: 10,
    brokers: undefined,
    chaos: undefined,
    logLevel: 'silent',
    signal,
    stallMs: 1
  }
  const run = new DemoRun(options, silentLogger, line)
  t.after(() => run.abandon())
  await assert.rejects(run.run(), error => {
    assert.ok(PipelineError.is(error, 'ERR_CLI_TIMEOUT'), String(error))
    assert.match(error.message, /nothing has moved .* logs of all processes/)
    return true
  })
})

/** Sources on the command line: where a run goes on, and several at once. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { startBroker } from '../../src/broker/index.ts'
import { type CommandResult, runComporta, temporaryFolder } from '../support/comporta.ts'

const command = fileURLToPath(new URL('../../bin/comporta.js', import.meta.url))

test('ingest goes on where it stopped; of two sources one fails and the other is published', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const pipeline = `name: sources
kafka: { bootstrapServers: ['${broker.bootstrapServers}'] }
topics: { events: { partitions: 1 } }
producer:
  route: { topic: events }
  deadLetterTopic: events-dead
  sources:
    - { type: file, path: absent.ndjson }
    - { type: file, path: other.ndjson, state: { file: other.position } }
`
  writeFileSync(join(cwd, 'comporta.yaml'), pipeline)
  writeFileSync(join(cwd, 'events.ndjson'), '{"n":1}\n{"n":2}\n')
  writeFileSync(join(cwd, 'other.ndjson'), '{"n":1}\n')
  const ingest = (...options: string[]): Promise<CommandResult> =>
    runComporta(['ingest', 'events.ndjson', '--state', 'events.position', ...options], { cwd })

  const first = await ingest('--json')
  assert.equal(first.exitCode, 0, first.stderr)
  assert.equal((JSON.parse(first.stdout) as Record<string, number>)['safeBytes'], 16)
  appendFileSync(join(cwd, 'events.ndjson'), '{"n":3}\n')
  const second = await ingest()
  assert.match(second.stdout, /published 1 event in [^]*went on at byte 16: what is before it was published earlier/)

  writeFileSync(join(cwd, 'events.ndjson'), '{"m":1}\n')
  const [replaced, several] = await Promise.all([ingest(), runComporta(['produce'], { cwd })])
  assert.equal(replaced.exitCode, 65)
  assert.match(replaced.stderr, /events\.ndjson is not what the state file was written for: it ends before byte 24/)
  assert.equal(several.exitCode, 69)
  assert.match(several.stderr, /cannot read file:absent\.ndjson: ENOENT/)
  // The sound one was published to its end, and its position kept.
  assert.match(readFileSync(join(cwd, 'other.position'), 'utf8'), /"bytes":8,"lines":1,/)
})

// SIGTERM ended an ingest with 0 in the middle of its file: whoever removed the file then lost the rest.
test('an ingest that is stopped in the middle ends with 75, not with 0', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const pipeline = `name: stopped
kafka: { bootstrapServers: ['${broker.bootstrapServers}'] }
topics: { events: { partitions: 1 } }
producer: { route: { topic: events }, deadLetterTopic: events-dead, rate: { bytesPerSecond: 2000000 } }
`
  writeFileSync(join(cwd, 'comporta.yaml'), pipeline)
  writeFileSync(join(cwd, 'events.ndjson'), `{"fill":"${'x'.repeat(986)}"}\n`.repeat(3500)) // almost 2 s
  const args = ['ingest', 'events.ndjson', '--state', 'events.position', '--json']
  const running = spawn(process.execPath, [command, ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => running.kill('SIGKILL'))
  const exitCode = new Promise(resolve => running.once('close', resolve))
  const stdout = text(running.stdout)
  while (!existsSync(join(cwd, 'events.position'))) await new Promise(resolve => setTimeout(resolve, 20))
  running.kill('SIGTERM')
  assert.equal(await exitCode, 75)
  const { published: firstCount } = JSON.parse(await stdout) as { published: number }
  assert.ok(firstCount < 3500)
})

/** A command that says that it runs can be ended in that instant: it is not killed in the middle of anything. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

/** Whoever reads the ready line cannot be quicker than this: the signal comes before `write` returns. */
const signalWithTheFirstLine = `
const write = process.stdout.write
process.stdout.write = function (...args) {
  const result = write.apply(process.stdout, args)
  process.stdout.write = write
  process.kill(process.pid, 'SIGINT')
  return result
}
`

test('a signal that comes with the ready line drains, and the exit code is 0', async t => {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'handler.mjs'), 'export const handler = () => {}\n')
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
topics: { t: {} }
producer:
  sources: [{ type: http, port: 0 }]
  route: { topic: t }
  key: { strategy: hash, fields: [id] }
  deadLetterTopic: dead
dispatcher:
  groupId: g
  topics: [t]
  target: { type: http, url: "http://127.0.0.1:1/" }
  deadLetterTopic: dead
lambda: { port: 0, functions: { f: { handler: handler.mjs } } }
`
  )
  const preload = `data:text/javascript,${encodeURIComponent(signalWithTheFirstLine)}`
  const env = { NODE_OPTIONS: `--import=${preload}` }
  const commands = [['dispatch'], ['lambda'], ['produce'], ['broker', '--port', '0']]
  const ends = await Promise.all(commands.map(args => runComporta(args, { cwd, env })))
  for (const [index, { exitCode, stdout, stderr }] of ends.entries()) {
    assert.equal(exitCode, 0, `${commands[index]?.[0]}: ${stdout}${stderr}`)
    assert.match(stdout, /Ctrl-C/)
    assert.match(stderr, /draining/)
  }
})

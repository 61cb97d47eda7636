/** A process with retry topics that is killed again and again: keys keep their order, nothing is lost. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { Bench, until } from './dispatch-support.ts'

interface Payload {
  readonly partition: number
  readonly offsets: readonly number[]
  readonly messages: readonly { readonly key: string; readonly n: number }[]
}

/** A service that refuses every ninth record of each key twice, and all behind it of the same key with it. */
async function startService(t: TestContext) {
  const delivered: string[] = []
  const attempts = new Map<string, number>()
  const judge = ({ offsets, messages }: Payload) => {
    const failures: { offset: number; action: string }[] = []
    const failedKeys = new Set<string>()
    for (const [index, { key, n }] of messages.entries()) {
      const name = `${key}/${n}`
      const isTurn = !failedKeys.has(key)
      if (isTurn) attempts.set(name, (attempts.get(name) ?? 0) + 1)
      if (!isTurn || (n % 9 === 4 && (attempts.get(name) ?? 0) <= 2)) {
        failedKeys.add(key)
        failures.push({ offset: offsets[index] ?? -1, action: 'retry' })
      } else delivered.push(name)
    }
    return JSON.stringify({ failures })
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const reply = judge(JSON.parse(Buffer.concat(chunks).toString()) as Payload)
      setTimeout(() => response.end(reply), 4)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}/`, delivered }
}

const name = 'kill -9 with records in retry topics: keys keep their order, nothing is lost, little comes twice'
// Part of the long run, on a machine that has nothing else to do: docs/limits.md says what happens on one that starves.
const isLong = process.env['RETRY_ROUNDS'] !== undefined

test(name, { skip: !isLong }, async t => {
  const keyCount = 12
  const bench = await Bench.open(t, 2)
  const recordCount = 50 * keyCount
  await bench.append(
    Array.from({ length: recordCount }, (_, index) => {
      const [key, n] = [`k${index % keyCount}`, Math.floor(index / keyCount)]
      return { key, value: JSON.stringify({ key, n }) }
    })
  )
  const service = await startService(t)
  const config = {
    groupId: bench.groupId,
    topics: [bench.topic],
    groupInstanceId: 'one',
    groupProtocol: 'classic',
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 300,
    order: 'key',
    batch: { recordsMax: 10, ageMs: 5 },
    target: { type: 'http', url: service.url },
    retry: { attemptsMax: 1, initialMs: 1, maxMs: 5, delays: [150, 300] },
    deadLetterTopic: bench.deadLetterTopic,
    drainMs: 5000
  }
  const start = (): ChildProcess => {
    const file = path.join(import.meta.dirname, 'retry-process.ts')
    const args = [file, bench.given.bootstrapServers, JSON.stringify(config)]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  for (const count of [60, 200, 350]) {
    const victim = start()
    await until(() => service.delivered.length >= count, `${count} deliveries`)
    victim.kill('SIGKILL')
  }
  const last = start()
  await bench.untilDrained(2)
  const waiting = ['150ms', '300ms'].map(delay => `${bench.topic}.${bench.groupId}.retry-${delay}`)
  for (const topic of waiting) for (const partition of [0, 1]) await bench.untilDrained(1, { topic, partition })
  last.stdin?.end()
  await new Promise(resolve => last.once('exit', resolve))

  const newest = new Map<string, number>()
  const seen = new Set<string>()
  for (const name of service.delivered) {
    if (seen.has(name)) continue
    seen.add(name)
    const [key = '', n = ''] = name.split('/')
    assert.ok(Number(n) > (newest.get(key) ?? -1), `${key}: ${n} after ${newest.get(key)}`)
    newest.set(key, Number(n))
  }
  const deadCount = Number(await bench.end(0, bench.deadLetterTopic))
  const dead = new Set((await bench.deadLetters(deadCount)).map(({ value = '{}' }) => nameOf(value)))
  for (let index = 0; index < recordCount; index += 1) {
    const name = `k${index % keyCount}/${Math.floor(index / keyCount)}`
    assert.ok(seen.has(name) || dead.has(name), `${name} is lost`)
  }
  const duplicates = service.delivered.length - seen.size
  // Each kill comes upon a few batches of ten that are under way or not committed yet.
  assert.ok(duplicates <= 3 * 120, `${duplicates} duplicates`)
})

function nameOf(value: string): string {
  const { key, n } = JSON.parse(value) as { key: string; n: number }
  return `${key}/${n}`
}

/** `comporta records` and `comporta topics` as a person and a program use them. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { hostedComporta, runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

const hosted = hostedComporta()

test('records are read, searched and counted, and topics changed, with exit codes that mean something', async t => {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 2 }])
  const appender = new Appender({ cluster, lingerMs: 0 })
  t.after(() => appender.close(0))
  const append = async (from: number, to: number): Promise<void> => {
    const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
    for (let n = from; n < to; n += 1) {
      const record = { topic: 't', key: Buffer.from(`k${n}`), value: Buffer.from(`{"n":${n}}`), timestampMs: 1000 + n }
      while (!appender.append(record, listener)) await appender.room()
    }
    await appender.flush()
  }
  await append(0, 20_000)
  const cwd = temporaryFolder(t)
  const run = (...args: string[]): ReturnType<typeof runComporta> =>
    hosted([...args, '--bootstrap-server', broker.bootstrapServers], { cwd })

  const where = ['--where', 'n={"from":7,"to":8}', '--order', 'time', '--format', '%k %s']
  const search = ['records', 'search', 't', ...where, '--bootstrap-server', broker.bootstrapServers]
  const [found, none, vague, raw, counted, refused] = await Promise.all([
    runComporta(search, { cwd }),
    run('records', 'search', 't', '--key', 'nobody'),
    run('records', 'search', 't'),
    run('records', 'read', 't', '--from', '1000ms', '--to', '1003ms', '--order', 'time', '--json'),
    run('records', 'count', 't', '--contains', '"n":1999', '--json'),
    run('records', 'get', 't-9@0')
  ])
  assert.deepEqual([found.exitCode, found.stdout], [0, 'k7 {"n":7}\nk8 {"n":8}\n'], found.stderr)
  assert.match(found.stderr, /2 found in 20,000 records, 100 % of the range/)
  assert.deepEqual([none.exitCode, none.stdout], [1, ''], none.stderr)
  assert.equal(vague.exitCode, 64)
  assert.match(vague.stderr, /say what is looked for/)
  const keys = raw.stdout.trim().split('\n')
  assert.deepEqual(
    keys.map(line => (JSON.parse(line) as { key: string }).key),
    ['k0', 'k1', 'k2']
  )
  assert.equal((JSON.parse(counted.stdout) as { records: number }).records, 11, counted.stderr)
  assert.match(refused.stderr, /t has no partition 9: it has 2/)

  const tail = await startComporta(
    t,
    ['records', 'tail', 't', '-n', '2', '--follow', '--brokers', broker.bootstrapServers],
    { cwd, until: /k19999 / }
  )
  await append(20_000, 20_001)
  await tail.said(/k20000 {2}\{"n":20000\}/)
  assert.equal(await tail.stop(), 0, 'Ctrl-C is how following ends')

  const changed = await run('topics', 'alter', 't', '--set', 'retention.ms=999000', '--yes')
  assert.match(changed.stdout, /retention.ms +604800000 \(brokers\) +999000/)
  const [, id] = /comporta undo (\S+)/.exec(changed.stdout) ?? []
  const undone = await run('undo', id ?? '', '--yes')
  assert.equal(undone.exitCode, 0, undone.stderr)
  const described = await run('topics', 'describe', 't')
  assert.match(described.stdout, /settings: as the brokers have them/)
})

test('a reader that goes away ends a reading quietly', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const appender = new Appender({ cluster, lingerMs: 0 })
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  for (let n = 0; n < 20_000; n += 1) {
    const record = { topic: 't', key: null, value: Buffer.alloc(100, 0x61) }
    while (!appender.append(record, listener)) await appender.room()
  }
  await appender.close()
  const command = join(import.meta.dirname, '../../bin/comporta.js')
  const args = ['records', 'read', 't', '--brokers', broker.bootstrapServers]
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)))
  child.stdout.once('data', () => child.stdout.destroy())
  const code = await new Promise(resolve => child.once('close', resolve))
  assert.deepEqual([code, stderr], [0, ''])
})

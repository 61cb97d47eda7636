/** `comporta partitions` as a user runs it: what it says, its exit codes, and a process that is killed and goes on. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'

test('a migration that is killed goes on, a growth without a need is refused, a plan has an exit code', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const append = async (topic: string): Promise<void> => {
    const appender = new Appender({ cluster })
    const listener = { delivered: () => undefined, failed: (error: unknown) => assert.fail(String(error)) }
    for (const key of ['a', 'b', 'c', 'd']) appender.append({ topic, key: Buffer.from(key), value: null }, listener)
    await appender.close()
  }
  await new Admin(cluster).createTopics([{ topic: 'events', partitionCount: 2 }])
  await append('events')
  const cwd = temporaryFolder(t)
  const where = ['--brokers', broker.bootstrapServers]

  const migrate = ['partitions', 'migrate', 'events', '--to', '4', '--quiet', '200ms', '--producers-switched', '--yes']
  const killed = await startComporta(t, [...migrate, ...where], {
    cwd,
    until: /settling: nothing was written to events-v2/
  })
  await killed.stop('SIGKILL')
  await append('events-v2')
  const [resumed, refused, planned] = await Promise.all([
    runComporta([...migrate, ...where, '--json'], { cwd }),
    runComporta(['partitions', 'grow', 'events', '--observe', '0s', '--dry-run', ...where], { cwd }),
    runComporta(
      ['partitions', 'plan', 'events', '--observe', '0s', '--peak', '50', '--per-partition', '10', '--json', ...where],
      { cwd }
    )
  ])
  assert.equal(resumed.exitCode, 0, resumed.stderr)
  const { result } = JSON.parse(resumed.stdout) as { result: { details: object } }
  assert.partialDeepStrictEqual(result.details, { target: 'events-v2', partitions: 4, isOrderProven: true })

  assert.equal(refused.exitCode, 1)
  assert.match(refused.stdout, /blocked: the need is not confirmed.*--force-need/)
  assert.match(refused.stdout, /This cannot be taken back/)

  // 50/s with the margin of 1.5, 10/s each: 8.
  assert.equal(planned.exitCode, 1, planned.stderr)
  const { plan } = JSON.parse(planned.stdout) as { plan: { needed: number; verdict: string } }
  assert.deepEqual([plan.needed, plan.verdict], [8, 'grow'])
})

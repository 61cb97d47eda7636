import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

test('the quota of the pipeline file is compared, and set when that is said', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cwd = temporaryFolder(t)
  const file = (rate: string): Promise<void> =>
    writeFile(
      join(cwd, 'comporta.yaml'),
      `name: x
kafka: { bootstrapServers: ${broker.bootstrapServers} }
producer:
  route: { topic: a }
  deadLetterTopic: dead
  rate: ${rate}
`
    )
  await file('{ bytesPerSecond: 5000, shared: { type: quota } }')
  const before = await runComporta(['quota'], { cwd })
  assert.equal(before.exitCode, 1, before.stderr)
  assert.match(
    before.stdout,
    /^client id comporta-producer: no quota is set on the one broker, should be 5000 bytes\/s; --set sets it\n$/
  )
  const set = await runComporta(['quota', '--set', '--json'], { cwd })
  assert.equal(set.exitCode, 0, set.stderr)
  assert.deepEqual(JSON.parse(set.stdout), {
    entity: { clientId: 'comporta-producer' },
    brokerCount: 1,
    wanted: 5000,
    actual: 5000
  })
  await file('{ bytesPerSecond: 5000 }')
  const none = await runComporta(['quota'], { cwd })
  assert.equal(none.exitCode, 64)
  assert.match(none.stderr, /the pipeline file has no `producer\.rate\.shared: \{ type: quota \}`/)
})

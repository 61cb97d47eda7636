import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { type CommandResult, runComporta, temporaryFolder } from '../support/comporta.ts'

test('offsets are set, the way back is kept beside the pipeline file, and undo goes it', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([{ topic: 'a', partitionCount: 2 }])
  const cwd = temporaryFolder(t)
  const comporta = (...args: string[]): Promise<CommandResult> =>
    runComporta([...args, '--brokers', broker.bootstrapServers], { cwd })
  const committed = async (): Promise<bigint[]> =>
    (
      await admin.fetchGroupOffsets(
        'g',
        [0, 1].map(partition => ({ topic: 'a', partition }))
      )
    ).map(each => each.offset)

  const set = await comporta('offsets', 'set', 'a-0@7', 'a-1@0', '--group', 'g', '--yes', '--json')
  assert.equal(set.exitCode, 0, set.stderr)
  const { undoId, result, ...done } = JSON.parse(set.stdout) as {
    undoId: string
    result: { summary: string }
    plan: { effects: { note: string }[] }
  }
  assert.equal(done.plan.effects[0]?.note, '7 lies behind the end: set to 0; no commit before')
  assert.equal(result.summary, '2 of 2 offsets were changed.')
  assert.deepEqual(await committed(), [0n, 0n])

  const folder = join(cwd, '.comporta', 'undo')
  assert.deepEqual(readdirSync(folder), [`${undoId}.json`])
  writeFileSync(join(folder, 'broken.json'), '{')
  await admin.alterGroupOffsets('g', [{ topic: 'a', partition: 1, offset: 5n }])
  const [list, conflict] = await Promise.all([comporta('undo'), comporta('undo', undoId, '--yes', '--json')])
  assert.match(list.stdout, new RegExp(`^id .*\n${undoId} +applied +yes +Set: 2 offsets of group g\\.\n$`))
  assert.match(list.stderr, /broken\.json is damaged/)
  assert.equal(conflict.exitCode, 1)
  const { plan, isApplied } = JSON.parse(conflict.stdout) as { plan: { blockers: string[] }; isApplied: boolean }
  assert.equal(isApplied, false)
  assert.match(plan.blockers.join('\n'), /--force\ng a-1 is at 5 now; the change left it at 0$/)
  const undone = await comporta('undo', undoId, '--yes', '--force')
  assert.equal(undone.exitCode, 0, undone.stderr + undone.stdout)
  assert.match(undone.stdout, /^Takes back .*\nwhat +before +after.*\na-0 +0 +–/)
  assert.deepEqual(await committed(), [-1n, -1n])
})

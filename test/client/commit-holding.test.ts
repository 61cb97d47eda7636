/**
 * Symptom: after a partition had left and come back, records were delivered twice.
 * Cause: a commit that was retried all the while was sent again for the partition's second stay, with the old offset.
 * Reach: a partition that is revoked and given back within one membership while a commit for it waits.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster, type OffsetToCommit } from '../../src/client/index.ts'
import { GroupRequests, type MemberIdentity } from '../../src/client/group-requests.ts'
import { GroupWork } from '../../src/client/group-work.ts'
import { PipelineError } from '../../src/core/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

const REBALANCE_IN_PROGRESS = 27

/** Commits are refused, each when the test says so. */
class HeldUpRequests extends GroupRequests {
  readonly refusals: (() => void)[] = []

  override commitOffsets(_: MemberIdentity, offsets: readonly OffsetToCommit[]): Promise<Map<OffsetToCommit, number>> {
    const refused = new Map(offsets.map(offset => [offset, REBALANCE_IN_PROGRESS]))
    return new Promise(resolve => this.refusals.push(() => resolve(refused)))
  }
}

async function workForTest(t: TestContext): Promise<{ work: GroupWork; requests: HeldUpRequests }> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const options = { cluster, groupId: 'g', groupInstanceId: undefined, rebalanceTimeoutMs: 1_000 }
  const requests = new HeldUpRequests(options)
  const listener = {
    assigned: () => undefined,
    revoked: () => Promise.resolve(),
    lost: () => undefined,
    failed: () => undefined
  }
  const work = new GroupWork({
    member: { cluster, groupId: 'g', topics: ['t'], listener },
    requests,
    clock: cluster.clock,
    random: cluster.random,
    logger: silentLogger,
    rebalanceTimeoutMs: 1_000,
    identity: () => ({ memberId: 'm', generation: 1 }),
    reader: () => undefined,
    refused: (_, what) => Promise.resolve(new PipelineError('ERR_CLIENT_REBALANCE_IN_PROGRESS', what))
  })
  return { work, requests }
}

test('a commit counts for one stay of its partition only', { timeout: 20_000 }, async t => {
  const { work, requests } = await workForTest(t)
  const partition = { topic: 't', partition: 0 }
  const { signal } = new AbortController()
  await work.takeOver([partition], signal)
  const committed = work.commitOffsets([{ ...partition, offset: 1n }])

  await work.giveBack([partition])
  await work.takeOver([partition], signal)
  requests.refusals[0]?.()

  await assert.rejects(committed, { code: 'ERR_CLIENT_GENERATION_STALE' })
  assert.equal(requests.refusals.length, 1, 'it was not sent again')
})

/**
 * Symptom: a fetch answered only after its whole `maxWaitMs`, although records were there.
 * Cause: what is appended while the partitions are read wakes nobody. The fetch looked again once; if the logs grew
 * during that second reading too, it waited for an append that nobody had a reason to make.
 * Reach: fetches of several partitions in a broker under load, whose producers then fall silent.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchHandler } from '../../../src/broker/handlers/01-fetch.ts'
import { AppendSignals } from '../../../src/broker/handlers/append-signals.ts'
import type { BrokerState } from '../../../src/broker/handlers/broker-state.ts'
import { createReadPool } from '../../../src/broker/handlers/read-lease.ts'
import { FetchSessions } from '../../../src/broker/handlers/fetch-sessions.ts'
import { LogManager } from '../../../src/broker/log/index.ts'
import { ALLOW_ALL } from '../../../src/broker/security/acls/index.ts'
import { openQuotas } from '../../../src/broker/security/quotas/index.ts'
import { BrokerSettings } from '../../../src/broker/settings.ts'
import { SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { ByteReader, ByteWriter, decodeResponse, fetchApi } from '../../../src/protocol/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { batchOfCount, cleanUp, FaultyDisk, temporaryFolder } from '../log/support.ts'

const VERSION = 11

/** A disk on which something happens before each of the next reads. */
class SlowDisk extends FaultyDisk {
  readonly beforeReads: (() => Promise<unknown>)[] = []

  override async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    await this.beforeReads.shift()?.()
    return super.read(fd, buffer, position)
  }
}

test('a fetch does not wait for records that came while it read the second time', { timeout: 10_000 }, async t => {
  const disk = new SlowDisk()
  const logs = await LogManager.open({ dataDir: await temporaryFolder(t), disk })
  cleanUp(t, () => logs.close())
  const { topic } = await logs.createTopic({ name: 't', partitionCount: 2 })
  const [looked, read] = topic?.logs ?? []
  const clock = new VirtualClock() // It stands still: a fetch that waits is never answered.
  const parts = {
    logs,
    clock,
    random: new SeededRandom(1),
    settings: new BrokerSettings({}),
    signals: new AppendSignals(clock),
    fetchSessions: new FetchSessions(1),
    readPool: createReadPool(),
    authorizer: ALLOW_ALL,
    quotas: await openQuotas({ dataDir: await temporaryFolder(t), settings: new BrokerSettings({}), clock }),
    metrics: { fetched: () => undefined },
    logger: silentLogger
  }
  const broker = parts as unknown as BrokerState // All that a fetch uses.
  await read?.append(batchOfCount(1))
  disk.beforeReads.push(
    async () => looked?.append(batchOfCount(1)),
    async () => undefined, // The second look reads what came, then partition 1 again:
    async () => looked?.append(batchOfCount(1, 'x'.repeat(5000)))
  )

  const partitions = [0, 1].map(partition => ({ partition, partitionMaxBytes: 100_000 }))
  const writer = new ByteWriter()
  const message = { maxWaitMs: 60_000, minBytes: 5000, maxBytes: 1_000_000, sessionEpoch: -1 }
  fetchApi.request.write(writer, { ...message, topics: [{ topic: 't', partitions }] }, VERSION)
  const header = { apiKey: fetchApi.key, apiVersion: VERSION, correlationId: 1, clientId: null }
  const caller = {
    apiVersion: VERSION,
    clientId: '',
    host: '',
    principal: 'User:ANONYMOUS',
    listener: 'PLAINTEXT',
    signal: new AbortController().signal,
    requestBytes: 0,
    connection: { mute: () => undefined },
    onSent: () => undefined
  }
  const chunks = await fetchHandler.run(broker, new ByteReader(writer.toBuffer()), { header, caller })

  const answer = decodeResponse(fetchApi, VERSION, Buffer.concat(chunks ?? []).subarray(4)).message
  const bytes = answer.responses.flatMap(each => each.partitions).map(each => each.records?.length ?? 0)
  assert.ok((bytes[0] ?? 0) > 5000, `answered with ${bytes.join(' and ')} bytes`)
})

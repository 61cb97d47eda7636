/** Drains the topic with the dispatcher. Arguments: bootstrap, topic, sink URL, group, records. */

import { setTimeout as wait } from 'node:timers/promises'

import { Cluster } from '../../src/client/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'
import { startUsage } from './usage.ts'

const [bootstrap = '', topic = '', url = '', groupId = '', recordsText = '0'] = process.argv.slice(2)
const recordCount = Number(recordsText)
const cluster = await Cluster.connect({ bootstrapServers: [bootstrap], clientId: 'bench-comporta' })
const settings = { type: 'http', url, headers: {}, timeoutMs: 30_000 } as const
const target = await createTarget(settings)
const finish = startUsage()
const dispatcher = await startDispatcher({
  cluster,
  target,
  config: {
    groupId,
    topics: [topic],
    assignors: ['cooperative-sticky'],
    autoOffsetReset: 'earliest',
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 3000,
    rebalanceTimeoutMs: 60_000,
    // The kafkajs program sends what a fetch left over at once; a tenth of a second is what the last records wait here.
    batch: { recordsMax: 500, bytesMax: 5_242_880, ageMs: 100 },
    payload: { format: 'json', include: ['offsets', 'timestamps', 'keys'] },
    target: settings,
    retry: { attemptsMax: 5, initialMs: 200, maxMs: 30_000 },
    concurrency: 12,
    bufferBytes: 67_108_864,
    breaker: { failuresMax: 5, openMs: 5000 },
    deadLetterTopic: `${topic}-dead-letters`,
    drainMs: 30_000
  }
})
// Done when the group has accepted the end of every partition.
for (;;) {
  const { partitions, totals } = dispatcher.status()
  if (totals.records >= recordCount && partitions.every(({ lag }) => lag === 0)) break
  await wait(10)
}
finish(dispatcher.status().totals.records)
await dispatcher.drain()
await target.close()
await cluster.close()

/** Drains the topic with the dispatcher. Arguments: bootstrap, topic, sink URL, group, records. */

import { setTimeout as wait } from 'node:timers/promises'

import { Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
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
  config: dispatcherConfig({
    groupId,
    topics: [topic],
    // The kafkajs program sends what a fetch left over at once; a tenth of a second is what the last records wait here.
    batch: { recordsMax: 500, ageMs: 100 },
    target: settings,
    concurrency: 12,
    deadLetterTopic: `${topic}-dead-letters`
  })
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

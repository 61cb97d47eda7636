/**
 * Drains the topic with the dispatcher: from the sources, or from `dist` through the package's doors, as users have it.
 * Arguments: bootstrap, topic, url, group, records, order, concurrency, from.
 */

import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'

import { readArguments } from '../support/arguments.ts'
import { openDoors } from '../support/doors.ts'
import { startUsage } from './usage.ts'

const argument = readArguments()
const topic = argument('topic')
const concurrency = Number(argument('concurrency'))
const recordCount = Number(argument('records'))
// What is none of these, the configuration refuses.
const order = argument('order') as 'partition' | 'key' | 'none'
const { client, config, dispatcher: room, targets } = await openDoors(argument('from'))

const cluster = await client.Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-comporta' })
const settings = { type: 'http', url: argument('url'), headers: {}, timeoutMs: 30_000 } as const
const target = await targets.createTarget(settings)
// As `comporta dispatch` does: V8's young generation stays as it is after the start.
setFlagsFromString('--semi-space-growth-factor=1')
const finish = startUsage()
const dispatcher = await room.startDispatcher({
  cluster,
  target,
  config: config.dispatcherConfig({
    groupId: argument('group'),
    topics: [topic],
    // The peers send what a fetch left over after as long.
    batch: { recordsMax: 500, ageMs: 100 },
    target: settings,
    concurrency,
    // Enough for all that may be under way.
    batchesPerPartitionMax: Math.max(4, Math.ceil(concurrency / 12)),
    deadLetterTopic: `${topic}-dead-letters`,
    order
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

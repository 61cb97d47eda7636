/** The dispatcher with batches that do not wait and a module target. Arguments: bootstrap, topic, group, from. */

import path from 'node:path'

import { readArguments } from '../support/arguments.ts'
import { openDoors } from '../support/doors.ts'
import { reportAtEnd } from './latencies.ts'

const argument = readArguments()
const topic = argument('topic')
const { client, config, dispatcher: room, targets } = await openDoors(argument('from'))
const cluster = await client.Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-comporta' })
const settings = { type: 'module', file: path.join(import.meta.dirname, 'handler.ts'), timeoutMs: 30_000 } as const
const target = await targets.createTarget(settings)
const dispatcher = await room.startDispatcher({
  cluster,
  target,
  config: config.dispatcherConfig({
    groupId: argument('group'),
    topics: [topic],
    batch: { recordsMax: 500, ageMs: 0 },
    target: settings,
    concurrency: 12,
    deadLetterTopic: `${topic}-dead-letters`
  })
})
while (dispatcher.status().partitions.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
reportAtEnd(async () => {
  await dispatcher.drain()
  await target.close()
  await cluster.close()
})

/**
 * One dispatcher as a process. Prints a line whenever its share of the partitions changes; SIGTERM drains it.
 * Arguments: bootstrap, topic, url, group, from, settings (JSON, on top of the others).
 */

import { readArguments } from '../support/arguments.ts'
import { openDoors } from '../support/doors.ts'

const LOOK_MS = 5

const argument = readArguments()
const topic = argument('topic')
const { client, config, dispatcher: room, targets } = await openDoors(argument('from'))
const cluster = await client.Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-member' })
const target = { type: 'http', url: argument('url'), headers: {}, timeoutMs: 30_000 } as const
const http = await targets.createTarget(target)
const dispatcher = await room.startDispatcher({
  cluster,
  target: http,
  config: config.dispatcherConfig({
    groupId: argument('group'),
    topics: [topic],
    target,
    concurrency: 12,
    deadLetterTopic: `${topic}-dead-letters`,
    // Written by the benchmark, or by whoever calls it; what is wrong in it is refused.
    ...(JSON.parse(argument('settings')) as object)
  })
})
let said = ''
const timer = setInterval(() => {
  const { partitions, state } = dispatcher.status()
  const text = JSON.stringify({ state, partitions: partitions.length })
  if (text !== said) process.stdout.write(`${text}\n`)
  said = text
}, LOOK_MS)
process.once('SIGTERM', () => {
  void dispatcher
    .drain()
    .then(() => clearInterval(timer))
    .then(() => http.close())
    .then(() => cluster.close())
    .then(() => process.exit(0))
})
void dispatcher.ended.then(error => {
  if (error === undefined) return
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exit(1)
})

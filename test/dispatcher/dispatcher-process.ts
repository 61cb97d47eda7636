/** A dispatcher in a process of its own. Arguments: bootstrap, topic, group, URL. Ends when standard input ends. */

import { Cluster } from '../../src/client/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'

const [bootstrap = '', topic = '', groupId = '', url = ''] = process.argv.slice(2)
const cluster = await Cluster.connect({ bootstrapServers: [bootstrap] })
const settings = { type: 'http', url, headers: {}, timeoutMs: 10_000 } as const
const target = await createTarget(settings)
const dispatcher = await startDispatcher({
  cluster,
  target,
  config: {
    groupId,
    topics: [topic],
    assignors: ['cooperative-sticky'],
    autoOffsetReset: 'earliest',
    sessionTimeoutMs: 1000,
    heartbeatIntervalMs: 200,
    rebalanceTimeoutMs: 5000,
    batch: { recordsMax: 20, bytesMax: 1_000_000, ageMs: 20 },
    payload: { format: 'json', include: ['offsets'] },
    target: settings,
    retry: { attemptsMax: 3, initialMs: 10, maxMs: 100 },
    concurrency: 4,
    bufferBytes: 16_777_216,
    breaker: { failuresMax: 5, openMs: 100 },
    deadLetterTopic: `${topic}-dead`,
    drainMs: 5000
  }
})
process.stdin.resume()
process.stdin.on('end', () => {
  void dispatcher
    .drain()
    .then(() => target.close())
    .then(() => cluster.close())
})

/** A mirror to be killed: `mirror-process.ts SOURCE TARGET`. Copies the topic `events`, keys and all. */

import { Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { KafkaSource, startProducer } from '../../src/producer/index.ts'

const [, , source, target] = process.argv
if (source === undefined || target === undefined) throw new Error('usage: mirror-process.ts SOURCE TARGET')

async function connect(address: string): Promise<Cluster> {
  for (;;) {
    try {
      return await Cluster.connect({ bootstrapServers: [address], bootstrapTimeoutMs: 2000, requestTimeoutMs: 3000 })
    } catch {
      // the broker is killed at the moment: it comes back
    }
  }
}

const cluster = await connect(target)
const config = producerConfig({
  route: { topic: 'events' },
  deadLetterTopic: 'dead',
  delivery: { lingerMs: 2, timeoutMs: 3000 }
})
const producer = await startProducer({ config, cluster })
const { error } = await producer.run(
  new KafkaSource({
    connect: () => connect(source),
    target: { cluster, topics: ['events', 'dead'] },
    topics: ['events'],
    groupId: 'mirror',
    startAt: 'earliest',
    isolation: 'committed',
    keepKey: true,
    keepHeaders: true,
    keepTimestamp: true,
    tombstones: 'pass',
    partitionBytesMax: 65_536,
    commitIntervalMs: 100,
    sessionTimeoutMs: 2000,
    rebalanceTimeoutMs: 10_000
  })
)
if (error !== undefined) throw error

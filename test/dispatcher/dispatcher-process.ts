/** A dispatcher in a process of its own. Arguments: bootstrap, topic, group, URL, order. Ends with standard input. */

import { Cluster } from '../../src/client/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'
import { dispatcherConfig } from './support.ts'

const [bootstrap = '', topic = '', groupId = '', url = '', order] = process.argv.slice(2)
const cluster = await Cluster.connect({ bootstrapServers: [bootstrap] })
const settings = { type: 'http', url, headers: {}, timeoutMs: 10_000 } as const
const target = await createTarget(settings)
const dispatcher = await startDispatcher({
  cluster,
  target,
  config: { ...dispatcherConfig({ topic, groupId }), target: settings, order: order === 'key' ? order : 'partition' }
})
process.stdin.resume()
process.stdin.on('end', () => {
  void dispatcher
    .drain()
    .then(() => target.close())
    .then(() => cluster.close())
})

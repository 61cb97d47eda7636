/** A dispatcher with retry topics in a process of its own. Arguments: bootstrap, configuration as JSON. */

import { Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'

const [bootstrap = '', settings = ''] = process.argv.slice(2)
const config = dispatcherConfig(JSON.parse(settings) as Parameters<typeof dispatcherConfig>[0])
const cluster = await Cluster.connect({ bootstrapServers: bootstrap.split(',') })
const target = await createTarget(config.target)
const dispatcher = await startDispatcher({ cluster, target, config })
process.stdin.resume()
process.stdin.on('end', () => {
  void dispatcher
    .drain()
    .then(() => target.close())
    .then(() => cluster.close())
})

/** The way to the dispatchers that the console watches, for pauses of partitions. */

import { PipelineError } from '../../core/index.ts'
import type { PauseControl } from '../../ops/index.ts'
import { dispatcherSaid } from '../flow/flow-view.ts'
import type { ConsoleContext } from '../server/server-types.ts'

/** As the processes last said it of themselves. */
export function pauseControl({ instances }: Pick<ConsoleContext, 'instances'>): PauseControl {
  return {
    dispatchers: (groupId, { topic, partition }) =>
      instances.latest().flatMap(look => {
        const said = dispatcherSaid(look)
        if (said?.groupId !== groupId) return []
        const isPaused = said.routes.some(route => route.pausedPartitions.includes(`${topic}-${partition}`))
        return [{ name: look.instance.name, isPaused }]
      }),
    order: async (name, order, { topic, partition }) => {
      const found = instances.latest().find(({ instance }) => instance.name === name)
      if (found === undefined) throw new PipelineError('ERR_CONSOLE_INSTANCE', `${name} is gone`)
      await instances.control(found.instance, order, { topic, partition })
    }
  }
}

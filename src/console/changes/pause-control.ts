/**
 * The way to the dispatchers that the console watches, for pauses of partitions.
 *
 * What a dispatcher last said is some seconds old: an order that it has taken since counts more.
 */

import { PipelineError } from '../../core/index.ts'
import type { PauseControl } from '../../ops/index.ts'
import { dispatcherSaid } from '../flow/flow-view.ts'
import type { ConsoleContext } from '../server/server-types.ts'

/** Orders that are remembered; the oldest go. */
const ORDERS_MAX = 1000

/** See the module. */
export function pauseControl({ instances, clock }: Pick<ConsoleContext, 'instances' | 'clock'>): PauseControl {
  const orders = new Map<string, { readonly isPaused: boolean; readonly atMs: number }>()
  return {
    dispatchers: (groupId, { topic, partition }) =>
      instances.latest().flatMap(look => {
        const said = dispatcherSaid(look)
        if (said?.groupId !== groupId) return []
        const { name } = look.instance
        const order = orders.get(JSON.stringify([name, topic, partition]))
        const isPaused =
          order !== undefined && order.atMs >= look.takenAtMs
            ? order.isPaused
            : said.routes.some(route => route.pausedPartitions.includes(`${topic}-${partition}`))
        return [{ name, isPaused }]
      }),
    order: async (name, order, { topic, partition }) => {
      const found = instances.latest().find(({ instance }) => instance.name === name)
      if (found === undefined) throw new PipelineError('ERR_CONSOLE_INSTANCE', `${name} is gone`)
      await instances.control(found.instance, order, { topic, partition })
      const key = JSON.stringify([name, topic, partition])
      orders.delete(key)
      orders.set(key, { isPaused: order === 'pause', atMs: clock.now() })
      const [oldest] = orders.keys()
      if (orders.size > ORDERS_MAX && oldest !== undefined) orders.delete(oldest)
    }
  }
}

/** A world without a cluster. */

import type { World } from '../../src/console/world/world-types.ts'

/** A world in which nothing was seen, and whose looks the test calls. */
export function stillWorld(): World & { look(problem?: string): void; readonly viewers: number } {
  const listeners = new Set<Parameters<World['onLook']>[0]>()
  let viewers = 0
  const none = { timesMs: [], values: [] }
  return {
    get viewers() {
      return viewers
    },
    look: (problem?: string) => {
      for (const listener of listeners) listener(undefined, problem ?? null)
    },
    latest: () => undefined,
    ready: () => Promise.reject(new Error('there is no cluster')),
    attend: () => {
      viewers += 1
      return () => void (viewers -= 1)
    },
    onLook: listener => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    intervalMs: 2000,
    groupSeries: () => none,
    sparkline: () => [],
    arrivalsOf: () => [],
    topicSeries: () => none,
    totalSeries: () => none,
    rebalances: () => [],
    lastRebalanceMs: () => undefined,
    silentSinceMs: () => undefined,
    close: () => Promise.resolve()
  }
}

/** The picture of a cluster without a pipeline file: topics and who reads them, the worst and the most active. */

import { BADNESS } from '../group-health.ts'
import { orderBy } from '../order.ts'
import { drawGroup, drawTopic, type Easel } from './draw.ts'

/** Topics, and groups, that are drawn. */
export const DRAWN_MAX = 30

/** Draws it. */
export function drawCluster(easel: Easel): void {
  const { index } = easel
  const groups = worstGroups(easel)
  const topics = new Set<string>()
  const take = (topic: string): void => {
    if (topics.size < DRAWN_MAX) topics.add(topic)
  }
  const shown = new Set(groups.map(({ groupId }) => groupId))
  for (const { worst } of groups) if (worst !== undefined) take(worst.topic)
  for (const at of index.orders.of('topics rate true', () => byRate(easel))) {
    if (topics.size >= DRAWN_MAX) break
    const found = index.topics[at]
    if (found !== undefined && !found.isInternal && (index.rateOf(found.topic) ?? 0) > 0) take(found.topic)
  }
  // Nothing moves: the first by name are as good as any.
  for (const { topic, isInternal } of index.topics) {
    if (topics.size >= DRAWN_MAX) break
    if (!isInternal) take(topic)
  }
  for (const topic of [...topics].sort()) drawTopic(easel, topic)
  for (const group of groups) drawGroup(easel, group)
  for (const topic of topics) {
    for (const { group, serviceRate } of index.readersOf(topic)) {
      if (shown.has(group.groupId)) easel.picture.edge(`topic:${topic}`, `group:${group.groupId}`, serviceRate)
    }
  }
}

function byRate({ index }: Easel): Uint32Array {
  return orderBy(index.topics.length, at => index.rateOf(index.topics[at]?.topic ?? ''), true)
}

/** By health, then by lag, then by what they do. */
function worstGroups({ index, rows }: Easel): Easel['index']['report']['groups'] {
  const { groups } = index.report
  const order = orderBy(
    groups.length,
    at => {
      const group = groups[at]
      if (group === undefined) return undefined
      const badness = BADNESS[rows.health(group, index).level]
      const late = Math.min(1e6, group.lagSeconds ?? 0) / 1e6
      const busy = Math.min(1e6, group.serviceRate ?? 0) / 1e12
      return badness + late * 0.9 + busy
    },
    true
  )
  return [...order.subarray(0, DRAWN_MAX)].flatMap(at => groups[at] ?? [])
}

/** What a producer is allowed to do, but should know the price of: said at every start, and by `comporta check`. */

import type { ProducerConfig } from './producer.ts'

/** A setting that costs something. */
export interface ProducerWarning {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** The settings of a producer that give up order, or the place of keys. */
export function producerWarnings(producer: ProducerConfig): readonly ProducerWarning[] {
  const { key, partitioner, route, validate } = producer
  const warnings: ProducerWarning[] = []
  const warn = (path: readonly PropertyKey[], message: string): void => {
    warnings.push({ path: ['producer', ...path], message })
  }
  if (key.strategy !== 'none' && key.subKeys !== undefined) {
    const within = key.subKeys.by === 'roundRobin' ? 'nothing of a hot key is in order' : 'order holds per sub-key only'
    warn(['key', 'subKeys'], `records of a hot key lose their order: ${within}`)
  }
  if (partitioner !== undefined) {
    const message = 'chooses partitions by hand: other producers put the same keys elsewhere, and growth moves them'
    warn(['partitioner'], message)
  }
  if (route.detector?.mode === 'move') {
    const message = 'moves values to another topic while the producer runs: across topics there is no order'
    warn(['route', 'detector', 'mode'], message)
  }
  const names = 'rules' in route ? route.rules : []
  if (key.strategy === 'none' && names.some(rule => rule.to !== undefined)) {
    warn(['route', 'rules'], 'weights go by the key, and records have none: what belongs together may be on both sides')
  }
  const hasChecks = Object.keys(validate.topics).length > 0 || names.some(rule => rule.validate !== undefined)
  if (validate.errorTopic !== undefined && !hasChecks) {
    warn(['validate', 'errorTopic'], 'has no effect: no topic and no rule has a check')
  }
  return warnings
}

/** What a resolver needs that has to be loaded before the first event: schemas, and the custom partitioner. */

import type { Cluster } from '../client/index.ts'
import { eventTopics, type ProducerConfig } from '../config/index.ts'
import { loadPartitionFunction, Partitioner } from './routing/partitioner.ts'
import { EventChecks } from './validation/event-checks.ts'

/** Loaded parts of a resolver. */
export interface ResolverParts {
  readonly checks?: EventChecks
  readonly partitioner?: Partitioner
}

/**
 * Loads what a configuration names.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` for a schema or a partitioner that cannot be used.
 */
export async function resolverParts(
  config: ProducerConfig,
  cluster: Pick<Cluster, 'cachedTopic' | 'follow'>
): Promise<ResolverParts> {
  const { partitioner, route, validate } = config
  const rules = 'rules' in route ? route.rules : []
  const hasChecks = Object.keys(validate.topics).length > 0 || rules.some(rule => rule.validate !== undefined)
  const parts: { checks?: EventChecks; partitioner?: Partitioner } = {}
  if (hasChecks) {
    // The compiler is large, and most producers have no schema.
    const { compileSchemas } = await import('./validation/compile-schemas.ts')
    parts.checks = new EventChecks(config, await compileSchemas(config))
  }
  if (partitioner !== undefined) {
    cluster.follow(eventTopics(config)) // so that their partition counts are at hand
    const choose = await loadPartitionFunction(partitioner.file)
    parts.partitioner = new Partitioner(choose, topic => cluster.cachedTopic(topic)?.partitions.length)
  }
  return parts
}

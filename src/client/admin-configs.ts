/** Administration of configurations. */

import { describeConfigsApi, incrementalAlterConfigsApi } from '../protocol/index.ts'
import { ask } from './admin-send.ts'
import { resultOf } from './admin-topics.ts'
import type { AdminResult, ConfigChange, ConfigResource, DescribedConfig } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { SendTarget } from './cluster-options.ts'

/** Numbers of resource types. Source: Kafka `ConfigResource.Type`. */
const resourceTypes = { topic: 2, broker: 4, group: 32 } as const
/** Numbers of operations. Source: Kafka `AlterConfigOp.OpType`. */
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const
/** The source that means "nobody has set it". Source: Kafka `ConfigEntry.ConfigSource.DEFAULT_CONFIG`. */
const defaultSource = 5

/** A broker's own settings are asked of that broker, everything else of any. */
function targetOf(resource: ConfigResource): SendTarget {
  return resource.type === 'broker' && resource.name !== '' ? { nodeId: Number(resource.name) } : 'any'
}

/** All settings of some resources, defaults included. */
export async function describeConfigs(
  cluster: Cluster,
  resources: readonly ConfigResource[]
): Promise<DescribedConfig[]> {
  return await Promise.all(
    resources.map(async resource => {
      const wanted = {
        resourceType: resourceTypes[resource.type],
        resourceName: resource.name,
        configurationKeys: null
      }
      const to = targetOf(resource)
      const answer = await ask(cluster, () => cluster.send(describeConfigsApi, { resources: [wanted] }, { to }), {
        codesOf: each => each.results.map(result => result.errorCode)
      })
      const [result] = answer.results
      return {
        ...resource,
        errorCode: result?.errorCode ?? 0,
        errorMessage: result?.errorMessage ?? null,
        entries: (result?.configs ?? []).map(config => ({
          name: config.name,
          value: config.value,
          isReadOnly: config.readOnly,
          isDefault: config.configSource === defaultSource,
          isSensitive: config.isSensitive,
          source: config.configSource
        }))
      }
    })
  )
}

/** Changes to one resource. */
export interface ResourceChanges {
  readonly resource: ConfigResource
  readonly changes: readonly ConfigChange[]
}

/** Changes single settings and leaves the others as they are. */
export async function alterConfigs(cluster: Cluster, all: readonly ResourceChanges[]): Promise<AdminResult[]> {
  return await Promise.all(
    all.map(async ({ resource, changes }) => {
      const wanted = {
        resourceType: resourceTypes[resource.type],
        resourceName: resource.name,
        configs: changes.map(({ name, operation, value }) => ({
          name,
          configOperation: operations[operation],
          value: value ?? null
        }))
      }
      const to = targetOf(resource)
      const answer = await ask(
        cluster,
        () => cluster.send(incrementalAlterConfigsApi, { resources: [wanted] }, { to }),
        {
          codesOf: each => each.responses.map(result => result.errorCode)
        }
      )
      const [result] = answer.responses
      return resultOf(resource.name, result?.errorCode ?? 0, result?.errorMessage ?? null)
    })
  )
}

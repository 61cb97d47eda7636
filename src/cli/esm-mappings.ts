/** From `eventSourceMappings:` of the pipeline file to what a mapping is started with. */

import type { EventSourceMappingConfig, PipelineConfig } from '../config/index.ts'
import type { EventSourceMappingOptions, MappingRunOptions } from '../lambda/index.ts'

/** What a mapping is started with, but for what the process has: cluster, clock, logger, meter. */
export type MappingSettings = EventSourceMappingOptions &
  Pick<
    MappingRunOptions,
    'endpoint' | 'region' | 'timeoutMs' | 'destinationEndpoint' | 'backoff' | 'bufferBytes' | 'membership'
  >

/** One entry as the room `lambda` takes it. */
export function mappingSettings(config: EventSourceMappingConfig, runtimeEndpoint?: string): MappingSettings {
  const { enabled: _, startingPosition, onFailureEndpoint, endpoint, ...rest } = config
  return {
    ...rest,
    endpoint: endpoint ?? runtimeEndpoint,
    destinationEndpoint: onFailureEndpoint,
    startingPosition:
      startingPosition === 'trimHorizon' || startingPosition === 'latest'
        ? startingPosition
        : { timestampMs: Date.parse(startingPosition) }
  }
}

/** Address of the embedded runtime, for mappings that name none; `undefined` where functions run in AWS. */
export function runtimeEndpointOf({ lambda }: PipelineConfig, running?: string): string | undefined {
  if (lambda?.runtime !== 'embedded') return undefined
  return running ?? `http://${lambda.host}:${lambda.port}`
}

/** The mappings of a file that are to run. */
export function enabledMappings(pipeline: PipelineConfig, running?: string): MappingSettings[] {
  const endpoint = runtimeEndpointOf(pipeline, running)
  return pipeline.eventSourceMappings.filter(each => each.enabled).map(each => mappingSettings(each, endpoint))
}

/** A problem of the file, and where. */
export interface MappingFault {
  readonly path: PropertyKey[]
  readonly reason: string
}

/** What AWS would refuse in the mappings of a file, beyond what its schema knows. */
export async function mappingFaults({ eventSourceMappings }: PipelineConfig): Promise<MappingFault[]> {
  if (eventSourceMappings.length === 0) return []
  const { mappingProblems } = await import('../lambda/index.ts')
  return eventSourceMappings.flatMap((each, index) =>
    mappingProblems(mappingSettings(each)).map(({ path, message }) => ({
      path: ['eventSourceMappings', index, ...path],
      reason: message
    }))
  )
}

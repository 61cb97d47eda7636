/** Event source mappings as a role: one process, one connection to the cluster, any number of mappings. */

import type { Cluster } from '../../client/index.ts'
import type { KafkaConfig } from '../../config/index.ts'
import {
  type EventSourceMapping,
  type EventSourceMappingOptions,
  MappingApi,
  type MappingRunOptions,
  type MappingStatus,
  startEventSourceMapping,
  type StartedMapping
} from '../../lambda/index.ts'
import { sleep, systemClock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { MappingSettings } from '../esm-mappings.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { connectRole } from '../wiring.ts'
import { serveMappingApi, type ServedApi } from './esm-api.ts'
import { LAMBDA_TIMEOUT_MS, MappingsReadiness } from './readiness/lambda.ts'
import { lookEveryMs } from './readiness/progress.ts'
import { type RoleEndpointOptions, startRoleEndpoint } from './role-endpoint.ts'

/** What the role is told. */
export interface EsmRoleOptions extends RoleEndpointOptions {
  readonly kafka: KafkaConfig
  readonly mappings: readonly MappingSettings[]
  /** Serves AWS's API for mappings; those that it makes are invoked and send failures as `made` says. */
  readonly api?: { readonly port: number; readonly made: Partial<MappingSettings> } | undefined
}

/** Mappings that run as a role. */
export interface RunningMappings extends RunningRole {
  /** What each mapping is doing. */
  describe(): MappingStatus[]
  /** Resolves once all is done that the topics hold now, here or by other members of the group; or at the drain. */
  caughtUp(): Promise<void>
}

/** Starts the mappings. */
export async function startEsmRole(options: EsmRoleOptions, logger: Logger): Promise<RunningMappings> {
  const endpoint = await startRoleEndpoint(options, { role: 'esm', logger })
  const cluster = await connectRole(options.kafka, 'esm', { logger, meter: endpoint.meter }).catch(
    async (error: unknown) => {
      await endpoint.close()
      throw error
    }
  )
  const mappings: EventSourceMapping[] = []
  const made = new Set<EventSourceMapping>()
  let served: ServedApi | undefined
  let isStopped = false
  const around = { cluster, logger: logger.child({ room: 'lambda' }), meter: endpoint.meter, environment: process.env }
  const closeAll = async (): Promise<void> => {
    await served?.close()
    await Promise.all(mappings.map(each => each.close()))
    await cluster.close()
    await endpoint.close()
  }
  try {
    for (const each of options.mappings) {
      mappings.push(await startEventSourceMapping({ ...each, ...around }))
    }
    if (options.api !== undefined) {
      const settings = { ...options.api.made, ...around }
      served = await serveMappingApi(
        new MappingApi({ start: each => startMade(each, settings, made) }),
        options.api.port
      )
    }
  } catch (error) {
    await closeAll()
    throw error
  }
  const describe = (): MappingStatus[] => [...mappings, ...made].map(each => each.status())
  endpoint.describeBy(describe)
  const readiness = new MappingsReadiness()
  endpoint.readyBy(() => {
    readiness.look(describe(), systemClock.monotonicMs())
    return readiness.verdict()
  }, lookEveryMs(LAMBDA_TIMEOUT_MS))
  // With the API there may always come more.
  const finished = options.api === undefined ? endOfAny(mappings) : new Promise<void>(() => undefined)
  finished.catch(() => undefined) // whoever runs the role awaits it
  return {
    finished,
    isEndedByFailure: true,
    describe,
    caughtUp: async () => await Promise.race([finished, untilCaughtUp(cluster, describe, () => isStopped)]),
    info: {
      mappings: options.mappings.map(each => `${each.topic} → ${each.functionName}`).join(', '),
      groups: mappings.map(each => each.groupId).join(', '),
      ...(served === undefined ? {} : { api: served.endpoint }),
      ...endpoint.info
    },
    status: () => totalsOf(describe()),
    drain: async deadlineMs => {
      isStopped = true
      const ended = await Promise.all([...mappings, ...made].map(each => each.drain(deadlineMs)))
      const isComplete = ended.every(Boolean)
      if (!isComplete) logger.warn({ deadlineMs }, 'not all was finished in time: what the function had comes again')
      await closeAll()
      return { isComplete }
    }
  }
}

const DRAIN_MS = 30_000

/** Starts a mapping that the API makes; one that fails is logged, and its neighbours go on. */
async function startMade(
  options: EventSourceMappingOptions,
  settings: Omit<MappingRunOptions, keyof EventSourceMappingOptions>,
  made: Set<EventSourceMapping>
): Promise<StartedMapping> {
  const mapping = await startEventSourceMapping({ ...options, ...settings })
  made.add(mapping)
  return {
    ended: mapping.ended,
    stop: async () => {
      made.delete(mapping)
      await mapping.drain(DRAIN_MS)
    }
  }
}

/** Ends with the first mapping that fails, or when all have been closed. */
async function endOfAny(mappings: readonly EventSourceMapping[]): Promise<void> {
  await Promise.all(
    mappings.map(async each => {
      const error = await each.ended
      if (error !== undefined) throw error
    })
  )
}

const LOOK_EVERY_MS = 20
/** Other members' commits are asked of the cluster at every so manieth look. */
const ASK_EVERY_LOOKS = 25

/** Waits until every partition is committed up to where it ends now, or until the role is stopped. */
async function untilCaughtUp(
  cluster: Cluster,
  describe: () => MappingStatus[],
  isStopped: () => boolean
): Promise<void> {
  const { Admin } = await import('../../client/index.ts')
  const admin = new Admin(cluster)
  // By group: two may read the same topic, each as far as it has come.
  for (const { groupId, topic } of describe()) {
    const { partitions } = await cluster.topic(topic)
    const ends = await admin.listOffsets(partitions.map(({ partition }) => ({ topic, partition, at: 'latest' })))
    const openHere = (): OffsetOf[] => {
      const mine = describe().filter(each => each.topic === topic && each.groupId === groupId)
      const committed = mine.flatMap(each => each.partitions).map(each => ({ ...each, offset: each.committed ?? -1 }))
      return openOf(ends, committed)
    }
    const isDoneElsewhere = async (open: readonly OffsetOf[]): Promise<boolean> => {
      const asked = open.map(({ partition }) => ({ topic, partition }))
      // No answer: it is asked again, and a cluster that is away for long is the mapping's own affair.
      const committed = await admin.fetchGroupOffsets(groupId, asked).catch(() => [])
      return openOf(open, committed).length === 0
    }
    for (let look = 0; !isStopped(); look += 1) {
      const open = openHere()
      if (open.length === 0 || (look % ASK_EVERY_LOOKS === 0 && (await isDoneElsewhere(open)))) break
      await sleep(systemClock, LOOK_EVERY_MS)
    }
  }
}

interface OffsetOf {
  readonly partition: number
  readonly offset: bigint | number
}

/** The partitions that are not committed up to their end. */
function openOf(ends: readonly OffsetOf[], committed: readonly OffsetOf[]): OffsetOf[] {
  const known = new Map(committed.map(each => [each.partition, Number(each.offset)]))
  return ends.filter(({ partition, offset }) => (known.get(partition) ?? -1) < Number(offset))
}

function totalsOf(mappings: readonly MappingStatus[]): RoleStatus {
  const sum = (valueOf: (each: MappingStatus) => number): number =>
    mappings.reduce((total, each) => total + valueOf(each), 0)
  return {
    invocations: sum(each => each.totals.invocations),
    delivered: sum(each => each.totals.deliveredEventCount),
    filtered: sum(each => each.totals.filteredOutEventCount),
    functionErrors: sum(each => each.totals.functionErrors),
    throttles: sum(each => each.totals.throttles),
    dropped: sum(each => each.totals.droppedEventCount),
    invoking: sum(each => each.invoking),
    lag: sum(each => each.partitions.reduce((total, { lag }) => total + (lag ?? 0), 0))
  }
}

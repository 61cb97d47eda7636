/**
 * The picture of a pipeline: what its file says, with what the cluster and its processes show.
 *
 * Rates on arrows are records per second by offsets; between a group and its target by what it commits. Where several
 * write to one topic, nobody can tell who wrote how much: the rate of such an arrow is not known, unless it is 0.
 */

import {
  type DispatcherConfig,
  errorTopics,
  type EventSourceMappingConfig,
  eventTopics,
  type PipelineConfig,
  type ProducerConfig
} from '../../../config/index.ts'
import type { Reason } from '../../api/overview.ts'
import type { InstanceLook } from '../../flow/instance-types.ts'
import { reason, worstOf } from '../group-health.ts'
import { deadLetterTopicOf, retryDelayOf } from '../pipeline-names.ts'
import { drawDeadLetters, drawGroup, drawRetries, drawTopic, type Easel } from './draw.ts'
import { dispatchersOf, type RoleHealth, roleHealth } from './instance-facts.ts'
import { describeSource, describeTarget } from './names-of-ends.ts'
import { fact } from './picture.ts'

/** Groups beside those of the pipeline that are drawn. */
const OTHERS_MAX = 20

/** What a pipeline is drawn from. */
export interface PipelineEasel extends Easel {
  readonly pipeline: PipelineConfig
  readonly instances: readonly InstanceLook[]
  /** Events per second of all producers. */
  readonly producerRate: number | undefined
}

/** Draws it. */
export function drawPipeline(easel: PipelineEasel): void {
  const { producer, dispatcher, eventSourceMappings } = easel.pipeline
  if (producer !== undefined) drawProducer(easel, producer)
  if (dispatcher !== undefined) drawDispatcher(easel, dispatcher)
  for (const mapping of eventSourceMappings) if (mapping.enabled) drawMapping(easel, mapping)
  drawOthers(easel)
}

function drawProducer(easel: PipelineEasel, producer: ProducerConfig): void {
  const { picture, instances, producerRate } = easel
  const health = roleHealth(instances, 'producer')
  const topics = eventTopics(producer)
  const known = health.level ?? 'unknown'
  const name = easel.pipeline.name
  const id = 'producer'
  const sources = producer.sources.map((source, at) => {
    const { title, address } = describeSource(source)
    const facts = address === '' ? [] : [fact('address', address)]
    return picture.node({ kind: 'source', id: `source:${at}`, name: title, health: known, facts })
  })
  const facts = [...instanceFacts(health), fact('rate', producerRate)]
  picture.node({ kind: 'producer', id, name, health: known, reasons: health.reasons, facts })
  const single = sources.length === 1 ? producerRate : undefined
  for (const source of sources) picture.edge(source, id, producerRate === 0 ? 0 : single)
  for (const topic of topics) picture.edge(id, drawTopic(easel, topic), easel.index.rateOf(topic))
  for (const topic of errorTopics(producer)) {
    picture.edge(id, drawDeadLetters(easel, topic), rateOfWriter(easel, topic))
  }
}

function drawDispatcher(easel: PipelineEasel, dispatcher: DispatcherConfig): void {
  const { picture, index, instances } = easel
  const { groupId, topics, deadLetterTopic } = dispatcher
  for (const topic of topics) drawTopic(easel, topic)
  const health = roleHealth(instances, 'dispatcher')
  const group = drawOwnGroup(easel, groupId, health)
  for (const topic of topics) picture.edge(`topic:${topic}`, group, serviceRateOf(easel, topic, groupId))
  for (const { topic } of index.topics) {
    for (const origin of topics) {
      const delaySeconds = dispatcher.retry.delays.length === 0 ? undefined : retryDelayOf(topic, origin)
      if (delaySeconds === undefined) continue
      const retries = drawRetries(easel, topic, delaySeconds)
      picture.edge(group, retries, index.rateOf(topic))
    }
  }
  picture.edge(group, drawDeadLetters(easel, deadLetterTopic), rateOfWriter(easel, deadLetterTopic))
  drawTargets(easel, dispatcher, group)
}

function drawOwnGroup(easel: PipelineEasel, groupId: string, health: RoleHealth): string {
  const found = easel.index.report.groups.find(group => group.groupId === groupId)
  if (found === undefined) {
    const reasons = [reason('groupMissing'), ...health.reasons]
    return easel.picture.node({ kind: 'group', name: groupId, health: 'warn', reasons, facts: instanceFacts(health) })
  }
  const level = health.level === undefined || health.level === 'good' ? {} : { health: health.level }
  return drawGroup(easel, found, { ...level, reasons: health.reasons, facts: instanceFacts(health) })
}

/** The target of all topics, and those of classes that have their own. */
function drawTargets(easel: PipelineEasel, dispatcher: DispatcherConfig, group: string): void {
  const { groupId, topics, target, priorities } = dispatcher
  const own = priorities.filter(each => each.target !== undefined)
  const apart = new Set(own.flatMap(each => each.topics))
  const shared = topics.filter(topic => !apart.has(topic))
  const routes = [
    ...(shared.length === 0 && own.length > 0 ? [] : [{ name: 'all', target, topics: shared }]),
    ...own.map(each => ({ name: each.name, target: each.target ?? target, topics: each.topics }))
  ]
  for (const route of routes) {
    const { name, address, functionName } = describeTarget(route.target)
    const said = dispatchersOf(easel.instances, groupId).flatMap(each => each.routes)
    const some = said.filter(each => each.name === route.name)
    const reasons: Reason[] = []
    if (some.some(({ breaker }) => breaker?.state === 'open')) reasons.push(reason('breakerOpen'))
    const lambda = functionName === undefined ? undefined : roleHealth(easel.instances, 'lambda')
    reasons.push(...(lambda?.reasons ?? []))
    const level = lambda?.level ?? (some.length > 0 ? 'good' : 'unknown')
    const facts = [
      fact('inFlight', some.length === 0 ? undefined : sum(some.map(each => each.inFlight))),
      fact('concurrency', some.length === 0 ? undefined : sum(some.map(each => each.concurrency?.limit ?? 0))),
      ...(address === '' ? [] : [fact('address', address)])
    ]
    const health = reasons.some(({ key }) => key === 'breakerOpen') ? worstOf([level, 'bad']) : level
    const id = easel.picture.node({ kind: 'target', name, health, reasons, facts })
    easel.picture.edge(group, id, sumKnown(route.topics.map(topic => serviceRateOf(easel, topic, groupId))))
    if (functionName !== undefined) drawDistributor(easel, functionName, id)
  }
}

/** Where the function that comes with the package sends records to. */
function drawDistributor({ picture, pipeline }: PipelineEasel, functionName: string, from: string): void {
  const targets = pipeline.lambda?.functions[functionName]?.distributor?.targets ?? {}
  for (const [name, target] of Object.entries(targets)) {
    const type = typeof target === 'string' ? 'http' : target.type
    const id = `target:${functionName}/${name}`
    picture.node({ kind: 'target', id, name, health: 'unknown', facts: [fact('address', type)] })
    picture.edge(from, id, undefined)
  }
}

function drawMapping(easel: PipelineEasel, mapping: EventSourceMappingConfig): void {
  const { picture, index, instances } = easel
  const { topic, functionName } = mapping
  drawTopic(easel, topic)
  const health = roleHealth(instances, 'esm')
  const groupId = mapping.groupId ?? mapping.uuid
  // A name that is made from others is known to the process alone: the group is found by its reader.
  const group = groupId === undefined ? undefined : drawOwnGroup(easel, groupId, health)
  const rate = groupId === undefined ? undefined : serviceRateOf(easel, topic, groupId)
  const lambda = roleHealth(instances, 'lambda')
  const target = picture.node({
    kind: 'target',
    name: functionName,
    health: lambda.level ?? 'unknown',
    reasons: lambda.reasons
  })
  if (group === undefined) picture.edge(`topic:${topic}`, target, rate)
  else {
    picture.edge(`topic:${topic}`, group, rate)
    picture.edge(group, target, rate)
  }
  const aside = deadLetterTopicOf(mapping)
  if (aside !== undefined) picture.edge(group ?? target, drawDeadLetters(easel, aside), index.rateOf(aside))
  drawDistributor(easel, functionName, target)
}

/** Others who read the topics of the pipeline, worst first. */
function drawOthers(easel: PipelineEasel): void {
  const { picture, index } = easel
  let left = OTHERS_MAX
  for (const { kind, name, id } of picture.nodes) {
    if (kind !== 'topic') continue
    for (const { group, serviceRate } of index.readersOf(name)) {
      const isThere = picture.has(`group:${group.groupId}`)
      if (!isThere && left === 0) continue
      if (!isThere) left -= 1
      picture.edge(id, drawGroup(easel, group), serviceRate)
    }
  }
}

/** Of a topic that several write to, what one of them writes is known only if nobody writes. */
function rateOfWriter({ index, pipeline }: PipelineEasel, topic: string): number | undefined {
  const { producer, dispatcher } = pipeline
  const isShared =
    producer !== undefined && dispatcher?.deadLetterTopic === topic && errorTopics(producer).includes(topic)
  const rate = index.rateOf(topic)
  return isShared && rate !== 0 ? undefined : rate
}

function serviceRateOf({ index }: Easel, topic: string, groupId: string): number | undefined {
  return index.readersOf(topic).find(({ group }) => group.groupId === groupId)?.serviceRate
}

function instanceFacts({ count, readyCount }: RoleHealth): ReturnType<typeof fact>[] {
  return count === 0 ? [] : [fact('instances', readyCount === count ? count : `${readyCount}/${count}`)]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0)
}

function sumKnown(values: readonly (number | undefined)[]): number | undefined {
  return values.includes(undefined) ? undefined : sum(values.map(each => each ?? 0))
}

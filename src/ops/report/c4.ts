/**
 * The pipeline as C4 pictures in Mermaid: who uses it (context), and what it
 * consists of (containers), from the pipeline file and, where a cluster was
 * looked at, with the sizes that are there.
 *
 * Source: c4model.com; Mermaid's C4 diagrams.
 */

import type { PipelineConfig, SourceConfig, TargetConfig } from '../../config/index.ts'
import type { ClusterScan } from '../scan/scan-types.ts'
import { counted } from '../words/counted.ts'

/** What is drawn. */
export interface C4Input {
  readonly pipeline: PipelineConfig
  readonly scan?: ClusterScan | undefined
}

/** The system among its neighbours. */
export function c4Context({ pipeline }: C4Input): string {
  const sources = sourcesOf(pipeline)
  const lines = [
    'C4Context',
    `  title ${label(`${pipeline.name}: context`)}`,
    '  Person(operator, "Operator", "Runs the pipeline: lag, replay, scaling")',
    ...sources.map(({ id, name }) => `  System_Ext(${id}, ${quoted(name)}, "Where events come from")`),
    `  System(pipeline, ${quoted(pipeline.name)}, "Validates, routes, batches, commits after success")`,
    ...targetsOf(pipeline).map(({ id, name, what }) => `  System_Ext(${id}, ${quoted(name)}, ${quoted(what)})`),
    ...sources.map(({ id }) => `  Rel(${id}, pipeline, "events")`),
    ...targetsOf(pipeline).map(({ id }) => `  Rel(pipeline, ${id}, "batches")`),
    '  Rel(operator, pipeline, "comporta")'
  ]
  return lines.join('\n')
}

/** What the system consists of. */
export function c4Container({ pipeline, scan }: C4Input): string {
  const { producer, dispatcher } = pipeline
  const topics = dispatcher?.topics ?? Object.keys(pipeline.topics)
  const rows = ['C4Container', `  title ${label(`${pipeline.name}: containers`)}`]
  const relations: string[] = []
  for (const { id, name } of sourcesOf(pipeline)) {
    rows.push(`  System_Ext(${id}, ${quoted(name)}, "Source")`)
    relations.push(`  Rel(${id}, producer, "events")`)
  }
  rows.push(`  System_Boundary(boundary, ${quoted(pipeline.name)}) {`)
  if (producer !== undefined) {
    rows.push('    Container(producer, "Producer", "comporta", "Validate, route, key, limit, publish")')
  }
  for (const [index, topic] of topics.entries()) {
    rows.push(
      `    ContainerQueue(topic${index}, ${quoted(topic)}, "Kafka topic", ${quoted(sizeOf(topic, pipeline, scan))})`
    )
    if (producer !== undefined) relations.push(`  Rel(producer, topic${index}, "append", "acks=all")`)
    if (dispatcher !== undefined) relations.push(`  Rel(topic${index}, dispatcher, "raw fetch")`)
  }
  if (dispatcher !== undefined) {
    rows.push(`    Container(dispatcher, "Dispatcher", "comporta", ${quoted(dispatcherText(dispatcher, scan))})`)
    const { deadLetterTopic } = dispatcher
    if (deadLetterTopic !== undefined) {
      rows.push(`    ContainerQueue(dead, ${quoted(deadLetterTopic)}, "Kafka topic", "Dead letters")`)
      relations.push('  Rel(dispatcher, dead, "refused for good")')
    }
  }
  rows.push('  }')
  for (const { id, name, what } of targetsOf(pipeline)) {
    rows.push(`  System_Ext(${id}, ${quoted(name)}, ${quoted(what)})`)
    relations.push(`  Rel(dispatcher, ${id}, "batches", "commit after success")`)
  }
  return [...rows, ...relations].join('\n')
}

interface Named {
  readonly id: string
  readonly name: string
}

function sourcesOf({ producer }: PipelineConfig): Named[] {
  return (producer?.sources ?? []).map((source, index) => ({ id: `source${index}`, name: sourceName(source) }))
}

function sourceName(source: SourceConfig): string {
  return `${source.type} source`
}

function targetsOf({ dispatcher }: PipelineConfig): (Named & { readonly what: string })[] {
  if (dispatcher === undefined) return []
  const all = [
    dispatcher.target,
    ...dispatcher.priorities.flatMap(({ target }) => (target === undefined ? [] : [target]))
  ]
  return all.map((target, index) => ({ id: `target${index}`, ...targetText(target) }))
}

function targetText(target: TargetConfig): { readonly name: string; readonly what: string } {
  switch (target.type) {
    case 'lambda':
      return { name: target.functionName, what: 'Lambda function' }
    case 'topic':
      return { name: target.topic ?? 'topics by record', what: 'Kafka topic' }
    case 'http':
      // The address may hold names of hosts that are nobody's business; its host alone says enough.
      return { name: hostOf(target.url), what: 'HTTP service' }
    case 'module':
      return { name: 'module', what: 'Code of the user' }
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'HTTP service'
}

function sizeOf(topic: string, pipeline: PipelineConfig, scan: ClusterScan | undefined): string {
  const found = scan?.topics.get(topic)
  const partitions = found?.partitions.length ?? pipeline.topics[topic]?.partitions
  if (partitions === undefined) return 'Events'
  const replicas = found?.partitions[0]?.replicas.length
  return `${partitions} partitions${replicas === undefined ? '' : `, ${replicas} replicas`}`
}

function dispatcherText(dispatcher: NonNullable<PipelineConfig['dispatcher']>, scan: ClusterScan | undefined): string {
  const members = scan?.groups.find(({ groupId }) => groupId === dispatcher.groupId)?.members?.length
  const group = `group ${dispatcher.groupId}${members === undefined ? '' : `, ${counted(members, 'member')}`}`
  const batch = `${dispatcher.batch.recordsMax} or ${dispatcher.batch.ageMs} ms`
  return `${group}; batches of ${batch}, order by ${dispatcher.order}`
}

/** Text in quotes: Mermaid has no escape for a quote, and reads `#` as the beginning of an entity. */
function quoted(text: string): string {
  return `"${label(text).replaceAll('"', "'")}"`
}

function label(text: string): string {
  return text.replaceAll(/[\s#;{}]+/g, ' ')
}

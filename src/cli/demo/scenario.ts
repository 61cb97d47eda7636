/**
 * The demonstration's scenario: trucks, topics, services, and what must become of
 * each event. One place, so that generator, function, services and audit agree.
 */

import { parsePipeline, type PipelineConfig } from '../../config/index.ts'
import { EXPECTATION } from '../../ops/index.ts'

/** The downstream services; an index here is a bit in a ledger's expectation. */
export const DEMO_SERVICES = ['telemetry', 'alerts'] as const

/** Names of the topics of one run. */
export interface DemoTopics {
  readonly heavy: string
  readonly light: string
  readonly deadLetters: string
}

/** Partitions of the two topics that dispatchers read. */
export const DEMO_PARTITIONS = { heavy: 12, light: 8 } as const

/** Topics of a run; a prefix keeps runs on a shared cluster apart. */
export function demoTopics(prefix: string): DemoTopics {
  return { heavy: `${prefix}mt-c400`, light: `${prefix}mt-c300`, deadLetters: `${prefix}mt-dead-letters` }
}

/** What is expected of a sound event with this code: codes 3xx raise alerts, 300 (high priority) is telemetry too. */
export function servicesOfCode(code: number): number {
  if (code === 300) return 0b11
  return code >= 300 && code <= 399 ? 0b10 : 0b01
}

/** The expectation of an event, for its ledger entry. */
export function expectationOf(code: number, kind: 'ok' | 'malformed' | 'poison'): number {
  if (kind === 'malformed') return EXPECTATION.malformed
  return kind === 'poison' ? EXPECTATION.poison | servicesOfCode(code) : servicesOfCode(code)
}

/** What the pipeline file of a run is made from. */
export interface DemoPipelineOptions {
  readonly bootstrapServers: string
  readonly topics: DemoTopics
  readonly groupId: string
  /** Address of each service, in the order of `DEMO_SERVICES`. */
  readonly serviceUrls: readonly string[]
  readonly lambdaEndpoint: string
  /** PEM file of the authority that the brokers' certificates come from. Default: no TLS. */
  readonly authorityFile?: string
  /** Records of a batch, and its age in milliseconds. Default 500 of each. */
  readonly batch?: { readonly recordsMax: number; readonly ageMs: number }
}

/** The pipeline of a run, read by the same code as a user's file. */
export function demoPipeline(options: DemoPipelineOptions): PipelineConfig {
  return parsePipeline(demoPipelineText(options), { fileName: 'the demo’s pipeline', environment: {} })
}

/** The pipeline file of a run, as a user would write it. */
export function demoPipelineText({ topics, ...options }: DemoPipelineOptions): string {
  const tls = options.authorityFile === undefined ? '' : `, tls: { ca: "${options.authorityFile}" }`
  const { recordsMax, ageMs } = options.batch ?? { recordsMax: 500, ageMs: 500 }
  const services = DEMO_SERVICES.map((name, index) => `          ${name}: ${options.serviceUrls[index] ?? ''}`)
  return `name: trucks
kafka: { bootstrapServers: "${options.bootstrapServers}", connectTimeoutMs: 5000${tls} }
topics:
  ${topics.heavy}: { partitions: ${DEMO_PARTITIONS.heavy} }
  ${topics.light}: { partitions: ${DEMO_PARTITIONS.light} }
  ${topics.deadLetters}: { partitions: 1 }
producer:
  route:
    field: codigo
    topics: { ${topics.light}: [{ from: 300, to: 399 }] }
    otherwise: ${topics.heavy}
  key: { strategy: hash, fields: [codigo, truck_id] }
  deadLetterTopic: ${topics.deadLetters}
dispatcher:
  groupId: ${options.groupId}
  topics: [${topics.heavy}, ${topics.light}]
  groupProtocol: classic # Members decide how soon a dead one is missed; by KIP-848 the broker does (45 s).
  sessionTimeoutMs: 6000
  heartbeatIntervalMs: 1000
  batch: { recordsMax: ${recordsMax}, ageMs: ${ageMs} }
  concurrency: 2
  target: { type: lambda, functionName: distributor, endpoint: "${options.lambdaEndpoint}" }
  deadLetterTopic: ${topics.deadLetters}
lambda:
  port: 0
  functions:
    distributor:
      handler: builtin:distributor
      concurrency: 6
      distributor:
        field: codigo
        targets:
${services.join('\n')}
        routes:
          - { values: [300], targets: [telemetry, alerts] }
          - { values: [${range(301, 399)}], targets: [alerts] }
        otherwise: [telemetry]
`
}

function range(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).join(', ')
}

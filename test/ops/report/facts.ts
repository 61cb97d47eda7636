/** Facts of a small pipeline, from which each test changes what it is about. */

import { parsePipeline } from '../../../src/config/index.ts'
import type { GroupLag, LagReport } from '../../../src/ops/lag/lag-types.ts'
import type { ReportFacts } from '../../../src/ops/report/report-facts.ts'

const pipelineText = `
name: trucks
kafka: { bootstrapServers: "127.0.0.1:9092" }
topics: { mt-c400: { partitions: 12 }, mt-c300: { partitions: 8 } }
producer:
  sources: [{ type: http, port: 8080 }]
  route: { field: codigo, topics: { mt-c300: [{ from: 300, to: 399 }] }, otherwise: mt-c400 }
  deadLetterTopic: mt-dead
dispatcher:
  groupId: mt-dispatcher
  topics: [mt-c400, mt-c300]
  target: { type: http, url: "http://127.0.0.1:9000/in?token=hidden" }
  deadLetterTopic: mt-dead
`

const startMs = Date.parse('2026-03-01T09:00:00Z')

/** A look at the group. */
export function lookOf(second: number, group: Partial<GroupLag> = {}): LagReport {
  return {
    clusterId: 'c',
    takenAtMs: startMs + second * 1000,
    durationMs: 5,
    problems: [],
    groups: [
      {
        groupId: 'mt-dispatcher',
        state: 'Stable',
        memberCount: 3,
        status: 'OK',
        lagRecords: 1200n,
        lagSeconds: 4.25,
        lagTimeSource: 'append',
        arrivalRate: 13_000,
        serviceRate: 12_900,
        trend: 100,
        drainSeconds: undefined,
        headroomSeconds: 10_800,
        complete: 1,
        unknownCount: 0,
        headroomLimit: 'time',
        retentionUsed: undefined,
        worst: { topic: 'mt-c400', partition: 3 },
        flags: [],
        partitions: [],
        ...group
      }
    ]
  }
}

/** Facts with a pipeline and nothing measured. */
export function factsOf(changes: Partial<ReportFacts> = {}): ReportFacts {
  return {
    version: '0.1.0',
    writtenAtMs: startMs,
    pipeline: parsePipeline(pipelineText, { fileName: 'comporta.yaml', environment: {} }),
    looks: [],
    plans: [],
    experiments: [],
    gaps: [],
    ...changes
  }
}

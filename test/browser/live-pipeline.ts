/** A whole pipeline as `comporta up` runs it, with load: what the console's pages are looked at with. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { startComporta, temporaryFolder } from '../support/comporta.ts'
import { freePorts } from '../support/ports.ts'

/** A running pipeline. */
export interface LivePipeline {
  /** The console's address with its token, as it was printed. */
  readonly consoleUrl: string
  readonly brokers: string
  readonly cwd: string
  /** Sends events; those of truck `T-BAD` are refused by the function for good. */
  post(events: readonly object[]): Promise<void>
  /** Sends some events each 100 ms until the test ends. */
  keepPosting(): void
}

const file = `name: frota
kafka: { bootstrapServers: embedded, embedded: { dataDir: ./data } }
topics:
  mt-c400: { partitions: 12 }
  mt-c300: { partitions: 4 }
producer:
  sources: [{ type: http, port: 8080 }]
  route: { field: codigo, topics: { mt-c300: [{ from: 300, to: 399 }] }, otherwise: mt-c400 }
  key: { strategy: hash, fields: [codigo, truck_id] }
  rate: { recordsPerSecond: 13000 }
  deadLetterTopic: mt-dead-letters
dispatcher:
  groupId: mt-dispatcher
  topics: [mt-c400, mt-c300]
  batch: { recordsMax: 100, ageMs: 50 }
  target: { type: lambda, functionName: distributor }
  retry: { attemptsMax: 1 }
  deadLetterTopic: mt-dead-letters
lambda:
  runtime: embedded
  port: 9001
  functions: { distributor: { handler: ./handler.mjs, timeoutMs: 30000, concurrency: 4 } }
operations:
  slo: [{ group: mt-dispatcher, lagSeconds: 60 }]
`

const handler = `export const handler = async batch => ({
  failures: batch.messages.flatMap((message, index) =>
    message.truck_id === 'T-BAD'
      ? [{ offset: batch.offsets[index], action: 'deadLetter', reason: 'the truck is not known' }]
      : [])
})
`

/** Starts it; the end of the test stops it. */
export async function startLivePipeline(t: TestContext): Promise<LivePipeline> {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), file)
  writeFileSync(join(cwd, 'handler.mjs'), handler)
  const [kafka, http, lambda] = await freePorts(3)
  const env = {
    COMPORTA_KAFKA__EMBEDDED__PORT: String(kafka),
    COMPORTA_PRODUCER__SOURCES__0__PORT: String(http),
    COMPORTA_LAMBDA__PORT: String(lambda),
    COMPORTA_CONSOLE__PORT: '0'
  }
  const up = await startComporta(t, ['up'], { cwd, env, until: /running as process \d+; Ctrl-C drains[^]*#token=\S+/ })
  const consoleUrl = /http:\/\/127\.0\.0\.1:\d+\/#token=\S+/.exec(up.output())?.[0] ?? ''
  const post = async (events: readonly object[]): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${http}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: events.map(event => JSON.stringify(event)).join('\n')
    })
    if (!answer.ok) throw new Error(`the producer answered ${answer.status}: ${await answer.text()}`)
  }
  return {
    consoleUrl,
    brokers: `127.0.0.1:${kafka}`,
    cwd,
    post,
    keepPosting: () => {
      let sent = 0
      const timer = setInterval(() => {
        void post(Array.from({ length: 20 }, () => eventOf(sent++))).catch(() => clearInterval(timer))
      }, 100)
      t.after(() => clearInterval(timer))
    }
  }
}

/** An event of a fleet: five trucks drive much more than the others. */
export function eventOf(index: number): object {
  const truck = index % 3 === 0 ? index % 5 : index % 97
  return { codigo: index % 4 === 0 ? 300 : 401, truck_id: `T-${truck}`, speed: 40 + (index % 60), sequence: index }
}

/** What tests of routing need: a resolver made of settings, and what it says of events. */

import assert from 'node:assert/strict'

import { producerConfig, type ProducerInput } from '../../../src/config/index.ts'
import { eventReader } from '../../../src/producer/event-reader.ts'
import { FieldSet } from '../../../src/producer/event-fields.ts'
import type { EventProblem } from '../../../src/producer/event-problem.ts'
import { EventResolver } from '../../../src/producer/event-resolver.ts'
import { LineSplitter } from '../../../src/producer/line-splitter.ts'
import { EventChecks } from '../../../src/producer/validation/event-checks.ts'
import { compileSchemas } from '../../../src/producer/validation/compile-schemas.ts'

export type Outcome = { readonly topic: string; readonly key: string | null } | EventProblem

/** A resolver, and what it makes of events. */
export interface Resolving {
  readonly resolver: EventResolver
  readonly resolve: (...events: readonly (object | string)[]) => Outcome[]
}

/** Settings of a producer that every test has: a topic, and one for dead letters. */
export function settings(input: Partial<ProducerInput>): ProducerInput {
  return { route: { topic: 'events' }, deadLetterTopic: 'dead', ...input }
}

/** A resolver of these settings. */
export async function resolving(input: Partial<ProducerInput>): Promise<Resolving> {
  const config = producerConfig(settings(input))
  const fields = new FieldSet()
  const checks = new EventChecks(config, await compileSchemas(config))
  const { route, key } = config
  const resolver = new EventResolver({ route, key, fields, ...(checks.isEmpty ? {} : { checks }) })
  const reader = eventReader({ fields, recordBytesMax: config.recordBytesMax })
  return {
    resolver,
    resolve: (...events) => {
      const lines = events.map(event => (typeof event === 'string' ? event : JSON.stringify(event)))
      const chunk = new LineSplitter(10_000_000).push(Buffer.from(`${lines.join('\n')}\n`))
      assert.ok(chunk)
      const open = reader.open(chunk, {})
      const outcomes = lines.map((_, index): Outcome => {
        const problem = open.read(index) ?? resolver.resolve(open)
        return problem ?? { topic: resolver.topic, key: resolver.key?.toString() ?? null }
      })
      open.close()
      return outcomes
    }
  }
}

/** The topic of an outcome, or what was wrong. */
export function topicOf(outcome: Outcome | undefined): string {
  assert.ok(outcome)
  return 'topic' in outcome ? outcome.topic : outcome.errorClass
}

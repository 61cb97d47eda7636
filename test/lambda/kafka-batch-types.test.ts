/**
 * Types of `kafkaBatch`, checked by the compiler: handlers of `@types/aws-lambda` accept the function, a schema makes
 * the type of the data, and the answer is that of the event. At run time there is nothing to see but that it compiles.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { JSONStringified } from '@aws-lambda-powertools/parser/helpers'
import type { Context, Handler, MSKEvent, SelfManagedKafkaEvent } from 'aws-lambda'
import { z } from 'zod'

import {
  type ComportaEvent,
  type ComportaResponse,
  type FailedRecord,
  kafkaBatch,
  type KafkaBatchFunction,
  type KafkaBatchResponse,
  type KafkaEvent,
  type KafkaRecord,
  type StandardSchema
} from '../../src/lambda/function.ts'

/** Compiles only if both are the same type. */
function same<A, B>(
  ...problem: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]
): void {
  assert.deepEqual(problem, [])
}

const Order = z.object({ id: z.string(), total: z.number() })

const plain = kafkaBatch(record => same<typeof record, KafkaRecord>())
const typed = kafkaBatch(record => same<typeof record.data, { id: string; total: number }>(), { schema: Order })
const lists = kafkaBatch(
  records => {
    same<typeof records, readonly KafkaRecord<{ id: string; total: number }>[]>()
    return records.map(record => ({ record, error: new Error(record.data.id) }))
  },
  { schema: Order, batch: true }
)
const withContext = kafkaBatch((record, context: Context) => [record.offset, context.awsRequestId])
const vouched = kafkaBatch<{ id: number }>(record => same<typeof record.data.id, number>())

// What @types/aws-lambda calls a handler; its event types are ours.
const handlers: Handler<MSKEvent, KafkaBatchResponse>[] = [plain, typed, lists, withContext, vouched]
const selfManaged: Handler<SelfManagedKafkaEvent, KafkaBatchResponse>[] = [plain, typed, lists, withContext, vouched]
const ours: Handler<ComportaEvent, ComportaResponse>[] = [plain, typed, lists, withContext]
const anything: Handler = typed

declare const msk: MSKEvent
declare const context: Context
const check = async (): Promise<void> => {
  const event: KafkaEvent = msk
  const answer = await plain(event, context)
  same<typeof answer, KafkaBatchResponse>()
  const answerOfMsk = await withContext(msk, context)
  same<typeof answerOfMsk, KafkaBatchResponse>()
  if (event.eventSource === 'aws:kafka') same<typeof event.eventSourceArn, string>()
}

// A schema of any library: what Standard Schema says of it is enough.
const byHand: StandardSchema<number> = {
  '~standard': { version: 1, vendor: 'test', validate: value => ({ value: Number(value) }) }
}
const numbers = kafkaBatch(record => same<typeof record.data, number>(), { schema: byHand })
// Powertools' helpers make zod schemas.
const nested = kafkaBatch(record => same<typeof record.data.body, { id: string; total: number }>(), {
  schema: z.object({ body: JSONStringified(Order) })
})

/** Never called: none of this compiles, and some of it would throw. */
function wrong(): unknown[] {
  // @ts-expect-error -- a list is no record
  kafkaBatch((records: readonly KafkaRecord[]) => records.length)
  // @ts-expect-error -- the data is what the schema gives
  kafkaBatch(record => record.data.nothing, { schema: Order })
  // @ts-expect-error -- no such order
  kafkaBatch(() => undefined, { order: 'topic' })
  // @ts-expect-error -- the context has to have what the handler wants
  const narrow: Handler<MSKEvent, KafkaBatchResponse> = kafkaBatch(
    (_, given: Context & { tenant: string }) => given.tenant
  )
  // @ts-expect-error -- a failure of a record that is none
  const failed: FailedRecord = { record: 7, error: 'x' }
  // @ts-expect-error -- an answer by text is that of queues
  const queue: KafkaBatchResponse = { batchItemFailures: [{ itemIdentifier: 'orders-0' }] }
  return [narrow, failed, queue]
}

test('the types hold: tsc has compiled this file', async () => {
  const functions: KafkaBatchFunction<Context>[] = [plain, typed, lists, withContext, vouched, numbers, nested]
  for (const each of [...functions, ...handlers, ...selfManaged, ...ours, anything]) {
    // Lambda takes a function of three parameters for one that calls back.
    assert.ok(typeof each === 'function' && each.length === 2)
  }
  assert.ok(typeof check === 'function' && typeof wrong === 'function')

  const empty = { eventSource: 'SelfManagedKafka', bootstrapServers: '', records: {} } as const
  assert.deepEqual(await plain(empty, { getRemainingTimeInMillis: () => 1_000 }), { batchItemFailures: [] })
})

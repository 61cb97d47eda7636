/** Traces of a distributor as X-Ray's daemon gets them. */

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'

import { createDistributor } from '../../src/lambda/distributor/distributor.ts'
import { startLookupService } from './enrichment/support.ts'

const TRACE = '1-5759e988-bd862e3fe1be46a994272793'
const PARENT = '53995c3f42cd8ad8'

interface SubsegmentDocument {
  readonly name: string
  readonly trace_id: string
  readonly parent_id: string
  readonly start_time: number
  readonly end_time: number
  readonly fault?: boolean
  readonly annotations: Readonly<Record<string, unknown>>
}

test('each request is a subsegment of the invocation, as long as it took', async t => {
  const daemon = createSocket('udp4')
  t.after(() => daemon.close())
  const documents: SubsegmentDocument[] = []
  daemon.on('message', message => {
    // The first line is the daemon's own header. Source: X-Ray developer guide, "Sending segment documents".
    documents.push(JSON.parse(message.toString('utf8').split('\n')[1] ?? '') as SubsegmentDocument)
  })
  daemon.bind(0, '127.0.0.1')
  await once(daemon, 'listening')
  // The environment of a function in AWS; the SDK reads it when it is loaded, which is with the first tracer.
  Object.assign(process.env, {
    AWS_XRAY_DAEMON_ADDRESS: `127.0.0.1:${daemon.address().port}`,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    LAMBDA_TASK_ROOT: import.meta.dirname,
    _X_AMZN_TRACE_ID: `Root=${TRACE};Parent=${PARENT};Sampled=1`,
    AWS_XRAY_LOG_LEVEL: 'silent'
  })
  const [good, bad] = [await startLookupService(t, () => ({})), await startLookupService(t, () => ({ status: 503 }))]
  const distributor = createDistributor({
    targets: { good: good.url, 'bad(503)': bad.url },
    routes: [{ values: [1], targets: ['good', 'bad(503)'] }],
    retry: { attemptsMax: 1 },
    observability: { traces: true }
  })
  t.after(() => distributor.close())
  const startMs = Date.now()

  const event = { topic: 'trucks', partition: 3, messages: [{ codigo: 1 }], offsets: [7] }
  await distributor(event, { getRemainingTimeInMillis: () => 30_000 })
  while (documents.length < 2) await once(daemon, 'message')

  const [first, second] = documents.toSorted((left, right) => left.name.localeCompare(right.name))
  assert.partialDeepStrictEqual(first, {
    name: 'target bad_503_',
    trace_id: TRACE,
    parent_id: PARENT,
    fault: true,
    annotations: { target: 'bad(503)', topic: 'trucks', partition: 3, records: 1, attempt: 1, outcome: 'unavailable' }
  })
  assert.partialDeepStrictEqual(second, { name: 'target good', annotations: { outcome: 'ok' } })
  assert.equal(second?.fault, undefined)
  for (const { start_time: from, end_time: to } of documents) {
    assert.ok(from * 1_000 >= startMs - 1 && to > from && to * 1_000 <= Date.now() + 1, `${from} to ${to}`)
  }
})

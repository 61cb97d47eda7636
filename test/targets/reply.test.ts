import assert from 'node:assert/strict'
import { test } from 'node:test'

import { INVALID_REPLY, readReply, readReplyText } from '../../src/targets/index.ts'

const BATCH = { topic: 'mt-c400', partition: 3 }
const OK = { kind: 'ok' }

test('a reply without word of records means that all were delivered', () => {
  for (const reply of [undefined, null, {}, { statusCode: 200 }, 'done', 5, [], { failures: [] }, { failures: null }]) {
    assert.deepEqual(readReply(reply, BATCH), OK)
  }
  for (const reply of [{ batchItemFailures: [] }, { batchItemFailures: null }])
    assert.deepEqual(readReply(reply, BATCH), OK)
  for (const text of ['', 'OK', '<html>', 'null', '[1]', ' {"a":1}']) assert.deepEqual(readReplyText(text, BATCH), OK)
})

test('failures name records with verb, reason and wait', () => {
  const text =
    '{"failures":[{"offset":12,"action":"deadLetter","reason":"no such truck"},' +
    '{"offset":"9223372036854775807","action":"retry","retryAfterMs":100},{"offset":14,"action":"skip"},{"offset":15}]}'
  const reason = 'the target gave no reason'
  assert.deepEqual(readReplyText(text, BATCH), {
    kind: 'partial',
    failures: [
      { offset: 12n, action: 'deadLetter', reason: 'no such truck' },
      { offset: 9223372036854775807n, action: 'retry', reason, retryAfterMs: 100 },
      { offset: 14n, action: 'skip', reason },
      { offset: 15n, action: 'retry', reason }
    ]
  })
})

test('a record may be retried without a charge, and be under suspicion', () => {
  const reply = { failures: [{ offset: 1, reason: 'down', unavailable: true, suspect: true }] }
  assert.deepEqual(readReply(reply, BATCH), {
    kind: 'partial',
    failures: [{ offset: 1n, action: 'retry', reason: 'down', isUnavailable: true, isSuspect: true }]
  })
})

test('AWS’s form for Kafka is a resume point: the lowest offset that it names', () => {
  const reply = {
    batchItemFailures: [
      { itemIdentifier: { partition: 'mt-c400-3', offset: 42 } },
      { itemIdentifier: { partition: 'mt-c400-3', offset: 40 } }
    ]
  }
  assert.deepEqual(readReply(reply, BATCH), { kind: 'partial', failures: [], resumeFrom: 40n })
})

test('a reply in another form is never taken for success', () => {
  const item = (itemIdentifier: unknown) => ({ batchItemFailures: [{ itemIdentifier }] })
  for (const reply of [
    { failures: {} },
    { failures: [12] },
    { failures: [{ id: 12 }] },
    { failures: [{ offset: -1 }] },
    { failures: [{ offset: 1.5 }] },
    { failures: [{ offset: 1, action: 'discard' }] },
    { batchItemFailures: 'all' },
    item(''),
    item(null),
    item('mt-c400-3-42'),
    item({ partition: 'mt-c400-4', offset: 42 }),
    item({ partition: 'mt-c400-3' })
  ]) {
    const outcome = readReply(reply, BATCH)
    assert.equal(outcome.kind, 'rejected', JSON.stringify(reply))
    assert.equal(outcome.kind === 'rejected' && outcome.errorClass, INVALID_REPLY)
  }
  assert.equal(readReplyText('{"failures":[', BATCH).kind, 'rejected')
})

test('a reason is cut to what a header may carry', () => {
  const outcome = readReply({ failures: [{ offset: 1, reason: 'x'.repeat(100_000) }] }, BATCH)
  assert.equal(outcome.kind === 'partial' && outcome.failures[0]?.reason.length, 1000)
})

/** What each request decides about a transactional id. The tables are those of KIP-98, KIP-360 and KIP-890. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PipelineError } from '../../../src/core/index.ts'
import { type Decision, identityAfterEnd, Transaction } from '../../../src/broker/transactions/transaction.ts'
import {
  partitionsOf,
  type TransactionMetadata,
  type TransactionState
} from '../../../src/broker/transactions/transaction-state.ts'

const NOW_MS = 1_000_000
const PID = 7n
const P0 = { topic: 'orders', partition: 0 }
const P1 = { topic: 'orders', partition: 1 }

function metadata(change: Partial<TransactionMetadata> = {}): TransactionMetadata {
  return {
    state: 'Empty',
    producerId: PID,
    previousProducerId: PID,
    nextProducerId: -1n,
    producerEpoch: 3,
    lastProducerEpoch: -1,
    timeoutMs: 60_000,
    partitions: new Map(),
    startMs: -1,
    lastUpdateMs: NOW_MS - 1000,
    clientVersion: 0,
    ...change
  }
}

function ongoing(change: Partial<TransactionMetadata> = {}): TransactionMetadata {
  const partitions = new Map([['orders', new Set([0])]])
  return metadata({ state: 'Ongoing', partitions, startMs: NOW_MS - 500, ...change })
}

/** The error, or the state with the producer id and epoch that is to be stored. */
function told(decision: Decision): string {
  if (decision.kind === 'answer') return decision.error
  if (decision.kind === 'needProducerId') return decision.kind
  const { state, producerId, producerEpoch, nextProducerId } = decision.metadata
  return `${state} ${producerId}/${producerEpoch}${nextProducerId === -1n ? '' : ` then ${nextProducerId}`}`
}

/** What EndTxn of the epoch decides. */
function end(current: TransactionMetadata, producerEpoch: number, how: { isCommit: boolean; version: number }): string {
  const { isCommit, version: clientVersion } = how
  const request = { producerId: PID, producerEpoch, isCommit, clientVersion }
  return told(new Transaction(current).endTransaction(request, NOW_MS))
}

test('EndTxn before KIP-890 takes the epoch of the transaction and nothing else', () => {
  const commit = (state: TransactionState): string => end(ongoing({ state }), 3, { isCommit: true, version: 0 })
  const abort = (state: TransactionState): string => end(ongoing({ state }), 3, { isCommit: false, version: 0 })

  assert.equal(commit('Ongoing'), 'PrepareCommit 7/3')
  assert.equal(abort('Ongoing'), 'PrepareAbort 7/3')
  assert.deepEqual([commit('CompleteCommit'), abort('CompleteCommit')], ['NONE', 'INVALID_TXN_STATE'])
  assert.deepEqual([commit('CompleteAbort'), abort('CompleteAbort')], ['INVALID_TXN_STATE', 'NONE'])
  assert.deepEqual([commit('Empty'), abort('Empty')], ['INVALID_TXN_STATE', 'INVALID_TXN_STATE'])
  assert.deepEqual([commit('PrepareCommit'), abort('PrepareCommit')], Array(2).fill('CONCURRENT_TRANSACTIONS'))
  assert.equal(end(ongoing(), 2, { isCommit: true, version: 0 }), 'PRODUCER_FENCED')
  assert.equal(end(ongoing(), 4, { isCommit: true, version: 0 }), 'PRODUCER_FENCED')
})

test('EndTxn of KIP-890 raises the epoch; the epoch before is a retry, the same one the next transaction', () => {
  const at = (state: TransactionState, epoch: number): [commit: string, abort: string] => {
    const current = ongoing({ state, clientVersion: 2 })
    return [end(current, epoch, { isCommit: true, version: 2 }), end(current, epoch, { isCommit: false, version: 2 })]
  }

  assert.deepEqual(at('Ongoing', 3), ['PrepareCommit 7/4', 'PrepareAbort 7/4'])
  assert.deepEqual(at('Empty', 3), ['INVALID_TXN_STATE', 'PrepareAbort 7/4'])
  assert.deepEqual(at('Empty', 2), ['PRODUCER_FENCED', 'PRODUCER_FENCED'])
  assert.deepEqual(at('CompleteCommit', 3), ['INVALID_TXN_STATE', 'PrepareAbort 7/4'])
  assert.deepEqual(at('CompleteCommit', 2), ['NONE', 'INVALID_TXN_STATE'])
  assert.deepEqual(at('CompleteAbort', 3), ['INVALID_TXN_STATE', 'PrepareAbort 7/4'])
  assert.deepEqual(at('CompleteAbort', 2), ['INVALID_TXN_STATE', 'NONE'])
  assert.deepEqual(at('PrepareCommit', 2), ['CONCURRENT_TRANSACTIONS', 'CONCURRENT_TRANSACTIONS'])
  assert.deepEqual(at('PrepareCommit', 3), ['PRODUCER_FENCED', 'PRODUCER_FENCED'])
  assert.deepEqual(at('Ongoing', 2), ['PRODUCER_FENCED', 'PRODUCER_FENCED'])
})

test('the epoch above the last one of clients ends a transaction, and the next has another producer id', () => {
  const transaction = new Transaction(ongoing({ producerEpoch: 32_766, clientVersion: 2 }))
  const request = { producerId: PID, producerEpoch: 32_766, isCommit: true, clientVersion: 2 }

  assert.equal(told(transaction.endTransaction(request, NOW_MS)), 'needProducerId')
  const decision = transaction.endTransaction({ ...request, freshProducerId: 99n }, NOW_MS)
  assert.equal(told(decision), 'PrepareCommit 7/32767 then 99')
  assert.ok(decision.kind === 'write')
  assert.deepEqual(identityAfterEnd(decision.metadata), { producerId: 99n, producerEpoch: 0 })
  transaction.apply(decision.metadata)
  transaction.apply(transaction.complete(NOW_MS))

  const { state, producerId, producerEpoch, previousProducerId } = transaction.current
  assert.deepEqual([state, producerId, producerEpoch, previousProducerId], ['CompleteCommit', 99n, 0, PID])
  const retry = transaction.endTransaction(request, NOW_MS)
  assert.deepEqual(retry, { kind: 'answer', error: 'NONE', producerId: 99n, producerEpoch: 0 })
})

test('InitProducerId raises the epoch of an idle id and rotates an exhausted one', () => {
  const init = (current: TransactionMetadata, freshProducerId?: bigint): string => {
    const fresh = freshProducerId === undefined ? {} : { freshProducerId }
    const request = { timeoutMs: 5000, expected: undefined, serverVersion: 2, ...fresh }
    return told(new Transaction(current).initProducerId(request, NOW_MS))
  }
  for (const state of ['Empty', 'CompleteCommit', 'CompleteAbort'] as const) {
    assert.equal(init(metadata({ state })), 'Empty 7/4')
    assert.equal(init(metadata({ state, producerEpoch: 32_765 })), 'Empty 7/32766')
    assert.equal(init(metadata({ state, producerEpoch: 32_766 })), 'needProducerId')
    assert.equal(init(metadata({ state, producerEpoch: 32_767 }), 99n), 'Empty 99/0')
  }
  assert.equal(init(metadata({ producerEpoch: -1 })), 'Empty 7/0')
  for (const state of ['PrepareCommit', 'PrepareAbort'] as const) {
    assert.equal(init(ongoing({ state })), 'CONCURRENT_TRANSACTIONS')
  }
})

test('InitProducerId with an open transaction aborts it under an epoch that nobody has', () => {
  const init = (producerEpoch: number, serverVersion: number, fresh = {}): string => {
    const request = { timeoutMs: 5000, expected: undefined, serverVersion, ...fresh }
    return told(new Transaction(ongoing({ producerEpoch })).initProducerId(request, NOW_MS))
  }
  assert.equal(init(3, 2), 'PrepareAbort 7/4')
  assert.equal(init(3, 0), 'PrepareAbort 7/4')
  assert.equal(init(32_766, 0), 'PrepareAbort 7/32767')
  assert.equal(init(32_766, 2), 'needProducerId')
  assert.equal(init(32_766, 2, { freshProducerId: 99n }), 'PrepareAbort 7/32767 then 99')
})

test('a producer that names its identity goes on only if it is the last owner', () => {
  const init = (current: TransactionMetadata, producerId: bigint, producerEpoch: number): string => {
    const expected = { producerId, producerEpoch }
    const request = { timeoutMs: 5000, expected, serverVersion: 2, freshProducerId: 99n }
    return told(new Transaction(current).initProducerId(request, NOW_MS))
  }
  assert.equal(init(metadata(), PID, 3), 'Empty 7/4')
  assert.equal(init(metadata(), PID, 2), 'PRODUCER_FENCED')
  assert.equal(init(metadata({ lastProducerEpoch: 2 }), PID, 2), 'Empty 7/3', 'the answer was lost')
  assert.equal(init(metadata(), 8n, 3), 'PRODUCER_FENCED')
  assert.equal(init(metadata({ producerEpoch: -1 }), 8n, 3), 'Empty 7/0', 'the id had expired')
  assert.equal(init(metadata({ producerEpoch: 32_766 }), PID, 32_766), 'Empty 99/0')
  const rotated = metadata({ producerEpoch: 0, previousProducerId: 5n, lastProducerEpoch: 32_766 })
  assert.equal(init(rotated, 5n, 32_766), 'Empty 7/0', 'the answer with the new id was lost')
  assert.equal(init(rotated, 5n, 10), 'PRODUCER_FENCED')
})

test('partitions are added to the open transaction, or begin one', () => {
  const add = (current: TransactionMetadata, change = {}): Decision => {
    const request = { producerId: PID, producerEpoch: 3, partitions: [P0, P1], clientVersion: 2, ...change }
    return new Transaction(current).addPartitions(request, NOW_MS)
  }
  const more = add(ongoing())
  assert.ok(more.kind === 'write')
  assert.deepEqual(partitionsOf(more.metadata.partitions), [P0, P1])
  assert.equal(more.metadata.startMs, NOW_MS - 500)
  assert.equal(told(add(ongoing(), { partitions: [P0] })), 'NONE')
  const begun = add(metadata({ state: 'CompleteCommit', partitions: new Map([['old', new Set([9])]]) }))
  assert.ok(begun.kind === 'write')
  assert.deepEqual(partitionsOf(begun.metadata.partitions), [P0, P1])
  assert.equal(begun.metadata.startMs, NOW_MS)
  assert.equal(told(add(ongoing(), { producerEpoch: 2 })), 'PRODUCER_FENCED')
  assert.equal(told(add(ongoing(), { producerId: 8n })), 'INVALID_PRODUCER_ID_MAPPING')
  assert.equal(told(add(ongoing({ state: 'PrepareCommit' }), { producerId: 8n })), 'CONCURRENT_TRANSACTIONS')
  assert.equal(told(add(metadata({ producerEpoch: -1 }), { producerEpoch: -1 })), 'PRODUCER_FENCED')
})

test('partitions are verified against the transaction', () => {
  const verify = (current: TransactionMetadata, change = {}): string[] => {
    const request = { producerId: PID, producerEpoch: 3, partitions: [P0, P1], ...change }
    return new Transaction(current).verifyPartitions(request)
  }
  assert.deepEqual(verify(ongoing()), ['NONE', 'TRANSACTION_ABORTABLE'])
  assert.deepEqual(verify(metadata()), ['TRANSACTION_ABORTABLE', 'TRANSACTION_ABORTABLE'])
  assert.deepEqual(verify(ongoing({ state: 'PrepareAbort' })), Array(2).fill('CONCURRENT_TRANSACTIONS'))
  assert.deepEqual(verify(ongoing(), { producerEpoch: 2 }), ['PRODUCER_FENCED', 'PRODUCER_FENCED'])
  assert.deepEqual(verify(ongoing(), { producerId: 1n }), Array(2).fill('INVALID_PRODUCER_ID_MAPPING'))
})

test('an id takes one change at a time, and one that was not stored never was', () => {
  const transaction = new Transaction(ongoing())
  const request = { producerId: PID, producerEpoch: 3, isCommit: true, clientVersion: 0 }
  const decision = transaction.endTransaction(request, NOW_MS)
  assert.ok(decision.kind === 'write')
  transaction.begin(decision.metadata)

  assert.equal(told(transaction.endTransaction(request, NOW_MS)), 'CONCURRENT_TRANSACTIONS')
  const init = { timeoutMs: 1, expected: undefined, serverVersion: 2 }
  assert.equal(told(transaction.initProducerId(init, NOW_MS)), 'CONCURRENT_TRANSACTIONS')
  assert.equal(told(transaction.fence({ serverVersion: 2 }, NOW_MS)), 'CONCURRENT_TRANSACTIONS')
  assert.throws(() => transaction.begin(decision.metadata), PipelineError)
  transaction.abandon()

  assert.equal(transaction.current.state, 'Ongoing')
  assert.deepEqual(transaction.endTransaction(request, NOW_MS), decision)
})

test('transitions that are not in the table are not made', () => {
  const complete = metadata({ state: 'CompleteCommit' })
  assert.throws(() => new Transaction(complete).complete(NOW_MS), /CompleteCommit cannot be completed/)
  assert.throws(() => new Transaction(ongoing()).begin('Dead'), /Ongoing/)
  assert.throws(() => new Transaction(metadata()).begin(metadata({ state: 'CompleteAbort' })), /Empty/)
})

test('a transaction times out after its timeout, an idle id expires after the expiration', () => {
  const open = new Transaction(ongoing({ startMs: NOW_MS, timeoutMs: 1000 }))
  assert.equal(open.isTimedOut(NOW_MS + 1000), false)
  assert.equal(open.isTimedOut(NOW_MS + 1001), true)
  assert.equal(open.isExpired(NOW_MS + 1e12, 1000), false)
  const idle = new Transaction(metadata({ state: 'CompleteAbort', lastUpdateMs: NOW_MS }))
  assert.equal(idle.isTimedOut(NOW_MS + 1e12), false)
  assert.equal(idle.isExpired(NOW_MS + 999, 1000), false)
  assert.equal(idle.isExpired(NOW_MS + 1000, 1000), true)
})

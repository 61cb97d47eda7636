/** The requests of one connection, on a clock that stands still. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestPipeline, type RequestPipelineOptions } from '../../src/client/request-pipeline.ts'
import { PipelineError, VirtualClock } from '../../src/core/index.ts'

interface Setup {
  readonly clock: VirtualClock
  readonly pipeline: RequestPipeline
  /** Correlation ids in the order they were written. */
  readonly written: number[]
  readonly broken: PipelineError[]
  readonly submit: (
    correlationId: number,
    options?: { timeoutMs?: number; signal?: AbortSignal; isUrgent?: boolean }
  ) => Promise<string>
  readonly answer: (correlationId: number) => void
}

function setUp(options: Partial<RequestPipelineOptions> = {}): Setup {
  const clock = new VirtualClock()
  const written: number[] = []
  const broken: PipelineError[] = []
  const pipeline = new RequestPipeline({
    peer: 'broker:9092',
    inFlightMax: 5,
    waitingMax: 10,
    clock,
    write: chunks => void written.push(chunks[0]?.readInt32BE(0) ?? -1),
    onBroken: error => {
      broken.push(error)
      pipeline.fail(error)
    },
    ...options
  })
  return {
    clock,
    pipeline,
    written,
    broken,
    submit: async (correlationId, { timeoutMs = 1_000, ...rest } = {}) => {
      const chunks = [bytesOf(correlationId)]
      const payload = await pipeline.submit({ correlationId, name: 'Metadata', chunks, timeoutMs, ...rest })
      return payload.subarray(4).toString()
    },
    answer: correlationId =>
      pipeline.receive(Buffer.concat([bytesOf(correlationId), Buffer.from(`for ${correlationId}`)]))
  }
}

function bytesOf(correlationId: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(correlationId)
  return bytes
}

test('a late answer is dropped and those behind it find their requests', async () => {
  const { clock, submit, answer, broken } = setUp()
  const late = submit(1, { timeoutMs: 100 })
  const behind = submit(2, { timeoutMs: 10_000 })
  const rejected = assert.rejects(late, { code: 'ERR_CLIENT_REQUEST_TIMEOUT', retriable: true })
  await clock.advance(100)
  await rejected

  answer(1)
  answer(2)

  assert.equal(await behind, 'for 2')
  assert.deepEqual(broken, [])
})

test('silence for one more timeout after a timeout ends the connection', async () => {
  const { clock, submit, broken } = setUp()
  const late = assert.rejects(submit(1, { timeoutMs: 100 }), { code: 'ERR_CLIENT_REQUEST_TIMEOUT' })
  const behind = assert.rejects(submit(2, { timeoutMs: 10_000 }), { code: 'ERR_CLIENT_DISCONNECTED' })
  await clock.advance(199)
  await late
  assert.deepEqual(broken, [])
  await clock.advance(1)
  await behind
  assert.deepEqual(
    broken.map(({ code }) => code),
    ['ERR_CLIENT_DISCONNECTED']
  )
})

test('at most inFlightMax requests are written; the others wait their turn', async () => {
  const { submit, answer, written, pipeline } = setUp({ inFlightMax: 2 })
  const answers = [1, 2, 3, 4].map(id => submit(id))
  assert.deepEqual(written, [1, 2])
  assert.deepEqual([pipeline.inFlightCount, pipeline.waitingCount], [2, 2])
  answer(1)
  assert.deepEqual(written, [1, 2, 3])
  for (const id of [2, 3, 4]) answer(id)
  assert.deepEqual(await Promise.all(answers), ['for 1', 'for 2', 'for 3', 'for 4'])
})

test('more than waitingMax waiting requests are refused', async () => {
  const { submit, answer } = setUp({ inFlightMax: 1, waitingMax: 1 })
  const [first, second] = [submit(1), submit(2)]
  await assert.rejects(submit(3), { code: 'ERR_CLIENT_OVERLOADED', retriable: true })
  answer(1)
  answer(2)
  assert.deepEqual(await Promise.all([first, second]), ['for 1', 'for 2'])
})

test('a request that times out while it waits is never written', async () => {
  const { clock, submit, answer, written } = setUp({ inFlightMax: 1 })
  const first = submit(1, { timeoutMs: 10_000 })
  const second = assert.rejects(submit(2, { timeoutMs: 100 }), { code: 'ERR_CLIENT_REQUEST_TIMEOUT' })
  await clock.advance(100)
  await second
  answer(1)
  assert.equal(await first, 'for 1')
  assert.deepEqual(written, [1])
})

test('an answer that nobody expects, or out of order, breaks the connection', async () => {
  const unexpected = setUp()
  unexpected.answer(7)
  assert.equal(unexpected.broken[0]?.code, 'ERR_CLIENT_RESPONSE_INVALID')

  const disordered = setUp()
  const requests = [1, 2].map(id => assert.rejects(disordered.submit(id), { code: 'ERR_CLIENT_RESPONSE_INVALID' }))
  disordered.answer(2)
  await Promise.all(requests)
})

test('a request that its caller gives up is dropped like one that timed out', async () => {
  const { submit, answer } = setUp()
  const caller = new AbortController()
  const given = assert.rejects(submit(1, { signal: caller.signal }), { code: 'ERR_CORE_ABORTED' })
  const behind = submit(2)
  caller.abort()
  await given
  answer(1)
  answer(2)
  assert.equal(await behind, 'for 2')
  await assert.rejects(submit(3, { signal: caller.signal }), { code: 'ERR_CORE_ABORTED' })
})

test('while it is held only urgent requests are written', async () => {
  const { submit, answer, written, pipeline } = setUp()
  pipeline.hold()
  const waiting = submit(1)
  const urgent = submit(2, { isUrgent: true })
  assert.deepEqual(written, [2])
  answer(2)
  assert.equal(await urgent, 'for 2')
  pipeline.release()
  answer(1)
  assert.equal(await waiting, 'for 1')
})

test('when the connection ends, everything on it and everything after it fails, and no timer is left', async () => {
  const { clock, submit, pipeline } = setUp({ inFlightMax: 1 })
  const requests = [1, 2].map(id => assert.rejects(submit(id), { code: 'ERR_CORE_ABORTED' }))
  pipeline.fail(new PipelineError('ERR_CORE_ABORTED', 'ended'))
  await Promise.all(requests)
  await assert.rejects(submit(3), { code: 'ERR_CORE_ABORTED' })
  assert.equal(clock.pendingCount, 0)
})

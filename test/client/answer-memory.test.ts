/** Memory of large answers: it is used again behind the last release, and never before. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerMemory, leaseOf } from '../../src/client/answer-memory.ts'
import { ResponseAssembler } from '../../src/client/response-assembler.ts'
import { PipelineError } from '../../src/core/index.ts'

test('memory is lent again after its last holder has released it, and not before', () => {
  const memory = new AnswerMemory()
  const first = memory.take(1_000_000)
  const lease = leaseOf(first.subarray(10, 20))
  assert.ok(lease !== undefined)
  lease.retain()
  lease.retain()
  lease.release()
  const second = memory.take(1_000_000)
  assert.notEqual(second.buffer, first.buffer)
  lease.release()
  const third = memory.take(900_000)
  assert.equal(third.buffer, first.buffer)
  assert.equal(third.length, 900_000)
  assert.notEqual(leaseOf(third), lease)
})

test('a holder that comes too late, or gives back twice, is a mistake that is named', () => {
  const lease = leaseOf(new AnswerMemory().take(100_000))
  const isInvariant = (error: unknown): boolean => PipelineError.is(error) && error.code === 'ERR_CORE_INVARIANT'
  assert.throws(() => lease?.release(), isInvariant)
  lease?.retain()
  lease?.release()
  assert.throws(() => lease?.retain(), isInvariant)
  assert.throws(() => lease?.release(), isInvariant)
})

test('small answers have memory of their own, and no more is kept than the limit', () => {
  const memory = new AnswerMemory(1_500_000)
  assert.equal(leaseOf(memory.take(1_000)), undefined)
  const lent = [memory.take(1_000_000), memory.take(1_000_000)]
  for (const bytes of lent) leaseOf(bytes)?.retain()
  for (const bytes of lent) leaseOf(bytes)?.release()
  assert.ok(memory.freeBytes > 0 && memory.freeBytes <= 1_500_000)
  // Memory of a large answer is not bound by a small one.
  assert.equal(memory.take(200_000).buffer.byteLength < 400_000, true)
})

test('a socket that reads into the assembler gives the answers that chunks give, wherever reads end', () => {
  const sizes = [4, 10, 70_000, 4, 200_000, 65_536, 65_532, 65_533, 8]
  const stream = Buffer.concat(
    sizes.map((size, index) => {
      const answer = Buffer.alloc(size + 4, index + 1)
      answer.writeInt32BE(size, 0)
      return answer
    })
  )
  for (const step of [1_000, 4_096, 65_535, 65_536, 70_001, 1_000_000]) {
    const answers: Buffer[] = []
    const assembler = new ResponseAssembler(1_000_000, answer => answers.push(answer))
    for (let position = 0; position < stream.length;) {
      const target = assembler.target()
      const count = stream.copy(target, 0, position, position + step)
      assembler.advance(target, count)
      position += count
    }
    assert.deepEqual(
      answers.map(answer => answer.length),
      sizes
    )
    assert.ok(answers.every((answer, index) => answer.every(byte => byte === index + 1)))
  }
})

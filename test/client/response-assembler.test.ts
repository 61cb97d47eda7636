/** Answers out of the byte stream of a connection. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseAssembler } from '../../src/client/response-assembler.ts'

const stream = Buffer.from('00000006aaaaaaaabbbb00000004cccccccc0000000bddddddddeeeeeeeeffffff', 'hex')
const payloads = ['aaaaaaaabbbb', 'cccccccc', 'ddddddddeeeeeeeeffffff']

function assemble(chunks: readonly Buffer[], bytesMax = 1_000): string[] {
  const found: string[] = []
  const assembler = new ResponseAssembler(bytesMax, payload => found.push(payload.toString('hex')))
  for (const chunk of chunks) assembler.push(chunk)
  return found
}

test('answers are the same wherever the stream is cut', () => {
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]
      assert.deepEqual(assemble(chunks), payloads, `cut at ${first} and ${second}`)
    }
  }
  assert.deepEqual(assemble([...stream].map(byte => Buffer.from([byte]))), payloads)
})

test('an answer that came in one chunk is a view, not a copy', () => {
  let payload: Buffer | undefined
  const assembler = new ResponseAssembler(1_000, found => (payload = found))
  const chunk = Buffer.from('00000004cccccccc', 'hex')
  assembler.push(chunk)
  assert.equal(payload?.buffer, chunk.buffer)
  assert.equal(payload?.byteOffset, chunk.byteOffset + 4)
})

for (const [what, length] of [
  ['longer than the limit', '000003e9'],
  ['too short for a correlation id', '00000003'],
  ['negative', 'ffffffff']
] as const) {
  test(`a length that is ${what} is refused before anything is kept`, () => {
    assert.throws(() => assemble([Buffer.from(`${length}00000000`, 'hex')]), { code: 'ERR_CLIENT_RESPONSE_INVALID' })
    assert.throws(() => assemble([Buffer.from(length, 'hex').subarray(0, 3), Buffer.from(length, 'hex').subarray(3)]), {
      code: 'ERR_CLIENT_RESPONSE_INVALID'
    })
  })
}

test('the answer of a TLS listener to plain text is recognised', () => {
  // A TLS 1.2 alert: content type 21, version 3.3, length 2, fatal, protocol version.
  assert.throws(() => assemble([Buffer.from('15030300020246', 'hex')]), /look like TLS/)
})

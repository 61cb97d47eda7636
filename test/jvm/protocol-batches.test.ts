/** The other direction of test/protocol: what our builder and our compression write, read by Kafka's own code. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMPRESSION_NAMES, murmur2, RecordBatchBuilder } from '../../src/protocol/index.ts'
import { runProcess } from '../support/child-process.ts'
import { kafkaClassPath } from '../support/kafka-jvm.ts'

const VERIFY = join(import.meta.dirname, '..', 'fixtures', 'protocol', 'capture', 'Verify.java')

interface Expectation {
  readonly batch: Buffer
  readonly line: string
}

/** A batch of `count` records of about `bytes` each, and what Verify.java must print about it. */
function expectation(compression: (typeof COMPRESSION_NAMES)[number], count: number, bytes: number): Expectation {
  const builder = new RecordBatchBuilder({ compression, sizeBytesMax: 50_000_000 })
  let digest = 0
  let size = 0
  const add = (value: number): void => {
    digest = (Math.imul(digest, 31) + value) | 0
  }
  for (let index = 0; index < count; index++) {
    const key = index % 5 === 0 ? null : Buffer.from(`key-${index}`)
    const value =
      index % 7 === 3 ? null : Buffer.from(`{"n":${index},"s":"${'ab'.repeat(((index * 7919) % bytes) + 1)}"}`)
    const headers = index % 3 === 0 ? [{ key: 'origin', value: Buffer.from(`p${index}`) }] : []
    const timestampMs = 1_700_000_000_000 + ((index * 37) % 5000) - 2500
    assert.ok(builder.tryAppend(timestampMs, key, value, headers))
    add(murmur2(key ?? Buffer.alloc(0)))
    add(murmur2(value ?? Buffer.alloc(0)))
    for (const header of headers) add(murmur2(header.value))
    add(Number(BigInt.asIntN(32, BigInt(timestampMs))))
    size += value?.length ?? 0
  }
  const batch = builder.build({ baseOffset: 1234n, producerId: 9n, producerEpoch: 1, baseSequence: 0 })
  return { batch, line: `${compression} 1234 ${count} ${digest} ${size}` }
}

test("Kafka's client reads our batches in every compression, from one record to megabytes", async () => {
  const cases = COMPRESSION_NAMES.flatMap(name => [
    expectation(name, 1, 1),
    expectation(name, 300, 20),
    expectation(name, 3000, 200),
    expectation(name, 6000, 1500)
  ])
  const result = await runProcess('java', ['-cp', await kafkaClassPath(), VERIFY], {
    stdin: `${cases.map(({ batch }) => batch.toString('base64')).join('\n')}\n`
  })
  assert.deepEqual(
    result.stdout.trim().split('\n'),
    cases.map(({ line }) => line)
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32cPortable } from '../../src/protocol/crc32c.ts'
import { crc32c, murmur2, partitionForKey } from '../../src/protocol/index.ts'
import { partitionsLine } from '../support/key-partitions.ts'
import { bytes, fixture, number, object } from './fixtures.ts'

test("murmur2 gives the published values of Kafka's own test", () => {
  // Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2.
  const published: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107
  }
  for (const [text, expected] of Object.entries(published)) assert.equal(murmur2(Buffer.from(text)), expected, text)
})

test('CRC-32C gives the values of RFC 3720', () => {
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
  const vectors: [Buffer, number][] = [
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [Buffer.from(ascending).reverse(), 0x113fdb5c],
    [Buffer.from('123456789'), 0xe3069283]
  ]
  for (const [input, expected] of vectors) {
    assert.equal(crc32c(input), expected)
    assert.equal(crc32cPortable(input), expected)
  }
})

test("murmur2, partitions and CRC-32C are those of Kafka's Java client", () => {
  const rows = fixture('hashes.ndjson.gz')
  assert.ok(rows.length > 400)
  for (const row of rows) {
    const input = bytes(row, 'input')
    assert.equal(murmur2(input), number(row, 'murmur2'))
    assert.equal(crc32c(input), number(row, 'crc32c'))
    assert.equal(crc32cPortable(input), number(row, 'crc32c'))
    for (const [count, partition] of Object.entries(object(row, 'partitions'))) {
      assert.equal(partitionForKey(input, Number(count)), partition)
    }
  }
})

test("keys are in the partitions of Kafka's Java client in topics of 1 to 1000 partitions", () => {
  // Printed by test/jvm/programs/KeyPartitions.java, which calls the partitioner of Kafka's own client.
  const rows = fixture('key-partitions.ndjson.gz')
  assert.equal(rows.length, 300)
  for (const row of rows) {
    assert.equal(partitionsLine(bytes(row, 'input')), `${number(row, 'murmur2')} ${number(row, 'partitions')}`)
  }
})

test('CRC-32C of a part of a buffer is the CRC of that part alone, whichever implementation takes it', () => {
  const buffer = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * 31) & 0xff))
  for (const [start, end] of [
    [3, 1999],
    [1, 40],
    [500, 756],
    [500, 755],
    [7, 7]
  ] as const) {
    const alone = crc32cPortable(Buffer.from(buffer.subarray(start, end)))
    assert.equal(crc32c(buffer, start, end), alone)
    assert.equal(crc32c(buffer.subarray(start, end)), alone)
    assert.equal(crc32cPortable(buffer, start, end), alone)
  }
})

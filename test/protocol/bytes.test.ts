import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PipelineError } from '../../src/core/index.ts'
import {
  apiVersionsApi,
  apiByKey,
  ARRAY_ELEMENTS_MAX,
  ByteReader,
  ByteWriter,
  consumerProtocolSubscriptionCodec,
  controlRecordTypeSchemaCodec,
  decodeConsumerProtocol,
  decodeRecordKey,
  decodeRequestHeader,
  decodeResponse,
  decodeVersioned,
  encodeRecordKey,
  encodeRequest,
  encodeResponse,
  encodeVersioned,
  fetchApi,
  groupMetadataKeyCodec,
  initProducerIdApi,
  isKafkaErrorRetriable,
  KAFKA_ERRORS,
  kafkaErrorEntry,
  kafkaErrorName,
  metadataApi,
  offsetCommitKeyCodec,
  produceApi,
  recordTypeOf,
  REFERENCE_BYTES_MIN,
  ZERO_UUID
} from '../../src/protocol/index.ts'

function hasCode(code: string): (error: unknown) => boolean {
  return error => PipelineError.is(error) && error.code === code
}

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter(1)
  write(writer)
  const buffer = writer.toBuffer()
  assert.equal(writer.byteLength, buffer.length)
  return buffer.toString('hex')
}

function reader(hex: string): ByteReader {
  return new ByteReader(Buffer.from(hex, 'hex'))
}

test('fixed-width numbers are big-endian and keep their limits', () => {
  assert.equal(
    written(w => w.int8(-128)),
    '80'
  )
  assert.equal(
    written(w => w.int16(-2)),
    'fffe'
  )
  assert.equal(
    written(w => w.uint16(65_535)),
    'ffff'
  )
  assert.equal(
    written(w => w.int32(-2_147_483_648)),
    '80000000'
  )
  assert.equal(
    written(w => w.uint32(4_294_967_295)),
    'ffffffff'
  )
  assert.equal(
    written(w => w.int64(-9_223_372_036_854_775_808n)),
    '8000000000000000'
  )
  assert.equal(
    written(w => w.float64(1.5)),
    '3ff8000000000000'
  )
  assert.equal(
    written(w => w.bool(true)),
    '01'
  )
  assert.equal(reader('80').int8(), -128)
  assert.equal(reader('fffe').int16(), -2)
  assert.equal(reader('ffff').uint16(), 65_535)
  assert.equal(reader('ffffffff').uint32(), 4_294_967_295)
  assert.equal(reader('7fffffffffffffff').int64(), 9_223_372_036_854_775_807n)
})

test('varints are those of the protocol buffers documentation', () => {
  // Source: protobuf.dev/programming-guides/encoding: 150 is 96 01; zigzag 0, -1, 1, -2 are 0, 1, 2, 3.
  assert.equal(
    written(w => w.uvarint(150)),
    '9601'
  )
  assert.equal(reader('9601').uvarint(), 150)
  for (const [value, hex] of [
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [-2, '03'],
    [2_147_483_647, 'feffffff0f'],
    [-2_147_483_648, 'ffffffff0f']
  ] as const) {
    assert.equal(
      written(w => w.varint(value)),
      hex
    )
    assert.equal(reader(hex).varint(), value)
    assert.equal(
      written(w => w.varlong(BigInt(value))),
      hex
    )
    assert.equal(reader(hex).varlong(), BigInt(value))
  }
  assert.equal(reader('ffffffffffffffffff01').varlong(), -9_223_372_036_854_775_808n)
  assert.throws(() => reader('ffffffffff01').uvarint(), hasCode('ERR_PROTOCOL_INVALID_VARINT'))
  assert.throws(() => reader('ffffffffffffffffffff01').varlong(), hasCode('ERR_PROTOCOL_INVALID_VARINT'))
})

test('values out of range are refused and not cut', () => {
  const attempts: ((writer: ByteWriter) => void)[] = [
    w => w.int8(128),
    w => w.int16(32_768),
    w => w.uint16(-1),
    w => w.int32(2_147_483_648),
    w => w.int32(0.5),
    w => w.int32(Number.NaN),
    w => w.uint32(-1),
    w => w.int64(9_223_372_036_854_775_808n),
    w => w.varlong(-9_223_372_036_854_775_809n),
    w => w.varint(2_147_483_648),
    w => w.uvarint(-1),
    w => w.uuid('not a uuid'),
    w => w.string('x'.repeat(32_768), true)
  ]
  for (const attempt of attempts)
    assert.throws(() => attempt(new ByteWriter()), hasCode('ERR_PROTOCOL_VALUE_OUT_OF_RANGE'))
})

test('reading beyond the end, or beyond the end given, is an error', () => {
  assert.throws(() => reader('0000').int32(), hasCode('ERR_PROTOCOL_TRUNCATED'))
  assert.throws(() => reader('80').uvarint(), hasCode('ERR_PROTOCOL_TRUNCATED'))
  assert.throws(() => new ByteReader(Buffer.alloc(8), 0, 3).int32(), hasCode('ERR_PROTOCOL_TRUNCATED'))
  assert.throws(() => reader('0005616263').string(false), hasCode('ERR_PROTOCOL_TRUNCATED'))
})

test('hostile lengths are refused before anything is allocated', () => {
  assert.throws(() => reader('7fffffff').bytes(false), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
  assert.throws(() => reader('ffffffff0f').bytes(true), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
  assert.throws(() => reader('7fffffff00').arrayLength(false, 1), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
  assert.throws(() => reader('00000003000000').arrayLength(false, 2), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
  assert.throws(() => reader('ffff03').string(true), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
  assert.throws(() => reader('010005').skipTaggedFields(), hasCode('ERR_PROTOCOL_INVALID_LENGTH'))
})

test('null where a value is needed is an error', () => {
  assert.throws(() => reader('ffff').string(false), hasCode('ERR_PROTOCOL_NULL_FIELD'))
  assert.throws(() => reader('00').bytes(true), hasCode('ERR_PROTOCOL_NULL_FIELD'))
  assert.throws(() => reader('ffffffff').arrayLength(false, 1), hasCode('ERR_PROTOCOL_NULL_FIELD'))
  const request = { topics: null }
  assert.throws(() => metadataApi.request.write(new ByteWriter(), request, 0), hasCode('ERR_PROTOCOL_NULL_FIELD'))
})

test('a message of more elements than the limit is refused', () => {
  // One-byte elements, as many as the limit and one more.
  const buffer = Buffer.alloc(ARRAY_ELEMENTS_MAX + 10)
  buffer.writeInt32BE(ARRAY_ELEMENTS_MAX + 1, 0)
  assert.throws(() => new ByteReader(buffer).arrayLength(false, 1), hasCode('ERR_PROTOCOL_TOO_MANY_ELEMENTS'))
})

test('unknown tagged fields are skipped, wherever they stand', () => {
  // ApiVersions v3 request: two compact strings, then tags 7 and 9 that nobody knows.
  const body = Buffer.from('0261026202' + '0703aabbcc' + '0900', 'hex')
  const message = apiVersionsApi.request.read(new ByteReader(body), 3)
  assert.deepEqual(message, { clientSoftwareName: 'a', clientSoftwareVersion: 'b' })
})

test('a tagged field whose size is not that of its content is refused', () => {
  // Fetch v12 request with tag 0 (a compact string "ab", three bytes) of size 4.
  const writer = new ByteWriter()
  fetchApi.request.write(writer, { clusterId: 'ab' }, 12)
  const bytes = writer.toBuffer()
  const at = bytes.lastIndexOf(Buffer.from('010003036162', 'hex'))
  assert.ok(at > 0)
  const longer = Buffer.concat([bytes, Buffer.alloc(1)])
  longer.writeUInt8(4, at + 2)
  assert.throws(() => fetchApi.request.read(new ByteReader(longer), 12), hasCode('ERR_PROTOCOL_INVALID_TAGGED_FIELD'))
})

test('a field that matters cannot be sent in a version that lacks it; an ignorable one is left out', () => {
  const matters = { transactionalId: 'tx' }
  produceApi.request.write(new ByteWriter(), matters, 3)
  const attempt = (): void => initProducerIdApi.request.write(new ByteWriter(), { producerId: 5n }, 2)
  assert.throws(attempt, hasCode('ERR_PROTOCOL_UNSUPPORTED_FIELD'))
  assert.throws(
    () => fetchApi.request.write(new ByteWriter(), { replicaId: 3 }, 15),
    hasCode('ERR_PROTOCOL_UNSUPPORTED_FIELD')
  )
  const plain = written(w => fetchApi.request.write(w, {}, 10))
  assert.equal(
    written(w => fetchApi.request.write(w, { rackId: 'r' }, 10)),
    plain
  )
})

test('versions outside of the range are refused', () => {
  for (const version of [-1, 3, 19, 1000]) {
    assert.throws(() => fetchApi.request.read(reader('00'), version), hasCode('ERR_PROTOCOL_UNSUPPORTED_VERSION'))
    assert.throws(
      () => fetchApi.request.write(new ByteWriter(), {}, version),
      hasCode('ERR_PROTOCOL_UNSUPPORTED_VERSION')
    )
  }
})

test('a version that Kafka marks as unstable is not the newest to use', () => {
  assert.equal(initProducerIdApi.maxVersion, 5)
  assert.equal(initProducerIdApi.maxVersionUnstable, 6)
  assert.equal(initProducerIdApi.request.maxVersion, 6)
})

test('large byte fields are passed on, not copied, and small ones are', () => {
  const large = Buffer.alloc(REFERENCE_BYTES_MIN, 7)
  const small = Buffer.alloc(10, 8)
  const partitionData = [
    { index: 0, records: large },
    { index: 1, records: small },
    { index: 2, records: [small, large] }
  ]
  const topicData = [{ name: 'a', partitionData }]
  const chunks = encodeRequest(
    produceApi,
    9,
    { correlationId: 1, clientId: null },
    { acks: -1, timeoutMs: 1, topicData }
  )
  assert.equal(chunks.filter(chunk => chunk === large).length, 2)
  const whole = Buffer.concat(chunks)
  assert.equal(whole.readInt32BE(0), whole.length - 4)
  const at = new ByteReader(whole, 4)
  decodeRequestHeader(at)
  const read = produceApi.request.read(at, 9).topicData[0]?.partitionData.map(partition => partition.records)
  assert.deepEqual(read, [large, small, Buffer.concat([small, large])])
  assert.equal(read?.[0]?.buffer, whole.buffer)
})

test('a writer that grows keeps what was written before', () => {
  const writer = new ByteWriter(1)
  const expected: Buffer[] = []
  for (let index = 0; index < 2000; index++) {
    const part = Buffer.alloc(index % 1500, index)
    writer.int32(index)
    writer.bytes(part, true)
    const head = new ByteWriter()
    head.int32(index)
    head.uvarint(part.length + 1)
    expected.push(head.toBuffer(), part)
  }
  assert.ok(writer.toBuffer().equals(Buffer.concat(expected)))
})

test('the header of an unknown API or version is read as far as it is fixed', () => {
  const unknown = reader('03e700050000002affff')
  assert.deepEqual(decodeRequestHeader(unknown), { apiKey: 999, apiVersion: 5, correlationId: 42, clientId: null })
  const future = reader('0012006300000001000161')
  assert.deepEqual(decodeRequestHeader(future), { apiKey: 18, apiVersion: 99, correlationId: 1, clientId: 'a' })
  assert.equal(apiByKey(999), undefined)
  assert.equal(apiByKey(-1), undefined)
  assert.equal(apiByKey(18)?.name, 'ApiVersions')
})

test('the response of ApiVersions has no tags in its header in any version', () => {
  const response = Buffer.concat(encodeResponse(apiVersionsApi, 3, 5, {}))
  // Length, correlation id, error code, an empty compact array: no byte between the id and the error code.
  assert.equal(response.subarray(4, 11).toString('hex'), '00000005000001')
  assert.equal(decodeResponse(apiVersionsApi, 3, response.subarray(4)).correlationId, 5)
})

test('what is absent from an input is written as the default of Kafka', () => {
  const hex = written(w => metadataApi.request.write(w, {}, 12))
  const message = metadataApi.request.read(reader(hex), 12)
  assert.deepEqual(message.topics, [])
  assert.equal(message.allowAutoTopicCreation, true)
  assert.equal(
    written(w => w.uuid(ZERO_UUID)),
    '0'.repeat(32)
  )
})

test('records of internal topics begin with their type, values and subscriptions with their version', () => {
  const key = encodeRecordKey(offsetCommitKeyCodec, { group: 'g', topic: 't', partition: 3 })
  assert.equal(key.toString('hex'), '0001' + '000167' + '000174' + '00000003')
  assert.equal(recordTypeOf(key), offsetCommitKeyCodec.recordType)
  assert.deepEqual(decodeRecordKey(offsetCommitKeyCodec, key), { group: 'g', topic: 't', partition: 3 })
  assert.equal(recordTypeOf(encodeRecordKey(groupMetadataKeyCodec, { group: 'g' })), 2)
  // Kafka's key of the marker that commits a transaction: version 0, type 1.
  const marker = encodeVersioned(controlRecordTypeSchemaCodec, 0, { type: 1 })
  assert.equal(marker.toString('hex'), '00000001')
  assert.deepEqual(decodeVersioned(controlRecordTypeSchemaCodec, marker), { type: 1 })
})

test('a subscription of a newer version is read as the newest known one, a record value is not', () => {
  const subscription = encodeVersioned(consumerProtocolSubscriptionCodec, 3, { topics: ['a'], rackId: 'r' })
  subscription.writeInt16BE(9, 0)
  assert.equal(decodeConsumerProtocol(consumerProtocolSubscriptionCodec, subscription).rackId, 'r')
  const read = (): unknown => decodeVersioned(consumerProtocolSubscriptionCodec, subscription)
  assert.throws(read, hasCode('ERR_PROTOCOL_UNSUPPORTED_VERSION'))
})

test("Kafka's errors go from name to code and back", () => {
  // Source: kafka.apache.org/protocol#protocol_error_codes.
  assert.equal(KAFKA_ERRORS.NOT_LEADER_OR_FOLLOWER.code, 6)
  assert.equal(kafkaErrorName(27), 'REBALANCE_IN_PROGRESS')
  assert.equal(kafkaErrorName(0), 'NONE')
  assert.equal(kafkaErrorName(12_345), 'UNKNOWN_SERVER_ERROR')
  assert.equal(isKafkaErrorRetriable(6), true)
  assert.equal(isKafkaErrorRetriable(10), false)
  assert.equal(kafkaErrorEntry(3).isMetadataStale, true)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as protocol from '../../src/protocol/index.ts'
import { ByteReader, ByteWriter, decodeRequestHeader, encodeRequest, encodeResponse } from '../../src/protocol/index.ts'
import type { AnyApi, MessageCodec } from '../../src/protocol/index.ts'
import { bytes, fixture, isObject, type Json, number, object, type Row, text } from './fixtures.ts'

interface Kind {
  readonly head: Row
  readonly rows: Row[]
}

/** Captures by message: a head row, then one row per version and variant. */
function kinds(): Map<string, Kind> {
  const found = new Map<string, Kind>()
  let kind: Kind | undefined
  for (const row of fixture('messages.ndjson.gz')) {
    if (row['kind'] === 'message') {
      kind = { head: row, rows: [] }
      found.set(text(row, 'name'), kind)
    } else kind?.rows.push(row)
  }
  return found
}

type AnyCodec = MessageCodec<Row, Row>

/** Every codec that the room exports, by Kafka's name. */
function codecs(): Map<string, AnyCodec> {
  const found = new Map<string, AnyCodec>()
  for (const [name, value] of Object.entries(protocol)) {
    // The name says what it is: generated codecs are the exports that end so.
    const codec = value as unknown as AnyCodec
    if (name.endsWith('Codec')) found.set(codec.name, codec)
  }
  return found
}

/** A decoded value in the form of Kafka's JSON converters: bytes in base64, small integers as numbers. */
function jsonOf(value: unknown): Json {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(jsonOf)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(inner)]))
  }
  return value as Json // What is left is null, boolean, number or string.
}

/** Compares with Kafka's JSON; a field that Kafka leaves out must have the default of Kafka's class. */
function assertSame(
  actual: Json,
  expected: Json,
  where: { defaults: Row; struct: string | undefined; path: string }
): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), where.path)
    assert.equal(actual.length, expected.length, where.path)
    expected.forEach((inner, index) =>
      assertSame(actual[index] ?? null, inner, { ...where, path: `${where.path}[${index}]` })
    )
    return
  }
  if (!isObject(expected)) {
    assert.deepEqual(actual, expected, where.path)
    return
  }
  assert.ok(isObject(actual), where.path)
  const fields = object(where.defaults, where.struct ?? '')
  for (const key of Object.keys(expected)) {
    // Of records Kafka's converter gives the size alone.
    const isSize = key.endsWith('SizeInBytes') && !(key in actual)
    assert.ok(isSize || key in actual, `${where.path}.${key} is missing`)
  }
  for (const [key, value] of Object.entries(actual)) {
    const path = `${where.path}.${key}`
    const size: Json | undefined = expected[`${key}SizeInBytes`]
    if (typeof value === 'string' && size !== undefined) {
      assert.equal(Buffer.from(value, 'base64').length, size, path)
      continue
    }
    const field = fields[key]
    const entry = isObject(field) ? field : {}
    const struct = typeof entry['struct'] === 'string' ? entry['struct'] : undefined
    if (key in expected) assertSame(value, expected[key] ?? null, { defaults: where.defaults, struct, path })
    else assertDefault(value, entry, { ...where, path })
  }
}

function assertDefault(actual: Json, entry: Row, where: { defaults: Row; path: string }): void {
  const expected = entry['value'] ?? null
  if (!isObject(expected)) {
    assert.deepEqual(actual, expected, `${where.path} has another default`)
    return
  }
  assert.ok(isObject(actual))
  const fields = object(where.defaults, text(entry, 'struct'))
  for (const [key, value] of Object.entries(actual)) {
    const field = fields[key]
    assertDefault(value, isObject(field) ? field : {}, { ...where, path: `${where.path}.${key}` })
  }
}

const ALL = kinds()
const CODECS = codecs()

test('every message that has a codec was captured from Kafka, in every version', () => {
  for (const [name, codec] of CODECS) {
    if (name.startsWith('LegacyOffsetCommit')) continue // Kafka only reads these.
    const versions = ALL.get(name)
      ?.rows.filter(row => row['variant'] === 'full')
      .map(row => row['version'])
    const expected = Array.from(
      { length: codec.maxVersion - codec.minVersion + 1 },
      (_, index) => codec.minVersion + index
    )
    assert.deepEqual(versions, expected, name)
  }
})

for (const [name, codec] of CODECS) {
  const kind = ALL.get(name)
  if (kind === undefined) continue
  test(`${name}: Kafka's bytes decode to Kafka's JSON and encode to the same bytes`, () => {
    for (const row of kind.rows) {
      const version = number(row, 'version')
      const label = `${name} v${version} ${text(row, 'variant')}`
      const expected = bytes(row, 'bytes')
      const reader = new ByteReader(expected)
      const message = codec.read(reader, version)
      assert.equal(reader.remaining, 0, `${label}: bytes are left`)
      const where = { defaults: object(kind.head, 'defaults'), struct: text(kind.head, 'root'), path: label }
      assertSame(jsonOf(message), row['json'] ?? null, where)
      const writer = new ByteWriter()
      codec.write(writer, message, version)
      assert.equal(writer.toBuffer().toString('hex'), expected.toString('hex'), `${label}: encoded`)
    }
  })
}

test("headers of requests and responses are Kafka's, for every API and version", () => {
  let checked = 0
  for (const api of protocol.ALL_APIS as readonly AnyApi[]) {
    for (const isRequest of [true, false]) {
      const codec = isRequest ? api.request : api.response
      for (const row of ALL.get(codec.name)?.rows ?? []) {
        if (typeof row['header'] !== 'string') continue
        const version = number(row, 'version')
        const body = bytes(row, 'bytes')
        const message = codec.read(new ByteReader(body), version)
        const expected = Buffer.concat([bytes(row, 'header'), body])
        const chunks = isRequest
          ? encodeRequest(api, version, { correlationId: 77, clientId: 'client-7' }, message as never)
          : encodeResponse(api, version, 77, message as never)
        const actual = Buffer.concat(chunks)
        assert.equal(actual.readInt32BE(0), expected.length, codec.name)
        assert.equal(actual.subarray(4).toString('hex'), expected.toString('hex'), `${codec.name} v${version}`)
        if (isRequest) {
          const reader = new ByteReader(actual, 4)
          const header = { apiKey: api.key, apiVersion: version, correlationId: 77, clientId: 'client-7' }
          assert.deepEqual(decodeRequestHeader(reader), header)
          assert.equal(reader.remaining, body.length)
        } else {
          const decoded = protocol.decodeResponse(api, version, actual.subarray(4))
          assert.equal(decoded.correlationId, 77)
          assert.deepEqual(decoded.message, message)
        }
        checked++
      }
    }
  }
  assert.ok(checked > 500, `${checked} headers were checked`)
})

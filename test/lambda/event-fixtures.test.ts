/**
 * Events byte for byte: what AWS documents is read as it is meant, and what the dispatcher (`format: esm`, `format:
 * json`) and the local event source mapping write is what the fixtures say. Sources: test/fixtures/lambda/README.md.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

import { KafkaMskEventSchema, KafkaSelfManagedEventSchema } from '@aws-lambda-powertools/parser/schemas/kafka'

import { createPayloadEncoder, type PayloadColumn } from '../../src/dispatcher/payload.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'
import { EventWriter, recordText } from '../../src/lambda/esm/event-text.ts'
import { type EventPartition, readEvent } from '../../src/lambda/event/read-event.ts'
import { crc32c, RecordCursor } from '../../src/protocol/index.ts'
import { recordBatch, tableOf } from '../dispatcher/support.ts'

const folder = path.join(import.meta.dirname, '../fixtures/lambda')

function eventText(name: string): string {
  return readFileSync(path.join(folder, `${name}.event.json`), 'utf8').trimEnd()
}

function event(name: string): unknown {
  return JSON.parse(eventText(name))
}

function onlyPartition(given: unknown): EventPartition {
  const { partitions } = readEvent(given)
  assert.equal(partitions.length, 1)
  const [partition] = partitions
  assert.ok(partition)
  return partition
}

interface Records {
  readonly topic: string
  readonly partition: number
  readonly timestampType: 'CREATE_TIME' | 'LOG_APPEND_TIME'
  readonly bootstrapServers: string
  readonly records: readonly {
    readonly offset: number
    readonly timestamp: number
    readonly key: string | null
    readonly value: string | null
    readonly headers: readonly (readonly [string, string | null])[]
  }[]
}

function recordsOf(name: string): Records {
  return JSON.parse(readFileSync(path.join(folder, `${name}.records.json`), 'utf8')) as Records
}

function bytes(hex: string | null): Buffer | null {
  return hex === null ? null : Buffer.from(hex, 'hex')
}

/** The records as they lie in a log: a batch each, so that offsets may have gaps. */
function logOf({ records, timestampType }: Records): Buffer {
  const batches = records.map(({ offset, timestamp, key, value, headers }) => {
    const list = headers.map(([name, hex]) => ({ key: name, value: bytes(hex) }))
    const batch = recordBatch(BigInt(offset), [
      { key: bytes(key), value: bytes(value), headers: list, timestampMs: timestamp }
    ])
    // Attributes, bit 3: the topic stamps.
    if (timestampType === 'LOG_APPEND_TIME') {
      batch.writeInt16BE(8, 21)
      batch.writeUInt32BE(crc32c(batch, 21), 17)
    }
    return batch
  })
  return Buffer.concat(batches)
}

test('AWS’s examples are read: topic, partition, offset, time, key, value, headers', () => {
  for (const name of ['msk-documented', 'self-managed-documented']) {
    const read = readEvent(event(name))
    assert.equal(read.format, 'esm')
    const partition = onlyPartition(event(name))
    assert.deepEqual([partition.name, partition.topic, partition.partition], ['mytopic-0', 'mytopic', 0])
    assert.deepEqual(partition.offsets, [15])
    assert.deepEqual(partition.timestamps, [1545084650987])
    assert.equal(partition.timestampType(0), 'CREATE_TIME')
    assert.equal(partition.valueBytes(0)?.toString('utf8'), 'Hello, this is a test.')
    assert.equal(partition.problems.get(0), 'the value is not JSON')
    assert.deepEqual(partition.keyBytes(0)?.length, 22)
    assert.deepEqual(partition.headers(0), [{ name: 'headerKey', value: Buffer.from('headerValue') }])
  }
  const rust = onlyPartition(event('rust-example'))
  assert.deepEqual(rust.keys, ['8d5596b4-1813-4238-b24b-6dad8e3d1c0c'])
  assert.deepEqual(rust.offsets, [0])
})

test('a key may be present, absent or null, and what a schema registry says stays with the record', () => {
  const partition = onlyPartition(event('schema-metadata'))
  assert.deepEqual(partition.keys, ['recordKey', null, null])
  assert.deepEqual(
    [0, 1, 2].map(index => partition.keyBytes(index)?.toString()),
    ['recordKey', undefined, undefined]
  )
  assert.deepEqual(partition.messages, [{ key: 'value' }, { key: 'value' }, { key: 'value' }])
  assert.deepEqual(partition.source(0)?.['valueSchemaMetadata'], { dataFormat: 'AVRO', schemaId: '1234' })
})

test('older examples are read: the partition as text, a header as Base64', () => {
  const partition = onlyPartition(event('partition-as-text'))
  assert.equal(partition.partition, 0)
  assert.deepEqual(partition.headers(0), [{ name: 'headerKey', value: Buffer.from('headerValue') }])
  assert.deepEqual(partition.keys, [null])
})

test('topic and partition are those of the records, whatever a topic is called', () => {
  const { partitions } = readEvent(event('several-partitions'))
  assert.deepEqual(
    partitions.map(each => [each.name, each.topic, each.partition, [...each.offsets]]),
    [
      ['orders-0', 'orders', 0, [5, 6]],
      ['orders-1', 'orders', 1, [5]],
      ['orders-1-0', 'orders-1', 0, [9]]
    ]
  )
  assert.deepEqual(
    [onlyPartition(event('every-shape')).topic, onlyPartition(event('every-shape')).partition],
    ['a-1-2', 7]
  )
  // Without them the name of the list has to do: the partition is behind the last dash.
  const bare = onlyPartition({ records: { 'a-1-2': [{ offset: 3, value: 'MQ==' }] } })
  assert.deepEqual([bare.topic, bare.partition], ['a-1', 2])
})

for (const name of ['every-shape', 'largest-offset', 'log-append-time']) {
  test(`the records of ${name} are read from its event as they were produced`, () => {
    const { topic, partition, timestampType, records } = recordsOf(name)
    const read = onlyPartition(event(name))
    assert.deepEqual([read.topic, read.partition], [topic, partition])
    for (const [index, record] of records.entries()) {
      assert.equal(read.offsets[index], record.offset)
      assert.equal(read.timestamps?.[index], record.timestamp)
      assert.equal(read.timestampType(index), timestampType)
      assert.deepEqual(read.keyBytes(index), bytes(record.key))
      assert.deepEqual(read.valueBytes(index), bytes(record.value))
      const headers = record.headers.map(([header, hex]) => ({ name: header, value: bytes(hex) }))
      assert.deepEqual(read.headers(index), headers)
    }
  })

  test(`the dispatcher writes ${name} as AWS does, byte for byte`, () => {
    const given = recordsOf(name)
    const log = logOf(given)
    const cursor = new RecordCursor()
    cursor.reset(log)
    const base = BigInt(given.records[0]?.offset ?? 0)
    const table = new RecordTable(8)
    table.reset(base)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) table.add(cursor, Number(cursor.offset() - base), cursor.isTimeFixed)
    }
    const encoder = createPayloadEncoder({
      format: 'esm',
      include: [],
      limits: { bytesMax: 1e6, bodyBytesMax: 1e6 },
      origin: { bootstrapServers: given.bootstrapServers }
    })
    encoder.begin(given.topic, given.partition, false)
    for (let row = 0; row < table.count; row += 1) assert.equal(encoder.append(table, row), 'added')
    assert.equal(encoder.finish(table).toString('utf8'), eventText(name))
  })

  test(`the local event source mapping writes ${name} as AWS does, byte for byte`, () => {
    const { topic, partition, bootstrapServers, ...given } = recordsOf(name)
    const cursor = new RecordCursor()
    cursor.reset(logOf({ topic, partition, bootstrapServers, ...given }))
    const texts: string[] = []
    while (cursor.nextBatch()) while (cursor.nextRecord()) texts.push(recordText(topic, partition, cursor))
    const writer = new EventWriter({ topic, eventSourceArn: undefined, bootstrapServers })
    const records = texts.map((text, index) => ({
      partition,
      offset: given.records[index]?.offset ?? 0,
      timestampMs: 0,
      text,
      bytes: Buffer.byteLength(text),
      arrivedMs: 0
    }))
    assert.equal(writer.write(records), eventText(name))
  })
}

test('Powertools’ schemas take what the dispatcher writes, and what AWS documents', () => {
  for (const name of ['self-managed-documented', 'several-partitions', 'log-append-time']) {
    assert.ok(KafkaSelfManagedEventSchema.safeParse(event(name)).success, name)
  }
  assert.ok(KafkaMskEventSchema.safeParse(event('msk-documented')).success)
})

const COMPORTA_COLUMNS: Readonly<Record<string, readonly PayloadColumn[]>> = {
  all: ['offsets', 'timestamps', 'keys', 'headers'],
  default: ['offsets', 'timestamps'],
  offsets: ['offsets'],
  keys: ['offsets', 'keys'],
  'without-offsets': []
}

for (const [name, include] of Object.entries(COMPORTA_COLUMNS)) {
  test(`the dispatcher writes comporta-${name}, byte for byte`, () => {
    const c3 = Buffer.from([0xc3])
    const headers = [
      { key: 'a', value: Buffer.from('1') },
      { key: 'a', value: null },
      { key: 'b', value: c3 }
    ]
    const rows = [
      { key: 'T-1', value: '{"codigo": 400,"s":"é"}', timestampMs: 1545084650987, headers },
      { key: null, value: '[1,2]', timestampMs: 1545084650988 },
      { key: Buffer.from([0xff, 0]), value: null, timestampMs: 5, headers: [{ key: 'c', value: Buffer.alloc(0) }] }
    ]
    const table = tableOf(41n, rows.slice(0, 2))
    const last = new RecordCursor()
    last.reset(recordBatch(44n, rows.slice(2)))
    assert.ok(last.nextBatch() && last.nextRecord())
    table.add(last, 3, false)
    const origin = { bootstrapServers: '' }
    const limits = { bytesMax: 1e6, bodyBytesMax: 1e6 }
    const encoder = createPayloadEncoder({ format: 'json', include, limits, origin })
    encoder.begin('mt-c400', 3, false)
    for (let row = 0; row < table.count; row += 1) assert.equal(encoder.append(table, row), 'added')
    assert.equal(encoder.finish(table).toString('utf8'), eventText(`comporta-${name}`))
  })
}

test('Comporta’s payload is read with whatever lists it has', () => {
  const all = onlyPartition(event('comporta-all'))
  assert.deepEqual([all.name, all.topic, all.partition, all.offsets], ['mt-c400-3', 'mt-c400', 3, [41, 42, 44]])
  assert.deepEqual(all.timestamps, [1545084650987, 1545084650988, 5])
  assert.deepEqual(all.keys, ['T-1', null, 'base64:/wA='])
  assert.deepEqual(all.keyBytes(2), Buffer.from([0xff, 0]))
  assert.deepEqual(all.headers(0), [
    { name: 'a', value: Buffer.from('1') },
    { name: 'a', value: null },
    { name: 'b', value: Buffer.from([0xc3]) }
  ])
  assert.deepEqual([all.headers(1), all.headers(2)], [[], [{ name: 'c', value: Buffer.alloc(0) }]])
  assert.equal(all.valueBytes(0)?.toString(), '{"codigo":400,"s":"é"}')
  assert.equal(all.valueBytes(2), null)

  const bare = onlyPartition(event('comporta-offsets'))
  assert.deepEqual([bare.timestamps, bare.keys, bare.headers(0)], [undefined, undefined, []])
  assert.throws(() => readEvent(event('comporta-without-offsets')), {
    code: 'ERR_LAMBDA_EVENT_UNRECOGNISED',
    message: /payload\.include/
  })
})

test('header bytes may be signed or not; what is no byte makes the headers unreadable', () => {
  const headersOf = (value: unknown): unknown =>
    onlyPartition({ records: { 't-0': [{ offset: 0, headers: [{ h: value }] }] } }).headers(0)
  assert.deepEqual(headersOf([-128, -1, 0, 127, 128, 255]), [
    { name: 'h', value: Buffer.from([128, 255, 0, 127, 128, 255]) }
  ])
  for (const value of [[256], [-129], [1.5], ['1'], [null], {}, 7, 'no base64!', true]) {
    assert.equal(headersOf(value), undefined, JSON.stringify(value))
  }
  for (const headers of [7, ['x'], [[1]], { h: [1] }]) {
    assert.equal(onlyPartition({ records: { 't-0': [{ offset: 0, headers }] } }).headers(0), undefined)
  }
  for (const headers of [undefined, null, [], [{}]]) {
    assert.deepEqual(onlyPartition({ records: { 't-0': [{ offset: 0, headers }] } }).headers(0), [])
  }
})

test('Base64 may be without padding, for URLs or in lines; anything else is told from it', () => {
  const valueOf = (value: string): string | undefined =>
    onlyPartition({ records: { 't-0': [{ offset: 0, value }] } })
      .valueBytes(0)
      ?.toString('latin1')
  assert.deepEqual(['YQ==', 'YQ', 'YWI=', 'YWI', 'YWJj', ''].map(valueOf), ['a', 'a', 'ab', 'ab', 'abc', ''])
  assert.deepEqual(['_-8=', '/+8=', 'YW\nJj\n'].map(valueOf), ['ÿï', 'ÿï', 'abc'])
  for (const value of ['YQ==YQ==', '{"a":1}', 'a', 'YQ=', 'YWJj!', '====', 'é', 'YW Jj!']) {
    assert.equal(valueOf(value), undefined, value)
  }
})

test('what is not exactly an event is refused as a whole', () => {
  const record = { topic: 't', partition: 0, offset: 1, value: 'MQ==' }
  const records = (...list: unknown[]): unknown => ({ records: { 't-0': list } })
  const ours = (more: object): unknown => ({ topic: 't', partition: 0, messages: [1, 2], offsets: [1, 2], ...more })
  const refused: unknown[] = [
    undefined,
    null,
    7,
    'text',
    [],
    {},
    { records: null },
    { records: [] },
    { records: { 't-0': {} } },
    records('x'),
    records(null),
    records([]),
    records({ ...record, offset: '1' }),
    records({ ...record, offset: -1 }),
    records({ ...record, offset: 1.5 }),
    records({ ...record, offset: 9007199254740992 }),
    { records: { t: [{ offset: 1 }] } },
    { records: { '-0': [{ offset: 1 }] } },
    { records: { 't-x': [{ offset: 1 }] } },
    { records: { x: [] } },
    records(record, { ...record, topic: 'u' }),
    records(record, { ...record, partition: 1 }),
    ours({ offsets: [1] }),
    ours({ offsets: [1, '2'] }),
    ours({ offsets: [1, 9007199254740992] }),
    ours({ offsets: undefined }),
    ours({ topic: '' }),
    ours({ topic: 3 }),
    ours({ partition: -1 }),
    ours({ partition: '0' }),
    ours({ keys: ['a'] }),
    ours({ keys: 'ab' }),
    ours({ headers: [[]] }),
    ours({ timestamps: [1] }),
    { Records: [{ body: '{}' }] }
  ]
  for (const given of refused) {
    assert.throws(() => readEvent(given), { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' }, JSON.stringify(given))
  }
})

test('an event without records is one with nothing to do', () => {
  const empty: unknown[] = [
    { records: {} },
    { eventSource: 'aws:kafka', records: null },
    { records: { 't-0': [], 'u-1': null } }
  ]
  for (const given of empty) assert.deepEqual(readEvent(given), { format: 'esm', partitions: [] })
  assert.equal(onlyPartition({ topic: 't', partition: 0, messages: [], offsets: [] }).offsets.length, 0)
})

test('names of Object’s own members are topics and headers like any other', () => {
  const given: unknown = JSON.parse(
    '{"records":{"__proto__-0":[{"topic":"__proto__","partition":0,"offset":1,' +
      '"headers":[{"__proto__":[1]},{"constructor":[2]}]}]}}'
  )
  const partition = onlyPartition(given)
  assert.equal(partition.topic, '__proto__')
  assert.deepEqual(
    partition.headers(0)?.map(header => header.name),
    ['__proto__', 'constructor']
  )
})

/**
 * Powertools' parser on AWS's Kafka events: which of them its schemas take, and where they are narrower than what
 * Lambda sends. docs/guides/function-telemetry.md tells users; when a newer version mends one, a test here says so.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { KafkaEnvelope } from '@aws-lambda-powertools/parser/envelopes/kafka'
import { KafkaMskEventSchema, KafkaSelfManagedEventSchema } from '@aws-lambda-powertools/parser/schemas/kafka'
import { z } from 'zod'

const folder = join(import.meta.dirname, '../fixtures/lambda')

interface Event {
  readonly eventSource: string
  readonly records: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
}

function eventOf(name: string): Event {
  return JSON.parse(readFileSync(join(folder, `${name}.event.json`), 'utf8')) as Event
}

function schemaOf({ eventSource }: Event): typeof KafkaMskEventSchema | typeof KafkaSelfManagedEventSchema {
  return eventSource === 'aws:kafka' ? KafkaMskEventSchema : KafkaSelfManagedEventSchema
}

/** An event with one record, changed. */
function eventWith(change: Readonly<Record<string, unknown>>): Event {
  const event = eventOf('self-managed-documented')
  return { ...event, records: { 'mytopic-0': [{ ...event.records['mytopic-0']?.[0], ...change }] } }
}

test('its schemas take the events of AWS’s documentation, and those of several partitions', () => {
  for (const name of ['msk-documented', 'self-managed-documented', 'several-partitions', 'log-append-time']) {
    const event = eventOf(name)
    assert.equal(schemaOf(event).safeParse(event).success, true, name)
  }
  const { records } = KafkaSelfManagedEventSchema.parse(eventOf('several-partitions'))
  assert.deepEqual(
    Object.entries(records).map(([partition, list]) => [partition, list.map(({ offset, value }) => [offset, value])]),
    [
      [
        'orders-0',
        [
          [5, '{"n":5}'],
          [6, '{"n":6}']
        ]
      ],
      ['orders-1', [[5, '{"n":5}']]],
      ['orders-1-0', [[9, '{"n":9}']]]
    ]
  )
})

test('its envelope takes them, too, and loses which record a value is of', () => {
  const schema = z.string().transform(text => JSON.parse(text) as unknown)

  assert.deepEqual(KafkaEnvelope.parse(eventOf('several-partitions'), schema), [{ n: 5 }, { n: 6 }, { n: 5 }, { n: 9 }])
})

test('wrong: bytes of headers are signed, and one above 127 throws, from safeParse as well', () => {
  // "é" in UTF-8, as Lambda sends it.
  const event = eventWith({ headers: [{ name: [-61, -87] }] })

  assert.throws(() => KafkaSelfManagedEventSchema.safeParse(event), RangeError)
})

test('wrong: bytes of headers are taken for code points, and not for UTF-8', () => {
  const parsed = KafkaSelfManagedEventSchema.parse(eventWith({ headers: [{ name: [0xc3, 0xa9] }] }))

  assert.deepEqual(parsed.records['mytopic-0']?.[0]?.headers, [{ name: 'Ã©' }])
})

test('wrong: a tombstone, and a key that is null, fail the whole event', () => {
  for (const change of [{ value: null }, { value: undefined }, { key: null }]) {
    const event = eventWith(change)
    assert.equal(KafkaSelfManagedEventSchema.safeParse(event).success, false, JSON.stringify(change))
    assert.equal(KafkaEnvelope.safeParse(event, z.unknown()).success, false)
  }
  assert.equal(KafkaSelfManagedEventSchema.safeParse(eventWith({ key: undefined })).success, true)
})

test('wrong: bytes that are not UTF-8 are replaced, and nobody hears of it', () => {
  const parsed = KafkaSelfManagedEventSchema.parse(eventWith({ value: Buffer.of(0xff, 0x00).toString('base64') }))

  assert.equal(parsed.records['mytopic-0']?.[0]?.value, '\ufffd\u0000')
})

test('wrong: what a schema registry says of a record is left out', () => {
  const event = eventOf('schema-metadata')
  const [record] = event.records['mytopic-0'] ?? []
  assert.ok(record !== undefined && 'valueSchemaMetadata' in record)

  const parsed = KafkaMskEventSchema.parse({ ...event, records: { 'mytopic-0': [record] } })

  assert.equal('valueSchemaMetadata' in (parsed.records['mytopic-0']?.[0] ?? {}), false)
})

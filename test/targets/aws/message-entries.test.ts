/** Messages, events and stream records made from records: sizes in bytes, characters, groups, what fits nowhere. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { templateOf } from '../../../src/targets/aws/aws-settings.ts'
import { makeEvents } from '../../../src/targets/aws/event-entries.ts'
import { makeMessages, type MessageEntry, type MessageSettings } from '../../../src/targets/aws/message-entries.ts'
import { messageSettings } from '../../../src/targets/aws/message-settings.ts'
import { deduplicationIdOf, groupIdOf, safeJsonText } from '../../../src/targets/aws/message-text.ts'
import { makeStreamEntries } from '../../../src/targets/aws/stream-entries.ts'
import { numbered, sinkRequest } from './sink-request.ts'

function fifo(given: Parameters<typeof messageSettings>[0] = {}, bytesMax = 262_144): MessageSettings {
  return messageSettings(given, { isFifo: true, bytesMax })
}

function standard(given: Parameters<typeof messageSettings>[0] = {}, bytesMax = 262_144): MessageSettings {
  return messageSettings(given, { isFifo: false, bytesMax })
}

test('characters that a queue refuses become escapes, and the JSON value stays what it was', () => {
  // Allowed: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF (SQS API reference).
  const allowed = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u
  for (const value of ['a\ufffeb', '\uffff', '\u0001\u0008', 'tab\tand\nline', '😀 São \u007f', '\ud800 alone']) {
    const raw = `{"t":"${value.replace(/[\t\n\r]/g, each => JSON.stringify(each).slice(1, -1))}"}`
    const safe = safeJsonText(raw)
    assert.match(safe, allowed)
    assert.equal((JSON.parse(safe) as { t: string }).t, value)
  }
  const plain = '{"cidade":"São Paulo","emoji":"😀"}'
  assert.equal(safeJsonText(plain), plain)
})

test('a message is measured in bytes of UTF-8, attributes included', () => {
  // {"c":"ã"} is 10 bytes and 9 characters; the attribute k is 1 + "String" 6 + "é" 2 = 9.
  const request = sinkRequest([{ text: '{"c":"ã"}', key: 'é' }])
  const settings = { attributes: { k: '{key}' } }
  const [taken] = makeMessages(request, standard(settings, 19)).entries
  assert.equal(taken?.bytes, 19)
  const { entries, refused } = makeMessages(request, standard(settings, 18))
  assert.deepEqual(entries, [])
  assert.deepEqual(refused.get(0), {
    action: 'deadLetter',
    reason: 'the message would have 19 bytes, and 18 is the most'
  })
})

test('a giant record is dead-lettered alone, and its neighbours are messages', () => {
  const giant = JSON.stringify({ t: 'x'.repeat(1_048_576) })
  const request = sinkRequest([{ text: '{"n":0}' }, { text: giant }, { text: '{"n":2}' }])
  for (const message of ['record', 'batch'] as const) {
    const { entries, refused } = makeMessages(request, standard({ message }, 1_048_576))
    assert.deepEqual([...refused.keys()], [1])
    assert.deepEqual(
      entries.flatMap(({ indexes }) => indexes),
      [0, 2]
    )
  }
})

test('a FIFO group is the key, or topic and partition for a record without one', () => {
  const keys = ['V-1', null, '', 'a b', 'x'.repeat(129), 'ção'.repeat(40)]
  const { entries } = makeMessages(sinkRequest(numbered(keys)), fifo())
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
  assert.deepEqual(
    entries.map(({ groupId }) => groupId),
    ['V-1', 'mt-c300-3', 'mt-c300-3', 'a%20b', hash('x'.repeat(129)), hash('ção'.repeat(40))]
  )
  assert.deepEqual(
    entries.map(({ deduplicationId }) => deduplicationId),
    [100, 101, 102, 103, 104, 105].map(offset => `mt-c300-3-${offset}`)
  )
})

test('group and deduplication ids have at most 128 characters of those that AWS takes', () => {
  // Letters, digits and !"#$%&'()*+,-./:;<=>?@[\]^_`{|}~ (SQS API reference, MessageGroupId).
  const taken = /^[a-zA-Z0-9!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]{1,128}$/
  const texts = [
    '',
    ' ',
    'a',
    'a b',
    '\u0000',
    '\ud800',
    '😀'.repeat(30),
    'x'.repeat(128),
    'x'.repeat(129),
    'ã'.repeat(22)
  ]
  for (const text of texts) {
    assert.match(groupIdOf(text), taken)
    assert.match(deduplicationIdOf(text), taken)
  }
  assert.equal(new Set(texts.map(deduplicationIdOf)).size, texts.length)
})

test('a group by a field of the value, and one of a standard queue, which keeps no order', () => {
  const records = [{ text: '{"a":{"b":7}}' }, { text: '{"a":{}}' }, { text: '{"a":{"b":12345678901234567890}}' }]
  const request = sinkRequest(records)
  const ordered = makeMessages(request, fifo({ group: 'v-{value.a.b}' })).entries
  assert.deepEqual(
    ordered.map(({ groupId, group }) => [groupId, group]),
    [
      ['v-7', 'v-7'],
      ['mt-c300-3', 'mt-c300-3'],
      ['v-12345678901234567890', 'v-12345678901234567890']
    ]
  )
  const fair = makeMessages(request, standard({ group: 'v-{value.a.b}' })).entries
  assert.deepEqual(
    fair.map(({ groupId, group, deduplicationId }) => [groupId, group, deduplicationId]),
    [
      ['v-7', undefined, undefined],
      [undefined, undefined, undefined],
      ['v-12345678901234567890', undefined, undefined]
    ]
  )
})

test('attributes keep their types; what is empty is left out, what is no text goes as bytes', () => {
  const settings = standard({
    attributes: { at: '{timestamp}', code: '{value.c}', from: '{topic}/{offset}', k: '{key}' }
  })
  const request = sinkRequest([
    { text: '{"c":300}', key: 'a\u0001b' },
    { text: '{}', key: '' }
  ])
  const [first, second] = makeMessages(request, settings).entries
  assert.deepEqual(first?.attributes, {
    at: { DataType: 'Number', StringValue: '1767225700000' },
    code: { DataType: 'String', StringValue: '300' },
    from: { DataType: 'String', StringValue: 'mt-c300/100' },
    k: { DataType: 'Binary', BinaryValue: Buffer.from('a\u0001b') }
  })
  assert.deepEqual(Object.keys(second?.attributes ?? {}), ['at', 'from'])
  assert.equal(makeMessages(request, standard({ attributes: {} })).entries[0]?.attributes, undefined)
})

test('batch messages stay within both limits, hold every record once, and in FIFO one group each', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 7)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 60; round += 1) {
    const records = Array.from({ length: 1 + randomInt(random, 60) }, (_, n) => ({
      text: JSON.stringify({ n, t: 'ã"\\'.repeat(randomInt(random, 60)) }),
      key: `k${randomInt(random, 4)}`
    }))
    const request = sinkRequest(records)
    const bytesMax = 1024 + randomInt(random, 2000)
    const messageRecordsMax = 1 + randomInt(random, 20)
    const isByKey = random.next() < 0.5
    const settings = fifo({ message: 'batch', messageRecordsMax, ...(isByKey ? { group: '{key}' } : {}) }, bytesMax)
    const { entries, refused } = makeMessages(request, settings)
    const hint = `TEST_SEED=${seed}, round ${round}`
    assert.equal(refused.size, 0, hint)
    const indexes = entries.flatMap(each => each.indexes)
    assert.deepEqual(new Set(indexes), new Set(request.texts.keys()), hint)
    assert.equal(indexes.length, request.texts.length, hint)
    for (const each of entries) checkBatch(each, { request, bytesMax, messageRecordsMax })
    for (const each of entries) {
      const keys = new Set(each.indexes.map(index => request.keys?.[index]))
      if (isByKey) assert.deepEqual(keys, new Set([each.groupId]), hint)
      else assert.equal(each.groupId, 'mt-c300-3')
    }
  }
})

function checkBatch(
  entry: MessageEntry,
  rule: {
    readonly request: ReturnType<typeof sinkRequest>
    readonly bytesMax: number
    readonly messageRecordsMax: number
  }
): void {
  const attributes = Object.entries(entry.attributes ?? {})
    .map(([name, each]) => name.length + each.DataType.length + (each.StringValue ?? '').length)
    .reduce((sum, each) => sum + each, 0)
  const real = Buffer.byteLength(entry.body) + attributes
  assert.ok(real <= entry.bytes && entry.bytes <= rule.bytesMax, `${real} ${entry.bytes} ${rule.bytesMax}`)
  assert.ok(entry.indexes.length <= rule.messageRecordsMax)
  const body = JSON.parse(entry.body) as { messages: unknown[]; offsets: number[]; idempotencyKeys: string[] }
  assert.deepEqual(
    body.messages,
    entry.indexes.map(index => JSON.parse(rule.request.texts[index] ?? '') as unknown)
  )
  assert.deepEqual(
    body.offsets,
    entry.indexes.map(index => rule.request.offsets[index])
  )
  assert.deepEqual(
    body.idempotencyKeys,
    entry.indexes.map(index => rule.request.recordIds[index])
  )
}

test('the same set of records is the same message for deduplication, another set is another', () => {
  const settings = fifo({ message: 'batch' })
  const idOf = (count: number, from: number): string | undefined =>
    makeMessages(sinkRequest(numbered(Array.from({ length: count }, () => 'k')), from), settings).entries[0]
      ?.deduplicationId
  assert.equal(idOf(5, 100), idOf(5, 100))
  assert.equal(new Set([idOf(5, 100), idOf(4, 100), idOf(5, 101), idOf(1, 100)]).size, 4)
  assert.equal(idOf(1, 100), 'mt-c300-3-100')
})

test('a record is deduplicated by what the settings say, or by its id where it has nothing for that', () => {
  const records = [{ text: '{"order":"A 1"}' }, { text: '{}' }, { text: '{"order":""}' }]
  const request = sinkRequest(records)
  const idsOf = (settings: Parameters<typeof fifo>[0]): (string | undefined)[] =>
    makeMessages(request, fifo(settings)).entries.map(({ deduplicationId }) => deduplicationId)
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
  assert.deepEqual(idsOf({ deduplicationId: '{value.order}' }), [hash('A 1'), 'mt-c300-3-101', 'mt-c300-3-102'])
  assert.deepEqual(idsOf({ deduplicationId: 'eu-{id}' })[0], 'eu-mt-c300-3-100')
  const batch = { message: 'batch', messageRecordsMax: 1 } as const
  assert.deepEqual(idsOf({ ...batch, deduplicationId: 'eu-{id}' })[0], 'eu-mt-c300-3-100')
  assert.notDeepEqual(idsOf({ message: 'batch' }), idsOf({ message: 'batch', deduplicationId: 'eu-{id}' }))
})

test('an event is measured as EventBridge does: 14 for the time, source, detail-type, detail, resources', () => {
  const settings = (bytesMax: number): Parameters<typeof makeEvents>[1] => ({
    source: templateOf('src'),
    detailType: templateOf('{topic}'),
    resources: [templateOf('ã{key}'), templateOf('{value.none}')],
    bytesMax
  })
  // 14 + 3 + "mt-c300" 7 + 10 + "ãk" 3
  const request = sinkRequest([{ text: '{"c":"ã"}', key: 'k' }])
  assert.equal(makeEvents(request, settings(37)).entries[0]?.bytes, 37)
  assert.match(makeEvents(request, settings(36)).refused.get(0)?.reason ?? '', /37 bytes, and 36 is the most/)
})

// The SDK writes a time that JavaScript cannot have as NaN: EventBridge refuses the whole request, again and again.
test('a time that no event can have (nanoseconds, none) is left out', () => {
  const settings = { source: templateOf('s'), detailType: templateOf('d'), resources: [], bytesMax: 262_144 }
  const timestamps = [1_767_225_600_000, -1, 1_767_225_600_000_000_000, 253_402_300_800_000, 0, Number.NaN]
  const request = { ...sinkRequest(timestamps.map(() => ({ text: '{}' }))), timestamps }
  const times = makeEvents(request, settings).entries.map(({ timeMs }) => timeMs)
  assert.deepEqual(times, [1_767_225_600_000, undefined, undefined, undefined, 0, undefined])
})

test('what cannot be an event is dead-lettered with its reason', () => {
  const settings = {
    source: templateOf('{value.s}'),
    detailType: templateOf('{value.d}'),
    resources: [],
    bytesMax: 262_144
  }
  const cases = [
    ['[1]', /not a JSON object/],
    ['"text"', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{"d":"x"}', /nothing for the source/],
    ['{"s":"x","d":""}', /nothing for the detail-type/],
    ['{"s":"aws.ec2","d":"x"}', /may not begin with "aws\."/],
    [JSON.stringify({ s: 'x', d: 'y'.repeat(129) }), /at most 128/]
  ] as const
  const { entries, refused } = makeEvents(sinkRequest(cases.map(([text]) => ({ text }))), settings)
  assert.equal(entries.length, 0)
  for (const [index, [, pattern]] of cases.entries()) {
    assert.equal(refused.get(index)?.action, 'deadLetter')
    assert.match(refused.get(index)?.reason ?? '', pattern)
  }
})

test('a stream record counts with its key; without a key it goes by its id, and waits for none', () => {
  const settings = { partitionKey: templateOf('{key}'), recordBytesMax: 12 }
  const request = sinkRequest([
    { text: '{"c":"ã"}', key: 'é' },
    { text: '{"c":"ã"}', key: 'éx' },
    { text: '{}', key: null }
  ])
  const { entries, refused } = makeStreamEntries(request, settings)
  assert.deepEqual(
    entries.map(({ partitionKey, group, bytes }) => [partitionKey, group, bytes]),
    [['é', 'é', 12]]
  )
  assert.match(refused.get(1)?.reason ?? '', /13 bytes with its key, and 12 is the most/)
  // The id has 11 characters.
  assert.match(refused.get(2)?.reason ?? '', /^the record would have 15 bytes/)

  const roomy = makeStreamEntries(sinkRequest(numbered([null, '', 'k'.repeat(257)])), {
    ...settings,
    recordBytesMax: 999
  })
  assert.deepEqual(
    roomy.entries.map(({ partitionKey, group }) => [partitionKey, group === undefined]),
    [
      ['mt-c300-3-100', true],
      ['mt-c300-3-101', true],
      [createHash('sha256').update('k'.repeat(257)).digest('hex'), false]
    ]
  )
})

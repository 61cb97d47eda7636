import assert from 'node:assert/strict'
import { test } from 'node:test'

import { csvOf, type FiledOffset, jsonOf, readOffsets } from '../../../src/ops/offsets/offsets-file.ts'
import { readPosition, readTopicScope } from '../../../src/ops/offsets/partition-names.ts'
import { readDuration, readTime } from '../../../src/ops/offsets/times.ts'

function filed(groupId: string | undefined, topic: string, offset: bigint): FiledOffset {
  return { groupId, topic, partition: 2, stored: { offset, leaderEpoch: -1, metadata: '' } }
}

test('CSV is written as Jackson does it for Kafka’s tool', () => {
  assert.equal(csvOf([filed(undefined, 'mt-c400', 7n), filed(undefined, 'b', 0n)]), 'mt-c400,2,7\nb,2,0\n')
  // 24 characters are looked at, 25 are not.
  assert.equal(csvOf([filed('g', 'a'.repeat(24), 1n)]), `g,${'a'.repeat(24)},2,1\n`)
  assert.equal(csvOf([filed('g', 'a'.repeat(25), 1n)]), `g,"${'a'.repeat(25)}",2,1\n`)
  // Below the minus sign all is quoted, and quotes are doubled.
  assert.equal(csvOf([filed('a,b', 't', 1n), filed('a "b"', 't', 1n)]), '"a,b",t,2,1\n"a ""b""",t,2,1\n')
  assert.equal(csvOf([filed('a+b', 't', 1n), filed('a-b_c.d:é', 't', 1n)]), '"a+b",t,2,1\na-b_c.d:é,t,2,1\n')
})

test('CSV of both forms, and JSON, come back as they were', () => {
  const one = [filed(undefined, 'a', 5n), filed(undefined, 'b'.repeat(30), 2n ** 62n)]
  assert.deepEqual(readOffsets(csvOf(one), 'f'), one)
  const many = [filed('g "1",\n2', 'a', 5n), filed(' g', 'a', 6n)]
  assert.deepEqual(readOffsets(csvOf(many), 'f'), many)
  const stored = { offset: 5n, leaderEpoch: 4, metadata: 'comporta:1:5:AA' }
  const json = [{ ...filed('g', 'a', 5n), stored }, filed(undefined, 'b', 6n)]
  assert.deepEqual(readOffsets(jsonOf(json), 'f'), json)
  assert.deepEqual(readOffsets('a,2,5\r\n\r\nb,2,6', 'f'), [filed(undefined, 'a', 5n), filed(undefined, 'b', 6n)])
  assert.deepEqual(readOffsets('', 'f'), [])
})

test('a file that is wrong is refused with its line', () => {
  const cases: [string, RegExp][] = [
    ['a,0,1\na,x,1', /f: line 2 has no partition: "x"/],
    ['a,0,1\na,1', /f: line 2 has 2 columns/],
    ['a,0,1\ng,a,1,1', /f: line 2 has 4 columns/],
    ['a,0,1\na,0,2', /a-0 is there twice/],
    ['a,0,1.5', /no offset: "1.5"/],
    ['a,0,99999999999999999999', /no offset/],
    ['a,2147483648,1', /no partition/],
    ['a b,0,1', /no topic: "a b"/],
    ['a,0,"1', /quote that is out of place/],
    ['"a"b,0,1', /quote that is out of place/],
    ['{"format":"x"}', /not what comporta offsets export --json writes/],
    ['{', /f: /]
  ]
  for (const [text, message] of cases) {
    assert.throws(() => readOffsets(text, 'f'), { code: 'ERR_OPS_OFFSETS_FILE', message }, text)
  }
})

test('topics and positions are read as they are named', () => {
  assert.deepEqual(readTopicScope('mt-c400'), { topic: 'mt-c400', partitions: undefined })
  assert.deepEqual(readTopicScope('t:0,2,0'), { topic: 't', partitions: [0, 2] })
  assert.deepEqual(readPosition('mt-c400-3@1234'), { topic: 'mt-c400', partition: 3, offset: 1234n })
  for (const text of ['', 't:', 't:a', 't:1,', 'a b', 't:-1']) {
    assert.throws(() => readTopicScope(text), { code: 'ERR_OPS_INVALID' }, text)
  }
  for (const text of ['t@1', 't-0', 't-0@', 't-0@-1', 't-a@1']) {
    assert.throws(() => readPosition(text), { code: 'ERR_OPS_INVALID' }, text)
  }
})

test('a time has a zone, or is said to be one of UTC, and exists', () => {
  const ms = (text: string, isUtc = false): number | string => {
    const read = readTime(text, { isUtc })
    return read.kind === 'ms' ? read.ms : read.reason
  }
  const nine = Date.UTC(2026, 2, 1, 9)
  assert.equal(ms('2026-03-01T09:00:00.000Z'), nine)
  assert.equal(ms('2026-03-01T11:00:00.000+02:00'), nine)
  assert.equal(ms('2026-03-01T03:30:00-0530'), nine)
  assert.equal(ms('2026-03-01T09:00Z'), nine)
  assert.equal(ms('2026-03-01T09:00:00.25Z'), nine + 250)
  assert.equal(ms(`${nine}`), nine)
  assert.equal(ms('2026-03-01T09:00:00.000', true), nine)
  assert.match(String(ms('2026-03-01T09:00:00.000')), /has no zone/)
  assert.match(String(ms('2026-02-29T09:00:00Z')), /does not exist/)
  assert.match(String(ms('2026-03-01T25:00:00Z')), /does not exist/)
  assert.match(String(ms('yesterday')), /is no time/)
  assert.match(String(ms('2026-03-01')), /is no time/)
})

test('a duration is one of Java’s, or a number and its unit', () => {
  const ms = (text: string): number | string => {
    const read = readDuration(text)
    return read.kind === 'ms' ? read.ms : read.reason
  }
  const cases: [string, number][] = [
    ['P1D', 86_400_000],
    ['PT1H30M', 5_400_000],
    ['P1DT2H3M4.5S', 93_784_500],
    ['PT-0.5S', -500],
    ['-PT6H', -21_600_000],
    ['PT-6H3M', -21_420_000],
    ['pt20.345s', 20_345],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['250ms', 250]
  ]
  for (const [text, expected] of cases) assert.equal(ms(text), expected, text)
  for (const text of ['', 'P', 'PT', 'P1DT', '1', 'P1Y', 'PT1', '5 min', '-5s'])
    assert.match(String(ms(text)), /no duration/)
})

/** What enrichments may be configured as, how they are planned, what keys are, and what they need to be allowed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { AttributeValue } from '@aws-sdk/client-dynamodb'

import { enrichSchema } from '../../../src/config/schema/distributor-enrichment.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { createEnricher } from '../../../src/lambda/enrichment/create-enricher.ts'
import { attributeText } from '../../../src/lambda/enrichment/dynamo-db-source.ts'
import { planEnrichments } from '../../../src/lambda/enrichment/plan.ts'
import { enrichmentPolicy } from '../../../src/lambda/enrichment/policy.ts'
import {
  joinSortKey,
  keyOf,
  readKeyPattern,
  splitSortKey,
  valueAtPath
} from '../../../src/lambda/enrichment/record-key.ts'
import { type EnrichmentSettings, enrichmentProblems } from '../../../src/lambda/enrichment/settings.ts'

const HTTP = { type: 'http', url: 'https://drivers.internal/{key}' } as const
const TABLE = { type: 'dynamoDb', table: 'drivers', partitionKey: 'id' } as const
const GOOD: EnrichmentSettings = { into: 'driver', key: 'driver_id', from: HTTP }

test('settings that can work have no problems', () => {
  const all: EnrichmentSettings[] = [
    GOOD,
    { into: 'a', key: 'DRIVER#{driver.id}', from: { ...TABLE, sortKey: { name: 'sk', value: 'PROFILE' } } },
    { into: 'b', key: 'id', from: { ...TABLE, partitionKey: { name: 'id', type: 'N' }, attributes: ['name'] } },
    { into: 'c', key: 'id', from: { type: 's3', bucket: 'my-bucket', key: 'drivers/{key}.json' } },
    { into: 'd', key: 'id', from: { type: 's3', bucket: 'my-bucket', key: 'all.ndjson', keyField: 'id' } },
    {
      into: 'e',
      key: 'id',
      from: { type: 'http', url: 'http://[::1]:8080/batch', batch: true, headers: { a: { env: 'B' } } }
    },
    { ...GOOD, into: 'f', cache: { ttlMs: 0, staleMs: 1 }, missing: 'null', onError: 'pass', onConflict: 'replace' }
  ]

  assert.deepEqual(enrichmentProblems(all), [])
  assert.deepEqual(enrichmentProblems([]), [])
  // The pipeline file takes the same, and what it fills in is taken by the function.
  const filled = enrichSchema.parse(all)
  assert.deepEqual(enrichmentProblems(filled), [])
})

test('every problem is named with its place', () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [7, '0: is not an object'],
    [{ ...GOOD, into: '' }, '0.into: is not a name'],
    [{ ...GOOD, into: 'a.b' }, '0.into: has a dot'],
    [{ ...GOOD, into: '__proto__' }, '0.into: "__proto__"'],
    [{ ...GOOD, key: 'a{b' }, '0.key: has a { without'],
    [{ ...GOOD, key: '{{b}}' }, '0.key: names no field'],
    [{ ...GOOD, key: 'a..b' }, '0.key: has a field with an empty name'],
    [{ ...GOOD, key: 7 }, '0.key: is not a field'],
    [{ ...GOOD, ttl: 7 }, '0.ttl: is unknown'],
    [{ ...GOOD, missing: 'skip' }, '0.missing: is none of pass, null, deadLetter'],
    [{ ...GOOD, onError: 'null' }, '0.onError: is none of'],
    [{ ...GOOD, onConflict: 'fail' }, '0.onConflict: is none of'],
    [{ ...GOOD, timeoutMs: 0 }, '0.timeoutMs: is not a whole number from 1 to 900000'],
    [{ ...GOOD, concurrency: 1.5 }, '0.concurrency: '],
    [{ ...GOOD, batchMax: 0 }, '0.batchMax: '],
    [{ ...GOOD, valueBytesMax: 1 }, '0.valueBytesMax: '],
    [{ ...GOOD, cache: 5 }, '0.cache: is not an object'],
    [{ ...GOOD, cache: { ttl: 5 } }, '0.cache.ttl: is unknown'],
    [{ ...GOOD, cache: { bytesMax: 5 } }, '0.cache.bytesMax: '],
    [{ ...GOOD, from: undefined }, '0.from: is not an object'],
    [{ ...GOOD, from: { type: 'redis' } }, '0.from.type: is none of dynamoDb, http, s3'],
    [{ ...GOOD, from: { ...HTTP, url: 'https://{key}.example/' } }, '0.from.url: '],
    [{ ...GOOD, from: { ...HTTP, url: 'https://me:secret@a/{key}' } }, '0.from.url: has a user name'],
    [{ ...GOOD, from: { ...HTTP, url: 'https://a/b' } }, '0.from.url: has no {key}'],
    [{ ...GOOD, from: { ...HTTP, url: 'https://a/b#{key}' } }, '0.from.url: has {key} behind #'],
    [{ ...GOOD, from: { ...HTTP, batch: true } }, '0.from.url: has {key}'],
    [{ ...GOOD, from: { ...HTTP, headers: { 'a b': 'x' } } }, '0.from.headers.a b: is not the name of a header'],
    [{ ...GOOD, from: { ...HTTP, headers: { a: 'x\ny' } } }, '0.from.headers.a: has a value'],
    [{ ...GOOD, from: { ...HTTP, headers: { a: 7 } } }, '0.from.headers.a: is neither'],
    [{ ...GOOD, from: { ...HTTP, headers: { connection: 'close' } } }, '0.from.headers.connection: '],
    [{ ...GOOD, from: { ...TABLE, table: 'a b' } }, '0.from.table: '],
    [{ ...GOOD, from: { ...TABLE, partitionKey: 7 } }, '0.from.partitionKey: '],
    [{ ...GOOD, from: { ...TABLE, partitionKey: { name: 'id', type: 'B' } } }, '0.from.partitionKey.type: '],
    [{ ...GOOD, from: { ...TABLE, sortKey: { name: 'sk' } } }, '0.from.sortKey.value: '],
    [{ ...GOOD, from: { ...TABLE, attributes: [] } }, '0.from.attributes: '],
    [{ ...GOOD, from: { ...TABLE, endpoint: 'localhost' } }, '0.from.endpoint: '],
    [{ ...GOOD, from: { type: 's3', bucket: 'A', key: 'x' } }, '0.from.bucket: '],
    [{ ...GOOD, from: { type: 's3', bucket: 'abc', key: '{key}', format: 'json' } }, '0.from.format: is for one object']
  ]
  for (const [entry, expected] of wrong) {
    const problems = enrichmentProblems([entry])
    assert.ok(
      problems.some(each => each.startsWith(expected)),
      `${expected} in ${JSON.stringify(problems)}`
    )
  }
  assert.deepEqual(enrichmentProblems('x'), ['is not a list'])
  const secret = { ...GOOD, from: { ...HTTP, headers: { a: { env: 'TOKEN' } } } }
  assert.deepEqual(enrichmentProblems([secret], { TOKEN: 'x' }), [])
  assert.deepEqual(enrichmentProblems([secret], {}), ['0.from.headers.a: the environment variable TOKEN is not set'])
  assert.deepEqual(enrichmentProblems([GOOD, GOOD]), ['1.into: "driver" is added by entry 0 already'])
  assert.match(enrichmentProblems(Array.from({ length: 17 }, (_, at) => ({ ...GOOD, into: `n${at}` })))[0] ?? '', /16/)
})

test('no problem repeats a value, which may be a secret', () => {
  const from = { ...HTTP, url: 'ftp://s3cret', headers: { a: 's3cret\n' } }

  assert.doesNotMatch(enrichmentProblems([{ ...GOOD, key: '{s3cret', from }]).join(), /s3cret/)
})

test('an enricher with problems is not made', () => {
  assert.throws(
    () => createEnricher([{ ...GOOD, into: '' }]),
    error => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'))
      assert.match(error.message, /enrich\.0\.into: is not a name/)
      return true
    }
  )
})

test('an enrichment comes after those whose members its key reads, and with all others', () => {
  const entry = (into: string, key: string): EnrichmentSettings => ({ into, key, from: HTTP })
  const wavesOf = (...entries: EnrichmentSettings[]): string[][] =>
    planEnrichments(entries).map(wave => wave.map(each => each.settings.into))

  assert.deepEqual(wavesOf(entry('a', 'x'), entry('b', 'y'), entry('c', 'z')), [['a', 'b', 'c']])
  assert.deepEqual(wavesOf(entry('a', 'x'), entry('b', '{y}-{a.id}'), entry('c', 'b.id'), entry('d', 'x')), [
    ['a', 'd'],
    ['b'],
    ['c']
  ])
  // Its own member, and that of a later one, is what the event came with.
  assert.deepEqual(wavesOf(entry('a', 'a.id'), entry('b', 'c.id'), entry('c', 'x')), [['a', 'b', 'c']])
  const sorted: EnrichmentSettings = {
    ...entry('b', 'x'),
    from: { ...TABLE, sortKey: { name: 'sk', value: 'SITE#{a.site}' } }
  }
  assert.deepEqual(wavesOf(entry('a', 'x'), sorted), [['a'], ['b']])
})

test('a key is the text of its fields; what has none has no key', () => {
  const keyFor = (pattern: string, message: unknown): string | undefined => {
    const read = readKeyPattern(pattern)
    assert.ok(typeof read !== 'string')
    return keyOf(read, path => valueAtPath(message, path))
  }

  assert.equal(keyFor('id', { id: 'D-1' }), 'D-1')
  assert.equal(keyFor('id', { id: 17 }), '17')
  assert.equal(keyFor('id', { id: -0.5 }), '-0.5')
  assert.equal(keyFor('driver.id', { driver: { id: 'x' } }), 'x')
  assert.equal(keyFor('{{{a}-{b.c}}}', { a: 1, b: { c: 'z' } }), '{1-z}')
  for (const id of ['', null, true, [], {}, undefined, 2 ** 53, '\ud800', 'x'.repeat(2_049)]) {
    assert.equal(keyFor('id', { id }), undefined, JSON.stringify(id))
  }
  assert.equal(keyFor('id', { id: 'ç'.repeat(1_024) })?.length, 1_024)
  assert.equal(keyFor('id', { id: 'ç'.repeat(1_025) }), undefined)
  for (const message of [null, 7, 'id', ['id'], {}]) assert.equal(keyFor('id', message), undefined)
  assert.equal(keyFor('constructor.name', {}), undefined)
  assert.equal(keyFor('__proto__.x', JSON.parse('{"__proto__":{"x":"own"}}')), 'own')
})

test('two keys of which one holds what separates them are told apart', () => {
  for (const [left, right] of [
    [
      ['a', 'b,c'],
      ['a,b', 'c']
    ],
    [
      ['a"', 'b'],
      ['a', '"b']
    ],
    [
      ['', 'a'],
      ['a', '']
    ]
  ] as const) {
    assert.notEqual(joinSortKey(left[0], left[1]), joinSortKey(right[0], right[1]))
    assert.deepEqual(splitSortKey(joinSortKey(left[0], left[1])), left)
  }
})

// Source: Amazon DynamoDB API reference, AttributeValue.
test('an item becomes JSON with every digit of its numbers', () => {
  const item: AttributeValue = {
    M: {
      text: { S: 'a"b' },
      number: { N: '12345678901234567890.12345678901234567' },
      tiny: { N: '1E-130' },
      isActive: { BOOL: false },
      nothing: { NULL: true },
      list: { L: [{ N: '1.50' }, { M: {} }] },
      names: { SS: ['a', 'b'] },
      counts: { NS: ['1', '2.0'] },
      bytes: { B: Uint8Array.of(255, 0) },
      more: { BS: [Uint8Array.of(1)] }
    }
  }

  assert.equal(
    attributeText(item),
    '{"text":"a\\"b","number":12345678901234567890.12345678901234567,"tiny":1E-130,"isActive":false,"nothing":null,' +
      '"list":[1.50,{}],"names":["a","b"],"counts":[1,2.0],"bytes":"/wA=","more":["AQ=="]}'
  )
  assert.equal(attributeText({ N: 'NaN' }), '"NaN"')
})

test('the policy allows what is looked up and nothing else', () => {
  const statements = enrichmentPolicy([
    GOOD,
    { into: 'a', key: 'id', from: TABLE },
    {
      into: 'b',
      key: 'id',
      from: { ...TABLE, region: 'eu-west-1', attributes: ['name'], sortKey: { name: 'sk', value: 'P' } }
    },
    { into: 'c', key: 'id', from: { type: 's3', bucket: 'my-bucket', key: 'drivers/{key}.json' } },
    { into: 'd', key: 'id', from: { ...TABLE, table: 'arn:aws-cn:dynamodb:cn-north-1:123456789012:table/t-1' } },
    { into: 'e', key: 'id', from: { type: 's3', bucket: 'my-bucket', key: 'a*b$.json', region: 'cn-north-1' } }
  ])

  assert.deepEqual(statements, [
    { Action: ['dynamodb:BatchGetItem'], Resource: ['arn:aws:dynamodb:*:*:table/drivers'] },
    {
      Action: ['dynamodb:BatchGetItem'],
      Resource: ['arn:aws:dynamodb:eu-west-1:*:table/drivers'],
      Condition: {
        'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['name', 'id', 'sk'] },
        StringEqualsIfExists: { 'dynamodb:Select': ['SPECIFIC_ATTRIBUTES'] }
      }
    },
    { Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::my-bucket/drivers/*.json'] },
    { Action: ['s3:ListBucket'], Resource: ['arn:aws:s3:::my-bucket'] },
    {
      Action: ['dynamodb:BatchGetItem'],
      Resource: ['arn:aws-cn:dynamodb:cn-north-1:123456789012:table/t-1']
    },
    { Action: ['s3:GetObject'], Resource: ['arn:aws-cn:s3:::my-bucket/a${*}b${$}.json'] }
  ])
  const place = { region: 'eu-west-1', accountId: '123456789012' }
  assert.deepEqual(enrichmentPolicy([{ into: 'a', key: 'id', from: TABLE }], place)[0]?.Resource, [
    'arn:aws:dynamodb:eu-west-1:123456789012:table/drivers'
  ])
})

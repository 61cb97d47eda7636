/** Enrichment from DynamoDB and S3, as moto's server answers for them. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { before, test, type TestContext } from 'node:test'

import {
  type AttributeValue,
  BatchWriteItemCommand,
  CreateTableCommand,
  DynamoDBClient,
  type KeySchemaElement
} from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'

import { VirtualClock } from '../../src/core/index.ts'
import type { EnrichmentCounts } from '../../src/lambda/enrichment/enricher.ts'
import type { EnrichmentSettings } from '../../src/lambda/enrichment/settings.ts'
import { enricherFor, enrichOne, linesLogger } from '../lambda/enrichment/support.ts'
import { type Moto, MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'

let moto: Moto

before(async t => {
  // The server is one for all tests of this file; it ends with the process.
  if (motoSkip === false) moto = await startMoto(t as TestContext)
})

type Item = Record<string, AttributeValue>

/** A table to make: its key attributes, of the type that the first item has, and its items. */
interface TableToMake {
  readonly keys: readonly string[]
  readonly items: readonly Item[]
}

async function tableWith(t: TestContext, name: string, { keys, items }: TableToMake): Promise<void> {
  const client = new DynamoDBClient({ endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS })
  t.after(() => client.destroy())
  const typeOf = (key: string): 'S' | 'N' => (items[0]?.[key]?.N === undefined ? 'S' : 'N')
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: keys.map(key => ({ AttributeName: key, AttributeType: typeOf(key) })),
      KeySchema: keys.map((key, index): KeySchemaElement => {
        return { AttributeName: key, KeyType: index === 0 ? 'HASH' : 'RANGE' }
      })
    })
  )
  for (let at = 0; at < items.length; at += 25) {
    const puts = items.slice(at, at + 25).map(item => ({ PutRequest: { Item: item } }))
    await client.send(new BatchWriteItemCommand({ RequestItems: { [name]: puts } }))
  }
}

function place(): { region: string; endpoint: string } {
  return { region: moto.region, endpoint: moto.endpoint }
}

test('items are looked up 100 at a time, and their numbers keep every digit', { skip: motoSkip }, async t => {
  const items = Array.from({ length: 130 }, (_, index): Item => {
    return { id: { S: `D-${index}` }, mass: { N: `12345678901234567890.${index}1` }, tags: { L: [{ S: 'a"b' }] } }
  })
  await tableWith(t, 'drivers', { keys: ['id'], items })
  const counts: EnrichmentCounts[] = []
  const from = {
    type: 'dynamoDb',
    table: 'drivers',
    partitionKey: 'id',
    attributes: ['mass', 'tags'],
    ...place()
  } as const
  const enricher = enricherFor(t, [{ into: 'driver', key: 'driver.id', from, batchMax: 1_000 }], {
    onEnriched: each => counts.push(each)
  })
  const texts = Array.from({ length: 140 }, (_, index) => `{"driver":7,"x":{"driver":{"id":"D-${index}"}}}`)
  const nested = texts.map(text => text.replace('"driver":7,"x":{', '').slice(0, -1).replace('"driver":', '"d":'))
  const enriched = await enrichOne(
    enricherFor(t, [{ into: 'driver', key: 'd.id', from, batchMax: 1_000 }], { onEnriched: each => counts.push(each) }),
    nested
  )

  assert.equal(enriched.texts.size, 130)
  assert.equal(
    enriched.texts.get(129),
    '{"d":{"id":"D-129"},"driver":{"mass":12345678901234567890.1291,"tags":["a\\"b"]}}'
  )
  assert.deepEqual([counts[0]?.keys, counts[0]?.misses, counts[0]?.absent, counts[0]?.failed], [140, 140, 10, 0])
  // The event's own member of that name stays: nothing is asked.
  assert.equal((await enrichOne(enricher, texts)).texts.size, 0)
})

test('keys may be numbers, and have a sort key from the event', { skip: motoSkip }, async t => {
  await tableWith(t, 'readings', {
    keys: ['id', 'sk'],
    items: [
      { id: { N: '17' }, sk: { S: 'SITE#a' }, v: { N: '1' } },
      { id: { N: '17' }, sk: { S: 'SITE#b' }, v: { BOOL: true } },
      { id: { N: '-0.5' }, sk: { S: 'SITE#a' }, v: { NULL: true } }
    ]
  })
  const settings: EnrichmentSettings = {
    into: 'r',
    key: 'id',
    from: {
      type: 'dynamoDb',
      table: 'readings',
      partitionKey: { name: 'id', type: 'N' },
      sortKey: { name: 'sk', value: 'SITE#{site}' },
      attributes: ['v'],
      consistentRead: true,
      ...place()
    }
  }
  const texts = [
    '{"id":17,"site":"a"}',
    '{"id":"17","site":"b"}',
    '{"id":-0.5,"site":"a"}',
    '{"id":"017","site":"a"}',
    '{"id":"x","site":"a"}',
    '{"id":17}'
  ]

  const enriched = await enrichOne(enricherFor(t, [settings]), texts)

  assert.deepEqual(
    [...enriched.texts.values()],
    [
      '{"id":17,"site":"a","r":{"v":1}}',
      '{"id":"17","site":"b","r":{"v":true}}',
      '{"id":-0.5,"site":"a","r":{"v":null}}'
    ]
  )
  assert.equal(enriched.failures.size, 0)
})

test('what DynamoDB leaves unprocessed, or throttles, is asked for again', { skip: motoSkip }, async t => {
  await tableWith(t, 'stingy', { keys: ['id'], items: ['a', 'b', 'c', 'd', 'e'].map(id => ({ id: { S: id } })) })
  const proxy = await startStingyProxy(t)
  const from = {
    type: 'dynamoDb',
    table: 'stingy',
    partitionKey: 'id',
    region: moto.region,
    endpoint: proxy.url
  } as const

  const texts = ['a', 'b', 'c', 'd', 'e'].map(id => `{"id":"${id}"}`)
  const enriched = await enrichOne(enricherFor(t, [{ into: 'x', key: 'id', from }]), texts)

  assert.equal(enriched.texts.size, 4)
  assert.deepEqual(
    [...enriched.failures.values()].map(each => each.isUnavailable),
    [true]
  )
  // Throttled, two keys of five, two of three: the third attempt is the last.
  assert.deepEqual(proxy.keyCounts, [5, 5, 3])
})

/** Throttles the first request; of the others it passes on two keys and leaves the rest unprocessed. */
async function startStingyProxy(t: TestContext): Promise<{ url: string; keyCounts: number[] }> {
  const keyCounts: number[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const asked = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { RequestItems: { stingy: { Keys: Item[] } } }
      const keys = asked.RequestItems.stingy.Keys
      keyCounts.push(keys.length)
      const headers = { 'content-type': 'application/x-amz-json-1.0' }
      if (keyCounts.length === 1) {
        const type = 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException'
        response.writeHead(400, headers).end(JSON.stringify({ __type: type, message: 'slow down' }))
        return
      }
      const answer = await fetch(moto.endpoint, {
        method: 'POST',
        headers: {
          ...headers,
          'x-amz-target': 'DynamoDB_20120810.BatchGetItem',
          authorization: String(request.headers.authorization)
        },
        body: JSON.stringify({ RequestItems: { stingy: { Keys: keys.slice(0, 2) } } })
      })
      const body = (await answer.json()) as object
      const left = keys.slice(2)
      const unprocessed = left.length === 0 ? {} : { stingy: { Keys: left } }
      response.writeHead(answer.status, headers).end(JSON.stringify({ ...body, UnprocessedKeys: unprocessed }))
    })().catch(() => response.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keyCounts }
}

test('a table that is not there, or has other keys, holds nothing against a record', { skip: motoSkip }, async t => {
  await tableWith(t, 'others', { keys: ['other'], items: [{ other: { S: 'x' } }] })
  for (const table of ['no-such-table', 'others']) {
    const logger = linesLogger()
    const from = { type: 'dynamoDb', table, partitionKey: 'id', ...place() } as const
    const enricher = enricherFor(t, [{ into: 'x', key: 'id', from }], { logger })

    const { failures } = await enrichOne(enricher, ['{"id":"a"}', '{"id":"b"}'])

    assert.deepEqual(
      [...failures.values()].map(each => [each.action, each.isUnavailable]),
      [
        ['retry', true],
        ['retry', true]
      ]
    )
    assert.equal(logger.lines.length, 1, table)
  }
})

/** A bucket, and how to put objects into it. */
async function bucketFor(t: TestContext, bucket: string): Promise<(key: string, body?: string) => Promise<void>> {
  const client = new S3Client({
    endpoint: moto.endpoint,
    region: moto.region,
    credentials: MOTO_CREDENTIALS,
    forcePathStyle: true
  })
  t.after(() => client.destroy())
  const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const
  await client.send(new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration }))
  return async (key, body) => {
    if (body === undefined) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
    else await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }))
  }
}

test('each key may have an object of its own in S3', { skip: motoSkip }, async t => {
  const put = await bucketFor(t, 'objects')
  await put('drivers/a b?.json', '{"n":1.50}\n')
  await put('drivers/text.json', 'no JSON')
  await put('drivers/large.json', `"${'x'.repeat(200)}"`)
  await put('secret.json', '"never"')
  const from = { type: 's3', bucket: 'objects', key: 'drivers/{key}.json', ...place() } as const
  const enricher = enricherFor(t, [{ into: 'd', key: 'id', from, missing: 'null', valueBytesMax: 100 }])
  const ids = ['a b?', 'none', '../secret', 'text', 'large']

  const enriched = await enrichOne(
    enricher,
    ids.map(id => JSON.stringify({ id }))
  )

  assert.deepEqual(
    [...enriched.texts.values()],
    ['{"id":"a b?","d":{"n":1.50}}', '{"id":"none","d":null}', '{"id":"../secret","d":null}']
  )
  assert.deepEqual(
    [...enriched.failures].map(([index, { action, reason, isUnavailable }]) => [index, action, reason, isUnavailable]),
    [
      [3, 'retry', 'enrichment d: bucket objects has an object that is not JSON', undefined],
      [4, 'retry', 'enrichment d: bucket objects has an object of more than 100 bytes', undefined]
    ]
  )
})

test('one object may be the whole table; it is loaded again when it has changed', { skip: motoSkip }, async t => {
  const put = await bucketFor(t, 'tables')
  const clock = new VirtualClock()
  const text = { json: '{"a":{"n":1.0},"b":null,"c":[ 2 ]}', ndjson: '{"id":"a","n":1.0}\n\n{"id":7,"n":2}\r\n' }
  await put('t.json', text.json)
  await put('t.ndjson', text.ndjson)
  const entry = (into: string, key: string): EnrichmentSettings => {
    const cache = { ttlMs: 1_000, staleMs: 1_000 }
    return { into, key: 'id', from: { type: 's3', bucket: 'tables', key, ...place() }, cache }
  }
  const counts: EnrichmentCounts[] = []
  const enricher = enricherFor(t, [entry('j', 't.json'), entry('n', 't.ndjson')], {
    clock,
    onEnriched: each => counts.push(each)
  })
  const lookUp = async (afterMs: number): Promise<(string | undefined)[]> => {
    await clock.advance(afterMs)
    const enriched = await enrichOne(enricher, ['{"id":"a"}', '{"id":"c"}', '{"id":7}'])
    return [0, 1, 2].map(index => enriched.failures.get(index)?.action ?? enriched.texts.get(index))
  }

  const first = [
    '{"id":"a","j":{"n":1.0},"n":{"id":"a","n":1.0}}',
    '{"id":"c","j":[ 2 ]}',
    '{"id":7,"n":{"id":7,"n":2}}'
  ]
  assert.deepEqual(await lookUp(0), first)
  // Not asked for before its time, and unchanged after it.
  await put('t.json', '{"a":3}')
  assert.deepEqual(await lookUp(999), first)
  const second = ['{"id":"a","j":3,"n":{"id":"a","n":1.0}}', undefined, '{"id":7,"n":{"id":7,"n":2}}']
  assert.deepEqual(await lookUp(1), second)
  // One that has become unreadable, and one that has gone: the last that was read stands in for a second.
  await put('t.json', '{"a":4,}')
  await put('t.ndjson')
  assert.deepEqual(await lookUp(1_000), second)
  assert.deepEqual(await lookUp(1_000), ['retry', 'retry', 'retry'])
  await put('t.json', '{}')
  await put('t.ndjson', text.ndjson)
  assert.deepEqual((await lookUp(1_000))[0], '{"id":"a","n":{"id":"a","n":1.0}}')
  const [hit, stale] = [counts.filter(each => each.hits > 0).length, counts.filter(each => each.stale > 0).length]
  assert.deepEqual([hit, stale], [2, 2])
})

test('a table that is too large, too deep or of another form is not used', { skip: motoSkip }, async t => {
  const put = await bucketFor(t, 'wrong')
  const bodies = {
    large: `{"a":"${'x'.repeat(300)}"}`,
    deep: `{"a":${'['.repeat(70)}${']'.repeat(70)}}`,
    list: '[1]',
    line: '{"x":1}'
  }
  for (const [name, body] of Object.entries(bodies)) await put(name, body)
  const reasons: string[] = []
  for (const key of [...Object.keys(bodies), 'absent']) {
    const format = key === 'line' ? ({ format: 'ndjson' } as const) : {}
    const from = { type: 's3', bucket: 'wrong', key, tableBytesMax: 200, ...format, ...place() } as const
    const { failures } = await enrichOne(enricherFor(t, [{ into: 'x', key: 'id', from }]), ['{"id":"a"}'])
    assert.equal(failures.get(0)?.isUnavailable, true)
    reasons.push(failures.get(0)?.reason.replace('enrichment x: bucket wrong', '') ?? '')
  }

  assert.deepEqual(reasons, [
    ' has an object of more than 200 bytes',
    ': the table is nested deeper than 64',
    ': the table is not one JSON object',
    ': the table has no JSON object with "id" in line 1',
    ' has no object for the table'
  ])
})

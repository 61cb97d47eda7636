/** Items for DynamoDB: every digit kept, and refused here what dynalite, which has DynamoDB's own checks, refuses. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'

import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  attributeOf,
  type AttributeValue,
  checkItem,
  type Item,
  ItemError,
  itemKey
} from '../../../src/targets/sinks/dynamo-db-item.ts'
import { startDynalite } from '../../support/dynalite.ts'

function itemOf(text: string): Item {
  const value = attributeOf(text)
  if (!('M' in value)) throw new ItemError('no object')
  const item = { id: { S: 'x' }, ...value.M }
  checkItem(item)
  return item
}

test('JSON becomes attribute values, with every digit of its numbers', () => {
  assert.deepEqual(
    attributeOf('{"a":[9007199254740993,-0.10,1e2,true,null,"ü\\n",{}],"n":123456789.123456789123456789}'),
    {
      M: {
        a: {
          L: [
            { N: '9007199254740993' },
            { N: '-0.10' },
            { N: '1e2' },
            { BOOL: true },
            { NULL: true },
            { S: 'ü\n' },
            { M: {} }
          ]
        },
        n: { N: '123456789.123456789123456789' }
      }
    }
  )
})

test('any JSON comes back from its attribute values as it was', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20261121)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const value = anyJson(random, 4)
    assert.deepEqual(plainOf(attributeOf(JSON.stringify(value))), value, `TEST_SEED=${seed}`)
  }
})

function anyJson(random: Random, depth: number): unknown {
  const kind = randomInt(random, depth === 0 ? 4 : 6)
  if (kind === 0) return randomInt(random, 1_000_000) / 1000 - 500
  if (kind === 1) return ['', 'text', 'ü"\\\n', ' '][randomInt(random, 4)]
  if (kind === 2) return random.next() < 0.5
  if (kind === 3) return null
  const members = Array.from({ length: randomInt(random, 4) }, () => anyJson(random, depth - 1))
  return kind === 4 ? members : Object.fromEntries(members.map((member, index) => [`m${index}`, member]))
}

function plainOf(value: AttributeValue): unknown {
  if ('S' in value) return value.S
  if ('N' in value) return Number(value.N)
  if ('BOOL' in value) return value.BOOL
  if ('L' in value) return value.L.map(plainOf)
  if (!('M' in value)) return null
  return Object.fromEntries(Object.entries(value.M).map(([name, member]) => [name, plainOf(member)]))
}

/** Values of a member, and whether DynamoDB takes them. */
const NUMBERS: readonly (readonly [string, boolean])[] = [
  ['12345678901234567890123456789012345678', true],
  ['123456789012345678901234567890123456789', false],
  ['1234567890123456789012345678901234567800000', true],
  ['0.00012345678901234567890123456789012345678', true],
  ['9.9999999999999999999999999999999999999e125', true],
  ['1e126', false],
  ['-1e126', false],
  ['1e-130', true],
  ['1e-131', false],
  ['0e999', true],
  ['0.0e-999', true],
  [`1${'0'.repeat(125)}`, true],
  [`1${'0'.repeat(126)}`, false],
  [`0.${'0'.repeat(129)}1`, true],
  [`0.${'0'.repeat(130)}1`, false]
]

test('numbers and sizes are refused here exactly where DynamoDB refuses them', async t => {
  const client = new DynamoDBClient({
    endpoint: await startDynalite(t),
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' }
  })
  t.after(() => client.destroy())
  await client.send(
    new CreateTableCommand({
      TableName: 'things',
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST'
    })
  )
  const isTaken = async (item: Item): Promise<boolean> => {
    try {
      // Boundary: the SDK's type has mutable lists.
      await client.send(new PutItemCommand({ TableName: 'things', Item: item as never }))
      return true
    } catch (error) {
      assert.equal(error instanceof Error && error.name, 'ValidationException')
      return false
    }
  }
  for (const [number, isGood] of NUMBERS) {
    assert.equal(isAccepted(`{"n":${number}}`), isGood, number)
    // A zero is sent as 0, whatever its power of ten.
    assert.equal(await isTaken({ id: { S: 'x' }, n: { N: /^0(\.0)?e/.test(number) ? '0' : number } }), isGood, number)
  }
  // 409,600 bytes with the names: `id`, `x`, and `text`.
  for (const [length, isGood] of [
    [409_600 - 3 - 4, true],
    [409_600 - 3 - 4 + 1, false]
  ] as const) {
    const text = JSON.stringify({ text: 'y'.repeat(length) })
    assert.equal(isAccepted(text), isGood)
    assert.equal(await isTaken({ id: { S: 'x' }, text: { S: 'y'.repeat(length) } }), isGood)
  }
  const nested = `{"list":[${'{"name":[1,true,null,"four"]},'.repeat(3)}-12345.678]}`
  assert.equal(await isTaken(itemOf(nested)), true)
  const { Item } = await client.send(new GetItemCommand({ TableName: 'things', Key: { id: { S: 'x' } } }))
  assert.deepEqual(Item?.['list'], itemOf(nested)['list'])
})

function isAccepted(text: string): boolean {
  try {
    itemOf(text)
    return true
  } catch (error) {
    assert.ok(error instanceof ItemError)
    return false
  }
}

test('what nobody could store is refused with a reason', () => {
  const refused = (text: string): string => {
    try {
      itemOf(text)
    } catch (error) {
      if (error instanceof ItemError) return error.message
      throw error
    }
    return 'accepted'
  }
  assert.match(refused('{"a":'), /no JSON/)
  assert.match(refused(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), /no JSON that can be read/)
  assert.match(refused(`{"a":${'['.repeat(33)}${']'.repeat(33)}}`), /deeper than 32/)
  assert.match(refused('{"a":{"__proto__":1}}'), /__proto__/)
  assert.match(refused('{"a":{"":1}}'), /no name/)
})

test('the key of an item tells items apart as DynamoDB does', () => {
  const key = (item: Item): string => itemKey(item, Object.keys(item))
  assert.equal(key({ n: { N: '1.50' } }), key({ n: { N: '15e-1' } }))
  assert.equal(key({ n: { N: '-0' } }), key({ n: { N: '0.000' } }))
  assert.notEqual(key({ n: { N: '1' } }), key({ n: { S: '1' } }))
  assert.notEqual(key({ n: { S: '["S","1"]' } }), key({ n: { S: '1' } }))
  for (const [item, reason] of [
    [{ pk: { S: '' } }, /empty/],
    [{ pk: { BOOL: true } }, /neither text nor a number/],
    [{ pk: { S: 'x'.repeat(2049) } }, /2049 bytes, and 2048/],
    [{ pk: { S: 'x' }, sk: { S: 'ü'.repeat(513) } }, /1026 bytes, and 1024/]
  ] as const) {
    assert.throws(() => key(item), reason)
  }
  assert.throws(() => itemKey({}, ['pk']), /nothing for pk/)
})

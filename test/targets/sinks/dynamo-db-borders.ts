/** What a DynamoDB takes and what not, at the borders of its data types: expectations to hold against a real one. */

import assert from 'node:assert/strict'

import { CreateTableCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'

import { attributeOf, checkItem, type Item, ItemError } from '../../../src/targets/sinks/dynamo-db-item.ts'

/** Numbers, and whether they can be stored. Source: DynamoDB developer guide, "Data types", "Number". */
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

function nested(open: string, close: string, depth: number): string {
  return open.repeat(depth) + close.repeat(depth)
}

/** Members of an item with the key `x`, and whether they can be stored. Sizes are sums by hand, of 409,600 bytes. */
const MEMBERS: readonly (readonly [string, string, boolean])[] = [
  // `id` and `x` are 3 bytes, `text` is 4.
  ['a text that just fits', `{"text":"${'y'.repeat(409_593)}"}`, true],
  ['a text that does not', `{"text":"${'y'.repeat(409_594)}"}`, false],
  ['letters of two bytes', `{"text":"${'ü'.repeat(204_797)}"}`, false],
  // `l` and the list are 4 bytes, each number 1 and 7: three pairs of digits before the point, two behind, a sign.
  ['numbers that just fit', `{"l":[${Array(51_199).fill('-12345.678').join()}]}`, true],
  ['numbers that do not', `{"l":[${Array(51_200).fill('-12345.678').join()}]}`, false],
  ['31 lists', `{"a":${nested('[', ']', 31)}}`, true],
  ['32 lists', `{"a":${nested('[', ']', 32)}}`, false],
  ['31 maps', `{"a":${'{"m":'.repeat(31)}1${'}'.repeat(31)}}`, true],
  ['32 maps', `{"a":${'{"m":'.repeat(32)}1${'}'.repeat(32)}}`, false],
  ['a member without a name', '{"a":{"":1}}', false]
]

/** Reads an item with the key `x`. @throws ItemError */
export function itemOf(text: string): Item {
  const value = attributeOf(text)
  if (!('M' in value)) throw new ItemError('no object')
  const item = { id: { S: 'x' }, ...value.M }
  checkItem(item)
  return item
}

/** Holds the checks of the sink against those of a DynamoDB, but for those that it is known not to have. */
export async function checkBorders(
  client: DynamoDBClient,
  isLax: (name: string) => boolean = () => false
): Promise<void> {
  await makeTable(client, 'borders')
  for (const [number, isGood] of NUMBERS) {
    assert.equal(isAccepted(`{"n":${number}}`), isGood, number)
    assert.equal(await isTaken(client, { id: { S: 'x' }, n: { N: number } }), isGood, number)
  }
  for (const [name, text, isGood] of MEMBERS) {
    assert.equal(isAccepted(text), isGood, name)
    if (isLax(name)) continue
    assert.equal(await isTaken(client, { id: { S: 'x' }, ...unchecked(text) }), isGood, name)
  }
}

/** Makes a table with the key `id`, a text. */
export async function makeTable(client: DynamoDBClient, TableName: string): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName,
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST'
    })
  )
}

/** A client of a DynamoDB on this machine. */
export function localClient(endpoint: string): DynamoDBClient {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  return new DynamoDBClient({ endpoint, region: 'us-east-1', credentials })
}

function isAccepted(text: string): boolean {
  try {
    itemOf(text)
    return true
  } catch (error) {
    assert.ok(error instanceof ItemError)
    return false
  }
}

async function isTaken(client: DynamoDBClient, item: Item): Promise<boolean> {
  try {
    // Boundary: the SDK's type has mutable lists.
    await client.send(new PutItemCommand({ TableName: 'borders', Item: item as never }))
    return true
  } catch (error) {
    assert.equal(error instanceof Error && error.name, 'ValidationException')
    return false
  }
}

/** Attribute values by plain means, for what the sink refuses to make. */
function unchecked(text: string): Item {
  const convert = (value: unknown): unknown => {
    if (typeof value === 'string') return { S: value }
    if (typeof value === 'number') return { N: String(value) }
    if (Array.isArray(value)) return { L: value.map(convert) }
    return { M: membersOf(value as object) }
  }
  const membersOf = (value: object): object =>
    Object.fromEntries(Object.entries(value).map(([name, member]) => [name, convert(member)]))
  return membersOf(JSON.parse(text) as object) as Item
}

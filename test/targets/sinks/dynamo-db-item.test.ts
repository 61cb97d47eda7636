/** Items for DynamoDB: every digit kept, and refused here what dynalite, which has DynamoDB's own checks, refuses. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  attributeOf,
  type AttributeValue,
  type Item,
  ItemError,
  itemKey
} from '../../../src/targets/sinks/dynamo-db-item.ts'
import { startDynalite } from '../../support/dynalite.ts'
import { checkBorders, itemOf, localClient } from './dynamo-db-borders.ts'

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

test('what is refused here is what DynamoDB refuses, and nothing else', async t => {
  const client = localClient(await startDynalite(t))
  t.after(() => client.destroy())
  // dynalite has DynamoDB's rules for numbers; for sizes and depth see test/jvm/dynamo-db-sink.test.ts.
  await checkBorders(client, () => true)
})

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

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { idempotencySchema } from '../../../src/config/schema/distributor-idempotency.ts'
import { idempotencyPolicy } from '../../../src/lambda/idempotency/policy.ts'
import { idempotencyProblems } from '../../../src/lambda/idempotency/settings.ts'

test('a table needs the right to read and to put items, and nothing else', () => {
  assert.deepEqual(idempotencyPolicy({ store: { type: 'dynamoDb', table: 'claims', region: 'eu-west-1' } }), [
    {
      Action: ['dynamodb:GetItem', 'dynamodb:PutItem'],
      Resource: ['arn:aws:dynamodb:eu-west-1:*:table/claims']
    }
  ])
  const place = { region: 'cn-north-1', accountId: '123456789012' }
  const [named] = idempotencyPolicy({ store: { type: 'dynamoDb', table: 'claims' } }, place)
  assert.deepEqual(named?.Resource, ['arn:aws-cn:dynamodb:cn-north-1:123456789012:table/claims'])
  const arn = 'arn:aws:dynamodb:eu-west-1:123456789012:table/claims'
  assert.deepEqual(idempotencyPolicy({ store: { type: 'dynamoDb', table: arn } })[0]?.Resource, [arn])
  assert.deepEqual(idempotencyPolicy({ store: { type: 'sqlite', file: 'claims.sqlite' } }), [])
})

test('what the pipeline file may say the function understands, with every default', () => {
  for (const store of [
    { type: 'memory' },
    { type: 'sqlite', file: 'claims.sqlite' },
    { type: 'dynamoDb', table: 'claims' }
  ]) {
    const read = idempotencySchema.parse({ store, key: { field: 'order.id' } })
    assert.deepEqual(idempotencyProblems(JSON.parse(JSON.stringify(read))), [])
  }
})

test('the pipeline file and the function refuse the same', () => {
  const store = { type: 'memory' }
  for (const given of [
    {},
    { store: { type: 'redis' } },
    { store: { type: 'dynamoDb' } },
    { store: { type: 'dynamoDb', table: 'x' } },
    { store: { type: 'dynamoDb', table: 'claims', writes: 'batch' } },
    { store: { type: 'sqlite', file: '' } },
    { store, ttlMs: 999 },
    { store, ttlMs: 1.5 },
    { store, graceMs: 60_001 },
    { store, namespace: '' },
    { store, key: 'id' },
    { store, key: { field: '' } },
    { store, onStoreError: 'deliver' },
    { store, tableName: 'claims' }
  ]) {
    assert.notDeepEqual(idempotencyProblems(given), [], JSON.stringify(given))
    assert.equal(idempotencySchema.safeParse(given).success, false, JSON.stringify(given))
  }
})

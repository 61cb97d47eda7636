/** The DynamoDB sink against dynalite, which looks at keys of indexes as DynamoDB does. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CreateTableCommand, DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb'

import { DynamoDbSink } from '../../../src/targets/sinks/dynamo-db-sink.ts'
import { startDynalite } from '../../support/dynalite.ts'
import { requestOf } from './requests.ts'

// Symptom: of two good records for one item and a third that only DynamoDB refuses, all three were dead letters, and
// the item kept what it had. Cause: only the last of them is sent. Reach: keys of indexes of another type.
test('a record that DynamoDB refuses takes no earlier record for its item with it', async t => {
  const endpoint = await startDynalite(t)
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials })
  t.after(() => client.destroy())
  const name = 'indexed'
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['id', 'region'].map(AttributeName => ({ AttributeName, AttributeType: 'S' })),
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'by-region',
          KeySchema: [{ AttributeName: 'region', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'ALL' }
        }
      ]
    })
  )
  const sink = new DynamoDbSink({ name: 'd', table: name, endpoint, key: ['id'] })
  t.after(() => sink.close())
  const texts = [
    '{"id":"a","region":"x","n":1}',
    '{"id":"b","region":"x","n":2}',
    '{"id":"a","region":"x","n":3}',
    '{"id":"a","region":7,"n":4}',
    '{"id":"c","region":8,"n":5}'
  ]

  const outcome = await sink.deliver(requestOf(texts.map(text => ({ text }))), new AbortController().signal)
  assert.equal(outcome.kind, 'partial')
  const failures = outcome.kind === 'partial' ? [...outcome.failures] : []
  assert.deepEqual(failures.map(([index, { action }]) => `${index} ${action}`).toSorted(), [
    '3 deadLetter',
    '4 deadLetter'
  ])
  const { Item } = await client.send(new GetItemCommand({ TableName: name, Key: { id: { S: 'a' } } }))
  assert.equal(Item?.['n']?.N, '3')
})

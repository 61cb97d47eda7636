import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'

test(
  "claims in moto's DynamoDB, found and signed for as in Lambda: by the environment",
  { skip: motoSkip },
  async t => {
    const { endpoint, region } = await startMoto(t)
    const client = new DynamoDBClient({ endpoint, region, credentials: MOTO_CREDENTIALS })
    t.after(() => client.destroy())
    await client.send(
      new CreateTableCommand({
        TableName: 'claims',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST'
      })
    )
    const environment = {
      AWS_REGION: region,
      AWS_ENDPOINT_URL_DYNAMODB: endpoint,
      AWS_ACCESS_KEY_ID: MOTO_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: MOTO_CREDENTIALS.secretAccessKey,
      AWS_SESSION_TOKEN: 'a-token'
    }
    const offsets = Array.from({ length: 40 }, (_, index) => index)
    const batch = [
      { topic: 'trips', partition: 0, offsets, ids: undefined },
      { topic: 'trips', partition: 1, offsets, ids: offsets.map(offset => `trip-${offset}`) }
    ]
    const stateOf = async (): Promise<string> => {
      const guard = createBatchGuard(
        { store: { type: 'dynamoDb', table: 'claims' }, timeoutMs: 20_000 },
        { environment }
      )
      t.after(() => guard.close())
      const claims = await guard.begin(batch, Date.now() + 60_000)
      await claims.finish((_, index) => ({ isDone: index % 2 === 0, targetsDone: index % 2 === 0 ? [] : ['alerts'] }))
      return [0, 1]
        .map(at => `${claims.state(at, 0)} ${claims.state(at, 1)} ${[...claims.targetsDone(at, 1)].join()}`)
        .join()
    }
    assert.equal(await stateOf(), 'claimed claimed ,claimed claimed ')
    assert.equal(await stateOf(), 'done claimed alerts,done claimed alerts')
  }
)

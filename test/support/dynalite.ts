/** DynamoDB for tests: dynalite, which speaks its language without transactions, on a free port of 127.0.0.1. */

import type { Server } from 'node:http'
import { createRequire } from 'node:module'

import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'

/** Starts dynalite; the end of the test ends it. Answers its endpoint. */
export async function startDynalite(t: { after(end: () => void): void }): Promise<string> {
  // It has no types. Its main export makes an http.Server.
  const dynalite = createRequire(import.meta.url)('dynalite') as (options: { createTableMs: number }) => Server
  const server = dynalite({ createTableMs: 0 })
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${port}`
}

/** Makes the table of the guide to idempotency. */
export async function createClaimTable(endpoint: string, table: string, keyAttribute = 'id'): Promise<void> {
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' }
  })
  try {
    await client.send(
      new CreateTableCommand({
        TableName: table,
        AttributeDefinitions: [{ AttributeName: keyAttribute, AttributeType: 'S' }],
        KeySchema: [{ AttributeName: keyAttribute, KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST'
      })
    )
  } finally {
    client.destroy()
  }
}

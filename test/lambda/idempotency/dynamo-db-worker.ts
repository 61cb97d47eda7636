/** A function with claims in DynamoDB that finds everything in its environment, as in Lambda. Tells what it loads. */

import { createRequire } from 'node:module'

import { createBatchGuard } from '../../../src/lambda/idempotency/create-guard.ts'

const guard = createBatchGuard({ store: { type: 'dynamoDb', table: 'claims' } }, { environment: process.env })
const claims = await guard.begin([{ topic: 'trips', partition: 0, offsets: [1], ids: ['a'] }], Date.now() + 60_000)
await claims.finish(() => ({ isDone: true, targetsDone: [] }))
await guard.close()
const loaded = Object.keys(createRequire(import.meta.url).cache).filter(file => /@aws-sdk|@smithy/.test(file))
process.stdout.write(JSON.stringify({ state: claims.state(0, 0), loaded }))

/**
 * Runs a function on this machine and invokes it with AWS's own SDK.
 *
 * `npx node examples/lambda/invoke.ts`
 */

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'

import { startLambdaRuntime } from '../../src/lambda/index.ts'

const runtime = await startLambdaRuntime({
  taskRoot: import.meta.dirname,
  functions: { 'speed-check': { handler: 'speed-check.handler', timeoutMs: 10_000, concurrency: 2 } }
})
const client = new LambdaClient({
  endpoint: runtime.endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' }
})

const batch = {
  topic: 'mt-c400',
  partition: 3,
  messages: [{ truck_id: 'TR00017', speed: 82 }, { truck_id: 'TR00018' }, { truck_id: 'TR00019', speed: 121 }],
  offsets: [1001, 1002, 1003]
}
const answer = await client.send(
  new InvokeCommand({ FunctionName: 'speed-check', Payload: JSON.stringify(batch), LogType: 'Tail' })
)
console.log('answer:', Buffer.from(answer.Payload ?? []).toString('utf8'))
console.log(
  Buffer.from(answer.LogResult ?? '', 'base64')
    .toString('utf8')
    .trimEnd()
)

client.destroy()
await runtime.close()

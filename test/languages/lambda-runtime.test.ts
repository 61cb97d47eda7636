/** The embedded runtime against AWS's own clients, and the destinations of its events against moto. */

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { InvokeCommand } from '@aws-sdk/client-lambda'
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient
} from '@aws-sdk/client-sqs'
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge'

import { basic, sdkFor, startRuntime } from '../lambda/support.ts'
import { runProcess } from '../support/child-process.ts'
import { MOTO_CREDENTIALS, motoSkip, startMoto } from '../support/moto.ts'
import { pythonSkip, pythonWithAwsCli } from './toolchains.ts'

const ACCOUNT = '123456789012'

test('boto3 and the AWS CLI invoke, list and page as against AWS', async t => {
  if (pythonSkip !== false) return t.skip(pythonSkip)
  const python = await pythonWithAwsCli()
  const functions = {
    sync: basic('sync', { versions: { '1': {} }, aliases: { live: '1' } }),
    fails: basic('fails'),
    never: basic('sync', { concurrency: 0 }),
    words: { handler: 'streams.words' }
  }
  const { endpoint } = await startRuntime(t, { functions })
  const script = join(import.meta.dirname, 'python/lambda_client.py')
  const boto = runProcess(python, [script, endpoint], { timeoutMs: 60_000 })
  const aws = join(python, '../aws')
  const folder = await mkdtemp(join(tmpdir(), 'comporta-cli-'))
  t.after(() => rm(folder, { recursive: true }))
  const answerFile = join(folder, 'answer.json')
  const args = ['--endpoint-url', endpoint, '--region', 'us-east-1', '--output', 'json', 'lambda']
  const environment = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_MAX_ATTEMPTS: '1' }
  const invoke = ['invoke', '--function-name', 'sync:live', '--payload', '{"value": 4}', '--log-type', 'Tail']
  const cli = runProcess(aws, [...args, ...invoke, answerFile], { timeoutMs: 60_000, environment })

  assert.deepEqual(JSON.parse((await boto).stdout), {
    sync: 42,
    log: 'START',
    status: [200, 202, 204],
    error: ['Unhandled', 'CustomError', 'no truck'],
    version: '1',
    throttle: ['TooManyRequestsException', 'ReservedFunctionConcurrentInvocationLimitExceeded'],
    absent: ['ResourceNotFoundException', 'Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent'],
    functions: [
      ['sync', 'fails'],
      ['never', 'words']
    ],
    versions: ['$LATEST', '1'],
    alias: '1',
    reserved: 0,
    stream: 'ab{"last":true}'
  })
  assert.partialDeepStrictEqual(JSON.parse((await cli).stdout), { StatusCode: 200, ExecutedVersion: '1' })
  assert.equal(await readFile(answerFile, 'utf8'), '8')
})

test('the outcome of an event reaches a queue, a topic, an event bus and a bucket as AWS writes it', async t => {
  if (motoSkip !== false) return t.skip(motoSkip)
  const moto = await startMoto(t)
  const place = { endpoint: moto.endpoint, region: 'us-east-1', credentials: MOTO_CREDENTIALS }
  const [sqs, sns, s3, bus] = [
    new SQSClient(place),
    new SNSClient(place),
    new S3Client({ ...place, forcePathStyle: true }),
    new EventBridgeClient(place)
  ]
  t.after(() => [sqs, sns, s3, bus].forEach(client => client.destroy()))
  const message = (url: string): Promise<Message> => nextMessage(sqs, url)
  const [direct, dead, viaTopic, viaBus] = await Promise.all(
    ['direct', 'dead', 'topic', 'bus'].map(name => createQueue(sqs, name))
  )
  assert.ok(direct && dead && viaTopic && viaBus)
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'results' }))
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: viaTopic.arn }))
  await bus.send(new PutRuleCommand({ Name: 'all', EventPattern: '{"source":["lambda"]}' }))
  await bus.send(new PutTargetsCommand({ Rule: 'all', Targets: [{ Id: '1', Arn: viaBus.arn }] }))
  await s3.send(new CreateBucketCommand({ Bucket: 'failures' }))
  const busArn = `arn:aws:events:us-east-1:${ACCOUNT}:event-bus/default`
  const failing = (onFailure: string, more = {}): ReturnType<typeof basic> =>
    basic('fails', { events: { retriesMax: 0, onFailure, ...more } })
  const functions = {
    toQueue: failing(direct.arn, { deadLetterTarget: dead.arn }),
    toTopic: failing(TopicArn),
    toBus: basic('sync', { events: { onSuccess: busArn } }),
    toBucket: failing('arn:aws:s3:::failures')
  }
  const runtime = await startRuntime(t, { functions, destinationEndpoint: moto.endpoint })
  const client = sdkFor(t, runtime)
  const event = '{"message":"lost","value":2}'
  const sent = Object.keys(functions).map(FunctionName =>
    client.send(new InvokeCommand({ FunctionName, Payload: event, InvocationType: 'Event' }))
  )
  const [first] = await Promise.all(sent)

  const requestId = first?.$metadata.requestId
  const record = { version: '1.0', requestPayload: { message: 'lost', value: 2 } }
  const failed = {
    ...record,
    requestContext: { condition: 'RetriesExhausted' },
    responsePayload: { errorMessage: 'lost' }
  }
  const queued = JSON.parse((await message(direct.url)).Body ?? '') as object
  assert.partialDeepStrictEqual(queued, { ...failed, requestContext: { requestId, approximateInvokeCount: 1 } })
  const letter = await message(dead.url)
  assert.equal(letter.Body, event)
  assert.equal(letter.MessageAttributes?.['RequestID']?.StringValue, requestId)
  assert.equal(letter.MessageAttributes?.['ErrorCode']?.StringValue, '200')
  assert.match(letter.MessageAttributes?.['ErrorMessage']?.StringValue ?? '', /"errorMessage":"lost"/)
  const notification = JSON.parse((await message(viaTopic.url)).Body ?? '') as { Message: string }
  assert.partialDeepStrictEqual(JSON.parse(notification.Message), failed)
  assert.partialDeepStrictEqual(JSON.parse((await message(viaBus.url)).Body ?? ''), {
    source: 'lambda',
    'detail-type': 'Lambda Function Invocation Result - Success',
    resources: [busArn, `${runtimeArn('toBus')}:$LATEST`],
    detail: { ...record, responsePayload: 4 }
  })
  await runtime.drain(20_000)
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'failures' }))
  const Key = Contents[0]?.Key ?? ''
  assert.match(Key, /^aws\/lambda\/async\/toBucket\/\d{4}\/\d\d\/\d\d\/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}$/)
  const object = await s3.send(new GetObjectCommand({ Bucket: 'failures', Key }))
  assert.partialDeepStrictEqual(JSON.parse((await object.Body?.transformToString()) ?? ''), failed)
})

async function createQueue(sqs: SQSClient, QueueName: string): Promise<{ url: string; arn: string }> {
  const { QueueUrl: url = '' } = await sqs.send(new CreateQueueCommand({ QueueName }))
  const asked = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] })
  return { url, arn: (await sqs.send(asked)).Attributes?.['QueueArn'] ?? '' }
}

async function nextMessage(sqs: SQSClient, QueueUrl: string): Promise<Message> {
  for (;;) {
    const asked = new ReceiveMessageCommand({ QueueUrl, MessageAttributeNames: ['All'] })
    const [found] = (await sqs.send(asked)).Messages ?? []
    if (found !== undefined) return found
    await delay(20)
  }
}

function runtimeArn(name: string): string {
  return `arn:aws:lambda:us-east-1:000000000000:function:${name}`
}

/** On-failure destinations of event source mappings in AWS, as moto has it: SQS, SNS and S3. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'

import { esmWorld, startFunction, until, untilDone } from '../lambda/esm-support.ts'
import { MOTO_CREDENTIALS, MOTO_ENVIRONMENT, motoSkip, startMoto } from '../support/moto.ts'

const ACCOUNT = '123456789012'

test('SQS and SNS get what AWS writes of a failed batch, S3 the event as well', { skip: motoSkip }, async t => {
  const { endpoint, region } = await startMoto(t)
  const settings = { endpoint, region, credentials: MOTO_CREDENTIALS }
  const sqs = new SQSClient(settings)
  const sns = new SNSClient(settings)
  const s3 = new S3Client({ ...settings, forcePathStyle: true })
  t.after(() => [sqs, sns, s3].forEach(client => client.destroy()))
  const queues = ['failed', 'subscribed']
  const [failedUrl, subscribedUrl] = await Promise.all(
    queues.map(async QueueName => (await sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl)
  )
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'failed' }))
  const subscribed = `arn:aws:sqs:${region}:${ACCOUNT}:subscribed`
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: subscribed }))
  await s3.send(
    new CreateBucketCommand({
      Bucket: 'failed',
      CreateBucketConfiguration: { LocationConstraint: MOTO_ENVIRONMENT.AWS_REGION }
    })
  )

  const world = await esmWorld(t, { partitionCount: 2 })
  await world.append(
    { text: 'a', timestampMs: 1_573_691_884_835 },
    { text: 'b', timestampMs: 1_573_691_885_580 },
    { text: 'c', partition: 1, timestampMs: 1_573_691_886_000 }
  )
  const service = await startFunction(t, () => ({ error: true, body: { errorMessage: 'no' } }))
  const mappingTo = async (onFailure: string): Promise<void> => {
    const mapping = await world.map({
      functionName: `arn:aws:lambda:${region}:${ACCOUNT}:function:myfunction`,
      groupId: onFailure,
      uuid: 'f89f8514-cdd9-4602-9e1f-01a5b77d449b',
      endpoint: service.endpoint,
      destinationEndpoint: endpoint,
      region,
      batchingWindowMs: 500,
      batchSize: 3,
      bootstrapServers: 'b-1:9092',
      eventSourceArn: `arn:aws:kafka:${region}:${ACCOUNT}:cluster/c/u-2`,
      pollers: { min: 1 },
      retriesMax: 1,
      onFailure
    })
    await untilDone(mapping, { 0: 2, 1: 1 })
  }
  await Promise.all([
    mappingTo(`arn:aws:sqs:${region}:${ACCOUNT}:failed`),
    mappingTo(TopicArn ?? ''),
    mappingTo('arn:aws:s3:::failed')
  ])

  const expected = failureOf(world.topic, region, Buffer.byteLength(service.texts[0] ?? ''))
  const received = async (QueueUrl: string | undefined): Promise<string> => {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }))
    return Messages[0]?.Body ?? ''
  }
  assert.deepEqual(withoutWhen(JSON.parse(await received(failedUrl))), expected)
  assert.deepEqual(withoutWhen(JSON.parse(JSON.parse(await received(subscribedUrl)).Message)), expected)
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'failed' }))
  const key = Contents[0]?.Key ?? ''
  const prefix = `aws/lambda/f89f8514-cdd9-4602-9e1f-01a5b77d449b/${world.topic}-0/`
  assert.match(key.slice(prefix.length), /^\d{4}\/\d\d\/\d\d\/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}$/)
  const object = await s3.send(new GetObjectCommand({ Bucket: 'failed', Key: key }))
  const { payload, ...rest } = JSON.parse((await object.Body?.transformToString()) ?? '')
  assert.deepEqual(withoutWhen(rest), expected)
  assert.ok(service.texts.includes(payload), 'the event as the function got it')
})

test(
  'while the destination refuses nothing is committed, and it goes on when it takes',
  { skip: motoSkip },
  async t => {
    const { endpoint, region } = await startMoto(t)
    const sqs = new SQSClient({ endpoint, region, credentials: MOTO_CREDENTIALS })
    t.after(() => sqs.destroy())
    const world = await esmWorld(t)
    await world.append({ text: 'a' })
    const service = await startFunction(t, () => ({ error: true }))
    const mapping = await world.map({
      functionName: 'f',
      endpoint: service.endpoint,
      destinationEndpoint: endpoint,
      region,
      pollers: {},
      retriesMax: 0,
      onFailure: `arn:aws:sqs:${region}:${ACCOUNT}:late`
    })
    await untilDone(mapping, { 0: 0 })
    await until(() => service.texts.length > 0 && mapping.status().waiting > 0)
    assert.equal(await world.committed(mapping.groupId), 0)
    await sqs.send(new CreateQueueCommand({ QueueName: 'late' }))
    await untilDone(mapping, { 0: 1 })
    assert.equal(service.texts.length, 1)
  }
)

/** What AWS's example has, with the names and times of this test. */
function failureOf(topic: string, region: string, payloadSize: number): object {
  return {
    requestContext: {
      functionArn: `arn:aws:lambda:${region}:${ACCOUNT}:function:myfunction`,
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 2
    },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    version: '1.0',
    KafkaBatchInfo: {
      batchSize: 3,
      eventSourceArn: `arn:aws:kafka:${region}:${ACCOUNT}:cluster/c/u-2`,
      bootstrapServers: 'b-1:9092',
      payloadSize,
      recordsInfo: {
        [`${topic}-0`]: {
          firstRecordOffset: '0',
          lastRecordOffset: '1',
          firstRecordTimestamp: '2019-11-14T00:38:04.835Z',
          lastRecordTimestamp: '2019-11-14T00:38:05.580Z'
        },
        [`${topic}-1`]: {
          firstRecordOffset: '0',
          lastRecordOffset: '0',
          firstRecordTimestamp: '2019-11-14T00:38:06.000Z',
          lastRecordTimestamp: '2019-11-14T00:38:06.000Z'
        }
      }
    }
  }
}

/** A failure record without what is new each time. */
function withoutWhen(record: { timestamp?: string; requestContext: { requestId?: string } }): object {
  const { timestamp, requestContext, ...rest } = record
  const { requestId, ...context } = requestContext
  assert.match(timestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.match(requestId ?? '', /^[0-9a-f-]{36}$/)
  return { requestContext: context, ...rest }
}

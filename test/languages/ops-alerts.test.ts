/** Alerts through SNS, against moto; and what AWS says of an MSK cluster. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'

import { SeededRandom, systemClock } from '../../src/core/index.ts'
import { profileOf } from '../../src/ops/doctor/collect-msk.ts'
import { type Alert, AlertOutbox, snsSender } from '../../src/ops/index.ts'
import { MOTO_CREDENTIALS, MOTO_ENVIRONMENT, motoSkip as skip, startMoto } from '../support/moto.ts'

const alert: Alert = {
  key: 'slo:billing ≤ 60 s:page',
  severity: 'page',
  status: 'firing',
  title: 'billing ≤ 60 s is burning its error budget',
  group: 'billing',
  value: 'burn rate 20.0 and 30.0',
  threshold: 'burn rate 14.4 over 1 h and 5 min',
  reason: 'no consumer is running',
  next: 'comporta lag --group billing',
  sinceMs: 0,
  atMs: 60_000,
  repeats: 0
}

/** What SNS writes into a queue. Source: Amazon SNS, developer guide. */
interface Notification {
  readonly Subject: string
  readonly Message: string
  readonly MessageAttributes: Readonly<Record<string, { readonly Value: string }>>
}

test('SNS gets subject, text and attributes; a topic that is gone is not tried again', { skip }, async t => {
  const moto = await startMoto(t)
  Object.assign(process.env, MOTO_ENVIRONMENT)
  const settings = { region: moto.region, endpoint: moto.endpoint, credentials: MOTO_CREDENTIALS }
  const sns = new SNSClient(settings)
  const sqs = new SQSClient(settings)
  t.after(() => sns.destroy())
  t.after(() => sqs.destroy())
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'oncall' }))
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'oncall' }))
  const Endpoint = TopicArn.replace(':sns:', ':sqs:')
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint }))

  const base = { severities: ['page'] as const, region: moto.region, endpoint: moto.endpoint }
  const good = snsSender({ ...base, name: 'sns', topicArn: TopicArn })
  const gone = snsSender({ ...base, name: 'gone', topicArn: `${TopicArn}-gone` })
  const random = new SeededRandom(1)
  const outbox = new AlertOutbox({ senders: [good, gone], pipeline: 'shop', clock: systemClock, random })
  outbox.put([alert])
  await outbox.settled()
  assert.deepEqual(outbox.counts(), { sent: 1, dropped: 1, waiting: 0 })
  await outbox.close()

  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }))
  assert.equal(Messages.length, 1)
  const { Subject, Message, MessageAttributes } = JSON.parse(Messages[0]?.Body ?? '') as Notification
  assert.equal(Subject, '[page] shop: billing <= 60 s is burning its error budget')
  assert.match(Message, /^PAGE shop: billing ≤ 60 s is burning its error budget\nis: burn rate 20.0 and 30.0/)
  assert.match(Message, /next: comporta lag --group billing$/)
  const { severity, status, key } = MessageAttributes
  assert.deepEqual([severity?.Value, status?.Value, key?.Value], ['page', 'firing', 'slo:billing ≤ 60 s:page'])
})

/** What matters of an answer of DescribeClusterV2. Source: Amazon MSK API reference, `clusters/{clusterArn}`. */
const clusters: Readonly<Record<string, object>> = {
  standard: {
    clusterType: 'PROVISIONED',
    provisioned: { brokerNodeGroupInfo: { instanceType: 'kafka.m7g.large', clientSubnets: ['subnet-1'] } }
  },
  express: {
    clusterType: 'PROVISIONED',
    provisioned: { brokerNodeGroupInfo: { instanceType: 'express.m7g.large', clientSubnets: ['subnet-1'] } }
  },
  serverless: { clusterType: 'SERVERLESS', serverless: { vpcConfigs: [{ subnetIds: ['subnet-1'] }] } }
}

// Moto's dates are refused by the SDK, so that its answers cannot be read: the API's own form stands in.
test('AWS says kind and size of an MSK cluster, or which right is missing', async t => {
  Object.assign(process.env, MOTO_ENVIRONMENT)
  const paths: string[] = []
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    paths.push(path)
    const clusterInfo = clusters[/:cluster\/([a-z]+)\//.exec(path)?.[1] ?? '']
    response.setHeader('content-type', 'application/json')
    if (clusterInfo !== undefined) return void response.end(JSON.stringify({ clusterInfo }))
    response.writeHead(403, { 'x-amzn-errortype': 'ForbiddenException' }).end('{"message":"not authorized"}')
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => server.close())
  // An address was given: the server listens on a port.
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const arnOf = (name: string): string => `arn:aws:kafka:eu-west-1:123456789012:cluster/${name}/0-1`
  for (const [name, instanceType] of [
    ['standard', 'kafka.m7g.large'],
    ['express', 'express.m7g.large'],
    ['serverless', undefined]
  ] as const) {
    const found = await profileOf([], { endpoint, arn: arnOf(name) })
    assert.ok(found.isKnown, found.isKnown ? '' : found.reason)
    assert.equal(found.value.profile, name)
    assert.equal(found.value.instanceType, instanceType)
  }
  assert.equal(paths[0], `/api/v2/clusters/${arnOf('standard')}`)
  const refused = await profileOf([], { endpoint, arn: arnOf('secret') })
  assert.match(refused.isKnown ? '' : refused.reason, /not authorized; it needs kafka:DescribeClusterV2/)
})

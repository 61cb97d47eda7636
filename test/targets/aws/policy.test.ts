/**
 * Rights of targets in AWS. Expected actions and forms of ARNs: Service authorization reference, "Actions" and
 * "Resource types" of each service.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sinkPolicy } from '../../../src/targets/aws/policy.ts'

const place = { region: 'eu-west-1', accountId: '210987654321' }

test('a target needs one action on one resource', () => {
  const cases = [
    [
      { type: 'sqs', queueUrl: 'https://sqs.sa-east-1.amazonaws.com/123456789012/orders.fifo' },
      'sqs:SendMessage',
      'arn:aws:sqs:sa-east-1:123456789012:orders.fifo'
    ],
    [
      { type: 'sqs', queueUrl: 'https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q' },
      'sqs:SendMessage',
      'arn:aws-cn:sqs:cn-north-1:123456789012:q'
    ],
    [
      { type: 'sqs', queueUrl: 'http://127.0.0.1:9324/queue/q' },
      'sqs:SendMessage',
      'arn:aws:sqs:eu-west-1:210987654321:q'
    ],
    [
      { type: 'sns', topicArn: 'arn:aws:sns:eu-west-1:123456789012:alerts' },
      'sns:Publish',
      'arn:aws:sns:eu-west-1:123456789012:alerts'
    ],
    [{ type: 'eventBridge' }, 'events:PutEvents', 'arn:aws:events:eu-west-1:210987654321:event-bus/default'],
    [
      { type: 'eventBridge', eventBus: 'arn:aws:events:us-east-1:1:event-bus/x' },
      'events:PutEvents',
      'arn:aws:events:us-east-1:1:event-bus/x'
    ],
    [
      { type: 'kinesis', stream: 'telemetry', region: 'us-gov-west-1' },
      'kinesis:PutRecords',
      'arn:aws-us-gov:kinesis:us-gov-west-1:210987654321:stream/telemetry'
    ]
  ] as const
  for (const [settings, action, resource] of cases) {
    assert.deepEqual(sinkPolicy(settings, place), [{ Action: [action], Resource: [resource] }], resource)
  }
})

test('what the settings do not say is a star', () => {
  assert.deepEqual(sinkPolicy({ type: 'kinesis', stream: 'telemetry' }), [
    { Action: ['kinesis:PutRecords'], Resource: ['arn:aws:kinesis:*:*:stream/telemetry'] }
  ])
})

test('what is not in AWS needs no rights', () => {
  for (const settings of ['http://127.0.0.1/x', { type: 'http', url: 'http://x' }, { type: 'toString' }, null, 7, {}]) {
    assert.deepEqual(sinkPolicy(settings, place), [])
  }
})

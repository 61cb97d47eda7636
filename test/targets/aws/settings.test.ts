/** Settings of targets in AWS, checked by hand; regions read from addresses. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { regionOfArn, regionOfQueueUrl } from '../../../src/targets/aws/aws-settings.ts'
import { eventBridgeSinkProblems } from '../../../src/targets/sinks/event-bridge-settings.ts'
import { EventBridgeSink } from '../../../src/targets/sinks/event-bridge-sink.ts'
import { kinesisSinkProblems } from '../../../src/targets/sinks/kinesis-settings.ts'
import { KinesisSink } from '../../../src/targets/sinks/kinesis-sink.ts'
import { snsSinkProblems } from '../../../src/targets/sinks/sns-settings.ts'
import { SnsSink } from '../../../src/targets/sinks/sns-sink.ts'
import { sqsSinkProblems } from '../../../src/targets/sinks/sqs-settings.ts'
import { SqsSink } from '../../../src/targets/sinks/sqs-sink.ts'

const queueUrl = 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders'
const topicArn = 'arn:aws:sns:eu-west-1:123456789012:orders.fifo'

test('settings that can work have no problems', () => {
  const urls = [
    queueUrl,
    `${queueUrl}.fifo`,
    'https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders',
    'http://127.0.0.1:5000/123456789012/q',
    'http://sqs.eu-west-1.localhost.localstack.cloud:4566/000000000000/q',
    'http://localhost:9324/queue/q'
  ]
  for (const url of urls) assert.deepEqual(sqsSinkProblems({ type: 'sqs', queueUrl: url }), [], url)
  const all = {
    type: 'sqs',
    queueUrl: `${queueUrl}.fifo`,
    region: 'us-gov-west-1',
    deduplicationId: '{value.id}',
    endpoint: 'https://vpce.example.com',
    message: 'batch',
    group: '{value.truck.id}',
    order: 'loose',
    attributes: { 'a.b-c_d': '{key}' },
    bytesMax: 262_144,
    messageRecordsMax: 100,
    concurrency: 20,
    timeoutMs: 3000,
    retry: { attemptsMax: 3 }
  }
  assert.deepEqual(sqsSinkProblems(all), [])
  assert.deepEqual(snsSinkProblems({ type: 'sns', topicArn, bytesMax: 1_048_576 }), [])
  for (const eventBus of [
    'default',
    'aws.partner/example.com/x',
    'arn:aws:events:eu-west-1:123456789012:event-bus/orders'
  ]) {
    assert.deepEqual(eventBridgeSinkProblems({ type: 'eventBridge', eventBus }), [], eventBus)
  }
  assert.deepEqual(eventBridgeSinkProblems({ type: 'eventBridge', source: 'a.{topic}', resources: ['{id}'] }), [])
  for (const stream of ['orders', 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders']) {
    assert.deepEqual(kinesisSinkProblems({ type: 'kinesis', stream, order: 'loose', bytesMax: 10_485_760 }), [], stream)
  }
})

test('every problem of a target is named with its setting', () => {
  const problems = sqsSinkProblems({
    type: 'sqs',
    queueUrl: 'orders',
    message: 'all',
    group: '{',
    order: 'partition',
    attributes: { 'AWS.x': '{key}', '.a': '{key}', ok: '{nothing}', no: 7 },
    bytesMax: 1_048_577,
    messageRecordsMax: 0,
    concurrency: 51,
    region: 'Ireland',
    endpoint: 'sqs',
    delay: 3
  })
  for (const name of [
    'queueUrl',
    'message',
    'group',
    'order',
    'attributes.AWS.x',
    'attributes..a',
    'attributes.ok',
    'attributes.no',
    'bytesMax',
    'messageRecordsMax',
    'concurrency',
    'region',
    'endpoint',
    'delay'
  ]) {
    assert.ok(
      problems.some(problem => problem.startsWith(`${name}: `)),
      `${name}: ${problems.join('; ')}`
    )
  }
  assert.equal(problems.length, 14)
  const eleven = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`a${index}`, '{key}']))
  assert.match(sqsSinkProblems({ queueUrl, attributes: eleven }).join(), /more than 10/)
  assert.match(sqsSinkProblems({}).join(), /queueUrl: is missing/)
  assert.match(snsSinkProblems({ topicArn: 'arn:aws:sqs:eu-west-1:123456789012:x' }).join(), /topicArn/)
  assert.match(eventBridgeSinkProblems({ source: 'aws.ec2' }).join(), /reserved/)
  assert.match(eventBridgeSinkProblems({ resources: 'x' }).join(), /list/)
  assert.match(eventBridgeSinkProblems({ resources: ['{x}'] }).join(), /resources\.0/)
  assert.match(eventBridgeSinkProblems({ eventBus: 'a b' }).join(), /eventBus/)
  assert.match(kinesisSinkProblems({ stream: 's', recordBytesMax: 6_000_000 }).join(), /fit into no request/)
  assert.match(kinesisSinkProblems({ stream: 's', requestRecordsMax: 501 }).join(), /1 to 500/)
  for (const odd of [undefined, null, [], 'text', 7]) {
    for (const check of [sqsSinkProblems, snsSinkProblems, kinesisSinkProblems, eventBridgeSinkProblems]) {
      assert.ok(check(odd).length > 0)
    }
  }
})

test('a sink that cannot work is not made', () => {
  const makers = [
    () => new SqsSink({ name: 'q', queueUrl: 'x' }),
    () => new SnsSink({ name: 't', topicArn: 'x' }),
    () => new EventBridgeSink({ name: 'b', detailType: '{x}' }),
    () => new KinesisSink({ name: 's', stream: '' })
  ]
  for (const make of makers) {
    assert.throws(make, error => PipelineError.is(error) && error.code === 'ERR_DISPATCHER_TARGET_INVALID')
  }
})

test('the region comes from the address where that says it', () => {
  assert.equal(regionOfQueueUrl(queueUrl), 'eu-west-1')
  assert.equal(regionOfQueueUrl('https://sqs.cn-north-1.amazonaws.com.cn/1/q'), 'cn-north-1')
  assert.equal(regionOfQueueUrl('https://sqs-fips.us-gov-west-1.amazonaws.com/1/q'), 'us-gov-west-1')
  assert.equal(regionOfQueueUrl('http://127.0.0.1:5000/123456789012/q'), undefined)
  assert.equal(regionOfQueueUrl('https://vpce-1-x.sqs.us-east-1.vpce.amazonaws.com/1/q'), 'us-east-1')
  assert.equal(regionOfQueueUrl('https://eu-central-1.queue.amazonaws.com/1/q'), 'eu-central-1')
  assert.equal(regionOfQueueUrl('http://sqs.eu-west-1.localhost.localstack.cloud:4566/0/q'), 'eu-west-1')
  assert.equal(regionOfQueueUrl('https://queue.amazonaws.com/123456789012/q'), undefined)
  assert.equal(regionOfArn(topicArn), 'eu-west-1')
  assert.equal(regionOfArn('orders'), undefined)
})

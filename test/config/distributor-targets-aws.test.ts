/**
 * Targets in AWS in the pipeline file: what the schema takes is what the function takes when it starts, which checks
 * its settings by hand.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  eventBridgeTargetSchema,
  kinesisTargetSchema,
  snsTargetSchema,
  sqsTargetSchema
} from '../../src/config/schema/distributor-targets-aws.ts'
import { eventBridgeSinkProblems } from '../../src/targets/sinks/event-bridge-settings.ts'
import { kinesisSinkProblems } from '../../src/targets/sinks/kinesis-settings.ts'
import { snsSinkProblems } from '../../src/targets/sinks/sns-settings.ts'
import { sqsSinkProblems } from '../../src/targets/sinks/sqs-settings.ts'

const sqs = { type: 'sqs', queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo' }
const sns = { type: 'sns', topicArn: 'arn:aws:sns:eu-west-1:123456789012:orders.fifo' }
const bus = { type: 'eventBridge' }
const stream = { type: 'kinesis', stream: 'orders' }

/** Settings of queues and topics, and whether they can work. */
const messages: readonly (readonly [settings: object, isFine: boolean])[] = [
  [{}, true],
  [{ region: 'eu-west-1', endpoint: 'http://127.0.0.1:5000' }, true],
  [{ region: 'Ireland' }, false],
  [{ endpoint: 'localhost' }, false],
  [{ message: 'batch', messageRecordsMax: 100 }, true],
  [{ message: 'all' }, false],
  [{ messageRecordsMax: 0 }, false],
  [{ group: '{key}-{value.a.b}' }, true],
  [{ group: '' }, false],
  [{ group: '{codigo}' }, false],
  [{ group: '{' }, false],
  [{ order: 'loose' }, true],
  [{ deduplicationId: 'eu-{id}' }, true],
  [{ deduplicationId: '{order}' }, false],
  [{ order: 'partition' }, false],
  [{ attributes: {} }, true],
  [{ attributes: { code: '{value.codigo}', 'a.b': 'text' } }, true],
  [{ attributes: { 'Amazon.x': 'text' } }, false],
  [{ attributes: { 'a..b': 'text' } }, false],
  [{ attributes: { a: '' } }, false],
  [{ attributes: Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`a${index}`, 'x'])) }, false],
  [{ bytesMax: 1024 }, true],
  [{ bytesMax: 1_048_576 }, true],
  [{ bytesMax: 1_048_577 }, false],
  [{ concurrency: 50 }, true],
  [{ concurrency: 51 }, false],
  [{ timeoutMs: 1000, retry: { attemptsMax: 3 } }, true],
  [{ delaySeconds: 3 }, false]
]

test('queues and topics', () => {
  for (const [settings, isFine] of messages) {
    const hint = JSON.stringify(settings)
    assert.equal(sqsTargetSchema.safeParse({ ...sqs, ...settings }).success, isFine, hint)
    assert.equal(sqsSinkProblems({ ...sqs, ...settings }).length === 0, isFine, hint)
    assert.equal(snsTargetSchema.safeParse({ ...sns, ...settings }).success, isFine, hint)
    assert.equal(snsSinkProblems({ ...sns, ...settings }).length === 0, isFine, hint)
  }
  for (const settings of [{ order: 'key' }, { deduplicationId: '{id}' }]) {
    const queue = { type: 'sqs', queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders', ...settings }
    assert.equal(sqsTargetSchema.safeParse(queue).success, false)
    assert.match(sqsSinkProblems(queue).join(), /is for FIFO/)
    const topic = { type: 'sns', topicArn: 'arn:aws:sns:eu-west-1:123456789012:orders', ...settings }
    assert.equal(snsTargetSchema.safeParse(topic).success, false)
    assert.match(snsSinkProblems(topic).join(), /is for FIFO/)
  }
  for (const queueUrl of ['orders', 'https://sqs.eu-west-1.amazonaws.com/1/a b', 'ftp://x/q', 'http://x/q.fifi']) {
    assert.equal(sqsTargetSchema.safeParse({ type: 'sqs', queueUrl }).success, false, queueUrl)
    assert.ok(sqsSinkProblems({ type: 'sqs', queueUrl }).length > 0, queueUrl)
  }
  for (const topicArn of ['orders', 'arn:aws:sns:eu-west-1:12:x', 'arn:aws:sqs:eu-west-1:123456789012:x']) {
    assert.equal(snsTargetSchema.safeParse({ type: 'sns', topicArn }).success, false, topicArn)
    assert.ok(snsSinkProblems({ type: 'sns', topicArn }).length > 0, topicArn)
  }
})

test('event buses', () => {
  const cases: readonly (readonly [settings: object, isFine: boolean])[] = [
    [{}, true],
    [{ eventBus: 'arn:aws:events:eu-west-1:123456789012:event-bus/orders' }, true],
    [{ eventBus: 'two words' }, false],
    [{ source: 'fleet.{topic}', detailType: '{value.codigo}' }, true],
    [{ source: 'aws.ec2' }, false],
    [{ detailType: '{codigo}' }, false],
    [{ resources: ['kafka:{id}'] }, true],
    [{ resources: ['{none}'] }, false],
    [{ resources: 'kafka:{id}' }, false],
    [{ group: '{key}' }, false]
  ]
  for (const [settings, isFine] of cases) {
    const hint = JSON.stringify(settings)
    assert.equal(eventBridgeTargetSchema.safeParse({ ...bus, ...settings }).success, isFine, hint)
    assert.equal(eventBridgeSinkProblems({ ...bus, ...settings }).length === 0, isFine, hint)
  }
})

test('streams', () => {
  const cases: readonly (readonly [settings: object, isFine: boolean])[] = [
    [{}, true],
    [{ stream: 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders' }, true],
    [{ stream: 'two words' }, false],
    [{ partitionKey: '{value.truck}' }, true],
    [{ partitionKey: '{truck}' }, false],
    [{ order: 'loose', requestRecordsMax: 500 }, true],
    [{ requestRecordsMax: 501 }, false],
    [{ recordBytesMax: 10_485_760, bytesMax: 10_485_760 }, true],
    [{ recordBytesMax: 10_485_760 }, false],
    [{ bytesMax: 10_485_761 }, false]
  ]
  for (const [settings, isFine] of cases) {
    const hint = JSON.stringify(settings)
    assert.equal(kinesisTargetSchema.safeParse({ ...stream, ...settings }).success, isFine, hint)
    assert.equal(kinesisSinkProblems({ ...stream, ...settings }).length === 0, isFine, hint)
  }
})

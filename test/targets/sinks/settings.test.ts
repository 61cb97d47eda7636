/**
 * Settings of Step Functions, DynamoDB, S3, Lambda and Kafka targets: the check by hand, which runs in the function,
 * and the schema of the pipeline file agree.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { distributorSchema } from '../../../src/config/schema/distributor.ts'
import { SINK_TYPES, sinkProblems } from '../../../src/targets/sinks/index.ts'
import { sinkPolicy } from '../../../src/targets/index.ts'

const stateMachineArn = 'arn:aws:states:eu-west-1:123456789012:stateMachine:orders'
const flow = { type: 'stepFunctions', stateMachineArn }
const table = { type: 'dynamoDb', table: 'trucks', key: ['truck'] }
const bucket = { type: 's3', bucket: 'archive' }
const other = { type: 'lambda', functionName: 'orders' }
const kafka = { type: 'kafka', bootstrapServers: ['b-1.example.com:9092', '[::1]:9092'], topic: 'alerts' }
const secret = { env: 'KAFKA_PASSWORD' }

const GOOD: readonly Record<string, unknown>[] = [
  flow,
  { ...flow, stateMachineArn: `${stateMachineArn}:live`, start: 'batch', namePrefix: 'again_1-', order: 'loose' },
  { ...flow, region: 'eu-west-1', endpoint: 'http://127.0.0.1:5000', concurrency: 50, retry: { attemptsMax: 2 } },
  table,
  { ...table, table: 'arn:aws:dynamodb:eu-west-1:123456789012:table/trucks', key: ['truck', 'at'] },
  { ...table, key: { pk: '{topic}#{value.truck.id}', sk: '{offset}' }, attributes: { all: '{value}', total: 'a.b' } },
  { ...table, condition: 'newer', version: 'updated_at', timeoutMs: 1000 },
  { ...table, condition: 'newer', originPrefix: 'eu/2/' },
  bucket,
  {
    ...bucket,
    key: 'x/{topic}/{yyyy}-{MM}-{dd}/{HH}{mm}/{partition}/{offsets}-{first}-{last}-{timestamp}.{extension}'
  },
  { ...bucket, format: 'json', gzip: true, contentType: 'application/json; charset=utf-8', storageClass: 'GLACIER_IR' },
  { ...bucket, encryption: 'aws:kms', kmsKeyId: 'alias/mine', pathStyle: true, recordsMax: 10, bytesMax: 1_000_000 },
  { ...bucket, bucket: 'arn:aws:s3:eu-west-1:123456789012:accesspoint/mine' },
  other,
  { ...other, functionName: '123456789012:function:orders:live' },
  { ...other, functionName: 'arn:aws:lambda:eu-west-1:123456789012:function:orders', invocationType: 'Event' },
  { ...other, qualifier: '$LATEST', recordsMax: 100 },
  kafka,
  { ...kafka, topic: '{topic}-eu', key: '{value.id}', compression: 'zstd', originHeaders: false, otherCluster: true },
  { ...kafka, tls: true, sasl: { mechanism: 'AWS_MSK_IAM', region: 'eu-west-1' } },
  { ...kafka, tls: { ca: { file: 'ca.pem' }, cert: { env: 'C' }, key: { env: 'K' }, serverName: 'broker' } },
  {
    ...kafka,
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'alice', password: secret },
    clientId: 'me',
    idleMaxMs: 1000
  }
]

const BAD: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ ...flow, stateMachineArn: 'orders' }, 'stateMachineArn'],
  [{ ...flow, start: 'both' }, 'start'],
  [{ ...flow, namePrefix: 'a b' }, 'namePrefix'],
  [{ ...flow, concurrency: 0 }, 'concurrency'],
  [{ ...flow, express: true }, 'express'],
  [{ type: 'dynamoDb', table: 'trucks' }, 'key'],
  [{ ...table, table: 'a' }, 'table'],
  [{ ...table, key: [] }, 'key'],
  [{ ...table, key: ['a', 'a'] }, 'key'],
  [{ ...table, key: ['a', 'b', 'c'] }, 'key'],
  [{ ...table, key: {} }, 'key'],
  [{ ...table, key: { pk: '{nothing}' } }, 'key.pk'],
  [{ ...table, attributes: { a: '' } }, 'attributes.a'],
  [{ ...table, attributes: { comporta_version: 'a' } }, 'attributes.comporta_version'],
  [{ ...table, condition: 'older' }, 'condition'],
  [{ ...table, version: 'a' }, 'version'],
  [{ ...table, originPrefix: 'two-' }, 'originPrefix'],
  [{ ...table, condition: 'newer', version: 'a', originPrefix: 'two-' }, 'originPrefix'],
  [{ ...table, condition: 'newer', originPrefix: 'ä' }, 'originPrefix'],
  [{ ...bucket, bucket: 'Archive' }, 'bucket'],
  [{ ...bucket, key: '{topic}/{offsets}' }, 'key'],
  // Partition 2 of t1 and partition 12 of t would have the same keys.
  [{ ...bucket, key: '{topic}{partition}/{offsets}' }, 'key'],
  [{ ...bucket, key: '{topic}/{partition}0{offsets}' }, 'key'],
  [{ ...bucket, key: '/{topic}/{partition}/{offsets}' }, 'key'],
  [{ ...bucket, key: '{topic}/{partition}/{offsets}/{value.a}' }, 'key'],
  [{ ...bucket, format: 'csv' }, 'format'],
  [{ ...bucket, gzip: 'yes' }, 'gzip'],
  [{ ...bucket, kmsKeyId: 'alias/mine' }, 'kmsKeyId'],
  [{ ...bucket, contentType: 'text' }, 'contentType'],
  [{ ...bucket, bytesMax: 1 }, 'bytesMax'],
  [{ ...other, functionName: 'a b' }, 'functionName'],
  [{ ...other, invocationType: 'DryRun' }, 'invocationType'],
  [{ ...other, recordsMax: 0 }, 'recordsMax'],
  [{ ...kafka, bootstrapServers: 'b:9092' }, 'bootstrapServers'],
  [{ ...kafka, bootstrapServers: ['b'] }, 'bootstrapServers'],
  [{ ...kafka, topic: 'a b' }, 'topic'],
  [{ ...kafka, topic: '{nothing}' }, 'topic'],
  [{ ...kafka, compression: 'zip' }, 'compression'],
  [{ ...kafka, tls: { cert: secret } }, 'tls'],
  [{ ...kafka, tls: { ca: { url: 'x' } } }, 'tls'],
  [{ ...kafka, sasl: { mechanism: 'PLAIN', username: 'alice' } }, 'sasl'],
  [{ ...kafka, sasl: { mechanism: 'GSSAPI' } }, 'sasl'],
  [{ ...kafka, sasl: { mechanism: 'AWS_MSK_IAM', region: 'eu-west-1' } }, 'sasl'],
  [{ ...kafka, idleMaxMs: 999 }, 'idleMaxMs'],
  [{ ...kafka, acks: 1 }, 'acks']
]

test('what can work is taken by both', () => {
  for (const settings of GOOD) {
    const text = JSON.stringify(settings)
    assert.deepEqual(sinkProblems(settings), [], text)
    const parsed = distributorSchema.safeParse({ targets: { one: settings } })
    assert.equal(parsed.error?.message, undefined, text)
  }
})

test('what cannot work is refused by both, with the setting that is wrong', () => {
  for (const [settings, place] of BAD) {
    const text = JSON.stringify(settings)
    const problems = sinkProblems(settings)
    assert.equal(problems.length, 1, `${text}: ${problems.join('; ')}`)
    assert.equal(problems[0]?.startsWith(place), true, `${text}: ${problems[0]}`)
    const parsed = distributorSchema.safeParse({ targets: { one: settings } })
    assert.equal(parsed.success, false, text)
  }
})

test('every type of target is known', () => {
  for (const { type } of GOOD) assert.ok(SINK_TYPES.includes(String(type)))
})

test('a function does not call itself', () => {
  const own = { AWS_LAMBDA_FUNCTION_NAME: 'orders' }
  for (const functionName of ['orders', 'orders:live', 'arn:aws:lambda:eu-west-1:123456789012:function:orders']) {
    assert.match(sinkProblems({ ...other, functionName }, own).join(), /would call itself/)
  }
  assert.deepEqual(sinkProblems(other, { AWS_LAMBDA_FUNCTION_NAME: 'router' }), [])
})

// Expected actions and forms of ARNs: Service authorization reference, "Actions" and "Resource types" of each service.
test('rights are as narrow as the settings tell', () => {
  const place = { region: 'eu-west-1', accountId: '210987654321' }
  const cases = [
    [flow, ['states:StartExecution'], [stateMachineArn]],
    [
      { ...flow, stateMachineArn: `${stateMachineArn}:live` },
      ['states:StartExecution'],
      [stateMachineArn, `${stateMachineArn}:live`]
    ],
    [table, ['dynamodb:BatchWriteItem'], ['arn:aws:dynamodb:eu-west-1:210987654321:table/trucks']],
    [
      { ...table, condition: 'newer', region: 'cn-north-1' },
      ['dynamodb:PutItem'],
      ['arn:aws-cn:dynamodb:cn-north-1:210987654321:table/trucks']
    ],
    [bucket, ['s3:PutObject'], ['arn:aws:s3:::archive/*']],
    [{ ...bucket, key: 'raw/{topic}/{partition}/{offsets}' }, ['s3:PutObject'], ['arn:aws:s3:::archive/raw/*']],
    [
      { ...bucket, bucket: 'arn:aws:s3:eu-west-1:123456789012:accesspoint/mine' },
      ['s3:PutObject'],
      ['arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/object/*']
    ],
    [other, ['lambda:InvokeFunction'], ['arn:aws:lambda:eu-west-1:210987654321:function:orders']],
    [
      { ...other, functionName: '123456789012:function:orders', qualifier: 'live' },
      ['lambda:InvokeFunction'],
      ['arn:aws:lambda:eu-west-1:123456789012:function:orders:live']
    ]
  ] as const
  for (const [settings, Action, Resource] of cases) {
    assert.deepEqual(sinkPolicy(settings, place), [{ Action, Resource }], JSON.stringify(settings))
  }
  const key = 'arn:aws:kms:eu-west-1:123456789012:key/1'
  const [, kms] = sinkPolicy({ ...bucket, encryption: 'aws:kms', kmsKeyId: key }, place)
  assert.deepEqual(kms, { Action: ['kms:GenerateDataKey'], Resource: [key] })
  assert.deepEqual(sinkPolicy(kafka, place), [])
  assert.deepEqual(sinkPolicy({ ...kafka, sasl: { mechanism: 'AWS_MSK_IAM', region: 'us-east-2' } }, place), [
    {
      Action: ['kafka-cluster:Connect', 'kafka-cluster:WriteDataIdempotently'],
      Resource: ['arn:aws:kafka:us-east-2:210987654321:cluster/*/*']
    },
    {
      Action: ['kafka-cluster:DescribeTopic', 'kafka-cluster:WriteData'],
      Resource: ['arn:aws:kafka:us-east-2:210987654321:topic/*/*/alerts']
    }
  ])
})

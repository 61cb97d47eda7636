/**
 * The archive that `comporta lambda package` makes, unpacked and run by AWS's own runtime interface client and
 * emulator: the programs that call a handler in Lambda.
 */

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'

import { buildDistributor } from '../../scripts/build-distributor.ts'
import { packageDistributor } from '../../src/cli/package/package-distributor.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { runProcess } from '../support/child-process.ts'
import { runComporta, startComporta, temporaryFolder } from '../support/comporta.ts'
import { type Moto, MOTO_CREDENTIALS, MOTO_ENVIRONMENT, motoSkip, startMoto } from '../support/moto.ts'
import { freePorts } from '../support/ports.ts'
import { stage } from '../producer/kafka.ts'
import { awsLambdaSkip, type Emulator, startEmulator } from './aws-lambda-tools.ts'

const skip = process.env['LANGUAGE_TESTS'] === 'long' ? false : 'takes long: LANGUAGE_TESTS=long runs it'

test("AWS's programs can run where they have to", { skip }, () => {
  assert.equal(awsLambdaSkip, false)
})

interface Received {
  readonly key: string | undefined
  readonly authorization: string | undefined
  readonly body: { readonly messages: readonly unknown[]; readonly offsets: readonly number[] }
}

interface Service {
  readonly url: string
  readonly received: Received[]
  status: number
}

async function startService(t: TestContext): Promise<Service> {
  const service = { url: '', received: [] as Received[], status: 200 }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const key = request.headers['idempotency-key']
      service.received.push({
        key: typeof key === 'string' ? key : undefined,
        authorization: request.headers.authorization,
        // What the distributor sends is JSON; its members are compared below.
        body: JSON.parse(Buffer.concat(chunks).toString()) as Received['body']
      })
      response.writeHead(service.status).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
  return service
}

/** Packs the function `function` of a pipeline file and unpacks the archive, as Lambda does. */
async function deploy(t: TestContext, text: string): Promise<string> {
  const folder = temporaryFolder(t)
  const pipeline = parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
  const bundleFile = join(folder, 'bundle.cjs')
  await buildDistributor(bundleFile)
  const made = await packageDistributor({ pipeline, name: 'function', outDir: folder, bundleFile })
  const taskRoot = join(folder, 'task')
  await runProcess('python3', ['-m', 'zipfile', '--extract', made.archive, taskRoot])
  return taskRoot
}

function pipelineWith(distributor: string): string {
  return `name: trucks
kafka: { bootstrapServers: embedded }
topics: { mt-c300: { partitions: 2 } }
producer:
  sources: [{ type: stdin }]
  route: { field: codigo, topics: { mt-c300: [300] } }
  key: { strategy: hash, fields: [truck_id] }
  deadLetterTopic: dead
dispatcher:
  groupId: dispatcher
  topics: [mt-c300]
  batch: { recordsMax: 100, ageMs: 50 }
  concurrency: 1
  deadLetterTopic: dead
  target: { type: lambda, functionName: function }
lambda:
  runtime: \${LAMBDA_RUNTIME:-embedded}
  functions:
    function:
      handler: builtin:distributor
      distributor: ${distributor}
`
}

async function invoke(emulator: Emulator, event: unknown): Promise<unknown> {
  const url = `${emulator.endpoint}/2015-03-31/functions/function/invocations`
  const reply = await fetch(url, { method: 'POST', body: JSON.stringify(event) })
  return await reply.json()
}

test('the packed distributor answers under AWS’s own client and emulator', { skip: awsLambdaSkip }, async t => {
  const [alerts, telemetry] = [await startService(t), await startService(t)]
  const headers = '{ authorization: { env: SERVICE_TOKEN } }'
  const targets = `{ alerts: { type: http, url: "${alerts.url}", headers: ${headers} }, telemetry: "${telemetry.url}" }`
  const routes = '[{ values: [300], targets: [alerts, telemetry] }, { values: [301], targets: [alerts] }]'
  const taskRoot = await deploy(t, pipelineWith(`{ field: codigo, targets: ${targets}, routes: ${routes} }`))
  const emulator = await startEmulator(t, { taskRoot, environment: { SERVICE_TOKEN: 'Bearer s3cret' } })

  await t.test('our payload is routed, and what has no route is a dead letter', async () => {
    const messages = [
      { codigo: 300, n: 1 },
      { codigo: 301, n: 2 },
      { codigo: 999, n: 3 }
    ]
    const answer = await invoke(emulator, { topic: 'mt-c300', partition: 3, messages, offsets: [7, 8, 9] })
    const reason = (answer as { failures: { reason: string }[] }).failures[0]?.reason
    assert.deepEqual(answer, { failures: [{ offset: 9, action: 'deadLetter', reason }] })
    assert.deepEqual(
      alerts.received.map(each => each.body.messages),
      [messages.slice(0, 2)]
    )
    assert.deepEqual(
      telemetry.received.map(each => each.body.offsets),
      [[7]]
    )
    assert.equal(alerts.received[0]?.authorization, 'Bearer s3cret')
    assert.equal(telemetry.received[0]?.authorization, undefined)
  })

  await t.test("AWS's event is answered with resume points", async () => {
    alerts.status = 503
    const value = (codigo: number): string => Buffer.from(JSON.stringify({ codigo })).toString('base64')
    const record = (partition: number, offset: number, codigo: number): object => ({
      topic: 'mt-c300',
      partition,
      offset,
      timestamp: 1_545_084_650_987,
      timestampType: 'CREATE_TIME',
      value: value(codigo),
      headers: []
    })
    const event = {
      eventSource: 'aws:kafka',
      eventSourceArn: 'arn:aws:kafka:eu-west-1:123456789012:cluster/trucks/a-1',
      bootstrapServers: 'b-1.trucks:9092',
      records: { 'mt-c300-0': [record(0, 15, 300)], 'mt-c300-1': [record(1, 4, 301)] }
    }
    assert.deepEqual(await invoke(emulator, event), {
      batchItemFailures: [
        { itemIdentifier: { partition: 'mt-c300-0', offset: 15 } },
        { itemIdentifier: { partition: 'mt-c300-1', offset: 4 } }
      ]
    })
  })

  await t.test('what is no event is an error of the function, in words', async () => {
    const answer = (await invoke(emulator, { hello: 'world' })) as { errorType: string; errorMessage: string }
    assert.match(answer.errorMessage, /neither "messages".* nor "records"/)
  })
  assert.doesNotMatch(emulator.output(), /s3cret/)
})

test('options that cannot work are said at every invocation', { skip: awsLambdaSkip }, async t => {
  const taskRoot = await deploy(t, pipelineWith('{ targets: { a: "http://127.0.0.1:1/" }, otherwise: [a] }'))
  const file = join(taskRoot, 'distributor.json')
  const options = JSON.parse(await readFile(file, 'utf8')) as { otherwise: unknown }
  await writeFile(file, JSON.stringify({ ...options, otherwise: ['b'] }))
  const emulator = await startEmulator(t, { taskRoot })
  const answer = (await invoke(emulator, {})) as { errorMessage: string }
  assert.match(answer.errorMessage, /otherwise: "b" is not one of targets/)
})

test('one pipeline file, unedited: first on this machine, then with the function under AWS’s programs', async t => {
  if (awsLambdaSkip !== false) return t.skip(awsLambdaSkip)
  const service = await startService(t)
  const text = pipelineWith(`{ targets: { all: "${service.url}" }, otherwise: [all] }`)
  const cwd = temporaryFolder(t)
  await writeFile(join(cwd, 'comporta.yaml'), text)
  const emulator = await startEmulator(t, { taskRoot: await deploy(t, text) })
  const [kafka, lambda] = await freePorts(2)
  const here = { COMPORTA_KAFKA__EMBEDDED__PORT: String(kafka), COMPORTA_LAMBDA__PORT: String(lambda) }
  const credentials = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'eu-west-1' }
  const inAws = { LAMBDA_RUNTIME: 'aws', AWS_ENDPOINT_URL_LAMBDA: emulator.endpoint, ...credentials }
  let sent = 0
  for (const env of [here, { ...here, ...inAws }]) {
    const up = await startComporta(t, ['up', '--no-console'], {
      cwd,
      env,
      until: /running as process \d+; Ctrl-C drains/
    })
    const events = Array.from({ length: 1000 }, (_, index) => ({
      codigo: 300,
      truck_id: `T-${index % 7}`,
      n: sent + index
    }))
    sent += events.length
    const input = events.map(event => `${JSON.stringify(event)}\n`).join('')
    const { exitCode, stderr } = await runComporta(['produce', '-'], { cwd, env, input })
    assert.equal(exitCode, 0, stderr)
    // Deliveries come in their own time; the test's limit ends a wait in vain.
    while (numbersOf(service).length < sent) await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal(await up.stop(), 0)
  }
  assert.deepEqual(
    numbersOf(service).toSorted((left, right) => left - right),
    Array.from({ length: sent }, (_, index) => index)
  )
  assert.match(emulator.output(), /REPORT RequestId/)
})

function numbersOf(service: Service): number[] {
  return service.received.flatMap(each => each.body.messages.map(numberOf))
}

function numberOf(message: unknown): number {
  return Number(Reflect.get(Object(message), 'n'))
}

interface Aws {
  readonly sqs: SQSClient
  readonly s3: S3Client
  readonly queueUrl: string
}

/** A FIFO queue, a bucket and a table of claims in moto. */
async function prepareAws(t: TestContext, moto: Moto): Promise<Aws> {
  const client = { endpoint: moto.endpoint, region: moto.region, credentials: MOTO_CREDENTIALS }
  const sqs = new SQSClient(client)
  const s3 = new S3Client({ ...client, forcePathStyle: true })
  const dynamoDb = new DynamoDBClient(client)
  t.after(() => {
    for (const each of [sqs, s3, dynamoDb]) each.destroy()
  })
  const Attributes = { FifoQueue: 'true' }
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'orders.fifo', Attributes }))
  const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const
  await s3.send(new CreateBucketCommand({ Bucket: 'archive', CreateBucketConfiguration }))
  await dynamoDb.send(
    new CreateTableCommand({
      TableName: 'claims',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST'
    })
  )
  return { sqs, s3, queueUrl: QueueUrl }
}

test('the same archive uses the SDK of the runtime: queue, bucket, topic, and claims in a table', async t => {
  if (awsLambdaSkip !== false || motoSkip !== false) return t.skip(String(awsLambdaSkip || motoSkip))
  const [moto, kafka] = await Promise.all([startMoto(t), stage(t)])
  const { sqs, s3, queueUrl } = await prepareAws(t, moto)
  const targets = [
    `orders: { type: sqs, queueUrl: "${queueUrl}" }`,
    'archive: { type: s3, bucket: archive, key: "{topic}/{partition}-{offsets}.{extension}" }',
    `events: { type: kafka, topic: ${kafka.topics.hot}, bootstrapServers: ["${kafka.bootstrapServers}"] }`
  ]
  const taskRoot = await deploy(
    t,
    pipelineWith(
      `{ targets: { ${targets.join(', ')} }, otherwise: [orders, archive, events], ` +
        'idempotency: { store: { type: dynamoDb, table: claims } } }'
    )
  )
  const environment = { ...MOTO_ENVIRONMENT, AWS_ENDPOINT_URL: moto.endpoint, AWS_LAMBDA_FUNCTION_NAME: 'function' }
  const emulator = await startEmulator(t, { taskRoot, environment })
  const messages = [
    { codigo: 1, n: 1 },
    { codigo: 1, n: 2 },
    { codigo: 2, n: 3 }
  ]
  const event = {
    topic: 'in',
    partition: 0,
    messages,
    offsets: [5, 6, 7],
    timestamps: [1e12, 1e12, 1e12],
    keys: ['a', 'a', 'b']
  }
  assert.deepEqual(await invoke(emulator, event), {}, emulator.output())
  assert.deepEqual(await invoke(emulator, event), {}, emulator.output())

  const received = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: 10,
    MessageSystemAttributeNames: ['All']
  })
  const { Messages = [] } = await sqs.send(received)
  assert.deepEqual(
    Messages.map(each => `${each.Body} of ${each.Attributes?.MessageGroupId}`).toSorted((one, other) =>
      one < other ? -1 : 1
    ),
    messages.map((message, index) => `${JSON.stringify(message)} of ${event.keys[index]}`)
  )
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'archive' }))
  assert.deepEqual(
    Contents.map(each => each.Key),
    ['in/0-0000000000000005-0000000000000007.ndjson']
  )
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'archive', Key: Contents[0]?.Key }))
  assert.equal(await Body?.transformToString(), messages.map(message => `${JSON.stringify(message)}\n`).join(''))
  // Each record once, though the event came twice: the table knew.
  const written = (await kafka.read(kafka.topics.hot)).map(({ value }): unknown => JSON.parse(value.toString()))
  assert.deepEqual(
    written.toSorted((left, right) => numberOf(left) - numberOf(right)),
    messages
  )
})

/**
 * A whole pipeline at the level debug, with secrets and payloads planted wherever one can be, and trouble at every
 * stage that logs: none of them may be in any line.
 */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { startDispatcherRole } from '../../src/cli/roles/dispatcher.ts'
import { startLambdaRole } from '../../src/cli/roles/lambda.ts'
import { startProducerRole } from '../../src/cli/roles/producer.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { connectRole, dispatcherWithEndpoint, ensureTopics } from '../../src/cli/wiring.ts'
import { createLogger } from '../../src/telemetry/index.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'

/** Each of them once; a line with any of them is a leak. */
const PLANTED = {
  saslPassword: 'Plant-sasl-password',
  targetToken: 'Plant-target-token',
  sinkToken: 'Plant-sink-token',
  collectorToken: 'Plant-collector-token',
  senderToken: 'Plant-sender-token',
  cookie: 'Plant-cookie',
  key: 'Plant-key',
  value: 'Plant-value',
  header: 'Plant-header',
  malformed: 'Plant-malformed'
} as const

/** A service that takes some and refuses others, and repeats what it was sent in its error, as bad services do. */
async function service(t: TestContext): Promise<string> {
  let count = 0
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', chunk => (text += String(chunk)))
    request.on('end', () => {
      count += 1
      const status = text.includes('refuse') ? 422 : count === 1 ? 503 : 200
      response.writeHead(status).end(status === 200 ? '' : `cannot take ${text} of ${request.headers.authorization}`)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function pipelineText(bootstrapServers: string, url: string, collector: string): string {
  return `
name: planted
kafka:
  bootstrapServers: [${bootstrapServers}]
  sasl: { mechanism: PLAIN, username: app, password: ${PLANTED.saslPassword} }
topics:
  trucks: { partitions: 2 }
telemetry:
  traces:
    exporter: otlp
    endpoint: ${collector}
    headers: { authorization: Bearer ${PLANTED.collectorToken} }
    sampling: { ratio: 1 }
producer:
  sources: [{ type: http, port: 0 }]
  route: { topic: trucks }
  key: { strategy: field, field: truck_id }
  headers: { correlationId: true, trace: true, static: { planted: ${PLANTED.header} } }
  deadLetterTopic: dead
dispatcher:
  groupId: g
  topics: [trucks]
  deadLetterTopic: dead
  batch: { recordsMax: 1, ageMs: 1 }
  retry: { attemptsMax: 2, initialMs: 1, maxMs: 2 }
  target: { type: lambda, functionName: distribute }
lambda:
  port: 0
  functions:
    distribute:
      handler: builtin:distributor
      timeoutMs: 20000
      distributor:
        targets:
          s: { type: http, url: '${url}', headers: { authorization: Bearer ${PLANTED.sinkToken} } }
        otherwise: [s]
        observability: { logs: true }
`
}

/** Lines of everything that logs, and whatever a part writes to the terminal. */
function capture(t: TestContext): string[] {
  const lines: string[] = []
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream)
    t.mock.method(stream, 'write', (text: string | Uint8Array, ...rest: []) => {
      const line = Buffer.from(text as Uint8Array).toString()
      if (line.includes('Plant-')) lines.push(line)
      return write(text, ...rest)
    })
  }
  return lines
}

async function publish(url: string): Promise<void> {
  const event = (more: object): string => JSON.stringify({ truck_id: PLANTED.key, text: PLANTED.value, ...more })
  const lines = [
    event({}),
    event({ refuse: true }),
    event({ truck_id: undefined }),
    `{"truck_id":"${PLANTED.key}","${PLANTED.malformed}"`,
    event({ truck_id: 'other' })
  ]
  const headers = {
    'content-type': 'application/x-ndjson',
    authorization: `Bearer ${PLANTED.senderToken}`,
    cookie: PLANTED.cookie,
    'x-correlation-id': 'order-1'
  }
  await fetch(url, { method: 'POST', headers, body: lines.join('\n') })
  await fetch(url, { method: 'POST', headers, body: 'x'.repeat(10) + PLANTED.malformed })
  await fetch(`${url}?key=${PLANTED.key}`, { headers }).catch(() => undefined)
}

test('no secret and no payload is in any line of a pipeline at the level debug', async t => {
  const lines = capture(t)
  const broker = await startBroker({
    listeners: [
      {
        name: 'SASL_PLAINTEXT',
        securityProtocol: 'SASL_PLAINTEXT',
        host: '127.0.0.1',
        port: 0,
        sasl: { plainUsers: { app: PLANTED.saslPassword } }
      }
    ],
    config: { 'group.initial.rebalance.delay.ms': '0' },
    logger: logger('broker')
  })
  t.after(() => broker.close())
  function logger(role: string): ReturnType<typeof createLogger> {
    return createLogger({ level: 'debug', fields: { role }, destination: { write: line => void lines.push(line) } })
  }
  const collector = await startOtlpReceiver(t)
  const text = pipelineText(broker.bootstrapServers, await service(t), collector.url)
  const pipeline = parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
  const { kafka, telemetry, producer, lambda } = pipeline
  assert.ok(producer !== undefined && lambda !== undefined)
  const admin = await connectRole(kafka, 'up', { logger: logger('up') })
  await ensureTopics(admin, pipeline)
  await admin.close()
  const functions = await startLambdaRole({ ...lambda, telemetry }, logger('lambda'))
  const dispatcher = dispatcherWithEndpoint(pipeline, functions.info['endpoint'])
  assert.ok(dispatcher !== undefined)
  const dispatching = await startDispatcherRole({ kafka, dispatcher, telemetry }, logger('dispatcher'))
  const producing = await startProducerRole({ kafka, producer, telemetry }, logger('producer'))

  await publish(producing.info['events'] ?? '')
  const isDone = (): boolean => {
    const { records = 0, deadLettered = 0 } = dispatching.status()
    return records + deadLettered >= 3
  }
  while (!isDone()) await new Promise(resolve => setTimeout(resolve, 5))
  // A client with a wrong password is refused, and says so.
  const wrong = {
    ...kafka,
    sasl: { mechanism: 'PLAIN' as const, username: 'app', password: `${PLANTED.saslPassword}x` }
  }
  await assert.rejects(connectRole(wrong, 'stranger', { logger: logger('stranger') }), error => {
    lines.push(String(error))
    return true
  })
  await producing.drain(5000)
  await dispatching.drain(5000)
  await functions.drain(5000)

  const all = lines.join('')
  assert.ok(lines.length > 10, all)
  for (const [name, secret] of Object.entries(PLANTED)) {
    assert.equal(all.includes(secret), false, `${name} is in: ${lines.find(line => line.includes(secret))}`)
  }
  // What went wrong is there, and where in a trace it belongs.
  const failed = lines.find(line => line.includes('did not take')) ?? ''
  assert.match(failed, /"traceId":"[0-9a-f]{32}","spanId":"[0-9a-f]{16}"/)
  assert.ok(collector.spans.some(span => span.traceId === /"traceId":"([0-9a-f]{32})"/.exec(failed)?.[1]))
  const attributes = JSON.stringify(collector.spans.map(span => span.attributes))
  for (const secret of Object.values(PLANTED)) assert.equal(attributes.includes(secret), false)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { dispatcherConfig } from '../../../src/config/index.ts'
import { startDispatcher } from '../../../src/dispatcher/index.ts'
import { HttpSource, streamSource } from '../../../src/producer/index.ts'
import { createTarget } from '../../../src/targets/index.ts'
import { uniqueName } from '../../support/cluster.ts'
import { stage } from '../kafka.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('records of an HTTP request carry its trace, its correlation id and its idempotency key', async t => {
  const { produce, topics, read } = await stage(t)
  const producer = await produce({
    headers: {
      correlationId: true,
      trace: true,
      idempotencyKey: true,
      producerId: { value: 'gate-1' },
      schemaId: { topics: { [topics.hot]: '7' } }
    }
  })
  const source = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 1_000_000, pendingBytesMax: 4_000_000 })
  void producer.run(source)
  const { port } = await source.listening
  const post = async (headers: Record<string, string>): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${port}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', ...headers },
      body: '{"codigo":400,"truck_id":"a"}\n{"codigo":300,"truck_id":"b"}\n'
    })
    assert.equal(response.status, 202)
  }
  await post({ traceparent, tracestate: 'a=1', 'x-request-id': 'r-1', 'idempotency-key': '"k-1"' })
  const common = { 'correlation-id': 'r-1', 'producer-id': 'gate-1', traceparent, tracestate: 'a=1' }
  assert.deepEqual((await read(topics.hot))[0]?.headers, { ...common, 'schema-id': '7', 'idempotency-key': 'k-1/1' })
  assert.deepEqual((await read(topics.cold))[0]?.headers, { ...common, 'idempotency-key': 'k-1/2' })

  await post({ traceparent: 'garbage', tracestate: 'a=1', 'x-request-id': 'x'.repeat(1025) })
  const [hot, cold] = [(await read(topics.hot))[1]?.headers, (await read(topics.cold))[1]?.headers]
  assert.match(hot?.['traceparent'] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  assert.match(hot?.['correlation-id'] ?? '', /^[0-9a-f-]{36}$/)
  assert.equal(hot?.['tracestate'], undefined)
  assert.equal(cold?.['traceparent'], hot?.['traceparent'])
  assert.equal(cold?.['correlation-id'], hot?.['correlation-id'])
})

test('dead letters keep the headers: of fields if the event can be read, of the source if not', async t => {
  const { produce, topics, read } = await stage(t, { topicConfig: { 'max.message.bytes': '400' } })
  const producer = await produce({
    headers: { correlationId: { field: 'id', generate: false }, trace: { field: 'tp' }, static: { team: 'trucks' } }
  })
  const lines = [
    `{"codigo":400,"id":"a","tp":"${traceparent}"}`, // no key
    'not json',
    `{"codigo":400,"truck_id":"t","id":"c","tp":"${traceparent}","fill":"${'x'.repeat(1000)}"}` // Kafka refuses it
  ]
  await producer.run(streamSource(Readable.from([Buffer.from(lines.join('\n'))])))
  const dead = (await read(topics.dead)).map(({ headers }) => headers)
  const byClass = new Map(dead.map(headers => [headers['comporta-error-class'], headers]))
  for (const [errorClass, id] of [
    ['unkeyed', 'a'],
    ['undeliverable', 'c']
  ] as const) {
    const headers = byClass.get(errorClass)
    assert.equal(headers?.['correlation-id'], id)
    assert.equal(headers?.['traceparent'], traceparent)
    assert.equal(headers?.['team'], 'trucks')
  }
  const malformed = byClass.get('malformed')
  assert.equal(malformed?.['team'], 'trucks')
  assert.equal(malformed?.['correlation-id'], undefined)
  assert.match(malformed?.['traceparent'] ?? '', /^00-/)
  assert.equal(dead.length, 3)
})

test('a dispatcher hands the headers on to its target', async t => {
  const { produce, cluster, topics } = await stage(t)
  const producer = await produce({ headers: { trace: { field: 'tp' }, correlationId: { field: 'id' } } })
  await producer.run(
    streamSource(Readable.from([Buffer.from(`{"codigo":400,"truck_id":"a","id":"c-1","tp":"${traceparent}"}`)]))
  )

  const bodies: Buffer[] = []
  const server = createServer((request, response) => {
    request.on('data', (piece: Buffer) => bodies.push(piece))
    request.on('end', () => response.writeHead(200).end())
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const config = dispatcherConfig({
    groupId: uniqueName('group'),
    topics: [topics.hot],
    deadLetterTopic: topics.dead,
    target: { type: 'http', url: `http://127.0.0.1:${port}/` },
    payload: { include: ['headers'] }
  })
  const target = await createTarget(config.target, { cluster })
  const dispatcher = await startDispatcher({ cluster, target, config })
  t.after(() => dispatcher.close())
  while (bodies.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  await dispatcher.drain()
  await target.close()
  const text = Buffer.concat(bodies).toString()
  const { headers } = JSON.parse(text) as { headers: unknown[] }
  assert.equal(headers.length, 1)
  assert.ok(text.includes(traceparent), text)
  assert.ok(text.includes('c-1'), text)
})

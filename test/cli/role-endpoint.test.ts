/** The HTTP endpoint of a role: who may ask, who may give orders, and what comes of nonsense. */

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'

import { type RoleEndpoint, type RoleEndpointOptions, startRoleEndpoint } from '../../src/cli/roles/role-endpoint.ts'
import { isLoopback, isOwnName } from '../../src/cli/roles/role-endpoint-hosts.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

const TOKEN = 'a-token-of-enough-characters'

async function endpointFor(t: TestContext, options: RoleEndpointOptions = {}): Promise<RoleEndpoint & { url: string }> {
  const endpoint = await startRoleEndpoint({ metricsPort: 0, ...options })
  t.after(() => endpoint.close())
  return { ...endpoint, url: new URL(endpoint.info['metrics'] ?? '').origin }
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Answered {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** `fetch` cannot send a `Host` of its own. */
async function ask(url: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answered> {
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', piece => (text += piece))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const json = { 'content-type': 'application/json' }
const order = { method: 'POST', headers: { ...json, authorization: `Bearer ${TOKEN}` } }

function codeOf({ body }: Answered): unknown {
  return (JSON.parse(body) as { code: unknown }).code
}

test('without a port nothing is served and nothing is collected', async () => {
  const endpoint = await startRoleEndpoint({})
  assert.equal(endpoint.isServed, false)
  assert.deepEqual(endpoint.info, {})
  await endpoint.close()
})

test('an endpoint is alive at once, and ready when its role says so, with the reason', async t => {
  const endpoint = await endpointFor(t)
  assert.equal((await ask(`${endpoint.url}/health/live`)).status, 200)
  const starting = await ask(`${endpoint.url}/health/ready`)
  assert.deepEqual([starting.status, JSON.parse(starting.body)], [503, { isReady: false, reason: 'starting' }])

  endpoint.readyBy(() => ({ isReady: true, reason: 'all is well' }))
  const ready = await ask(`${endpoint.url}/health/ready`)
  assert.deepEqual([ready.status, JSON.parse(ready.body)], [200, { isReady: true, reason: 'all is well' }])
  assert.equal(ready.headers['cache-control'], 'no-store')

  endpoint.readyBy(() => Promise.reject(new Error('cannot tell')))
  assert.equal((await ask(`${endpoint.url}/health/ready`)).status, 503)
  assert.equal((await ask(`${endpoint.url}/health/live`)).status, 200)
})

test('an open breaker is tolerated where a probe asks for it, and nothing else is', async t => {
  const endpoint = await endpointFor(t)
  endpoint.readyBy(() => ({ isReady: false, reason: 'the breaker is open', isBreakerOpen: true }))
  assert.equal((await ask(`${endpoint.url}/health/ready`)).status, 503)
  assert.equal((await ask(`${endpoint.url}/health/ready?tolerate=breaker`)).status, 200)
  endpoint.readyBy(() => ({ isReady: false, reason: 'stands still' }))
  assert.equal((await ask(`${endpoint.url}/health/ready?tolerate=breaker`)).status, 503)
})

test('GET and HEAD only, and names of other machines are refused on loopback', async t => {
  const { url } = await endpointFor(t)
  assert.equal((await ask(`${url}/metrics`, { method: 'HEAD' })).body, '')
  assert.equal((await ask(`${url}/metrics`, { method: 'POST' })).status, 405)
  const foreign = { headers: { host: 'rebound.example' } }
  for (const path of ['/metrics', '/describe', '/health/ready']) {
    assert.equal((await ask(`${url}${path}`, foreign)).status, 421, path)
  }
  assert.equal((await ask(`${url}/nothing`)).status, 404)
})

test('orders reach the role with the token, and say what holds now', async t => {
  const endpoint = await endpointFor(t, { controlToken: TOKEN })
  const seen: unknown[] = []
  endpoint.controlBy({ pause: at => seen.push(['pause', at]), resume: at => seen.push(['resume', at]) })
  const body = JSON.stringify({ topic: 'orders', partition: 3 })
  const paused = await ask(`${endpoint.url}/control/pause`, { ...order, body })
  assert.deepEqual(JSON.parse(paused.body), { topic: 'orders', partition: 3, isPaused: true })
  const resumed = await ask(`${endpoint.url}/control/resume`, { ...order, body })
  assert.deepEqual(JSON.parse(resumed.body), { topic: 'orders', partition: 3, isPaused: false })
  const at = { topic: 'orders', partition: 3 }
  assert.deepEqual(seen, [
    ['pause', at],
    ['resume', at]
  ])
})

test('orders without a configured token are refused, and the answer says how to get one', async t => {
  const endpoint = await endpointFor(t)
  endpoint.controlBy({ pause: () => assert.fail(), resume: () => assert.fail() })
  const answer = await ask(`${endpoint.url}/control/pause`, { ...order, body: '{"topic":"t","partition":0}' })
  assert.equal(answer.status, 403)
  assert.equal(codeOf(answer), 'ERR_CLI_CONTROL_OFF')
  assert.match(answer.body, /COMPORTA_CONTROL_TOKEN/)
})

test('an order is refused with a wrong token, name, origin, form or size', async t => {
  const endpoint = await endpointFor(t, { controlToken: TOKEN })
  endpoint.controlBy({ pause: () => assert.fail(), resume: () => assert.fail() })
  const body = JSON.stringify({ topic: 'orders', partition: 3 })
  const cases: readonly [string, Asked, number, string][] = [
    ['no token', { ...order, headers: json, body }, 401, 'ERR_CLI_CONTROL_DENIED'],
    [
      'a prefix of it',
      { ...order, headers: { ...json, authorization: `Bearer ${TOKEN.slice(0, -1)}` }, body },
      401,
      'ERR_CLI_CONTROL_DENIED'
    ],
    [
      'a foreign name',
      { ...order, headers: { ...order.headers, host: 'evil.example' }, body },
      421,
      'ERR_CLI_CONTROL_DENIED'
    ],
    [
      'a page',
      { ...order, headers: { ...order.headers, origin: 'http://127.0.0.1' }, body },
      403,
      'ERR_CLI_CONTROL_DENIED'
    ],
    ['GET', { ...order, method: 'GET' }, 405, 'ERR_CLI_CONTROL_INPUT'],
    [
      'a form',
      { ...order, headers: { ...order.headers, 'content-type': 'text/plain' }, body },
      415,
      'ERR_CLI_CONTROL_INPUT'
    ],
    ['a large body', { ...order, body: `{"topic":"${'x'.repeat(5000)}"}` }, 413, 'ERR_CLI_CONTROL_INPUT'],
    ['no JSON', { ...order, body: '{' }, 400, 'ERR_CLI_CONTROL_INPUT'],
    ['a list', { ...order, body: '[]' }, 400, 'ERR_CLI_CONTROL_INPUT'],
    ['a negative partition', { ...order, body: '{"topic":"t","partition":-1}' }, 400, 'ERR_CLI_CONTROL_INPUT'],
    ['half a partition', { ...order, body: '{"topic":"t","partition":0.5}' }, 400, 'ERR_CLI_CONTROL_INPUT']
  ]
  for (const [what, asked, status, code] of cases) {
    const answer = await ask(`${endpoint.url}/control/pause`, asked)
    assert.deepEqual([what, answer.status, codeOf(answer)], [what, status, code])
    assert.doesNotMatch(answer.body, new RegExp(TOKEN))
  }
  const other = await ask(`${endpoint.url}/control/restart`, { ...order, body })
  assert.deepEqual([other.status, codeOf(other)], [404, 'ERR_CLI_CONTROL_OFF'])
})

test('the token comes from the environment too, and is no setting of the pipeline file', async t => {
  process.env['COMPORTA_CONTROL_TOKEN'] = TOKEN
  t.after(() => delete process.env['COMPORTA_CONTROL_TOKEN'])
  const endpoint = await endpointFor(t)
  endpoint.controlBy({ pause: () => undefined, resume: () => undefined })
  const body = JSON.stringify({ topic: 'orders', partition: 3 })
  assert.equal((await ask(`${endpoint.url}/control/pause`, { ...order, body })).status, 200)
  const environment = { COMPORTA_CONTROL_TOKEN: TOKEN }
  const text = 'name: x\nkafka: { bootstrapServers: ["127.0.0.1:1"] }\n'
  assert.equal(parsePipeline(text, { fileName: 'x', environment }).name, 'x')
})

test('an order that the role refuses is a conflict, and one that it does not know is bad input', async t => {
  const endpoint = await endpointFor(t, { controlToken: TOKEN })
  endpoint.controlBy({
    pause: () => {
      throw new PipelineError('ERR_CLI_CONTROL_INPUT', 'no such topic here')
    },
    resume: () => {
      throw new Error('cannot')
    }
  })
  const body = JSON.stringify({ topic: 'orders', partition: 3 })
  assert.equal((await ask(`${endpoint.url}/control/pause`, { ...order, body })).status, 400)
  assert.equal((await ask(`${endpoint.url}/control/resume`, { ...order, body })).status, 409)
})

test('a token that can be guessed does not start', async () => {
  for (const controlToken of ['', 'short', 'with spaces in it, but long']) {
    await assert.rejects(startRoleEndpoint({ metricsPort: 0, controlToken }), { code: 'ERR_CLI_CONTROL_TOKEN' })
  }
})

test('bytes that are no HTTP, and a body that never ends, harm nobody', async t => {
  const endpoint = await endpointFor(t, { controlToken: TOKEN })
  const { port } = new URL(endpoint.url)
  for (const bytes of ['\0\x16\x03\x01 nonsense\r\n\r\n', `GET ${'/'.repeat(20_000)} HTTP/1.1\r\n\r\n`]) {
    await new Promise<void>(resolve => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes))
      socket.on('error', () => undefined)
      socket.on('close', () => resolve())
      socket.resume()
    })
  }
  assert.equal((await ask(`${endpoint.url}/health/live`)).status, 200)
})

test('names that a host may be called by', () => {
  assert.equal(isLoopback('127.0.0.1') && isLoopback('::1') && isLoopback('localhost'), true)
  assert.equal(isLoopback('0.0.0.0') || isLoopback('127.0.0.1.example'), false)
  for (const name of ['127.0.0.1:9404', 'localhost', '[::1]:9404', '10.1.2.3:9404']) {
    assert.equal(isOwnName(name, '127.0.0.1'), true, name)
  }
  for (const name of [undefined, '', 'a b', 'localhost.example', 'localhost:99999999', 'example:80@127.0.0.1']) {
    assert.equal(isOwnName(name, '127.0.0.1'), false, name)
  }
  assert.equal(isOwnName('metrics.shop.svc:9404', 'metrics.shop.svc'), true)
})

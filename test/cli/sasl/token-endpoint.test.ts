/** Tokens for client credentials, from a server that says what a test tells it to. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'

import { fetchToken } from '../../../src/cli/sasl/token-endpoint.ts'
import { type BearerSaslConfig, parsePipeline } from '../../../src/config/index.ts'
import { PipelineError, VirtualClock } from '../../../src/core/index.ts'

const nowMs = 1_700_000_000_000
const secret = 'pass/word +&:='

interface Seen {
  readonly method: string | undefined
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  readonly body: string
}

/** A server, and what it was asked. */
async function endpointOf(
  t: TestContext,
  answer: (response: ServerResponse, request: IncomingMessage) => void
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { authorization, 'content-type': contentType } = request.headers
      seen.push({ method: request.method, authorization, contentType, body: Buffer.concat(chunks).toString() })
      answer(response, request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, seen }
}

function saslOf(url: string, more = ''): BearerSaslConfig {
  const text = `name: x
kafka:
  bootstrapServers: a:1
  sasl: { mechanism: OAUTHBEARER, tokenEndpoint: "${url}", clientId: "my client", clientSecret: x${more} }
`
  const { sasl } = parsePipeline(text, { fileName: 'x', environment: {} }).kafka
  assert.ok(sasl?.mechanism === 'OAUTHBEARER')
  return sasl
}

const fetchFrom = (url: string, more = ''): ReturnType<typeof fetchToken> =>
  fetchToken({ sasl: saslOf(url, more), clientSecret: secret, clock: new VirtualClock(nowMs) })

const json = (response: ServerResponse, status: number, body: object): void =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

test('the request is as RFC 6749 says: grant, scope, and credentials form-encoded in the header', async t => {
  const { url, seen } = await endpointOf(t, response =>
    json(response, 200, { access_token: 'abc', token_type: 'bearer', expires_in: 600 })
  )
  const token = await fetchFrom(url, ', scope: "kafka read", parameters: { audience: "https://kafka" }')
  assert.deepEqual(token, { value: 'abc', startsAtMs: nowMs, expiresAtMs: nowMs + 600_000 })
  const [request] = seen
  assert.equal(request?.method, 'POST')
  assert.equal(request.contentType, 'application/x-www-form-urlencoded')
  assert.equal(request.body, 'grant_type=client_credentials&scope=kafka+read&audience=https%3A%2F%2Fkafka')
  const credentials = Buffer.from(request.authorization?.replace('Basic ', '') ?? '', 'base64').toString()
  assert.equal(credentials, 'my+client:pass%2Fword+%2B%26%3A%3D')
})

test('credentials go into the body where the server wants them there', async t => {
  const { url, seen } = await endpointOf(t, response => json(response, 200, { access_token: 'abc' }))
  await fetchFrom(url, ', clientAuthentication: body')
  assert.equal(seen[0]?.authorization, undefined)
  const body = new URLSearchParams(seen[0]?.body)
  assert.deepEqual([body.get('client_id'), body.get('client_secret')], ['my client', secret])
})

test('the life of a token is the shorter of what the answer and what the token says', async t => {
  const payload = Buffer.from(JSON.stringify({ exp: nowMs / 1000 + 60 })).toString('base64url')
  const { url } = await endpointOf(t, response =>
    json(response, 200, { access_token: `e30.${payload}.x`, expires_in: '600' })
  )
  assert.equal((await fetchFrom(url)).expiresAtMs, nowMs + 60_000)
})

for (const [what, answer, code, message] of [
  [
    'a wrong secret',
    (response: ServerResponse) => json(response, 401, { error: 'invalid_client', error_description: `bad: ${secret}` }),
    'ERR_CONFIG_CREDENTIALS',
    /kafka\.sasl\.tokenEndpoint: the token endpoint answered 401 \(invalid_client\): correct clientId and clientSecret/
  ],
  [
    'a wrong scope',
    (response: ServerResponse) => json(response, 400, { error: 'invalid_scope', error_description: 'no such scope' }),
    'ERR_CONFIG_CREDENTIALS',
    /kafka\.sasl\.scope: the token endpoint answered 400 \(invalid_scope, no such scope\): correct the scope/
  ],
  [
    'another address',
    (response: ServerResponse) => void response.writeHead(404).end('<html>'),
    'ERR_CONFIG_CREDENTIALS',
    /answered 404: correct the address/
  ],
  [
    'a page instead of a token',
    (response: ServerResponse) => void response.writeHead(200).end('<html>'),
    'ERR_CONFIG_CREDENTIALS',
    /answered 200 without an access_token/
  ],
  [
    'another kind of token',
    (response: ServerResponse) => json(response, 200, { access_token: 'x', token_type: 'DPoP' }),
    'ERR_CONFIG_CREDENTIALS',
    /tokens of the type DPoP, not Bearer/
  ],
  [
    'a server in trouble',
    (response: ServerResponse) => void response.writeHead(503).end(),
    'ERR_CLI_CREDENTIALS_UNREACHABLE',
    /answered 503: it is tried again/
  ],
  [
    'too many requests',
    (response: ServerResponse) => json(response, 429, {}),
    'ERR_CLI_CREDENTIALS_UNREACHABLE',
    /answered 429/
  ],
  [
    'a redirect, which would take the secret elsewhere',
    (response: ServerResponse) => void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
    'ERR_CLI_CREDENTIALS_UNREACHABLE',
    /cannot be asked for a token: .*redirect/
  ],
  [
    'an endless answer',
    (response: ServerResponse) => void response.writeHead(200).end(Buffer.alloc(2_000_000, 'x')),
    'ERR_CLI_CREDENTIALS_UNREACHABLE',
    /longer than 1048576 bytes/
  ],
  ['silence', () => undefined, 'ERR_CLI_CREDENTIALS_UNREACHABLE', /no answer within 100 ms/]
] as const) {
  test(`${what} is an error that says what to do, without the secret`, async t => {
    const { url } = await endpointOf(t, answer)
    const error: unknown = await fetchFrom(url, ', timeoutMs: 100').catch((cause: unknown) => cause)
    assert.ok(PipelineError.is(error, code), String(error))
    assert.match(error.message, message)
    assert.ok(!`${error.message}${JSON.stringify(error.fields)}`.includes(secret))
  })
}

test('nobody listening is an error that names the address', async () => {
  await assert.rejects(fetchFrom('http://127.0.0.1:1/token'), {
    code: 'ERR_CLI_CREDENTIALS_UNREACHABLE',
    message: /http:\/\/127\.0\.0\.1:1\/token cannot be asked for a token: .*(ECONNREFUSED|bad port)/
  })
})

test('a server that repeats what it was sent, in whatever form, is not repeated', async t => {
  const { url } = await endpointOf(t, (response, request) =>
    json(response, 400, {
      error: 'invalid_request',
      error_description: `cannot read ${request.headers.authorization ?? ''}`
    })
  )
  const error: unknown = await fetchFrom(url).catch((cause: unknown) => cause)
  assert.match(String(error), /answered 400 \(invalid_request\)/)
  assert.doesNotMatch(String(error), /Basic|bXkrY2xpZW50/)
})

test('an address with a password in it is refused, without the password', () => {
  const error: unknown = (() => {
    try {
      return saslOf('https://ingest:hush@login.example.com/token')
    } catch (cause) {
      return cause
    }
  })()
  assert.match(String(error), /tokenEndpoint.*has a user or a password in it: give clientId and clientSecret instead/)
  assert.doesNotMatch(String(error), /hush/)
})

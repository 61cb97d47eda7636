/** The console over HTTP: who may ask for what, from where, how often; streams; pages. */

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { type TestContext, test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { type Console, startConsole } from '../../src/console/index.ts'
import { loadPages } from '../../src/console/server/pages.ts'
import type { AddRoutes } from '../../src/console/server/server-types.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { ask, type Asked, logIn, OPERATOR_TOKEN, startTestConsole, VIEWER_TOKEN } from '../support/console.ts'
import { consoleSettings } from '../support/console-settings.ts'

/** One area with one of each, so that tests do not depend on what the others do. */
const addTestRoutes: AddRoutes = routes => {
  routes.view({ path: '/api/number', read: () => ({ offset: 9_007_199_254_740_993n }) })
  routes.view({
    path: '/api/broken',
    read: () => {
      throw new TypeError('secret inside')
    }
  })
  routes.order({ path: '/api/change', run: (body, caller) => ({ body, user: caller.user }) })
  routes.order({ path: '/api/note', needs: 'viewer', run: () => undefined })
}

const areas = [addTestRoutes]

/** What everybody may ask for: adding to this list is a decision. */
const OPEN = ['GET /api/session', 'POST /api/login', 'GET /api/login/oidc', 'GET /api/login/oidc/callback']

const OIDC = `
  auth:
    tokens:
      - { name: olga, role: operator, token: ${OPERATOR_TOKEN} }
      - { name: vera, role: viewer, token: ${VIEWER_TOKEN} }
    oidc:
      issuer: https://login.example.com
      clientId: comporta
      roles: [{ values: [x], role: viewer }]
`

test('every route of every area needs a login; what changes the cluster needs an operator', async t => {
  const console = await startTestConsole(t, { section: OIDC })
  const named = console.routes.map(({ method, path }) => `${method} ${path}`)
  const open = console.routes.filter(({ needs }) => needs === 'nobody').map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual(open, ['GET /api/session', 'POST /api/login', 'GET /api/login/oidc', 'GET /api/login/oidc/callback'])
  assert.ok(named.includes('GET /api/audit') && named.length > 10, named.join('\n'))
  const vera = await logIn(console, VIEWER_TOKEN)
  for (const { method, path, needs } of console.routes) {
    if (OPEN.includes(`${method} ${path}`)) continue
    const anonymous = await ask(console, { method, path, ...(method === 'GET' ? {} : { body: {} }) })
    assert.equal(anonymous.status, 401, `${method} ${path}`)
    assert.equal(anonymous.json['code'], 'ERR_CONSOLE_LOGIN')
    if (needs !== 'operator') continue
    const body = method === 'GET' ? {} : { body: {} }
    const viewer = await ask(console, { method, path, headers: vera.headers, ...body })
    assert.equal(viewer.status, 403, `${method} ${path}`)
    assert.equal(viewer.json['code'], 'ERR_CONSOLE_FORBIDDEN')
  }
  const changes = console.routes.filter(({ path }) => path.startsWith('/api/changes/'))
  assert.deepEqual(
    changes.filter(({ needs, method }) => method === 'POST' && needs !== 'operator'),
    []
  )
})

test('an area cannot add a route that is open to everybody', async t => {
  const addOpen: AddRoutes = ({ app }) => void app.get('/api/leak', { config: { needs: 'nobody' } }, () => 'all of it')
  await assert.rejects(startTestConsole(t, { areas: [addOpen] }), { code: 'ERR_CORE_INVARIANT' })
})

test('every answer tells browsers to trust nothing else, errors and pages included', async t => {
  const file = { type: 'text/html', plain: Buffer.from('<p>'), gzip: undefined, brotli: undefined, isHashed: false }
  const pages = new Map([
    ['index.html', file],
    ['assets/main-X.js', { ...file, type: 'text/javascript', isHashed: true }]
  ])
  const console = await startTestConsole(t, { areas, pages: () => Promise.resolve(pages) })
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  for (const path of ['/', '/groups/a.b', '/api/session', '/api/none', '/api/number', '/api/broken', '/%', '/x.js']) {
    const answer = await ask(console, { path, headers })
    const policy = String(answer.headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/, path)
    assert.match(policy, /frame-ancestors 'none'/, path)
    assert.doesNotMatch(policy, /unsafe|\*|https?:/, path)
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', path)
    assert.equal(answer.headers['referrer-policy'], 'no-referrer', path)
    assert.equal(answer.headers['cross-origin-opener-policy'], 'same-origin', path)
    assert.equal(answer.headers['cross-origin-resource-policy'], 'same-origin', path)
    assert.equal(answer.headers['cache-control'], 'no-store', path)
    assert.equal(answer.headers['strict-transport-security'], undefined, path)
  }
  const asset = await ask(console, { path: '/assets/main-X.js' })
  assert.equal(asset.headers['cache-control'], 'public, max-age=31536000, immutable')
  assert.equal((await ask(console, { path: '/assets/gone-X.js' })).status, 404)
  assert.equal((await ask(console, { path: '/topics/orders.v1', method: 'POST', body: {} })).status, 404)
})

test('numbers beyond 2^53 are text; a fault of ours says nothing of the inside', async t => {
  const console = await startTestConsole(t, { areas })
  const { headers } = await logIn(console, VIEWER_TOKEN)
  assert.equal((await ask(console, { path: '/api/number', headers })).text, '{"offset":"9007199254740993"}')
  const broken = await ask(console, { path: '/api/broken', headers })
  assert.equal(broken.status, 500)
  assert.equal(broken.json['code'], 'ERR_CONSOLE_INTERNAL')
  assert.doesNotMatch(broken.text, /secret/)
})

test('an order needs the token of its login and an origin of the console', async t => {
  const console = await startTestConsole(t, { areas })
  const { cookie, csrf, headers } = await logIn(console, OPERATOR_TOKEN)
  const own = console.url
  const order = (more: Record<string, string>): Asked => ({
    method: 'POST',
    path: '/api/change',
    headers: { cookie, ...more },
    body: { a: 1 }
  })
  const good = await ask(console, order({ 'x-csrf-token': csrf, origin: own, 'sec-fetch-site': 'same-origin' }))
  assert.deepEqual(good.json, { body: { a: 1 }, user: 'olga' })
  const bad: Record<string, string>[] = [
    {},
    { 'x-csrf-token': 'guess' },
    { 'x-csrf-token': csrf, origin: 'https://evil.example' },
    { 'x-csrf-token': csrf, origin: 'null' },
    // Another port of this machine is the same site, and not the same origin.
    { 'x-csrf-token': csrf, origin: 'http://127.0.0.1:1' },
    { 'x-csrf-token': csrf, 'sec-fetch-site': 'same-site' },
    { 'x-csrf-token': csrf, 'sec-fetch-site': 'none' }
  ]
  for (const each of bad) {
    const answer = await ask(console, order(each))
    assert.equal(answer.status, 403, JSON.stringify(each))
    assert.equal(answer.json['code'], 'ERR_CONSOLE_CROSS_SITE')
  }
  const read = await ask(console, { path: '/api/number', headers: { ...headers, 'sec-fetch-site': 'cross-site' } })
  assert.equal(read.json['code'], 'ERR_CONSOLE_CROSS_SITE')
  // A login is an order as well: another page must not log somebody in as somebody else.
  const login = { method: 'POST', path: '/api/login', body: { token: OPERATOR_TOKEN } }
  const foreign = await ask(console, { ...login, headers: { origin: 'https://evil.example' } })
  assert.equal(foreign.json['code'], 'ERR_CONSOLE_CROSS_SITE')
})

test('a name of somebody else that leads to this machine is not answered', async t => {
  const console = await startTestConsole(t, { areas })
  for (const host of ['evil.example', `evil.example:${console.port}`, '127.0.0.1', `127.0.0.1.evil.example:80`]) {
    for (const path of ['/', '/api/session']) {
      const answer = await ask(console, { path, headers: { host } })
      assert.equal(answer.status, 421, host)
      assert.equal(answer.json['code'], 'ERR_CONSOLE_HOST')
    }
  }
  for (const host of [`localhost:${console.port}`, `[::1]:${console.port}`, `LOCALHOST:${console.port}`]) {
    assert.equal((await ask(console, { path: '/api/session', headers: { host } })).status, 200)
  }
})

test('a login has a new session, whatever cookie came with it, and the old one ends', async t => {
  const console = await startTestConsole(t, { areas })
  const name = `comporta-${console.port}`
  const planted = `${name}=${'A'.repeat(43)}`
  const answer = await ask(console, {
    method: 'POST',
    path: '/api/login',
    headers: { cookie: planted },
    body: { token: VIEWER_TOKEN }
  })
  const set = String(answer.headers['set-cookie'])
  assert.match(set, /^comporta-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
  assert.ok(!set.startsWith(planted))
  assert.equal((await ask(console, { path: '/api/number', headers: { cookie: planted } })).status, 401)

  const first = await logIn(console, VIEWER_TOKEN)
  const again = await ask(console, {
    method: 'POST',
    path: '/api/login',
    headers: { cookie: first.cookie },
    body: { token: OPERATOR_TOKEN }
  })
  assert.equal(again.json['user'], 'olga')
  assert.equal((await ask(console, { path: '/api/number', headers: first.headers })).status, 401)
})

test('a session ends by logout, by quiet and by age', async t => {
  const clock = new VirtualClock()
  const console = await startTestConsole(t, { areas, clock })
  const isIn = async (headers: Readonly<Record<string, string>>): Promise<boolean> =>
    (await ask(console, { path: '/api/number', headers })).status === 200

  const left = await logIn(console, VIEWER_TOKEN)
  const out = await ask(console, { method: 'POST', path: '/api/logout', headers: left.headers, body: {} })
  assert.deepEqual(out.json, { logoutUrl: null })
  assert.match(String(out.headers['set-cookie']), /=; .*Expires=Thu, 01 Jan 1970/)
  assert.equal(await isIn(left.headers), false)

  const quiet = await logIn(console, VIEWER_TOKEN)
  await clock.advance(59 * 60_000)
  assert.equal(await isIn(quiet.headers), true)
  await clock.advance(61 * 60_000)
  assert.equal(await isIn(quiet.headers), false)

  const busy = await logIn(console, VIEWER_TOKEN)
  for (let minutes = 0; minutes < 12 * 60 - 30; minutes += 30) {
    await clock.advance(30 * 60_000)
    assert.equal(await isIn(busy.headers), true, `${minutes} min`)
  }
  await clock.advance(30 * 60_000)
  assert.equal(await isIn(busy.headers), false)
})

test('too many attempts to log in, and too many requests, have to wait', async t => {
  const clock = new VirtualClock()
  const section = `  limits: { loginsPerMinute: 3, requestsPerSecond: 1, requestsBurst: 20 }
  auth: { tokens: [{ name: olga, role: operator, token: ${OPERATOR_TOKEN} }] }
`
  const console = await startTestConsole(t, { areas, clock, section })
  const guess = async (token: string): Promise<number> =>
    (await ask(console, { method: 'POST', path: '/api/login', body: { token } })).status
  assert.deepEqual([await guess('a'), await guess('b'), await guess('c')], [401, 401, 401])
  const refused = await ask(console, { method: 'POST', path: '/api/login', body: { token: OPERATOR_TOKEN } })
  assert.equal(refused.status, 429)
  assert.equal(refused.json['code'], 'ERR_CONSOLE_RATE')
  assert.equal(refused.headers['retry-after'], '20')
  await clock.advance(20_000)
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  const statuses: number[] = []
  for (let index = 0; index < 22; index += 1)
    statuses.push((await ask(console, { path: '/api/number', headers })).status)
  assert.deepEqual(statuses, [...Array<number>(20).fill(200), 429, 429])
})

// Symptom: who was nobody drove everything else out of the audit log. Cause: attempts that were too many were written
// down, refusals of a viewer without limit. Reach: any address; any viewer.
test('neither attempts without end nor refusals without end fill the audit log', async t => {
  const section = OIDC.replace('console:', '').concat('  limits: { loginsPerMinute: 3 }\n')
  const clock = new VirtualClock()
  const console = await startTestConsole(t, { clock, section })
  const vera = await logIn(console, VIEWER_TOKEN)
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  for (let index = 0; index < 50; index += 1) {
    await ask(console, { path: '/api/login/oidc/callback?code=a&state=b' })
    await ask(console, { method: 'POST', path: '/api/changes/apply', headers: vera.headers, body: {} })
  }
  const { total } = (await ask(console, { path: '/api/audit', headers })).json
  // Two logins, one attempt that was left, and the first refusals.
  assert.equal(total, 2 + 1 + 30)
})

test('a login that has ended while its answer was made gets nothing more', async t => {
  const wait = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const addSlow: AddRoutes = routes => {
    routes.app.get('/api/slow', async request => {
      begun.resolve()
      await wait.promise
      return routes.callerOf(request)
    })
  }
  const console = await startTestConsole(t, { areas: [addSlow] })
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  const answer = ask(console, { path: '/api/slow', headers })
  await begun.promise
  await ask(console, { method: 'POST', path: '/api/logout', headers, body: {} })
  wait.resolve()
  assert.equal((await answer).status, 401)
})

test('a body that is no JSON, too large or meant to hurt is refused, and the console goes on', async t => {
  const console = await startTestConsole(t, { areas })
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  const json = { ...headers, 'content-type': 'application/json' }
  const post = async (body: string, more: Record<string, string>): Promise<number> =>
    (await ask(console, { method: 'POST', path: '/api/change', headers: more, body })).status
  assert.equal(await post('{"a":', json), 400)
  assert.equal(await post('{"__proto__":{"role":"operator"}}', json), 400)
  assert.equal(await post('{"constructor":{"prototype":{}}}', json), 400)
  assert.equal(await post(`"${'x'.repeat(1_100_000)}"`, json), 413)
  assert.equal(await post('a=1', { ...headers, 'content-type': 'application/x-www-form-urlencoded' }), 415)
  assert.equal(await post('{}', { ...headers, 'content-type': 'text/plain' }), 415)
  const login = async (body: unknown): Promise<number> =>
    (await ask(console, { method: 'POST', path: '/api/login', body })).status
  for (const body of [{}, { token: '' }, { token: 1 }, { token: ['a'] }, [], { token: 'x'.repeat(5000) }]) {
    assert.equal(await login(body), 400, JSON.stringify(body).slice(0, 40))
  }
  assert.equal((await ask(console, { path: `/${'%2e%2e/'.repeat(5)}etc/passwd` })).status, 404)
  assert.equal((await ask(console, { path: '/api/number', headers })).status, 200)
})

test('a console that others could reach starts with a login and TLS only', async () => {
  const base = consoleSettings()
  const start = async (more: Partial<typeof base>): Promise<Console> =>
    await startConsole({
      cluster: {} as never, // refused before it is used
      bootstrapServers: [],
      version: '0',
      settings: { ...base, ...more },
      undoFolder: '/nowhere',
      auditFile: '/nowhere/audit',
      clock: new VirtualClock(),
      logger: { debug: no, info: no, warn: no, error: no, child: () => never() }
    })
  await assert.rejects(start({ host: '0.0.0.0' }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_CONSOLE_UNSAFE')
    assert.match(error.message, /console\.auth: .*\n?[^]*console\.tls: [^]*console\.publicUrl: /)
    return true
  })
  await assert.rejects(start({ trustProxy: ['10.0.0.1'] }), { code: 'ERR_CONSOLE_UNSAFE' })
  await assert.rejects(start({ publicUrl: 'https://kafka.example.com' }), { code: 'ERR_CONSOLE_UNSAFE' })
})

function no(): void {
  // Logs nothing.
}

function never(): never {
  throw new Error('not used')
}

test('behind its proxy it answers to its public name, with cookies for TLS only', async t => {
  const section = `  host: 127.0.0.1
  publicUrl: https://kafka.example.com
  trustProxy: [127.0.0.0/8]
  auth: { tokens: [{ name: olga, role: operator, token: ${OPERATOR_TOKEN} }] }
`
  const console = await startTestConsole(t, { areas, section })
  assert.equal(console.url, 'https://kafka.example.com')
  const proxied = { host: 'kafka.example.com', 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' }
  const headers = { ...proxied, origin: 'https://kafka.example.com' }
  const answer = await ask(console, { method: 'POST', path: '/api/login', headers, body: { token: OPERATOR_TOKEN } })
  assert.equal(answer.status, 200)
  assert.match(String(answer.headers['set-cookie']), /^__Host-comporta=.*; Secure; SameSite=Strict$/)
  assert.equal(answer.headers['strict-transport-security'], 'max-age=63072000')

  const plain = await ask(console, { path: '/', headers: { ...proxied, 'x-forwarded-proto': 'http' } })
  assert.deepEqual([plain.status, plain.json['code']], [421, 'ERR_CONSOLE_HOST'])

  const strict = section.replace('127.0.0.0/8', '10.1.2.3')
  const other = await startTestConsole(t, { areas, section: strict })
  const around = await ask(other, { path: '/api/session', headers: proxied })
  assert.equal(around.json['code'], 'ERR_CONSOLE_HOST')
})

test('a port that was named must be free; the usual one need not be', async t => {
  const first = await startTestConsole(t, { areas })
  const settings = consoleSettings()
  const other = await startTestConsole(t, { areas, settings, usualPort: first.port })
  assert.deepEqual([other.isOtherPort, other.port === first.port], [true, false])
  const named = startTestConsole(t, { areas, settings: { ...settings, port: first.port } })
  await assert.rejects(named, { code: 'ERR_CONSOLE_LISTEN', message: new RegExp(`127\\.0\\.0\\.1:${first.port}`) })
})

const addBig: AddRoutes = routes => routes.view({ path: '/api/big', read: () => 'x'.repeat(2_000_000) })

/** Opens a stream and reads its first piece; `pause` = nothing more. */
async function openStream(t: TestContext, { port, headers, path = '/api/live?of=/api/big' }: Opening): Promise<Stream> {
  return await new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, agent: false }, response => {
      response.on('error', () => undefined)
      const closed = new Promise<void>(end => response.once('close', end))
      // Only who reads sees the end.
      const ended = async (): Promise<void> => {
        response.resume()
        await closed
      }
      response.once('data', (piece: Buffer) => {
        response.pause()
        resolve({ type: response.headers['content-type'], first: piece.toString(), ended })
      })
    })
    sent.on('error', reject)
    t.after(() => sent.destroy())
    sent.end()
  })
}

interface Opening {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly path?: string
}

interface Stream {
  readonly type: string | undefined
  readonly first: string
  /** Resolves with the end of the stream. */
  ended(): Promise<void>
}

test('over HTTP: a stream of a reader that has stopped reading ends when the console does', async t => {
  const console = await startTestConsole(t, { areas: [addBig] })
  assert.equal((await ask(console, { path: '/api/live?of=/api/big' })).status, 401)
  const { headers } = await logIn(console, VIEWER_TOKEN)
  assert.equal((await ask(console, { path: '/api/live', headers })).status, 400)
  const stream = await openStream(t, { port: console.port, headers })
  assert.equal(stream.type, 'text/event-stream; charset=utf-8')
  assert.match(stream.first, /^event: view\ndata: \{"of":"\/api\/big"/)
  await console.close()
  await stream.ended()
})

test('over HTTP: a logout ends the streams of its login', async t => {
  const console = await startTestConsole(t, { areas: [addBig] })
  const { headers } = await logIn(console, OPERATOR_TOKEN)
  const stream = await openStream(t, { port: console.port, headers })
  await ask(console, { method: 'POST', path: '/api/logout', headers, body: {} })
  await stream.ended()
})

/** A stream of an area, which never ends by itself. */
const addEndless: AddRoutes = ({ app }) => {
  app.get('/api/endless', (_request, reply) => {
    reply.hijack()
    reply.raw.write('begun')
  })
}

test('over HTTP: streams of areas end with their login, by logout and by age', async t => {
  const clock = new VirtualClock()
  const console = await startTestConsole(t, { areas: [addEndless], clock })
  const left = (await logIn(console, OPERATOR_TOKEN)).headers
  const leaving = await openStream(t, { port: console.port, headers: left, path: '/api/endless' })
  const stays = (await logIn(console, VIEWER_TOKEN)).headers
  const staying = await openStream(t, { port: console.port, headers: stays, path: '/api/endless' })
  await ask(console, { method: 'POST', path: '/api/logout', headers: left, body: {} })
  await leaving.ended()

  // An open page is no quiet: it ends by age alone.
  await clock.advance(11 * 3_600_000)
  assert.equal((await ask(console, { path: '/api/session', headers: stays })).json['user'], 'vera')
  await clock.advance(3_600_000)
  await staying.ended()
})

test('an installation without pages says so with the first request, and again', async t => {
  const folder = temporaryFolder(t)
  const console = await startTestConsole(t, { areas: [], pages: async () => await loadPages(folder) })
  for (const path of ['/', '/groups']) {
    const answer = await ask(console, { path })
    assert.deepEqual([answer.status, answer.json['code']], [500, 'ERR_CONSOLE_PAGES'])
  }
  assert.equal((await ask(console, { path: '/api/session' })).status, 200)
})

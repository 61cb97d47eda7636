/** Logins at a real OpenID Connect provider, and what a browser or a provider could do wrong. */

import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:http'
import { type TestContext, test } from 'node:test'

import type { Provider as ProviderClass } from 'oidc-provider'

import { identityOf, type OidcSettings } from '../../src/console/server/oidc.ts'
import { type Answer, ask, type Asked, startTestConsole } from '../support/console.ts'
import { consoleSettings } from '../support/console-settings.ts'
import type { Console } from '../../src/console/index.ts'

interface Issuer {
  readonly url: string
  /** Says what the provider knows of whoever logs in next. */
  claims: Record<string, unknown>
  /** Accepts the console's address. */
  allow(redirectUri: string, logoutUri: string): void
}

/** A provider that logs everybody in without asking. */
async function startIssuer(t: TestContext): Promise<Issuer> {
  const { Provider } = await import('oidc-provider')
  const server: Server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const redirectUris: string[] = []
  const logoutUris: string[] = []
  const issuer: Issuer = {
    url,
    claims: { sub: 'u1' },
    allow: (redirectUri, logoutUri) => {
      redirectUris.push(redirectUri)
      logoutUris.push(logoutUri)
    }
  }
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  let provider: ProviderClass | undefined
  server.on('request', (request, response) => {
    // Made with the first request: by then the console has told its address.
    provider ??= new Provider(url, {
      clients: [
        {
          client_id: 'comporta',
          client_secret: 'the-secret-of-the-client',
          redirect_uris: redirectUris,
          post_logout_redirect_uris: logoutUris,
          token_endpoint_auth_method: 'client_secret_basic'
        }
      ],
      pkce: { required: () => true },
      claims: { openid: ['sub', 'groups', 'email'] },
      features: { devInteractions: { enabled: false } },
      findAccount: (_context: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, ...issuer.claims })
      }),
      interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
      cookies: { keys: ['only-for-tests'] }
    })
    const at = provider
    if (request.url?.startsWith('/interaction/') !== true) {
      void at.callback()(request, response)
      return
    }
    void at.interactionDetails(request, response).then(async ({ prompt, params, session }) => {
      if (prompt.name === 'login') {
        await at.interactionFinished(request, response, { login: { accountId: 'u1' } })
        return
      }
      const grant = new at.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) })
      grant.addOIDCScope('openid profile email')
      await at.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
    })
  })
  return issuer
}

const SECTION = (issuer: string): string => `
  auth:
    oidc:
      issuer: ${issuer}
      clientId: comporta
      clientSecret: { env: OIDC_SECRET }
      roles:
        - { values: [kafka-viewers], role: viewer }
        - { values: [kafka-team-a], role: operator, groups: [a-*] }
`

interface World {
  readonly issuer: Issuer
  readonly console: Console
}

async function startWorld(t: TestContext): Promise<World> {
  const issuer = await startIssuer(t)
  const console = await startTestConsole(t, {
    section: SECTION(issuer.url),
    secrets: { oidcClientSecret: 'the-secret-of-the-client' },
    areas: [
      routes => routes.view({ path: '/api/who', read: (_query, { user, role, rights }) => ({ user, role, rights }) })
    ]
  })
  issuer.allow(`${console.url}/api/login/oidc/callback`, `${console.url}/`)
  return { issuer, console }
}

/** Follows the provider's redirects as a browser would, with its cookies, up to the address of the console. */
async function throughProvider(start: string, own: string): Promise<string> {
  const jar = new Map<string, string>()
  let url = start
  for (let step = 0; step < 10; step += 1) {
    if (url.startsWith(own)) return url
    const cookie = [...jar].map(pair => pair.join('=')).join('; ')
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } })
    for (const set of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';', 1)[0]?.split(/=(.*)/) ?? []
      jar.set(name, value)
    }
    const location = answer.headers.get('location')
    assert.ok(location !== null, `${url} ${answer.status} ${await answer.text()}`)
    url = new URL(location, url).href
  }
  throw new Error('too many redirects')
}

function cookiesOf(answer: Answer): string[] {
  return [answer.headers['set-cookie'] ?? []].flat()
}

/** Begins a login; the way back is the caller's. */
async function begin(console: Console): Promise<{ readonly location: URL; readonly cookie: string }> {
  const begun = await ask(console, { path: '/api/login/oidc' })
  assert.equal(begun.status, 303, begun.text)
  const [set = ''] = cookiesOf(begun)
  // The way back is a navigation from another site: a strict cookie would not come along.
  assert.match(set, /^comporta-login=[\w-]{43}; Max-Age=600; Path=\/api\/login\/oidc; HttpOnly; SameSite=Lax$/)
  return { location: new URL(String(begun.headers['location'])), cookie: set.split(';')[0] ?? '' }
}

function back(url: string, cookie: string): Asked {
  const { pathname, search } = new URL(url)
  return { path: `${pathname}${search}`, headers: { cookie, 'sec-fetch-site': 'cross-site' } }
}

test('a login by OIDC ends in a session with the role of its groups, and its logout at the provider', async t => {
  const { issuer, console } = await startWorld(t)
  issuer.claims = { email: 'ana@example.com', groups: ['staff', 'kafka-viewers', 'kafka-team-a'] }
  const { location, cookie } = await begin(console)
  assert.equal(location.searchParams.get('code_challenge_method'), 'S256')
  for (const name of ['state', 'nonce', 'code_challenge'])
    assert.ok((location.searchParams.get(name)?.length ?? 0) >= 43)
  const returned = await throughProvider(location.href, console.url)

  const answer = await ask(console, back(returned, cookie))
  assert.equal(answer.headers['location'], '/')
  const session = cookiesOf(answer).find(each => each.startsWith(`comporta-${console.port}=`)) ?? ''
  assert.match(session, /HttpOnly; SameSite=Strict$/)
  const headers = { cookie: session.split(';')[0] ?? '' }
  const who = await ask(console, { path: '/api/who', headers })
  assert.deepEqual(who.json, { user: 'ana@example.com', role: 'operator', rights: { groups: ['a-*'] } })
  const { json } = await ask(console, { path: '/api/session', headers })
  assert.deepEqual(json['logins'], ['oidc'])

  const out = await ask(console, {
    method: 'POST',
    path: '/api/logout',
    headers: { ...headers, 'x-csrf-token': String(json['csrfToken']) },
    body: {}
  })
  const logout = new URL(String(out.json['logoutUrl']))
  assert.equal(logout.origin, issuer.url)
  assert.equal(logout.searchParams.get('post_logout_redirect_uri'), `${console.url}/`)
  assert.equal((await ask(console, { path: '/api/who', headers })).status, 401)

  // The way back counts once.
  const replayed = await ask(console, back(returned, cookie))
  assert.equal(replayed.headers['location'], '/?problem=ERR_CONSOLE_LOGIN')
})

test('a way back that is not of this browser, this attempt or this provider logs nobody in', async t => {
  const { issuer, console } = await startWorld(t)
  issuer.claims = { groups: ['kafka-viewers'] }
  const mine = await begin(console)
  const returned = await throughProvider(mine.location.href, console.url)
  const problemOf = async (url: string, cookie: string): Promise<string> => {
    const answer = await ask(console, back(url, cookie))
    assert.equal(answer.status, 303)
    assert.ok(!cookiesOf(answer).some(each => /^comporta-\d+=[^;]/.test(each)), 'no session')
    return String(answer.headers['location'])
  }
  // Somebody sends the end of their own login to another browser (login CSRF), which has begun none, or its own.
  assert.equal(await problemOf(returned, ''), '/?problem=ERR_CONSOLE_LOGIN')
  const other = await begin(console)
  assert.equal(await problemOf(returned, other.cookie), '/?problem=ERR_CONSOLE_OIDC')
  assert.equal(
    await problemOf(`${console.url}/api/login/oidc/callback?error=access_denied`, mine.cookie),
    '/?problem=ERR_CONSOLE_OIDC'
  )
  const third = await begin(console)
  const state = third.location.searchParams.get('state') ?? ''
  const denied = `${console.url}/api/login/oidc/callback?error=access_denied&state=${state}&iss=${issuer.url}`
  assert.equal(await problemOf(denied, third.cookie), '/?problem=ERR_CONSOLE_LOGIN')
})

test('a user of the provider without a role of the console is not let in', async t => {
  const { issuer, console } = await startWorld(t)
  issuer.claims = { email: 'eve@example.com', groups: ['staff'] }
  const { location, cookie } = await begin(console)
  const answer = await ask(console, back(await throughProvider(location.href, console.url), cookie))
  assert.equal(answer.headers['location'], '/?problem=ERR_CONSOLE_FORBIDDEN')
})

test('a provider that is away keeps nothing from starting, and is asked again', async t => {
  const section = SECTION('http://127.0.0.1:1')
  const console = await startTestConsole(t, { section, secrets: { oidcClientSecret: 'x' }, areas: [] })
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const answer = await ask(console, { path: '/api/login/oidc' })
    assert.deepEqual([answer.status, answer.json['code']], [502, 'ERR_CONSOLE_OIDC'])
  }
})

test('claims are read as the settings say', () => {
  const { oidc } = consoleSettings(SECTION('https://login.example.com')).auth
  assert.ok(oidc !== undefined)
  const at = (more: Partial<OidcSettings>, claims: Record<string, unknown>): unknown => {
    const { user, role } = identityOf(claims, { ...oidc, ...more })
    return [user, role]
  }
  const viewer = { groups: 'kafka-viewers' }
  assert.deepEqual(at({}, { sub: 's', preferred_username: 'ana', ...viewer }), ['ana', 'viewer'])
  const unverified = { sub: 's', email: 'boss@example.com', email_verified: false, ...viewer }
  assert.deepEqual(at({}, unverified), ['s', 'viewer'])
  assert.deepEqual(at({}, { ...unverified, email_verified: true }), ['boss@example.com', 'viewer'])
  assert.deepEqual(at({ userClaim: 'name' }, { name: 'Ana', ...viewer }), ['Ana', 'viewer'])
  const nested = { sub: 's', realm_access: { roles: ['kafka-team-a'] } }
  assert.deepEqual(at({ rolesClaim: 'realm_access.roles' }, nested), ['s', 'operator'])
  const named = { sub: 's', 'https://example.com/roles': ['kafka-viewers'] }
  assert.deepEqual(at({ rolesClaim: 'https://example.com/roles' }, named), ['s', 'viewer'])
  const everybody: OidcSettings['roles'] = [{ values: ['*'], role: 'viewer' }]
  assert.deepEqual(at({ roles: everybody }, { sub: 's' }), ['s', 'viewer'])
  for (const claims of [{}, { sub: 's' }, { sub: 's', groups: { 'kafka-viewers': true } }, { sub: 7, ...viewer }]) {
    assert.throws(() => at({}, claims), { code: 'ERR_CONSOLE_FORBIDDEN' })
  }
  assert.throws(() => at({ rolesClaim: 'constructor.name' }, { sub: 's' }), { code: 'ERR_CONSOLE_FORBIDDEN' })
})

/** Bearer tokens: which hold and which do not. */

import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { SignJWT } from 'jose'
import type { OauthOptions } from '../../../src/broker/index.ts'
import { createTokenValidator } from '../../../src/broker/security/authentication/oauth-token.ts'

const NOW_MS = 1_700_000_000_000
const NOW = NOW_MS / 1000

function unsigned(claims: unknown, header: unknown = { alg: 'none' }): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode(header)}.${encode(claims)}.`
}

/** The reason why not, or the user. */
async function judge(options: OauthOptions, token: string): Promise<string> {
  const verdict = await (await createTokenValidator(options))(token, NOW_MS)
  return verdict.isValid ? verdict.user : verdict.reason
}

const dev = { isUnsecuredAllowed: true }
const good = { sub: 'alice', exp: NOW + 60 }

for (const [what, options, claims, expected] of [
  ['a good one', dev, good, /^alice$/],
  ['another claim for the name', { ...dev, principalClaim: 'email' }, { ...good, email: 'a@b' }, /^a@b$/],
  ['no name', dev, { exp: NOW + 60 }, /sub is missing/],
  ['an empty name', dev, { ...good, sub: '' }, /sub is missing/],
  ['a name that is a number', dev, { ...good, sub: 7 }, /sub is missing/],
  ['no end', dev, { sub: 'alice' }, /exp is missing/],
  ['an end that is text', dev, { ...good, exp: String(NOW + 60) }, /exp is missing/],
  ['an end just now', dev, { ...good, exp: NOW }, /expired/],
  ['an end within the skew', { ...dev, clockSkewMs: 1000 }, { ...good, exp: NOW - 0.5 }, /^alice$/],
  ['an issue in the future', dev, { ...good, iat: NOW + 1 }, /iat lies in the future/],
  ['an issue in the future within the skew', { ...dev, clockSkewMs: 1000 }, { ...good, iat: NOW + 1 }, /^alice$/],
  ['an issue after the end', dev, { sub: 'a', iat: NOW, exp: NOW }, /expired|after exp/],
  ['a begin in the future', dev, { ...good, nbf: NOW + 1 }, /nbf lies in the future/],
  ['another issuer', { ...dev, issuer: 'me' }, { ...good, iss: 'you' }, /another issuer/],
  ['the issuer', { ...dev, issuer: 'me' }, { ...good, iss: 'me' }, /^alice$/],
  ['no audience', { ...dev, audience: ['kafka'] }, good, /another audience/],
  ['one of the audiences', { ...dev, audience: ['kafka'] }, { ...good, aud: ['x', 'kafka'] }, /^alice$/],
  ['a scope in text', { ...dev, requiredScopes: ['b'] }, { ...good, scope: 'a b' }, /^alice$/],
  ['a scope in a list', { ...dev, requiredScopes: ['b'], scopeClaim: 'scp' }, { ...good, scp: ['a', 'b'] }, /^alice$/],
  ['a missing scope', { ...dev, requiredScopes: ['a', 'c'] }, { ...good, scope: 'a b' }, /lacks the scope c/]
] as const) {
  test(`a token with ${what}`, async () => {
    assert.match(await judge(options, unsigned(claims)), expected)
  })
}

test('what is no unsecured token is refused', async () => {
  const token = unsigned(good)
  for (const bad of [
    '',
    'a',
    'a.b.c',
    token.slice(0, -1),
    `${token}x`,
    `${token}.`,
    unsigned(good, { alg: 'HS256' }),
    unsigned(good, []),
    unsigned([]),
    unsigned(null),
    unsigned('alice')
  ]) {
    assert.match(await judge(dev, bad), /malformed/, bad)
  }
})

async function signed(key: KeyObject, header: { alg: string; kid?: string }, claims: object = good): Promise<string> {
  return await new SignJWT({ ...claims }).setProtectedHeader(header).sign(key)
}

test('a signature must be by a key of the set, with a public-key algorithm', async () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwks = {
    keys: [
      { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec' },
      { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' }
    ]
  }
  assert.equal(await judge({ jwks }, await signed(ec.privateKey, { alg: 'ES256', kid: 'ec' })), 'alice')
  assert.equal(await judge({ jwks }, await signed(rsa.privateKey, { alg: 'RS256', kid: 'rsa' })), 'alice')
  assert.equal(await judge({ jwks }, await signed(rsa.privateKey, { alg: 'PS512', kid: 'rsa' })), 'alice')
  const malformed = /signature is wrong/
  assert.match(await judge({ jwks }, await signed(stranger.privateKey, { alg: 'ES256', kid: 'ec' })), malformed)
  assert.match(await judge({ jwks }, unsigned(good)), malformed)
  assert.match(await judge({ jwks, isUnsecuredAllowed: true }, unsigned(good)), malformed)
  // The public key as a shared secret: the classic way to forge a token.
  const secret = rsa.publicKey.export({ format: 'pem', type: 'spki' })
  const forged = await new SignJWT({ ...good })
    .setProtectedHeader({ alg: 'HS256', kid: 'rsa' })
    .sign(Buffer.from(secret))
  assert.match(await judge({ jwks }, forged), malformed)
  const expired = await signed(ec.privateKey, { alg: 'ES256', kid: 'ec' }, { sub: 'a', exp: NOW - 31 })
  assert.match(await judge({ jwks }, expired), /expired/)
})

test('new keys are taken from the file when a token asks for them, and a bad file leaves the old', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-jwks-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'keys.json')
  const make = (kid: string): { key: KeyObject; text: string } => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { key: privateKey, text: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] }) }
  }
  const [one, two] = [make('one'), make('two')]
  writeFileSync(file, one.text)
  const validate = await createTokenValidator({ jwks: pathToFileURL(file).href })
  const isValid = async (token: string, nowMs: number): Promise<boolean> => (await validate(token, nowMs)).isValid
  const first = await signed(one.key, { alg: 'ES256', kid: 'one' })
  const second = await signed(two.key, { alg: 'ES256', kid: 'two' })
  assert.ok(await isValid(first, NOW_MS))
  writeFileSync(file, '{')
  assert.equal(await isValid(second, NOW_MS), false)
  assert.ok(await isValid(first, NOW_MS))
  writeFileSync(file, two.text)
  assert.equal(await isValid(second, NOW_MS + 9_999), false, 'the file was looked at less than ten seconds ago')
  assert.ok(await isValid(second, NOW_MS + 10_000))
})

test('keys that are none are refused at the start', async () => {
  for (const jwks of [{ keys: [] }, { keys: [{}] }, '/nowhere/keys.json', import.meta.filename]) {
    await assert.rejects(createTokenValidator({ jwks }), { code: 'ERR_BROKER_INVALID_SETTING' })
  }
})

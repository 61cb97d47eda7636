/** What makes certificates, keys and authorities unusable, each with its reason. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { type TlsParts, verifyTls } from '../../../src/cli/certificates/verify-tls.ts'
import { expiryWarning } from '../../../src/cli/certificates/open-tls.ts'
import { Authority, encryptedKey } from '../../support/certificates.ts'

const nowMs = Date.parse('2026-06-01T12:00:00Z')
const valid = { notBefore: new Date('2026-05-01T00:00:00Z'), notAfter: new Date('2026-07-01T00:00:00Z') }
const authority = new Authority('authority', valid)
const pair = authority.issue({ name: 'ingest', ...valid })
const other = authority.issue({ name: 'other', ...valid })
const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, '../../fixtures/certificates', name))
const bytes = (text: string): Buffer => Buffer.from(text)
const sound: TlsParts = { ca: bytes(authority.cert), cert: bytes(pair.cert), key: bytes(pair.key) }

/** `setting: reason` of every problem. */
function problemsOf(parts: TlsParts, atMs = nowMs): string[] {
  const verdict = verifyTls(parts, atMs)
  return verdict.kind === 'sound' ? [] : verdict.problems.map(({ path, reason }) => `${path.join('.')}: ${reason}`)
}

test('a certificate with its key and its authority is sound, and it is known when both end', () => {
  const verdict = verifyTls(sound, nowMs)
  assert.ok(verdict.kind === 'sound')
  assert.deepEqual(
    verdict.expiries.map(({ material, subject, expiresAtMs }) => [material, subject, expiresAtMs]),
    [
      ['ca', 'CN=authority', valid.notAfter.getTime()],
      ['cert', 'CN=ingest', valid.notAfter.getTime()]
    ]
  )
})

test('certificate and key may be in one place, and the key encrypted', () => {
  const key = encryptedKey(pair.key, 'open sesame')
  assert.deepEqual(problemsOf({ cert: bytes(pair.cert + pair.key) }), [])
  assert.deepEqual(problemsOf({ cert: bytes(pair.cert), key: bytes(key), passphrase: 'open sesame' }), [])
})

for (const [what, parts, expected] of [
  [
    'the key of another certificate',
    { ...sound, key: bytes(other.key) },
    'tls.key: is not the key of the certificate CN=ingest'
  ],
  ['no key', { cert: sound.cert }, 'tls.key: is missing'],
  [
    'a certificate as the key',
    { ...sound, key: sound.cert },
    'tls.key: has no private key in PEM: it has "CERTIFICATE"'
  ],
  [
    'a key as the certificate',
    { ...sound, cert: sound.key },
    'tls.cert: has no certificate in PEM: it has "PRIVATE KEY"'
  ],
  [
    'an encrypted key without its passphrase',
    { ...sound, key: bytes(encryptedKey(pair.key, 'x')) },
    'tls.key: is encrypted'
  ],
  [
    'a wrong passphrase',
    { ...sound, key: bytes(encryptedKey(pair.key, 'x')), passphrase: 'y' },
    'tls.passphrase: does not open the key'
  ],
  ['an empty file', { ...sound, cert: Buffer.alloc(0) }, 'tls.cert: has no certificate in PEM: it is empty'],
  ['something else', { ...sound, ca: bytes('hello') }, 'tls.ca: has no certificate in PEM: it is something else'],
  [
    'DER',
    { ...sound, ca: Buffer.from(authority.cert.replaceAll(/-----.*-----|\n/g, ''), 'base64') },
    'tls.ca: has no certificate in PEM: it is binary'
  ],
  [
    'a Java key store',
    { ...sound, ca: Buffer.from('feedfeed00000002', 'hex') },
    'tls.ca: has no certificate in PEM: it is a Java key store'
  ],
  [
    'a torn certificate',
    { ...sound, cert: bytes(pair.cert.replace(/\n.{20}/, '\n')) },
    'tls.cert: has a certificate that cannot be read'
  ],
  ['a PKCS#12 file without its passphrase', { pfx: fixture('client.p12') }, 'tls.pfx: is locked'],
  [
    'a wrong passphrase of a PKCS#12 file',
    { pfx: fixture('client.p12'), passphrase: 'x' },
    'tls.passphrase: does not open the file'
  ],
  [
    'an old PKCS#12 file',
    { pfx: fixture('legacy.p12'), passphrase: 'changeit' },
    'tls.pfx: is encrypted in an old way'
  ],
  [
    'a trust store',
    { pfx: fixture('truststore.p12'), passphrase: 'changeit' },
    'tls.pfx: has no private key: it is a trust store'
  ],
  ['PEM as PKCS#12', { pfx: sound.cert }, 'tls.pfx: cannot be read as PKCS#12']
] as const satisfies readonly (readonly [string, TlsParts, string])[]) {
  test(`${what} is refused with its reason`, () => {
    const problems = problemsOf(parts)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.ok(problems[0]?.startsWith(expected), problems[0])
  })
}

test('a PKCS#12 file is read with its passphrase, and it is known when its certificate ends', () => {
  const verdict = verifyTls({ pfx: fixture('client.p12'), passphrase: 'changeit' }, Date.now())
  assert.ok(verdict.kind === 'sound')
  const [expiry] = verdict.expiries
  // As `openssl x509 -serial -enddate` prints them.
  assert.equal(expiry?.serialNumber, '6298382071BB369A8B33CCB416EC1668572B6AE7')
  assert.equal(expiry.subject, 'CN=ingest,OU=Events,O=Acme,C=DE')
  assert.equal(new Date(expiry.expiresAtMs).toISOString(), '2126-10-28T06:36:25.000Z')
})

test('what has ended, or does not count yet, is refused; by the second', () => {
  const endMs = valid.notAfter.getTime()
  assert.deepEqual(problemsOf(sound, endMs - 1000), [])
  assert.deepEqual(problemsOf(sound, endMs), [
    'tls.ca: no authority in it is valid any more: CN=authority ended on 2026-07-01T00:00:00Z',
    'tls.cert: the certificate CN=ingest ended on 2026-07-01T00:00:00Z: renew it'
  ])
  assert.deepEqual(problemsOf({ ...sound, ca: undefined }, valid.notBefore.getTime() - 1), [
    'tls.cert: the certificate CN=ingest counts from 2026-05-01T00:00:00Z on only: look at the clock of this machine'
  ])
})

test('an old authority beside one that counts is no problem: bundles are full of them', () => {
  const old = new Authority('old', { ...valid, notAfter: new Date('2026-05-31T00:00:00Z') })
  const verdict = verifyTls({ ca: bytes(old.cert + authority.cert) }, nowMs)
  assert.ok(verdict.kind === 'sound')
  assert.deepEqual(
    verdict.expiries.map(({ subject }) => subject),
    ['CN=authority']
  )
})

test('every problem is said at once', () => {
  const problems = problemsOf({ ca: bytes('x'), cert: bytes('y'), key: bytes('z') })
  assert.deepEqual(
    problems.map(text => text.slice(0, text.indexOf(':'))),
    ['tls.ca', 'tls.cert', 'tls.key']
  )
})

test('the end of a certificate is a warning so many days before', () => {
  const expiry = {
    material: 'cert',
    subject: 'CN=x',
    serialNumber: '01',
    expiresAtMs: nowMs + 30 * 86_400_000
  } as const
  assert.equal(expiryWarning(expiry, 29, nowMs), undefined)
  assert.equal(expiryWarning(expiry, 0, nowMs), undefined)
  assert.equal(expiryWarning(expiry, 30, nowMs), 'the certificate CN=x ends on 2026-07-01, in 30 days')
  assert.equal(expiryWarning(expiry, 30, expiry.expiresAtMs), 'the certificate CN=x ended on 2026-07-01')
})

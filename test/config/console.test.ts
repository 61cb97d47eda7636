/** The section `console`: what would open it to anybody, or mean nothing, is told before anything starts. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePipeline } from '../../src/config/index.ts'

function problemsOf(section: string): string {
  const text = `name: x\nkafka: { bootstrapServers: embedded }\nconsole:\n${section}`
  try {
    parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
  } catch (error) {
    return String(error)
  }
  return ''
}

const SHA = 'a'.repeat(64)
const TOKENS = `  auth: { tokens: [{ name: a, sha256: ${SHA} }] }\n`

const DISPATCHER = '{ name: d, role: dispatcher, url: "http://10.0.0.1:1" }'

test('a console that others could reach needs a login, TLS and its public address', () => {
  assert.match(problemsOf('  host: 0.0.0.0\n'), /auth[^]*tls[^]*publicUrl/)
  assert.match(problemsOf(`  host: 0.0.0.0\n  publicUrl: http://k.example.com\n${TOKENS}`), /tls[^]*https:\/\//)
  assert.match(problemsOf(`  publicUrl: https://k.example.com\n${TOKENS}`), /trustProxy if a proxy/)
  assert.match(problemsOf(`  trustProxy: [10.0.0.1]\n  publicUrl: https://k.example.com\n`), /give auth\.tokens/)
  const proxied = `  host: 10.0.0.7\n  trustProxy: [10.0.0.0/8]\n  publicUrl: https://k.example.com\n${TOKENS}`
  assert.equal(problemsOf(proxied), '')
  assert.match(problemsOf(`${proxied}  tls: { cert: a, key: b }\n`), /either the console ends TLS, or the proxy/)
  assert.equal(problemsOf('  host: localhost\n  port: 0\n'), '')
})

test('settings that mean nothing are named with their place', () => {
  const cases: [string, RegExp][] = [
    ['  auth: { tokens: [{ name: a }] }\n', /4:20 console\.auth\.tokens\.0: needs one of sha256 and token/],
    [`  auth: { tokens: [{ name: a, sha256: ${SHA} }, { name: a, sha256: ${SHA} }] }\n`, /there is a a already/],
    ['  auth: { tokens: [{ name: a, sha256: abc }] }\n', /64 digits/],
    ['  auth: { oidc: { issuer: "http://login.example.com", clientId: c, roles: [] } }\n', /https/],
    ['  trustProxy: [anywhere]\n', /not an IP address or network/],
    ['  publicUrl: https://k.example.com/console\n', /must not have a path/],
    ['  masking: [{ topics: ["a b"] }]\n', /not a pattern of names/],
    ['  masking: [{ fields: ["a..b"] }]\n', /not a path of members/],
    [`  instances: [${DISPATCHER}, ${DISPATCHER}]\n`, /there is a d already/],
    ['  instances: [{ name: d, role: cook, url: "http://10.0.0.1:1" }]\n', /role/]
  ]
  for (const [section, expected] of cases) assert.match(problemsOf(section), expected, section)
})

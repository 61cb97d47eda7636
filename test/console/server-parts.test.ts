/** Parts of the console's server that need no network: masks, rights, limits, sessions, the audit log, pages. */

import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { openAuditLog } from '../../src/console/server/audit-log.ts'
import { Limiter } from '../../src/console/server/limiter.ts'
import { networkOf } from '../../src/console/server/guard.ts'
import { maskJson } from '../../src/console/server/mask-json.ts'
import { hiddenParts, MASK, maskRecord, masksOf } from '../../src/console/server/masking.ts'
import { fits } from '../../src/console/server/names.ts'
import { buildPages } from '../../src/console/server/page-builder.ts'
import { formOf, servedFiles } from '../../src/console/server/pages.ts'
import { mayChange, needRight } from '../../src/console/server/rights.ts'
import type { Caller } from '../../src/console/server/server-types.ts'
import { SessionStore } from '../../src/console/server/sessions.ts'
import { identityOfToken, knownTokens } from '../../src/console/server/settings.ts'
import type { ShownBytes, ShownRecord } from '../../src/console/api/records.ts'
import type { AuditEntry } from '../../src/console/api/session.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { consoleSettings } from '../support/console-settings.ts'

function callerOf(more: Partial<Caller>): Caller {
  return { user: 'vera', role: 'viewer', isMasked: false, isExportAllowed: true, sessionId: 's', ...more }
}

function shown(text: string, shape: ShownBytes['shape'] = 'json'): ShownBytes {
  return { shape, text, byteLength: text.length, isCut: false }
}

function record(topic: string, value: ShownBytes | null): ShownRecord {
  const headers = [
    { key: 'trace', value: shown('abc', 'text') },
    { key: 'user', value: shown('ana', 'text') }
  ]
  const place = { topic, partition: 0, offset: '7', timestampMs: 1, timestampType: 'create' as const }
  return { ...place, key: shown('T-1', 'text'), value, headers, headerCount: 2 }
}

function maskOf(of: ShownRecord, caller: Caller): ShownRecord {
  return maskRecord(of, caller, [of.topic])
}

const RULES = `
  masking:
    - { topics: [pay.*], roles: [viewer], fields: [card.number, '**.ssn'], headers: [user] }
    - { topics: ['*.secret'], key: true, value: true, headers: true }
`

test('records show each role what the rules leave, in every place that shows them', () => {
  const { masking } = consoleSettings(RULES)
  const vera = callerOf({ masks: masksOf(masking, 'viewer'), isMasked: true })
  const olga = callerOf({ role: 'operator', masks: masksOf(masking, 'operator') })

  const payment = record('pay.eu', shown('{"id": 12345678901234567890, "card": {"number": "4111", "type": "x"}}'))
  const seen = maskOf(payment, vera)
  assert.equal(seen.value?.text, `{"id": 12345678901234567890, "card": {"number": "${MASK}", "type": "x"}}`)
  // As long as it looks: the length would tell one number of a card from another.
  assert.equal(seen.value?.byteLength, Buffer.byteLength(seen.value?.text ?? ''))
  for (const bare of ['4111111111111111', '"4111"', ' 7']) {
    assert.equal(maskOf(record('pay.eu', shown(bare)), vera).value?.shape, 'masked', bare)
  }
  const headers = [{ key: 'USER', value: shown('ana', 'text') }]
  assert.equal(maskOf({ ...payment, headers }, vera).headers[0]?.value?.shape, 'masked')
  // A key that is no JSON may hold what the rule hides.
  assert.deepEqual(seen.key, { shape: 'masked', text: MASK, byteLength: 0, isCut: false })
  assert.deepEqual(
    seen.headers.map(({ value }) => value?.shape),
    ['text', 'masked']
  )
  assert.equal(maskOf(payment, olga), payment)
  assert.equal(maskOf(record('orders', shown('{}')), vera).value?.text, '{}')

  const hidden = maskOf(record('a.secret', shown('{}')), olga)
  assert.deepEqual([hidden.key?.shape, hidden.value?.shape, hidden.headers[0]?.value?.shape], Array(3).fill('masked'))
  assert.equal(maskOf(record('a.secret', null), olga).value, null)
  const cut = { ...shown('{"card":{"number":"41'), isCut: true }
  assert.equal(maskOf(record('pay.eu', cut), vera).value?.shape, 'masked')
  assert.equal(maskOf(record('pay.eu', shown('ff00', 'hex')), vera).value?.shape, 'masked')
  // Who is masked and has no rules sees nothing.
  assert.equal(maskOf(payment, callerOf({ isMasked: true })).value?.shape, 'masked')

  assert.deepEqual(hiddenParts(vera, 'pay.eu'), { key: true, value: true, headers: true })
  assert.deepEqual(hiddenParts(olga, 'pay.eu'), { key: false, value: false, headers: false })
})

test('an address counts as its network, so that a house of IPv6 has one limit', () => {
  const networks = ['::ffff:10.0.0.7', '2001:db8::1', '2001:DB8:0:0:9::', '::1', '1:2:3:4:5:6:7:8'].map(networkOf)
  assert.deepEqual(networks, ['10.0.0.7', '2001:db8:0:0', '2001:db8:0:0', '0:0:0:0', '1:2:3:4'])
})

test('masked members are found however the text is written, and the rest stays as it was', () => {
  const cases: [string, string[], string | undefined][] = [
    ['{"a":1,"b":{"a":2}}', ['a'], '{"a":"*","b":{"a":2}}'],
    ['{"a":1,"b":{"a":2}}', ['*.a'], '{"a":1,"b":{"a":"*"}}'],
    ['{"a":1,"b":{"a":[{"x":1}]}}', ['**.a'], '{"a":"*","b":{"a":"*"}}'],
    [' [ {"a" : {"deep":[1,{}]} , "c":"\\"]}" } ] ', ['a'], ' [ {"a" : "*" , "c":"\\"]}" } ] '],
    ['{"\\u0061":1,"a":2}', ['a'], '{"\\u0061":"*","a":"*"}'],
    ['{"a":{"b":1},"a.b":2}', ['a.b'], '{"a":{"b":"*"},"a.b":2}'],
    ['{"n":1.50e+3,"t":true,"z":null,"e":{},"l":[]}', ['t'], '{"n":1.50e+3,"t":"*","z":null,"e":{},"l":[]}'],
    ['"text"', ['a'], '"text"'],
    ['{"a":1', ['a'], undefined],
    ['', ['a'], undefined],
    [`${'['.repeat(80)}${']'.repeat(80)}`, ['a'], undefined],
    [`${'['.repeat(50_000)}`, ['a'], undefined]
  ]
  for (const [text, paths, expected] of cases) assert.equal(maskJson(text, paths, '*'), expected, text.slice(0, 60))
})

test('a pattern of names fits from end to end, in a time that grows with the name alone', () => {
  const fitting: [string, string][] = [
    ['orders', 'orders'],
    ['orders', '*'],
    ['orders', 'or*rs'],
    ['a.b.c', '*.b.*'],
    ['aa', 'a*a'],
    ['', '*']
  ]
  for (const [name, pattern] of fitting) assert.ok(fits(name, pattern), `${name} ${pattern}`)
  const others: [string, string][] = [
    ['orders', 'order'],
    ['orders.x', 'orders'],
    ['a', 'a*a'],
    ['abc', 'a*d*c'],
    ['ordersX', 'orders.'],
    ['Orders', 'orders']
  ]
  for (const [name, pattern] of others) assert.ok(!fits(name, pattern), `${name} ${pattern}`)
  assert.equal(fits('a'.repeat(249), `${'a*'.repeat(100)}b`), false)
})

test('an operator with groups and topics of its own changes no others', () => {
  const rights = { groups: ['team-a-*'], topics: ['a.*'] }
  const own = callerOf({ role: 'operator', rights })
  needRight(own, { groups: ['team-a-1'], topics: ['a.x', 'a.y'] })
  assert.throws(() => needRight(own, { groups: ['team-b'] }), {
    code: 'ERR_CONSOLE_FORBIDDEN',
    message: /group team-b/
  })
  assert.throws(() => needRight(own, { groups: ['team-a-1'], topics: ['b'] }), { code: 'ERR_CONSOLE_FORBIDDEN' })
  assert.throws(() => needRight(callerOf({}), {}), { code: 'ERR_CONSOLE_FORBIDDEN' })
  needRight(callerOf({ role: 'operator' }), { groups: ['any'], topics: ['any'] })
  assert.deepEqual([mayChange(own, { topics: ['a.1'] }), mayChange(own, { topics: ['b'] })], [true, false])
})

test('a limit lets the burst through, then the rate; it forgets who was quiet for longest', () => {
  const limiter = new Limiter({ perSecond: 2, burst: 3, keysMax: 2 })
  assert.deepEqual(
    [limiter.take('a', 0), limiter.take('a', 0), limiter.take('a', 0), limiter.take('a', 0)],
    [0, 0, 0, 1]
  )
  assert.deepEqual([limiter.take('a', 499), limiter.take('a', 500), limiter.take('a', 500)], [1, 0, 1])
  limiter.take('b', 500)
  limiter.take('c', 500)
  assert.equal(limiter.size, 2)
  // Forgotten: its bucket is full again.
  assert.equal(limiter.take('a', 500), 0)
})

test('sessions are bounded: the one that was quiet for longest ends', () => {
  const clock = new VirtualClock()
  const store = new SessionStore({ idleMs: 1000, sessionMs: 5000, sessionsMax: 2, clock })
  const who = { user: 'u', role: 'viewer' as const, rights: {} }
  const [first, second] = [store.begin(who), store.begin(who)]
  assert.notEqual(first.session.id, first.cookie)
  store.find(first.cookie)
  const third = store.begin(who)
  assert.equal(store.find(second.cookie), undefined)
  assert.equal(store.keepAlive(second.session), false)
  assert.deepEqual([store.find(first.cookie), store.find(third.cookie)], [first.session, third.session])
  assert.equal(store.size, 2)
  for (const bad of ['', 'x'.repeat(100_000), '__proto__', first.session.id]) assert.equal(store.find(bad), undefined)
})

test('tokens are known by their hash or from the environment; a short one does not start', () => {
  // sha256sum of the 22 characters "a-token-that-is-hashed".
  const sha256 = '38ce9e16df892a28f24869e772915318f45d50d0b3325279b92db0035019b616'
  const settings = consoleSettings(`
  auth:
    tokens:
      - { name: hashed, role: operator, sha256: ${sha256}, groups: [a*] }
      - { name: named, token: { env: THE_TOKEN } }
`)
  const tokens = knownTokens(settings, { tokens: { named: 'sixteen-characters' }, startToken: 'printed' })
  assert.deepEqual(
    tokens.map(({ user, role }) => [user, role]),
    [
      ['hashed', 'operator'],
      ['named', 'viewer'],
      ['local', 'operator']
    ]
  )
  assert.equal(identityOfToken(tokens, 'a-token-that-is-hashed')?.user, 'hashed')
  assert.equal(identityOfToken(tokens, 'sixteen-characters')?.user, 'named')
  assert.equal(identityOfToken(tokens, sha256), undefined)
  assert.equal(identityOfToken(tokens, ''), undefined)
  assert.throws(() => knownTokens(settings, { tokens: { named: 'short' } }), { code: 'ERR_CONFIG_INVALID' })
})

function entry(subject: string): Omit<AuditEntry, 'atMs'> {
  return { user: 'olga', role: 'operator', action: 'test', subject, outcome: 'ok', detail: '', undoId: null }
}

test('the audit log keeps every line in order, over files and starts, newest first', async t => {
  const file = join(temporaryFolder(t), 'deep/audit.jsonl')
  const options = { file, bytesMax: 500, filesMax: 3, clock: new VirtualClock(1000) }
  const log = await openAuditLog(options)
  await Promise.all(Array.from({ length: 3 }, async (_, index) => await log.append(entry(`s${index}`))))
  for (let index = 3; index < 8; index += 1) await log.append(entry(`s${index}`))
  const { rows, total } = await log.read(0, 100)
  assert.deepEqual(
    rows.map(({ subject }) => subject),
    ['s7', 's6', 's5', 's4', 's3', 's2', 's1', 's0']
  )
  assert.deepEqual([total, rows[0]?.atMs], [8, 1000])
  const page = await log.read(2, 3)
  assert.deepEqual(
    page.rows.map(({ subject }) => subject),
    ['s5', 's4', 's3']
  )
  await log.close()
  assert.equal(statSync(file).mode & 0o777, 0o600)
  await assert.rejects(log.append(entry('late')), { code: 'ERR_CONSOLE_AUDIT' })

  // A crash has cut a line.
  appendFileSync(file, '{"atMs":1,"user":"ol')
  const again = await openAuditLog(options)
  await again.append(entry('s8'))
  assert.deepEqual(
    (await again.read(0, 2)).rows.map(({ subject }) => subject),
    ['s8', 's7']
  )
  for (let index = 9; index < 30; index += 1) await again.append(entry(`s${index}\n"}`))
  await again.close()
  assert.deepEqual([existsSync(`${file}.2`), existsSync(`${file}.3`)], [true, false])
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) JSON.parse(line)
})

test('an audit log that cannot be written says so before anything is done', async t => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'audit.jsonl'))
  const options = { file: join(folder, 'audit.jsonl'), bytesMax: 500, filesMax: 3, clock: new VirtualClock() }
  await assert.rejects(openAuditLog(options), { code: 'ERR_CONSOLE_AUDIT' })
})

test('the pages are files with hashed names, without scripts in the page or addresses elsewhere', async () => {
  const built = await buildPages(join(import.meta.dirname, '../../src/console/web'))
  const files = await servedFiles(built)
  const html = files.get('index.html')?.plain.toString() ?? ''
  const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1] ?? '')
  assert.ok(named.length >= 2, html)
  for (const name of named) assert.ok(files.has(name.slice(1)), name)
  // What the policy of the server would not run.
  assert.doesNotMatch(html, /<script(?![^>]*src=)|<style|\son\w+=|style="/)
  for (const [path, file] of files) {
    if (path.startsWith('assets/')) assert.match(path, /^assets\/[\w.-]+-[A-Z0-9]{8}\.\w+$/)
    const text = file.type.startsWith('image/') ? '' : file.plain.toString()
    const places = [...text.matchAll(/(?:src|href|url|import)\(?\s*=?\s*["'(](?:https?:)?\/\/[^"')]+/g)]
    assert.deepEqual(places, [], path)
  }
  const main = [...files].find(([path]) => /^assets\/main-.*\.js$/.test(path))?.[1]
  assert.ok(main !== undefined)
  assert.equal(formOf(main, 'gzip, br').encoding, 'br')
  assert.equal(formOf(main, 'br;q=0, gzip').encoding, 'gzip')
  assert.equal(formOf(main, undefined).encoding, undefined)
})

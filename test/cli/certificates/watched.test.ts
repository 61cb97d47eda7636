/** Certificates that change while something runs, on a clock that stands still. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { openTls } from '../../../src/cli/certificates/open-tls.ts'
import { SourceReader } from '../../../src/cli/certificates/source-reader.ts'
import { REFUSED_RETRY_MS } from '../../../src/cli/certificates/watched.ts'
import type { TlsOptions, TlsProvider } from '../../../src/client/index.ts'
import type { TlsConfig } from '../../../src/config/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { createMetrics } from '../../../src/telemetry/index.ts'
import { RecordingLogger } from '../../broker/support.ts'
import { Authority, type CertificatePair } from '../../support/certificates.ts'

const dayMs = 86_400_000
const reloadMs = 60_000
const authority = new Authority('authority')

interface Setup {
  readonly clock: VirtualClock
  /** Lets time pass until it is looked at, and waits for the end of that. */
  readonly pass: (ms: number) => Promise<void>
  readonly logger: RecordingLogger
  readonly provider: TlsProvider
  readonly write: (name: 'tls.crt' | 'tls.key', text: string) => void
  readonly dir: string
  /** How often it has said that something is new. */
  readonly changes: () => number
  readonly metrics: () => Promise<string>
}

function configOf(dir: string, settings: Partial<TlsConfig> = {}): TlsConfig {
  return {
    cert: { file: join(dir, 'tls.crt') },
    key: { file: join(dir, 'tls.key') },
    expiryWarningDays: 5,
    ...settings
  }
}

async function setUp(t: TestContext, pair: CertificatePair): Promise<Setup> {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-watched-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const write = (name: string, text: string): void => writeFileSync(join(dir, name), text)
  write('tls.crt', pair.cert)
  write('tls.key', pair.key)
  const clock = new VirtualClock(Date.now())
  const logger = new RecordingLogger()
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const context = { reader: new SourceReader({}), clock, logger, meter: metrics.meter }
  const provider = await openTls(configOf(dir), context)
  assert.ok('current' in provider)
  let changes = 0
  t.after(provider.onChange(() => void (changes += 1)))
  const pass = async (ms: number): Promise<void> => {
    const looks = linesAt(logger, 'debug').length
    await clock.advance(ms)
    while (linesAt(logger, 'debug').length === looks) await new Promise(resolve => setImmediate(resolve))
  }
  return { clock, pass, logger, provider, write, dir, changes: () => changes, metrics: () => metrics.prometheusText() }
}

const certOf = (provider: TlsProvider): string => {
  const { cert, key }: TlsOptions = provider.current()
  return `${String(cert)}${String(key)}`
}

/** Lines at a level, as `message reason`. */
function linesAt(logger: RecordingLogger, level: string): string[] {
  const lines = logger.lines.filter(line => line.level === level)
  return lines.map(({ message, fields }) =>
    typeof fields['reason'] === 'string' ? `${message} ${fields['reason']}` : message
  )
}

test('a new pair is taken when both of its files are there, and never half of it', async t => {
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })]
  const { pass, logger, provider, write, changes, metrics } = await setUp(t, one)
  await pass(reloadMs)
  assert.equal(changes(), 0)

  write('tls.crt', two.cert)
  await pass(reloadMs)
  await logger.until('error', 'is not the key of the certificate CN=two')
  assert.equal(certOf(provider), one.cert + one.key)
  // The same problem is not said twice.
  await pass(REFUSED_RETRY_MS)
  await pass(REFUSED_RETRY_MS)
  assert.equal(linesAt(logger, 'error').length, 1)

  write('tls.key', two.key)
  await pass(REFUSED_RETRY_MS)
  await logger.until('info', 'connections are renewed one by one')
  assert.equal(certOf(provider), two.cert + two.key)
  assert.equal(changes(), 1)
  const text = await metrics()
  assert.match(text, /comporta_kafka_credentials_reloads_total\{material="tls",outcome="refused"[^}]*\} 1\b/)
  assert.match(text, /comporta_kafka_credentials_reloads_total\{material="tls",outcome="taken"[^}]*\} 1\b/)
})

for (const [what, bad, reason] of [
  ['has ended', authority.issue({ name: 'bad', notAfter: new Date(Date.now() - 1000) }), 'ended on'],
  ['does not count yet', authority.issue({ name: 'bad', notBefore: new Date(Date.now() + dayMs) }), 'counts from'],
  ['cannot be read', { cert: 'half a cert', key: 'x' }, 'has no certificate in PEM']
] as const) {
  test(`a new certificate that ${what} is refused, and the old one stays`, async t => {
    const one = authority.issue({ name: 'one' })
    const { pass, logger, provider, write, changes } = await setUp(t, one)
    write('tls.crt', bad.cert)
    write('tls.key', bad.key)
    await pass(reloadMs)
    await logger.until('error', reason)
    assert.match(linesAt(logger, 'error')[0] ?? '', /cannot be used: the old ones stay/)
    assert.equal(certOf(provider), one.cert + one.key)
    assert.equal(changes(), 0)
  })
}

test('files that are gone for a while are a line in the log, and another when they are back', async t => {
  const one = authority.issue({ name: 'one' })
  const { pass, logger, provider, write, dir, changes } = await setUp(t, one)
  unlinkSync(join(dir, 'tls.key'))
  await pass(reloadMs)
  await logger.until('error', 'there is no file')
  write('tls.key', one.key)
  await pass(REFUSED_RETRY_MS)
  await logger.until('info', 'are as before')
  assert.equal(certOf(provider), one.cert + one.key)
  assert.equal(changes(), 0)
})

test('SIGHUP looks at once', async t => {
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })]
  const { logger, provider, write } = await setUp(t, one)
  write('tls.crt', two.cert)
  write('tls.key', two.key)
  process.kill(process.pid, 'SIGHUP')
  await logger.until('info', 'connections are renewed one by one')
  assert.equal(certOf(provider), two.cert + two.key)
})

test('the end of a certificate is a metric, and a warning when it comes near', async t => {
  const pair = authority.issue({ name: 'one', notAfter: new Date(Date.now() + 6 * dayMs) })
  const { clock, logger, metrics } = await setUp(t, pair)
  const seconds = /comporta_kafka_certificate_expiry_seconds\{material="cert"[^}]*\} (\d+)/
  const left = Number(seconds.exec(await metrics())?.[1])
  assert.ok(left > 6 * 86_400 - 60 && left <= 6 * 86_400, String(left))
  assert.deepEqual(linesAt(logger, 'warn'), [])
  await clock.advance(2 * dayMs)
  assert.match(linesAt(logger, 'warn')[0] ?? '', /the certificate CN=one ends on .*, in [34] days: renew it/)
})

test('what is in variables alone cannot change: nothing looks, and no signal is taken', async t => {
  const pair = authority.issue({ name: 'one' })
  const environment = { CERT: pair.cert.replaceAll('\n', '\\n'), KEY: Buffer.from(pair.key).toString('base64') }
  const context = { clock: new VirtualClock(Date.now()), logger: new RecordingLogger() }
  const around = { ...context, reader: new SourceReader(environment), meter: createMetrics().meter }
  const config = configOf('', { cert: { env: 'CERT' }, key: { env: 'KEY' } })
  const provider = await openTls(config, around)
  assert.ok('current' in provider)
  assert.equal(certOf(provider), pair.cert + pair.key)
  const before = process.listenerCount('SIGHUP')
  t.after(provider.onChange(() => undefined))
  assert.equal(process.listenerCount('SIGHUP'), before)
})

test('at the start, what is missing or wrong ends with its reason', async () => {
  const around = { reader: new SourceReader({ EMPTY: '' }), clock: new VirtualClock(), logger: new RecordingLogger() }
  const context = { ...around, meter: createMetrics().meter }
  for (const [cert, message] of [
    [{ file: '/nowhere/tls.crt' }, 'kafka.tls.cert: there is no file /nowhere/tls.crt'],
    [{ file: '/' }, 'kafka.tls.cert: / is a folder, not a file'],
    [{ env: 'UNSET' }, 'kafka.tls.cert: the environment variable UNSET is not set'],
    [{ env: 'EMPTY' }, 'kafka.tls.cert: the environment variable EMPTY is not set']
  ] as const) {
    const config: TlsConfig = { cert, expiryWarningDays: 0 }
    await assert.rejects(openTls(config, context), { code: 'ERR_CONFIG_CREDENTIALS', message })
  }
})

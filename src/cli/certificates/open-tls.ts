/**
 * `kafka.tls` as options of the client: read, verified, watched, and known when they end.
 *
 * Certificate, key, authorities and passphrase are read and judged together,
 * so that a new certificate is never shown with an old key.
 */

import { createHash } from 'node:crypto'

import type { TlsOptions, TlsProvider } from '../../client/index.ts'
import type { SourceOfCredentials, TlsConfig } from '../../config/index.ts'
import type { Clock, Timer } from '../../core/index.ts'
import { counterOf, type Logger, type Meter, observedGaugeOf } from '../../telemetry/index.ts'
import { unusable } from './problem.ts'
import { isRemote, type SourceReader, type SourceRound } from './source-reader.ts'
import { type Expiry, type TlsParts, verifyTls } from './verify-tls.ts'
import { type Reading, Watched } from './watched.ts'

const dayMs = 86_400_000
/** How often the log says that a certificate is about to end. */
const EXPIRY_WARNING_PERIOD_MS = dayMs / 4
/** How often files are looked at, and places in AWS, in milliseconds. */
const RELOAD_MS = { files: 60_000, aws: 300_000 } as const

/** What credentials need around them. */
export interface CredentialContext {
  readonly reader: SourceReader
  readonly clock: Clock
  readonly logger: Logger
  readonly meter: Meter
}

interface Verified {
  readonly options: TlsOptions
  readonly expiries: readonly Expiry[]
}

/**
 * Reads and verifies the certificates of a pipeline file.
 *
 * @returns A provider, if anything of it can change.
 * @throws PipelineError `ERR_CONFIG_CREDENTIALS`, `ERR_CLI_CREDENTIALS_UNREACHABLE`.
 */
export async function openTls(tls: TlsConfig, context: CredentialContext): Promise<TlsOptions | TlsProvider> {
  const sources = sourcesOf(tls)
  if (sources.length === 0) return tls.serverName === undefined ? {} : { servername: tls.serverName }
  const watched = await Watched.open<Verified>({
    what: 'the certificates of kafka.tls',
    material: 'tls',
    read: () => readTls(tls, context),
    everyMs: reloadMsOf(sources, tls.reloadMs),
    clock: context.clock,
    logger: context.logger,
    reloads: reloadCounter(context.meter),
    describe: ({ expiries }) => ({
      certificates: expiries.map(({ material, serialNumber, expiresAtMs }) => ({
        material,
        serialNumber,
        expires: new Date(expiresAtMs).toISOString()
      }))
    })
  })
  return new Certificates(watched, tls.expiryWarningDays, context)
}

/** Counts what became of looks for new certificates and secrets. */
export function reloadCounter(meter: Meter): ReturnType<Meter['createCounter']> {
  return counterOf(meter, 'comporta.kafka.credentials.reloads')
}

/** How often to look; `undefined` if nothing can change. */
export function reloadMsOf(sources: readonly SourceOfCredentials[], given: number | undefined): number | undefined {
  if (sources.every(source => source.env !== undefined)) return undefined
  return given ?? (sources.some(isRemote) ? RELOAD_MS.aws : RELOAD_MS.files)
}

/** Reads all parts in one round. */
export async function readParts(tls: TlsConfig, round: SourceRound): Promise<TlsParts> {
  const part = (name: 'ca' | 'cert' | 'key' | 'pfx'): Promise<Buffer | undefined> => {
    const source = tls[name]
    return source === undefined ? Promise.resolve(undefined) : round.material(source, ['tls', name])
  }
  const { passphrase } = tls
  const [ca, cert, key, pfx, opened] = await Promise.all([
    part('ca'),
    part('cert'),
    part('key'),
    part('pfx'),
    passphrase === undefined ? undefined : round.text(passphrase, ['tls', 'passphrase'])
  ])
  return { ca, cert, key, pfx, passphrase: opened, serverName: tls.serverName }
}

/** When a certificate ends, in words; `undefined` while that is far away. */
export function expiryWarning(expiry: Expiry, days: number, nowMs: number): string | undefined {
  const leftMs = expiry.expiresAtMs - nowMs
  if (days === 0 || leftMs > days * dayMs) return undefined
  const what = expiry.material === 'cert' ? 'the certificate' : 'the authority'
  const when = new Date(expiry.expiresAtMs).toISOString().slice(0, 10)
  if (leftMs <= 0) return `${what} ${expiry.subject} ended on ${when}`
  const left = Math.floor(leftMs / dayMs)
  return `${what} ${expiry.subject} ends on ${when}, in ${left === 1 ? '1 day' : `${left} days`}`
}

async function readTls(tls: TlsConfig, { reader, clock }: CredentialContext): Promise<Reading<Verified>> {
  const parts = await readParts(tls, reader.round())
  const verdict = verifyTls(parts, clock.now())
  if (verdict.kind === 'refused') throw unusable(verdict.problems)
  return { value: verdict, fingerprint: fingerprintOf(parts) }
}

function fingerprintOf({ ca, cert, key, pfx, passphrase }: TlsParts): string {
  const hash = createHash('sha256')
  for (const part of [ca, cert, key, pfx, passphrase]) hash.update(part ?? '').update('\0')
  return hash.digest('hex')
}

function sourcesOf({ ca, cert, key, pfx, passphrase }: TlsConfig): SourceOfCredentials[] {
  const given = [ca, cert, key, pfx, passphrase]
  return given.filter(source => source !== undefined && typeof source !== 'string')
}

/** The certificates of one cluster client. */
class Certificates implements TlsProvider {
  readonly #watched: Watched<Verified>
  readonly #warningDays: number
  readonly #context: CredentialContext

  constructor(watched: Watched<Verified>, warningDays: number, context: CredentialContext) {
    this.#watched = watched
    this.#warningDays = warningDays
    this.#context = context
    this.#warn()
  }

  current(): TlsOptions {
    return this.#watched.current().options
  }

  onChange(listener: () => void): () => void {
    const { clock, meter } = this.#context
    const gauge = observedGaugeOf(meter, 'comporta.kafka.certificate.expiry_seconds')
    const observe = (result: { observe(value: number, attributes: Record<string, string>): void }): void => {
      for (const { material, expiresAtMs } of this.#watched.current().expiries) {
        result.observe(Math.floor((expiresAtMs - clock.now()) / 1000), { material })
      }
    }
    gauge.addCallback(observe)
    const timer: Timer = clock.every(EXPIRY_WARNING_PERIOD_MS, () => this.#warn()).unref()
    const end = this.#watched.onChange(() => {
      this.#warn()
      listener()
    })
    return () => {
      end()
      timer.cancel()
      gauge.removeCallback(observe)
    }
  }

  #warn(): void {
    const { clock, logger } = this.#context
    for (const expiry of this.#watched.current().expiries) {
      const text = expiryWarning(expiry, this.#warningDays, clock.now())
      if (text !== undefined) logger.warn({ serialNumber: expiry.serialNumber }, `${text}: renew it`)
    }
  }
}

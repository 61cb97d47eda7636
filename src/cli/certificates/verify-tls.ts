/**
 * Do certificates, key and authorities hold together, and do they count now?
 *
 * Pure but for the clock that is given. Nothing is used that fails here: a
 * certificate is shown with the key that belongs to it or not at all.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

import type { TlsOptions } from '../../client/index.ts'
import { messageOf } from '../../core/index.ts'
import type { CredentialProblem } from './problem.ts'

/** What was read. */
export interface TlsParts {
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  /** Default: in `cert`. */
  readonly key?: Buffer | undefined
  readonly pfx?: Buffer | undefined
  readonly passphrase?: string | undefined
  readonly serverName?: string | undefined
}

/** When a certificate ends. */
export interface Expiry {
  /** The client's own certificate, or the authority that ends first. */
  readonly material: 'cert' | 'ca'
  readonly subject: string
  readonly serialNumber: string
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
}

/** What came out. */
export type TlsVerdict =
  | { readonly kind: 'sound'; readonly options: TlsOptions; readonly expiries: readonly Expiry[] }
  | { readonly kind: 'refused'; readonly problems: readonly CredentialProblem[] }

/** Reads and compares everything; every problem is in the verdict. */
export function verifyTls(parts: TlsParts, nowMs: number): TlsVerdict {
  const problems: CredentialProblem[] = []
  const report = (setting: string, reason: string): void => void problems.push({ path: ['tls', setting], reason })
  const expiries = [...authorities(parts.ca, nowMs, report), ...client(parts, nowMs, report)]
  const options = optionsOf(parts)
  if (problems.length === 0) {
    try {
      createSecureContext(contextOf(options))
    } catch (error) {
      report(parts.pfx === undefined ? 'cert' : 'pfx', `cannot be used: ${messageOf(error)}`)
    }
  }
  return problems.length === 0 ? { kind: 'sound', options, expiries } : { kind: 'refused', problems }
}

type Reporter = (setting: string, reason: string) => void

function optionsOf({ ca, cert, key, pfx, passphrase, serverName }: TlsParts): TlsOptions {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key: key ?? cert }),
    ...(pfx === undefined ? {} : { pfx }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(serverName === undefined ? {} : { servername: serverName })
  }
}

function contextOf({ ca, cert, key, pfx, passphrase }: TlsOptions): Parameters<typeof createSecureContext>[0] {
  return {
    ...(ca === undefined ? {} : { ca: Buffer.isBuffer(ca) ? ca : String(ca) }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(pfx === undefined ? {} : { pfx }),
    ...(passphrase === undefined ? {} : { passphrase })
  }
}

function authorities(ca: Buffer | undefined, nowMs: number, report: Reporter): Expiry[] {
  if (ca === undefined) return []
  const certificates = certificatesIn(ca, 'ca', report)
  if (certificates.length === 0) return []
  // A bundle may hold old ones beside those that count.
  const valid = certificates.filter(each => each.validToDate.getTime() > nowMs)
  const [first] = certificates
  if (valid.length === 0 && first !== undefined) {
    report('ca', `no authority in it is valid any more: ${subjectOf(first)} ended on ${dayOf(first.validToDate)}`)
    return []
  }
  const ends = valid.toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime())
  return ends.slice(0, 1).map(each => expiryOf('ca', each))
}

function client(parts: TlsParts, nowMs: number, report: Reporter): Expiry[] {
  const { cert, pfx } = parts
  if (pfx !== undefined) {
    const certificate = certificateOfPfx(pfx, parts.passphrase, report)
    return certificate === undefined ? [] : validity(certificate, 'pfx', { nowMs, report })
  }
  if (cert === undefined) return []
  const [certificate] = certificatesIn(cert, 'cert', report)
  const key = privateKey(parts, report)
  if (certificate === undefined) return []
  if (key !== undefined && !certificate.checkPrivateKey(key)) {
    const what = `is not the key of the certificate ${subjectOf(certificate)}`
    report(parts.key === undefined ? 'cert' : 'key', `${what}: give the pair that was issued together`)
  }
  return validity(certificate, 'cert', { nowMs, report })
}

function validity(
  certificate: X509Certificate,
  setting: 'cert' | 'pfx',
  { nowMs, report }: { readonly nowMs: number; readonly report: Reporter }
): Expiry[] {
  const { validFromDate, validToDate } = certificate
  if (validToDate.getTime() <= nowMs) {
    report(setting, `the certificate ${subjectOf(certificate)} ended on ${dayOf(validToDate)}: renew it`)
  }
  if (validFromDate.getTime() > nowMs) {
    const hint = 'look at the clock of this machine'
    report(setting, `the certificate ${subjectOf(certificate)} counts from ${dayOf(validFromDate)} on only: ${hint}`)
  }
  return [expiryOf('cert', certificate)]
}

function expiryOf(material: 'cert' | 'ca', certificate: X509Certificate): Expiry {
  const { serialNumber, validToDate } = certificate
  return { material, subject: subjectOf(certificate), serialNumber, expiresAtMs: validToDate.getTime() }
}

const block = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

function certificatesIn(bytes: Buffer, setting: string, report: Reporter): X509Certificate[] {
  const blocks = bytes.toString('latin1').match(block) ?? []
  if (blocks.length === 0) report(setting, `has no certificate in PEM: ${kindOf(bytes)}`)
  try {
    return blocks.map(text => new X509Certificate(text))
  } catch (error) {
    report(setting, `has a certificate that cannot be read: ${messageOf(error)}`)
    return []
  }
}

function privateKey({ cert, key, passphrase }: TlsParts, report: Reporter): KeyObject | undefined {
  const bytes = key ?? cert ?? Buffer.alloc(0)
  const text = bytes.toString('latin1')
  if (!/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(text)) {
    if (key === undefined) report('key', 'is missing, and there is no private key beside the certificate either')
    else report('key', `has no private key in PEM: ${kindOf(bytes)}`)
    return undefined
  }
  const isEncrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text)
  if (isEncrypted && passphrase === undefined) {
    report('key', 'is encrypted: give its passphrase, by ${VARIABLE} or a source')
    return undefined
  }
  try {
    return createPrivateKey({ key: bytes, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) })
  } catch (error) {
    // OpenSSL's words for a wrong passphrase speak of padding.
    if (isEncrypted) report('passphrase', 'does not open the key')
    else report('key', `cannot be read: ${messageOf(error)}`)
    return undefined
  }
}

/** Node offers no reader for PKCS#12 but the one that TLS uses, which also holds certificate and key together. */
function certificateOfPfx(pfx: Buffer, passphrase: string | undefined, report: Reporter): X509Certificate | undefined {
  try {
    const { context } = createSecureContext({ pfx, ...(passphrase === undefined ? {} : { passphrase }) })
    // Not in the documentation, so it may go: then only the date is not known before brokers refuse it.
    const read: unknown =
      typeof context === 'object' && context !== null ? Reflect.get(context, 'getCertificate') : undefined
    const der: unknown = typeof read === 'function' ? Reflect.apply(read, context, []) : undefined
    return Buffer.isBuffer(der) ? new X509Certificate(der) : undefined
  } catch (error) {
    report(...pfxProblem(pfx, passphrase, messageOf(error)))
    return undefined
  }
}

function pfxProblem(pfx: Buffer, passphrase: string | undefined, text: string): [setting: string, reason: string] {
  if (/mac verify failure/i.test(text)) {
    return passphrase === undefined
      ? ['pfx', 'is locked: give its passphrase, by ${VARIABLE} or a source']
      : ['passphrase', 'does not open the file of pfx']
  }
  if (/unsupported/i.test(text)) {
    const remedy = 'write it anew with: openssl pkcs12 -legacy -in old.p12 -nodes | openssl pkcs12 -export -out new.p12'
    return ['pfx', `is encrypted in an old way that is not supported any more: ${remedy}`]
  }
  if (/unable to load private key/i.test(text)) {
    return ['pfx', 'has no private key: it is a trust store; give its certificates as PEM in ca']
  }
  return ['pfx', `cannot be read as PKCS#12 (${text}): ${kindOf(pfx)}`]
}

/** What it may be instead, with the way to what is wanted. */
function kindOf(bytes: Buffer): string {
  if (bytes.length === 0) return 'it is empty'
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(bytes.toString('latin1'))?.[1]
  if (label !== undefined) return `it has "${label}"`
  if (bytes.readUInt8(0) === 0xfe && bytes.subarray(0, 4).equals(Buffer.from('feedfeed', 'hex'))) {
    return 'it is a Java key store; convert it with: keytool -importkeystore -deststoretype PKCS12'
  }
  if (bytes.readUInt8(0) === 0x30) {
    return 'it is binary, DER or PKCS#12; for PEM use openssl x509 -inform der, for PKCS#12 the setting pfx'
  }
  return 'it is something else'
}

function subjectOf(certificate: X509Certificate): string {
  return certificate.subject.split('\n').toReversed().join(',')
}

function dayOf(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

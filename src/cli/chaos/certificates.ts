/**
 * Authorities and certificates that are made where they are needed: X.509 v3 with keys on P-256.
 *
 * The wire grammar is that of RFC 5280, section 4.1, in DER.
 */

import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate and its private key, PEM. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

/** What a certificate says. */
export interface CertificateOptions {
  /** Common name: the principal of a client is `User:CN=<name>`. */
  readonly name: string
  /** Default: an hour ago. */
  readonly notBefore?: Date
  /** Default: in ten days. */
  readonly notAfter?: Date
  /** Names and addresses of a server. Default: localhost and 127.0.0.1. */
  readonly isServer?: boolean
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** An authority that issues certificates. */
export class Authority {
  /** Its own certificate, PEM. */
  readonly cert: string
  readonly #name: string
  readonly #key: KeyObject

  constructor(name: string, times: Pick<CertificateOptions, 'notBefore' | 'notAfter'> = {}) {
    const { publicKey, privateKey } = keys()
    this.#name = name
    this.#key = privateKey
    this.cert = certificate({ name, ...times }, { publicKey, issuer: name, issuerKey: privateKey, isAuthority: true })
  }

  /** Issues a certificate for a new key. */
  issue(options: CertificateOptions): CertificatePair {
    const { publicKey, privateKey } = keys()
    const issued = { publicKey, issuer: this.#name, issuerKey: this.#key, isAuthority: false }
    return { cert: certificate(options, issued), key: pemOf(privateKey) }
  }
}

/** The same key, encrypted with a passphrase. */
export function encryptedKey(key: string, passphrase: string): string {
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const
  return createPrivateKey(key).export(options).toString()
}

function keys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

interface Issued {
  readonly publicKey: KeyObject
  readonly issuer: string
  readonly issuerKey: KeyObject
  readonly isAuthority: boolean
}

function certificate(options: CertificateOptions, { publicKey, issuer, issuerKey, isAuthority }: Issued): string {
  const { notBefore = new Date(Date.now() - hourMs), notAfter = new Date(Date.now() + 10 * dayMs) } = options
  const algorithm = der(0x30, oid('2a8648ce3d040302')) // ecdsa-with-SHA256
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const extensions = [
    extension('551d13', der(0x30, isAuthority ? der(0x01, [0xff]) : [])), // basicConstraints
    ...(isAuthority ? [] : [extension('551d25', extendedKeyUsage(options.isServer === true))]),
    ...(options.isServer === true ? [extension('551d11', subjectAltName())] : [])
  ]
  const tbs = der(
    0x30,
    der(0xa0, der(0x02, [2])), // version 3
    der(0x02, [0x01], randomBytes(15)), // serial number
    algorithm,
    nameOf(issuer),
    der(0x30, time(notBefore), time(notAfter)),
    nameOf(options.name),
    spki,
    der(0xa3, der(0x30, ...extensions))
  )
  const signature = sign('sha256', tbs, issuerKey)
  const whole = der(0x30, tbs, algorithm, der(0x03, [0], signature))
  return `-----BEGIN CERTIFICATE-----\n${wrapped(whole.toString('base64'))}\n-----END CERTIFICATE-----\n`
}

/** A server's may be a client's, too: brokers connect to brokers. */
function extendedKeyUsage(isServer: boolean): Buffer {
  const [serverAuth, clientAuth] = [oid('2b06010505070301'), oid('2b06010505070302')]
  return isServer ? der(0x30, serverAuth, clientAuth) : der(0x30, clientAuth)
}

function subjectAltName(): Buffer {
  return der(0x30, der(0x82, Buffer.from('localhost')), der(0x87, [127, 0, 0, 1]))
}

function extension(id: string, value: Buffer): Buffer {
  return der(0x30, oid(id), der(0x04, value))
}

function nameOf(commonName: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(commonName)))))
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return der(0x17, Buffer.from(digits.slice(2))) // UTCTime: two digits for the year
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function der(tag: number, ...parts: readonly (Buffer | readonly number[])[]): Buffer {
  const body = Buffer.concat(parts.map(part => Buffer.from(part)))
  const length = body.length
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body])
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...bytes]), body])
}

function wrapped(base64: string): string {
  return (base64.match(/.{1,64}/g) ?? []).join('\n')
}

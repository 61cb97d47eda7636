/**
 * The subject of a certificate as Java writes it (`X500Principal.getName()`,
 * RFC 2253): the most specific part first, other attributes than RFC 2253 names
 * as `OID=#hex`. Kafka's principals, and so ACLs, are made of this text, which is
 * why it is read from the certificate's bytes and not from OpenSSL's wording.
 *
 *   Certificate    => SEQUENCE { TBSCertificate, … }
 *   TBSCertificate => SEQUENCE { [0] version OPTIONAL, serial, signature, issuer, validity, subject, … }
 *   Name           => SEQUENCE OF RDN;  RDN => SET OF SEQUENCE { type OID, value }
 *
 * Only certificates that Node has parsed come here, so a malformed one is a
 * fault of ours; every length is checked all the same.
 */

import { invariant } from '../../../core/index.ts'

/** Attribute names of RFC 2253 by OID. */
const KEYWORDS: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC'
}
const SEQUENCE = 0x30
const VERSION = 0xa0
/** What stands before the subject: serial, signature, issuer, validity. */
const FIELDS_BEFORE_SUBJECT = 4

interface Element {
  readonly tag: number
  /** Tag, length and content. */
  readonly whole: Buffer
  readonly content: Buffer
}

/** The subject of a certificate in DER. Empty if it has none. */
export function subjectOf(certificate: Buffer): string {
  const fields = elements(only(only(certificate)))
  const first = fields[0]?.tag === VERSION ? 1 : 0
  const subject = fields[first + FIELDS_BEFORE_SUBJECT]
  invariant(subject?.tag === SEQUENCE, 'a certificate has a subject')
  return elements(subject.content)
    .toReversed()
    .map(rdn => elements(rdn.content).map(attribute).join('+'))
    .join(',')
}

/** Content of the first element. */
function only(bytes: Buffer): Buffer {
  return elementAt(bytes, 0).content
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = []
  for (let position = 0; position < bytes.length;) {
    const element = elementAt(bytes, position)
    found.push(element)
    position += element.whole.length
  }
  return found
}

function elementAt(bytes: Buffer, position: number): Element {
  const tag = bytes[position] ?? 0
  const first = bytes[position + 1] ?? 0
  let length = first
  let start = position + 2
  if (first >= 0x80) {
    const count = first & 0x7f
    invariant(count >= 1 && count <= 4 && start + count <= bytes.length, 'a DER length has one to four bytes')
    length = bytes.readUIntBE(start, count)
    start += count
  }
  invariant(start + length <= bytes.length, 'a DER element lies within its parent')
  return { tag, whole: bytes.subarray(position, start + length), content: bytes.subarray(start, start + length) }
}

function attribute({ content }: Element): string {
  const [type, value] = elements(content)
  invariant(type !== undefined && value !== undefined, 'an attribute has a type and a value')
  const oid = dottedOid(type.content)
  const keyword = KEYWORDS[oid]
  const text = textOf(value)
  if (keyword === undefined || text === undefined) return `${keyword ?? oid}=#${value.whole.toString('hex')}`
  return `${keyword}=${escape(text)}`
}

function dottedOid(bytes: Buffer): string {
  const arcs: number[] = []
  let arc = 0
  for (const byte of bytes) {
    arc = arc * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    arcs.push(arc)
    arc = 0
  }
  const first = arcs[0] ?? 0
  const top = Math.min(2, Math.floor(first / 40))
  return [top, first - 40 * top, ...arcs.slice(1)].join('.')
}

/** Text of a string type; `undefined` for any other. */
function textOf({ tag, content }: Element): string | undefined {
  switch (tag) {
    case 0x0c: // UTF8String
      return content.toString('utf8')
    case 0x13: // PrintableString
    case 0x16: // IA5String
      return content.toString('latin1')
    case 0x14: // TeletexString: Java reads it as ISO 8859-1
      return content.toString('latin1')
    case 0x1e: // BMPString
      return Buffer.from(content.subarray(0, content.length & ~1))
        .swap16()
        .toString('utf16le')
    default:
      return undefined
  }
}

/** Escapes as Java does, which is a little more than RFC 2253 asks for. */
function escape(text: string): string {
  const escaped = text.replaceAll(/[,=+<>#;"\\]/g, String.raw`\$&`).replaceAll('\0', String.raw`\00`)
  const leading = /^[ \r]*/.exec(escaped)?.[0].length ?? 0
  const trailing = /[ \r]*$/.exec(escaped.slice(leading))?.[0].length ?? 0
  const middle = escaped.slice(leading, escaped.length - trailing)
  const escapeSpaces = (spaces: string): string => spaces.replaceAll(/[ \r]/g, String.raw`\$&`)
  return escapeSpaces(escaped.slice(0, leading)) + middle + escapeSpaces(escaped.slice(escaped.length - trailing))
}

/**
 * Signature Version 4 of AWS, for one kind of request: a POST to `/` with a JSON body.
 *
 * The key that signs is derived from the secret, the day, the region and the service; it is kept for the day. What
 * remains per request are three hashes. Source: AWS IAM user guide, "Create a signed AWS API request".
 */

import { createHmac, hash } from 'node:crypto'

/** Credentials of AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** A request to be signed. */
export interface SignableRequest {
  /** As in the header `host`. */
  readonly host: string
  /** The header `x-amz-target`. */
  readonly target: string
  readonly body: Buffer
  readonly nowMs: number
}

const CONTENT_TYPE = 'application/x-amz-json-1.0'

/** Signs requests to one service in one region. */
export class AwsSigner {
  readonly #region: string
  readonly #service: string
  #key: { readonly day: string; readonly secret: string; readonly bytes: Buffer } | undefined

  constructor(place: { readonly region: string; readonly service: string }) {
    this.#region = place.region
    this.#service = place.service
  }

  /** The whole head of the signed request: request line, headers, empty line. */
  head({ host, target, body, nowMs }: SignableRequest, credentials: AwsCredentials): string {
    const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
    const day = time.slice(0, 8)
    const token = credentials.sessionToken
    const scope = `${day}/${this.#region}/${this.#service}/aws4_request`
    const hasToken = token !== undefined && token !== ''
    const signed = `content-type;host;x-amz-date${hasToken ? ';x-amz-security-token' : ''};x-amz-target`
    // In the order of their names, as they are signed.
    const headers =
      `content-type:${CONTENT_TYPE}\nhost:${host}\nx-amz-date:${time}\n` +
      `${hasToken ? `x-amz-security-token:${token}\n` : ''}x-amz-target:${target}\n`
    const canonical = `POST\n/\n\n${headers}\n${signed}\n${hash('sha256', body)}`
    const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash('sha256', canonical)}`
    const signature = createHmac('sha256', this.#keyOf(credentials.secretAccessKey, day)).update(toSign).digest('hex')
    const credential = `${credentials.accessKeyId}/${scope}`
    return (
      `POST / HTTP/1.1\r\n${headers.replaceAll('\n', '\r\n')}content-length:${body.length}\r\n` +
      `authorization:AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}\r\n\r\n`
    )
  }

  #keyOf(secret: string, day: string): Buffer {
    if (this.#key?.day === day && this.#key.secret === secret) return this.#key.bytes
    let bytes = Buffer.from(`AWS4${secret}`, 'utf8')
    for (const part of [day, this.#region, this.#service, 'aws4_request']) {
      bytes = createHmac('sha256', bytes).update(part).digest()
    }
    this.#key = { day, secret, bytes }
    return bytes
  }
}

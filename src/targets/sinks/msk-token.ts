/**
 * Tokens of Amazon MSK's IAM, signed inside a function: a presigned request for `kafka-cluster:Connect`, valid for
 * fifteen minutes, in base64url.
 *
 * AWS's own signer for JavaScript brings its credential providers, an STS client and another version of `@smithy` than
 * Lambda has. A function has its role's credentials in its environment, and signing is four HMACs.
 * Source: AWS "Signature Version 4 signing process"; the token's form as in aws-msk-iam-sasl-signer.
 */

import { createHash, createHmac } from 'node:crypto'

/** Credentials of AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials, as every function has them. */
  readonly sessionToken?: string
}

const EXPIRES_SECONDS = 900
const SERVICE = 'kafka-cluster'

/** Signs a token that is valid for fifteen minutes from `nowMs` (epoch milliseconds) on. */
export function mskToken(region: string, credentials: AwsCredentials, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '') // 20260102T030405Z
  const date = time.slice(0, 8)
  const host = `kafka.${region}.amazonaws.com`
  const scope = `${date}/${region}/${SERVICE}/aws4_request`
  const query = Object.entries({
    Action: 'kafka-cluster:Connect',
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(EXPIRES_SECONDS),
    ...(credentials.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': credentials.sessionToken }),
    'X-Amz-SignedHeaders': 'host'
  })
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join('&')
  const request = ['GET', '/', query, `host:${host}`, '', 'host', sha256('')].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n')
  let key: Buffer = Buffer.from(`AWS4${credentials.secretAccessKey}`, 'utf8')
  for (const part of [date, region, SERVICE, 'aws4_request']) key = hmac(key, part)
  const signature = hmac(key, toSign).toString('hex')
  const url = `https://${host}/?${query}&X-Amz-Signature=${signature}&User-Agent=comporta`
  return Buffer.from(url, 'utf8').toString('base64url')
}

/** As RFC 3986 has it, which AWS's signatures go by. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest()
}

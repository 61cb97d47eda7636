import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import { AwsSigner } from '../../../src/lambda/idempotency/aws-signature.ts'

/** AWS's own signer, which comes with its SDK. */
interface SmithySigner {
  sign(request: object, options: { signingDate: Date }): Promise<{ headers: Record<string, string> }>
}

const sdk = createRequire(createRequire(import.meta.url).resolve('@aws-sdk/client-dynamodb'))
// What the package is, its types say; it is a dependency of the SDK and not of ours.
const { SignatureV4 } = sdk('@smithy/signature-v4') as { SignatureV4: new (options: object) => SmithySigner }

class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>

  constructor(secret?: Uint8Array | string) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data)
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}

for (const [name, sessionToken] of [
  ['a user', undefined],
  ['a role', 'IQoJb3JpZ2luX2VjEXAMPLE//token+of=a/session']
] as const) {
  test(`requests of ${name} are signed as AWS's own signer signs them`, async () => {
    const credentials = {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      ...(sessionToken === undefined ? {} : { sessionToken })
    }
    const signer = new AwsSigner({ region: 'eu-west-1', service: 'dynamodb' })
    const theirs = new SignatureV4({
      credentials,
      region: 'eu-west-1',
      service: 'dynamodb',
      sha256: Sha256,
      applyChecksum: false
    })
    const host = 'dynamodb.eu-west-1.amazonaws.com'
    const target = 'DynamoDB_20120810.PutItem'
    // Two days: the key of the first must not sign the second.
    for (const date of ['2026-02-28T23:59:59.900Z', '2026-03-01T00:00:00.000Z']) {
      const body = Buffer.from(`{"TableName":"claims","Item":{"id":{"S":"vão ${date}"}}}`, 'utf8')
      const head = signer.head({ host, target, body, nowMs: Date.parse(date) }, credentials)

      const request = {
        method: 'POST',
        protocol: 'https:',
        hostname: host,
        path: '/',
        query: {},
        headers: { host, 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target },
        body
      }
      const { headers } = await theirs.sign(request, { signingDate: new Date(date) })
      const signature = /Signature=([\da-f]{64})/
      const signed = /SignedHeaders=([^,]+)/
      const ours = /\r\nauthorization:(.*)\r\n/.exec(head)?.[1] ?? ''
      const expected = headers['authorization'] ?? ''
      // Theirs signs a hash of the body as a header if it adds one; it was told not to.
      assert.equal(signed.exec(ours)?.[1], signed.exec(expected)?.[1])
      assert.equal(signature.exec(ours)?.[1], signature.exec(expected)?.[1])
      assert.ok(head.startsWith('POST / HTTP/1.1\r\n') && head.endsWith('\r\n\r\n'))
      assert.ok(head.includes(`\r\ncontent-length:${body.length}\r\n`))
    }
  })
}
